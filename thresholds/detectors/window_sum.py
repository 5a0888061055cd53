"""Sums of rises over windows, with their coverage. docs/detection.md, 4.

A ring of past totals per series; a sum is the difference of two of them, so its cost does not grow with the window and
nothing drifts. Totals run modulo 2**64: the difference is exact all the same. Windows of up to an hour share a ring of
slots with their times, longer ones a ring of whole minutes that is looked up by the minute.
"""

import numpy as np

from thresholds.row import Row
from thresholds.rule import MINUTE_MS
from thresholds.state import State
from thresholds.tables import I64, NEVER, TOTAL, Bools, pick

LONE_PERIODS = 3


def take(state: State, row: Row, rained_before: I64) -> None:
    """Totals and covered times are already those of this row; times taken are still those before it."""
    if state.tables.sums.slots.series.size:
        _write_slots(state, row)
        _short(state, row)
    if state.tables.sums.minutes.series.size:
        _write_minutes(state, row)
        _long(state, row)
    _lone(state, row, rained_before)


def _write_slots(state: State, row: Row) -> None:
    """One entry a slot: a second reading of the same slot takes the place of the first."""
    memory, rings = state.memory, state.tables.sums.slots
    r = pick(row.good[rings.series])
    series, slot = rings.series[r], rings.slot[r]
    t = row.t[series]
    again = (t - 1) // slot == (memory.good_t[series] - 1) // slot
    memory.slot_count[r] += ~again
    place = rings.at[r] + (memory.slot_count[r] - 1) % rings.size[r]
    memory.slot_t[place] = t
    memory.slot_total[place] = memory.total[series]
    memory.slot_covered[place] = memory.covered[series]


def _short(state: State, row: Row) -> None:
    memory, sums = state.memory, state.tables.sums
    f = pick(row.good[sums.series[:sums.short]])
    series, ring = sums.series[:sums.short][f], sums.ring[:sums.short][f]
    t = row.t[series]
    begin = t - sums.window[:sums.short][f]
    at, size = sums.slots.at[ring], sums.slots.size[ring]
    head = _advance(memory.head[f], begin, memory.slot_t, at, size)
    memory.head[f] = head
    place = at + head % size
    before = at + (head - 1) % size    # before the first entry of all stands one that was never written: zeros
    cut = np.minimum(memory.slot_covered[place] - memory.slot_covered[before], memory.slot_t[place] - begin)
    apart = _apart(state, row, slice(0, sums.short), f, sums.slots.slot[ring], begin)
    out = slice(sums.first, sums.first + sums.short)
    memory.value[out][f] = memory.total[series] - memory.slot_total[before] - apart
    memory.valid[out][f] = memory.covered[series] - memory.slot_covered[place] + cut
    memory.span[out][f] = t - begin


def _advance(head: I64, begin: I64, ring_t: I64, at: I64, size: I64) -> I64:
    """Moves each head to its first entry after `begin`. The newest entry is always after it, so the walk ends."""
    head = head.copy()
    moving = np.flatnonzero(ring_t[at + head % size] <= begin)
    while moving.size:
        head[moving] += 1
        on = head[moving] % size[moving] + at[moving]
        moving = moving[ring_t[on] <= begin[moving]]
    return head


def _write_minutes(state: State, row: Row) -> None:
    """What total and covered time were at the end of each minute that has passed since the reading before."""
    memory, rings = state.memory, state.tables.sums.minutes
    good, t, before = row.good[rings.series], row.t[rings.series], memory.good_t[rings.series]
    before = np.where(before == NEVER, t - row.covers[rings.series], before)
    newest = (t - 1) // MINUTE_MS
    passed = np.where(good, newest - (before - 1) // MINUTE_MS, 0)
    r = np.flatnonzero(passed == 1)
    _note(state, row, r, newest[r] - 1)
    for ring in np.flatnonzero(passed > 1).tolist():
        minutes = newest[ring] - 1 - np.arange(min(int(passed[ring]), int(rings.size[ring])))
        _note(state, row, np.full(minutes.size, ring), minutes)


def _note(state: State, row: Row, r: I64, minute: I64) -> None:
    """Ring `r[i]` at the end of minute `minute[i]`, which lies between two readings."""
    memory, rings = state.memory, state.tables.sums.minutes
    series = rings.series[r]
    place = rings.at[r] + minute % rings.size[r]
    memory.minute_total[place] = memory.total[series] - row.rises[series]
    reached = (minute + 1) * MINUTE_MS - (row.t[series] - row.covers[series])
    covered = memory.covered[series] - row.covers[series] + np.maximum(reached, 0)
    memory.minute_covered[place] = covered.astype(np.uint32)


def _long(state: State, row: Row) -> None:
    memory, sums = state.memory, state.tables.sums
    long = slice(sums.short, None)
    f = pick(row.good[sums.series[long]])
    series, ring = sums.series[long][f], sums.ring[long][f]
    t = row.t[series]
    begin = t - sums.window[long][f]
    begin -= begin % MINUTE_MS
    place = sums.minutes.at[ring] + (begin // MINUTE_MS - 1) % sums.minutes.size[ring]
    apart = _apart(state, row, long, f, sums.minutes.slot[ring], begin)
    out = slice(sums.first + sums.short, sums.first + sums.series.size)
    memory.value[out][f] = memory.total[series] - memory.minute_total[place] - apart
    memory.valid[out][f] = (memory.covered[series].astype(np.uint32) - memory.minute_covered[place]).astype(np.int64)
    memory.span[out][f] = t - begin


def _apart(state: State, row: Row, part: slice, f: "slice | I64", slot: I64, begin: I64) -> I64:
    """Rises over a silence longer than the window, whose rain fell at an unknown time: what of them is in the window.

    Two are remembered: between two such readings lies more than a window. A reading in the same slot moves the time
    along, as it does in the ring.
    """
    memory, sums = state.memory, state.tables.sums
    series = sums.series[part][f]
    t = row.t[series]
    new = (state.tables.series.kind[series] == TOTAL) & (row.since[series] > sums.window[part][f])
    times, values = memory.apart_t[part][f], memory.apart[part][f]
    again = ~new & ((t - 1) // slot == (times[:, 0] - 1) // slot)
    if new.any() or again.any():
        times = np.stack([np.where(new | again, t, times[:, 0]), np.where(new, times[:, 0], times[:, 1])], axis=1)
        rise = np.where(new, row.rises[series], values[:, 0])
        values = np.stack([rise, np.where(new, values[:, 0], values[:, 1])], axis=1)
        memory.apart_t[part][f], memory.apart[part][f] = times, values
    if not values.any():
        return np.zeros_like(t)
    inside: I64 = np.where(times > begin[:, None], values, 0).sum(axis=1)
    return inside


def _lone(state: State, row: Row, rained_before: I64) -> None:
    """Whether a sum may come from one reading alone: no second reading, and no other gauge, brought rain lately."""
    memory, sums, rain = state.memory, state.tables.sums, state.tables.rain
    f = pick(row.good[sums.series])
    series = sums.series[f]
    after = row.t[series] - np.maximum(sums.window[f], LONE_PERIODS * state.tables.series.period[series])
    lone: Bools = memory.wet_t[series, 1] <= after
    if rain.size > 1 and lone.any():
        newest = int(rained_before.argmax())
        second = int(np.delete(rained_before, newest).max())
        lone &= np.where(series == rain[newest], second, rained_before[newest]) <= after
    memory.lone[sums.first:sums.first + sums.series.size][f] = lone
