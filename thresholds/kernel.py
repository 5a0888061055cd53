"""The one kernel that decides: blocks of readings in, changes of level out. Whole numbers only, no clock, no files.

A block is a number of rows; a row has at most one reading of each series. However the same rows are cut into blocks,
and wherever the state is saved and restored, the outcome is the same to the last bit.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds.features import accept
from thresholds.latches import judge
from thresholds.plan import Track
from thresholds.row import row_of
from thresholds.rulefile import LIMIT, SCALE
from thresholds.series import Series
from thresholds.state import State, StateError, restore, save, start
from thresholds.tables import I64, NEVER, Bools
from tocsin.levels import Authority, Level, Stage
from tocsin.readings import Quality

__all__ = [
    "SCALE", "Block", "Change", "Freshness", "Outcome", "State", "StateError", "Sums", "last_t", "levels", "pending",
    "quantize", "restore", "save", "stale", "start", "step", "sums",
]

MISSING = int(Quality.MISSING)
RANGE = int(Quality.RANGE)
LATE = int(Quality.LATE)
EXCLUDED = int(Quality.MISSING | Quality.RANGE | Quality.SPIKE_HELD | Quality.LATE | Quality.SERVICE)
STALE_PERIODS = 3
LAST_T = 2**47    # the year 6429: room for every difference and product of times


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of readings.

    `t_ms`, `raw` and `quality` are int64[rows, series]: event time in ms UTC, value in thousandths of its unit
    (`quantize`), and tocsin.readings.Quality bits, MISSING where there is no reading. `now_ms` is int64[rows]: the
    clock passed this time before the row's readings; 0 says nothing.
    """

    t_ms: I64
    raw: I64
    quality: I64
    now_ms: I64

    @classmethod
    def blank(cls, rows: int, series: int) -> "Block":
        """Rows without readings and ticks, to be filled in."""
        cells = (rows, series)
        zeros = np.zeros(cells, dtype=np.int64)
        return cls(zeros, zeros.copy(), np.full(cells, MISSING, dtype=np.int64), np.zeros(rows, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Change:
    """The level of a track changed at `t_ms`.

    `value` decided, against `threshold`: the new level's `on` in a rise, the old level's `off` in a fall; both in the
    quantity's unit. `since_ms` is the first qualifying reading of the episode. A clear level asks nothing of people:
    its stage is watch.
    """

    track: Track
    t_ms: int
    level: Level
    previous: Level
    revision: int
    episode: str
    since_ms: int
    value: float
    threshold: float
    stage: Stage
    authority: Authority


@dataclass(frozen=True, slots=True)
class Freshness:
    """A series became stale at a tick, or fresh again with a reading."""

    series: Series
    t_ms: int
    stale: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a block: quality as given with the bits found here, and what changed, in order of rows."""

    quality: I64
    changes: list[Change]
    freshness: list[Freshness]


@dataclass(frozen=True, slots=True)
class Sums:
    """What each track compared last: int64[tracks] in thousandths, with the covered and the whole time in ms.

    For a track on the value itself both times are 0.
    """

    value: I64
    covered_ms: I64
    span_ms: I64


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
    quality = block.quality.copy()
    table = state.tables.series
    missing = (quality & MISSING) != 0
    quality |= np.where(~missing & ((block.raw < table.low) | (block.raw > table.high)), RANGE, 0)
    outcome = Outcome(quality, [], [])
    for row, now_ms in enumerate(block.now_ms.tolist()):
        if now_ms:
            _tick(state, now_ms, outcome)
        _take(state, block.t_ms[row], block.raw[row], quality[row], outcome)
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
    found: Bools = state.memory.stale != 0
    return found


def last_t(state: State) -> I64:
    """int64[series]: the last reading's time in ms UTC; far below zero where there was none."""
    return state.memory.last_t.copy()


def sums(state: State) -> Sums:
    """What each track compared last."""
    feature = state.tables.tracks.feature
    memory = state.memory
    return Sums(memory.value[feature], memory.valid[feature], memory.span[feature])


def _check(state: State, block: Block) -> None:
    shape = (len(block.now_ms), len(state.plan.series))
    for name, array in (("t_ms", block.t_ms), ("raw", block.raw), ("quality", block.quality)):
        if array.shape != shape or array.dtype != np.int64:
            raise ValueError(f"block: {name} is {array.dtype}{list(array.shape)}; use int64{list(shape)}")
    if block.now_ms.shape != shape[:1] or block.now_ms.dtype != np.int64:
        raise ValueError(f"block: now_ms is {block.now_ms.dtype}{list(block.now_ms.shape)}; use int64{list(shape[:1])}")
    present = (block.quality & MISSING) == 0
    wrong = present & ((block.t_ms < 0) | (block.t_ms >= LAST_T))
    if wrong.any() or ((block.now_ms < 0) | (block.now_ms >= LAST_T)).any():
        raise ValueError(f"block: a time is not allowed; use ms UTC from 0 to {LAST_T}")


def _tick(state: State, now_ms: int, outcome: Outcome) -> None:
    memory = state.memory
    np.copyto(memory.first_tick, now_ms, where=memory.first_tick == NEVER)
    heard = np.where(memory.good_t == NEVER, memory.first_tick, memory.good_t)
    silent = (now_ms - heard > STALE_PERIODS * state.tables.series.period) & (memory.stale == 0)
    if silent.any():
        memory.stale[silent] = 1
        outcome.freshness.extend(Freshness(state.plan.series[i], now_ms, True) for i in np.flatnonzero(silent).tolist())


def _take(state: State, t: I64, raw: I64, quality: I64, outcome: Outcome) -> None:
    """One row. `quality` gets the bits found here."""
    memory = state.memory
    present = (quality & MISSING) == 0
    late = present & (t <= memory.last_t)
    np.copyto(quality, quality | LATE, where=late)
    np.copyto(memory.last_t, t, where=present & ~late)
    good = (quality & EXCLUDED) == 0
    if not good.any():
        return
    fresh = good & (memory.stale != 0)
    if fresh.any():
        memory.stale[fresh] = 0
        outcome.freshness.extend(
            Freshness(state.plan.series[i], int(t[i]), False) for i in np.flatnonzero(fresh).tolist())
    row = row_of(state, t, raw, good)
    accept(state, row)
    changed, previous = judge(state, row)
    for track, before in zip(changed.tolist(), previous.tolist(), strict=True):
        outcome.changes.append(_change(state, track, Level(before), t))


def _change(state: State, index: int, previous: Level, times: I64) -> Change:
    memory, track = state.memory, state.plan.tracks[index]
    t, level = int(times[track.series_index]), Level(int(memory.level[index]))
    if previous is Level.CLEAR:
        # a run may have begun in the episode before: its start is not the start of this one
        begun = memory.run_since[index]
        begun = begun[begun >= max(int(memory.cleared_t[index]), 0)]
        memory.since[index] = begun.min() if begun.size else t
    if level is Level.CLEAR:
        memory.cleared_t[index] = t
    memory.revision[index] += 1
    since = int(memory.since[index])
    rule = track.rule.at(level)
    fell = track.rule.at(previous)
    threshold = rule.on if level > previous and rule else fell.off if fell else 0
    return Change(
        track=track, t_ms=t, level=level, previous=previous, revision=int(memory.revision[index]),
        episode=_episode(state.station, track, since), since_ms=since,
        value=int(memory.value[state.tables.tracks.feature[index]]) / SCALE, threshold=threshold / SCALE,
        stage=rule.stage if rule else Stage.WATCH, authority=rule.authority if rule else Authority.AUTO,
    )


def _episode(station: str, track: Track, since_ms: int) -> str:
    """16 hex digits: the same wherever the same readings are judged by the same rule."""
    name = b"\0".join((station.encode(), track.series.key.encode(), track.rule.canonical, str(since_ms).encode()))
    return hashlib.blake2b(name, digest_size=8).hexdigest()
