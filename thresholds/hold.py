"""Which readings are held as spikes, and which of them the next reading confirms. docs/detection.md, 3."""

from dataclasses import dataclass

import numpy as np

from thresholds.state import State
from thresholds.tables import AMOUNT, BEYOND, DAY_MS, I64, NEVER, TOTAL, Bools

RATE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Sifted:
    """Of length S: what is taken of this row, what is held now; what was held and is confirmed, with time and value."""

    taken: Bools
    held: Bools
    confirmed: Bools
    t: I64
    raw: I64


def sift(state: State, t: I64, raw: I64, candidate: Bools) -> Sifted:
    """Remembers what is held; `candidate` are the readings that are not excluded."""
    memory, table = state.memory, state.tables.series
    none = np.zeros_like(candidate)
    if not bool((candidate & (table.floor < BEYOND)).any()):
        return Sifted(candidate, none, none, t, raw)
    s = np.flatnonzero(candidate & (table.floor < BEYOND))
    confirms, holds, drops = _judge(state, s, t[s], raw[s])
    confirmed, held = none, none.copy()
    confirmed[s] = confirms
    held[s] = holds
    before_t, before_raw = memory.held_t.copy(), memory.held_raw.copy()
    memory.held_t[s] = np.where(holds, t[s], NEVER)
    memory.held_raw[s] = np.where(holds, raw[s], 0)
    memory.dropped[s] = drops
    return Sifted(candidate & ~held, held, confirmed, before_t, before_raw)


def _judge(state: State, s: I64, t: I64, x: I64) -> tuple[Bools, Bools, Bools]:
    """Whether each reading confirms a held one, whether it is held itself, and whether one was dropped for it."""
    memory, table = state.memory, state.tables.series
    kind, total = table.kind[s], table.kind[s] == TOTAL
    a, b, c = memory.past_raw[s].T
    seen = memory.seen[s]
    middle = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    base = np.where(kind == AMOUNT, 0, np.where(total | (seen < 3), a, middle))
    based = (kind == AMOUNT) | (seen > 0)
    step = x - base
    far = (np.abs(step) > _limit(state, s, t - memory.good_t[s])) | (total & (step < 0))
    waiting = memory.held_t[s] != NEVER
    if not waiting.any():
        return waiting, far | ~based, waiting
    h = memory.held_raw[s]
    same_side = ((step > 0) & (h > base)) | ((step < 0) & (h < base))
    agrees = same_side & (far | (2 * np.abs(x - h) <= np.abs(h - base)))
    near = (np.abs(x - h) <= _limit(state, s, t - memory.held_t[s])) & ~(total & (x < h))
    confirms: Bools = waiting & np.where(based, agrees, near)
    drops = waiting & ~based & ~confirms & (memory.dropped[s] == 0)
    holds = ~confirms & np.where(based, far, ~waiting | drops)
    return confirms, holds, drops


def _limit(state: State, s: I64, passed: I64) -> I64:
    table = state.tables.series
    limit: I64 = np.maximum(table.floor[s], table.rate[s] * np.minimum(passed, DAY_MS) // RATE_MS)
    return limit
