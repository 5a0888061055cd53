"""Which readings are held as spikes, and which of them the next reading confirms. docs/detection.md, 3."""

from typing import NamedTuple

import numpy as np

from thresholds.row import both, put, some
from thresholds.rule import DAY_MS, MINUTE_MS
from thresholds.selection import Selection
from thresholds.state import State
from thresholds.tables import I64, MIDDLE_OF, NEVER, Bools


class Sifted(NamedTuple):
    """Of a selection: what is taken of this row (None: all), what is held now, and what was held and is confirmed, with
    time and the value that is taken (None: nothing).
    """

    taken: Bools | None
    held: Bools | None
    confirmed: Bools | None
    t: I64
    raw: I64


def sift(state: State, of: Selection, t: I64, raw: I64, candidate: Bools | None) -> Sifted:
    """Remembers what is held; `candidate` are the readings that are not excluded (None: all)."""
    memory, own = state.memory, of.own
    if not own.has_checks:
        return Sifted(candidate, None, None, t, raw)
    checked = candidate if own.all_checked else both(candidate, own.checked)
    base, based = _base(state, of)
    step = raw - base
    size = np.abs(step)
    far = size > own.floor
    if some(far):
        far = size > _limit(of, t - memory.good_t[of.series])
    if own.has_totals:
        far |= own.total & (step < 0)
    waiting = memory.held_t[of.series] != NEVER
    if checked is not None:
        waiting &= checked
    if some(waiting):
        return _waited(state, of, t, raw, candidate, checked, (base, based, far, waiting))
    held = far if based is None else far | ~based
    if checked is not None:
        held &= checked
    if not some(held):
        return Sifted(candidate, None, None, t, raw)
    put(memory.held_t, of.series, t, held)
    put(memory.held_raw, of.series, raw, held)
    return Sifted(both(candidate, ~held), held, None, t, raw)


def _waited(state: State, of: Selection, t: I64, x: I64, candidate: Bools | None, checked: Bools | None,
            seen: tuple[I64, Bools | None, Bools, Bools]) -> Sifted:
    """The same where readings wait. `seen`: bases and which there are, which readings are far, where one waits."""
    memory, total = state.memory, of.own.total
    base, given, far, waiting = seen
    based = np.ones_like(waiting) if given is None else given
    held_t, h = memory.held_t[of.series].copy(), memory.held_raw[of.series].copy()
    same_side = ((x > base) & (h > base)) | ((x < base) & (h < base))
    agrees = same_side & (far | (2 * np.abs(x - h) <= np.abs(h - base)))
    near = (np.abs(x - h) <= _limit(of, t - held_t)) & ~(total & (x < h))
    confirms: Bools = waiting & np.where(based, agrees, near)
    drops = waiting & ~based & ~confirms & (memory.dropped[of.series] == 0)
    holds = ~confirms & np.where(based, far, ~waiting | drops)
    if checked is not None:
        holds &= checked
    put(memory.held_t, of.series, np.where(holds, t, NEVER), checked)
    put(memory.held_raw, of.series, np.where(holds, x, 0), checked)
    put(memory.dropped, of.series, drops, checked)
    return Sifted(both(candidate, ~holds), holds if some(holds) else None, confirms if some(confirms) else None,
                  held_t, _borne_out(of, base, based, h, x))


def _borne_out(of: Selection, base: I64, based: Bools, h: I64, x: I64) -> I64:
    """Of values that were held only as much as the next ones show too: else a fault during a real rise would raise."""
    own = of.own
    nearer = np.where(h > base, np.minimum(h, x), np.maximum(h, x))
    return np.where(based & ~own.total & ~own.amount, nearer, h)


def _base(state: State, of: Selection) -> tuple[I64, Bools | None]:
    """What readings are compared with, and where there is such a base (None: everywhere)."""
    memory, own = state.memory, of.own
    past, seen = memory.past_raw[of.series], memory.seen[of.series]
    a, b, c = past[:, 0], past[:, 1], past[:, 2]
    base = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    short = seen < MIDDLE_OF
    if own.has_totals:
        np.copyto(base, a, where=own.total)
    based: Bools | None = None
    if some(short):
        np.copyto(base, a, where=short)
        based = own.amount | (seen > 0)
    if own.has_amounts:
        np.copyto(base, 0, where=own.amount)
    return base, based


def _limit(of: Selection, passed: I64) -> I64:
    limit: I64 = np.maximum(of.own.floor, of.own.rate * np.minimum(passed, DAY_MS) // MINUTE_MS)
    return limit
