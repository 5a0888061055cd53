"""One row at a time: the live path. docs/detection.md, 1, has the order of things."""

from functools import partial

import numpy as np

from thresholds import groups, latches, tell
from thresholds.features import accept
from thresholds.hold import sift
from thresholds.row import row_of
from thresholds.state import State
from thresholds.tables import HOUR_MS, I64, NEVER, Bools
from tocsin.levels import Level
from tocsin.readings import Quality

MISSING = int(Quality.MISSING)
RANGE = int(Quality.RANGE)
LATE = int(Quality.LATE)
SERVICE = int(Quality.SERVICE)
HELD = int(Quality.SPIKE_HELD)
STUCK = int(Quality.STUCK)
EXCLUDED = int(Quality.MISSING | Quality.RANGE | Quality.SPIKE_HELD | Quality.LATE | Quality.SERVICE)
HOLD_MAX_MS = 6 * HOUR_MS


def tick(state: State, now_ms: int, outcome: tell.Outcome) -> None:
    """The clock passed `now_ms`."""
    memory = state.memory
    np.copyto(memory.first_tick, now_ms, where=memory.first_tick == NEVER)
    silent = now_ms - np.where(memory.good_t == NEVER, memory.first_tick, memory.good_t)
    again = (memory.stale == 1) & (silent > HOLD_MAX_MS)
    longer = ((memory.stale == 0) & (silent > state.tables.series.stale)) | again
    for series in np.flatnonzero(longer).tolist():
        _silent(state, series, now_ms, int(silent[series]), outcome)


def _silent(state: State, series: int, now_ms: int, silent_ms: int, outcome: tell.Outcome) -> None:
    memory = state.memory
    say = partial(tell.Freshness, state.plan.series[series], now_ms, stale=True,
                  urgent=tell.active_elsewhere(state, series, memory.level))
    if memory.stale[series] == 0:
        memory.stale[series] = 1
        outcome.freshness.append(say())
    holds = memory.level[state.tables.tracks.series == series].max(initial=0) > 0
    if silent_ms > HOLD_MAX_MS and holds:
        memory.stale[series] = 2
        outcome.freshness.append(say(unconfirmed=True))


def take(state: State, t: I64, raw: I64, quality: I64, outcome: tell.Outcome) -> None:
    """One row's readings, all of length of the block's columns. `quality` gets the bits found here."""
    width = quality.size
    if len(state.plan.groups):
        spare = len(state.plan.groups)
        t, raw = np.pad(t, (0, spare)), np.pad(raw, (0, spare))
        marked = np.pad(quality, (0, spare), constant_values=MISSING)
    else:
        marked = quality
    present = (marked & MISSING) == 0
    if present.any():
        _take(state, t, raw, marked, present, outcome)
        quality[:] = marked[:width]


def _take(state: State, t: I64, raw: I64, quality: I64, present: Bools, outcome: tell.Outcome) -> None:
    memory, rain = state.memory, state.tables.rain
    candidate = _mark(state, t, raw, quality, present)
    if not candidate.any():
        return
    sifted = sift(state, t, raw, candidate)
    quality |= np.where(sifted.held, HELD, 0)
    before, rained_before = memory.level.copy(), memory.wet_t[rain, 0]
    if sifted.confirmed.any():
        _accept(state, sifted.t, sifted.raw, sifted.confirmed, rained_before)
    if sifted.taken.any():
        _accept(state, t, raw, sifted.taken, rained_before)
    decided = latches.early(state, row_of(state, t, raw, sifted.held)) if sifted.held.any() else {}
    _suspect(state, t, sifted.taken, rained_before, quality)
    for series in np.flatnonzero(sifted.taken & (memory.stale != 0)).tolist():
        outcome.freshness.append(tell.heard(state, series, int(t[series])))
    if state.plan.groups:
        t = _group(state, t, sifted.taken)
    _tell(state, t, before, decided, outcome)


def _mark(state: State, t: I64, raw: I64, quality: I64, present: Bools) -> Bools:
    """Range, order and service; returns the readings that are not excluded."""
    memory, table = state.memory, state.tables.series
    quality |= np.where(present & ((raw < table.low) | (raw > table.high)), RANGE, 0)
    late = present & (t <= memory.last_t)
    quality |= np.where(late, LATE, 0)
    np.copyto(memory.last_t, t, where=present & ~late)
    served = present & ((quality & SERVICE) != 0)
    if served.any():
        begin_anew(state, served)
    candidate: Bools = (quality & EXCLUDED) == 0
    return candidate


def begin_anew(state: State, series: Bools) -> None:
    """Forgets what the next reading is compared with: bool[S]."""
    memory = state.memory
    memory.seen[series] = 0
    memory.held_t[series] = NEVER
    memory.held_raw[series] = 0
    memory.dropped[series] = 0


def _accept(state: State, t: I64, raw: I64, good: Bools, rained_before: I64) -> None:
    row = row_of(state, t, raw, good)
    accept(state, row, rained_before)
    latches.judge(state, row)


def _suspect(state: State, t: I64, taken: Bools, rained_before: I64, quality: I64) -> None:
    """Values that do not move, and gauges that stay dry while the others have rain."""
    memory, table, rain = state.memory, state.tables.series, state.tables.rain
    quality |= np.where(taken & (t - memory.same_t >= table.stuck), STUCK, 0)
    if rain.size:
        wet = rain[memory.wet_t[rain, 0] != rained_before]
        memory.rained_at[wet] = memory.rained[0]
        if rain.size > 1 and table.blocked[rain].any():
            dry = memory.rained[0] - memory.rained_at[rain] >= table.blocked[rain] * (rain.size - 1)
            found = rain[dry & (table.blocked[rain] > 0) & taken[rain]]
            quality[found] |= STUCK


def _group(state: State, t: I64, taken: Bools) -> I64:
    """Judges the groups that have a member in this row. Returns the row's times with those of the groups."""
    row = groups.gather(state, taken)
    if row is None:
        return t
    accept(state, row, state.memory.wet_t[state.tables.rain, 0])
    latches.judge(state, row)
    return np.where(row.good, row.t, t)


def _tell(state: State, t: I64, before: I64, decided: dict[int, int], outcome: tell.Outcome) -> None:
    """`decided` has the values that are in no feature: those of held readings that count at once."""
    memory, tracks = state.memory, state.tables.tracks
    for index in np.flatnonzero(memory.level != before).tolist():
        value = decided.get(index, int(memory.value[tracks.feature[index]]))
        outcome.changes.append(tell.change(
            state, index, int(t[tracks.series[index]]), Level(int(before[index])), Level(int(memory.level[index])),
            memory.run_since[index], value))
