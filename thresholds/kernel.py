"""The one kernel that decides: blocks of readings in, changes of level out. Whole numbers only, no clock, no files.

A block is a number of rows; a row has at most one reading of each series. However the same rows are cut into blocks,
and wherever the state is saved and restored, the outcome is the same to the last bit: docs/detection.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds import tell, tick
from thresholds.block import MISSING, Block
from thresholds.rule import LIMIT, SCALE
from thresholds.state import State, StateError, parts_of, restore, save, start
from thresholds.tables import I64, NEVER, Bools
from thresholds.tell import Change, Freshness, Outcome, again
from thresholds.tick import begin_anew
from tocsin.levels import Level

__all__ = [
    "SCALE", "Block", "Change", "Features", "Freshness", "Outcome", "State", "StateError", "acknowledge", "again",
    "begin_anew", "clear", "features", "last_t", "levels", "new_epoch", "parts_of", "pending", "quantize", "restore",
    "save", "shelve", "stale", "start", "step",
]

SCAN_ROWS = 2     # rows a series from which on scans over time are faster than row after row: measured, not exact
LAST_T = 2**47    # the year 6429: room for every difference and product of times


@dataclass(frozen=True, slots=True)
class Features:
    """What each track compared last: int64[tracks].

    `value` carries the rule's sign, so that more is worse; its unit is that of the rule's thresholds. Of a sum `valid`
    and `span` are the covered and the whole time in ms; else `span` is 1 and `valid` says whether the value is known.
    """

    value: I64
    valid: I64
    span: I64


def quantize(values: npt.NDArray[np.float64]) -> tuple[I64, Bools]:
    """Values in thousandths, rounded half to even, and which could be: finite and below 2**53. Others become 0.

    The cast comes after the check: processors differ in what they make of a cast that does not fit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.rint(values * SCALE)
        ok: Bools = np.isfinite(scaled) & (np.abs(scaled) < LIMIT)
    return np.where(ok, scaled, 0.0).astype(np.int64), ok


def step(state: State, block: Block) -> Outcome:
    """Takes a block into the state. Raises ValueError for a block that does not fit the plan; then nothing changed."""
    _check(state, block)
    outcome = Outcome(block.quality.copy())
    rows, series = block.quality.shape
    if rows > SCAN_ROWS * max(series, 1):
        from thresholds import batch  # a station that only ever ticks need not load it

        batch.run(state, block, outcome)
        return outcome
    for row, now_ms in enumerate(block.now_ms.tolist()):
        if now_ms:
            tick.tick(state, now_ms, outcome)
        tick.take(state, block.t_ms[row], block.raw[row], outcome.quality[row], outcome)
    return outcome


def levels(state: State) -> I64:
    """int64[tracks]: the level of each."""
    return state.memory.level.copy()


def pending(state: State) -> Bools:
    """bool[tracks]: whether a level has qualifying readings and is not active."""
    found: Bools = ((state.memory.run_since != NEVER) & (state.memory.latched == 0)).any(axis=1)
    return found


def stale(state: State) -> Bools:
    """bool[series]: whether the last good reading is too old, as of the last tick."""
    found: Bools = state.memory.stale[:len(state.plan.series)] != 0
    return found


def last_t(state: State) -> I64:
    """int64[series]: the last reading's time in ms UTC; far below zero where there was none."""
    return state.memory.last_t[:len(state.plan.series)].copy()


def features(state: State) -> Features:
    """What each track compared last."""
    feature, memory = state.tables.tracks.feature, state.memory
    return Features(memory.value[feature], memory.valid[feature], memory.span[feature])


def acknowledge(state: State, track: int) -> None:
    """A person has seen it: the track's set levels that latch may fall."""
    state.memory.acked[track] = state.memory.latched[track] * state.tables.tracks.latch[track]


def clear(state: State, track: int, t_ms: int) -> Change | None:
    """An operator takes a track to clear; None where it is clear already."""
    memory = state.memory
    previous = Level(int(memory.level[track]))
    if previous is Level.CLEAR:
        return None
    for array in (memory.on_bits, memory.off_bits, memory.run_for, memory.latched, memory.acked):
        array[track] = 0
    memory.run_since[track], memory.off_since[track], memory.level[track] = NEVER, NEVER, 0
    value = int(memory.value[state.tables.tracks.feature[track]])
    return tell.change(state, track, t_ms, previous, Level.CLEAR, memory.run_since[track], value)


def shelve(state: State, track: int, until_ms: int) -> None:
    """The track's changes before `until_ms` are told as shelved."""
    state.memory.shelved[track] = until_ms


def new_epoch(state: State) -> None:
    """The clock was far ahead and was set back: forgets what hangs on times; levels and counters' bases stay."""
    memory, kept = state.memory, start(state.plan, state.station).memory
    for name in ("stale", "seen", "past_raw", "rained", "rained_at", "reference", "cusum", "latched", "acked", "level",
                 "since", "episode", "revision"):
        setattr(kept, name, getattr(memory, name))
    state.memory = kept


def _check(state: State, block: Block) -> None:
    shape = (len(block.now_ms), len(state.plan.series))
    for name, array in (("t_ms", block.t_ms), ("raw", block.raw), ("quality", block.quality)):
        if array.shape != shape or array.dtype != np.int64:
            raise ValueError(f"block: {name} is {array.dtype}{list(array.shape)}; use int64{list(shape)}")
    if block.now_ms.shape != shape[:1] or block.now_ms.dtype != np.int64:
        raise ValueError(f"block: now_ms is {block.now_ms.dtype}{list(block.now_ms.shape)}; use int64{list(shape[:1])}")
    if _beyond(block.now_ms) or (_beyond(block.t_ms) and _beyond(block.t_ms[(block.quality & MISSING) == 0])):
        raise ValueError(f"block: a time is not allowed; use ms UTC from 0 to {LAST_T}")


def _beyond(times: I64) -> bool:
    """Whether one is below 0 or too late: as numbers without a sign those below 0 are the largest."""
    return bool(np.count_nonzero(times.view(np.uint64) >= LAST_T))
