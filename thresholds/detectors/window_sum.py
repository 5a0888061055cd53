"""Sums of rises over windows, with their coverage. docs/detection.md, 4.

A ring of past totals per series; a sum is the difference of two of them, so its cost does not grow with the window and
nothing drifts. Totals run modulo 2**64: the difference is exact all the same. Windows of up to an hour share a ring of
slots with their times, longer ones a ring of whole minutes that is looked up by the minute.
"""

from dataclasses import dataclass

import numpy as np

from thresholds.rings import advance
from thresholds.row import Row, both, put, some
from thresholds.rule import MINUTE_MS
from thresholds.selection import AllSums, RingPart, SumPart
from thresholds.state import State
from thresholds.tables import I64, NEVER, Bools


@dataclass(frozen=True, slots=True)
class Others:
    """When the gauge of rain that last brought some did, which series that is, and when any other one last did."""

    newest_t: int
    newest: int
    second_t: int


def others_of(state: State) -> Others | None:
    """As it is now; None where there is one gauge at most."""
    rain = state.tables.rain
    if rain.size < 2:
        return None
    times = state.memory.wet_t[rain, 0]
    newest = int(times.argmax())
    newest_t, times[newest] = int(times[newest]), NEVER
    return Others(newest_t, int(rain[newest]), int(times.max()))


def take(state: State, row: Row, again: Bools | None, others: Others | None) -> None:
    """Totals and covered times are already those of this row; times taken are still those before it.

    `again`: where a reading falls into the slot of the one before (None: nowhere).
    """
    of = row.of
    if of.sums is None:
        return
    total, covered = state.memory.total[of.series], state.memory.covered[of.series]
    t = row.t[of.sums.at]
    silent = _silent(state, row, of.sums, t)
    if of.slots is not None and of.short is not None:
        _write_slots(state, row, of.slots, again, total, covered)
        _short(state, row, of.short, (total, covered), silent=silent)
    if of.minutes is not None and of.long is not None:
        _write_minutes(state, row, of.minutes, total, covered)
        _long(state, row, of.long, (total, covered), silent=silent)
    _lone(state, row, of.sums, t, others)


def _silent(state: State, row: Row, sums: AllSums, t: I64) -> bool:
    """Whether a silence longer than a window ends now or has ended lately."""
    if not sums.has_totals:
        return False
    found = both((row.since[sums.at] > sums.window) | (state.memory.apart_t[sums.numbers, 0] > t - sums.reach),
                 row.at(sums.at))
    return found is not None and some(found)


def _write_slots(state: State, row: Row, rings: RingPart, again: Bools | None, total: I64, covered: I64) -> None:
    """One entry a slot: a second reading of the same slot takes the place of the first."""
    memory, at = state.memory, rings.at
    count = memory.slot_count[rings.numbers] + (1 if again is None else ~again[at])
    good = row.at(at)
    put(memory.slot_count, rings.numbers, count, good)
    place = rings.begin + (count - 1) % rings.size
    put(memory.slot_t, place, row.t[at], good)
    put(memory.slot_total, place, total[at], good)
    put(memory.slot_covered, place, covered[at], good)


def _short(state: State, row: Row, sums: SumPart, running: tuple[I64, I64], *, silent: bool) -> None:
    memory, at, (total, covered) = state.memory, sums.at, running
    good, t = row.at(at), row.t[at]
    begin = t - sums.window
    head, place = advance(memory.head[sums.numbers], begin, memory.slot_t, (sums.begin, sums.size), good)
    put(memory.head, sums.numbers, head, good)
    before = sums.begin + (head - 1) % sums.size    # before the first of all stands one never written: zeros
    value, after = total[at] - memory.slot_total[before], memory.slot_covered[place]
    cut = np.minimum(after - memory.slot_covered[before], memory.slot_t[place] - begin)
    apart = _apart(state, row, sums, begin, good) if silent else None
    put(memory.value, sums.out, value if apart is None else value - apart, good)
    put(memory.valid, sums.out, covered[at] - after + cut, good)
    put(memory.span, sums.out, sums.window, good)


def _write_minutes(state: State, row: Row, rings: RingPart, total: I64, covered: I64) -> None:
    """What total and covered time were at the end of each minute that has passed since the reading before."""
    at = rings.at
    t, before = row.t[at], row.before[at]
    if row.young:
        before = np.where(before == NEVER, t - row.covers[at], before)
    newest = (t - 1) // MINUTE_MS
    passed = newest - (before - 1) // MINUTE_MS
    good = row.at(at)
    if good is not None:
        passed *= good
    r = passed.nonzero()[0]
    if not r.size:
        return
    minute = newest[r] - 1
    if some(passed > 1):
        many = np.minimum(passed, rings.size)[r]
        r = r.repeat(many)
        minute = minute.repeat(many) - np.arange(r.size) + (many.cumsum() - many).repeat(many)
    _note(state, row, rings, (r, minute), total, covered)


def _note(state: State, row: Row, rings: RingPart, ends: tuple[I64, I64], total: I64, covered: I64) -> None:
    """Ring `r[i]` at the end of minute `minute[i]`, which lies between two readings."""
    memory, (r, minute) = state.memory, ends
    s = rings.places[r]
    covers = row.covers[s]
    place = rings.begin[r] + minute % rings.size[r]
    memory.minute_total[place] = total[s] - row.rises[s]
    reached = (minute + 1) * MINUTE_MS - row.t[s]
    memory.minute_covered[place] = (covered[s] + np.maximum(reached, -covers)).astype(np.uint32)


def _long(state: State, row: Row, sums: SumPart, running: tuple[I64, I64], *, silent: bool) -> None:
    memory, at, (total, covered) = state.memory, sums.at, running
    good, t = row.at(at), row.t[at]
    minute = (t - sums.window) // MINUTE_MS
    begin = minute * MINUTE_MS
    place = sums.begin + (minute - 1) % sums.size
    value = total[at] - memory.minute_total[place]
    apart = _apart(state, row, sums, begin, good) if silent else None
    put(memory.value, sums.out, value if apart is None else value - apart, good)
    put(memory.valid, sums.out, covered.astype(np.uint32)[at] - memory.minute_covered[place], good)
    put(memory.span, sums.out, t - begin, good)


def _apart(state: State, row: Row, sums: SumPart, begin: I64, good: Bools | None) -> I64 | None:
    """Rises over a silence longer than the window, whose rain fell at an unknown time: what of them is in the window;
    None: nothing.

    Two are remembered: between two such readings lies more than a window. A reading in the same slot moves the time
    along, as it does in the ring.
    """
    memory, at = state.memory, sums.at
    t = row.t[at]
    times, values = memory.apart_t[sums.numbers], memory.apart[sums.numbers]
    new = sums.total & (row.since[at] > sums.window)
    again = ~new & ((t - 1) // sums.slot == (times[:, 0] - 1) // sums.slot)
    if good is not None:
        new &= good
        again &= good
    if some(new | again):
        times = np.stack([np.where(new | again, t, times[:, 0]), np.where(new, times[:, 0], times[:, 1])], axis=1)
        rises = row.rises[at]
        values = np.stack([np.where(new, rises, values[:, 0]), np.where(new, values[:, 0], values[:, 1])], axis=1)
        memory.apart_t[sums.numbers], memory.apart[sums.numbers] = times, values
    if not values.any():
        return None
    inside: I64 = np.where(times > begin[:, None], values, 0).sum(axis=1)
    return inside


def _lone(state: State, row: Row, sums: AllSums, t: I64, others: Others | None) -> None:
    """Whether a sum may come from one reading alone: no second reading, and no other gauge, brought rain lately."""
    memory, of = state.memory, row.of
    latest = memory.wet_t[of.series, 1]
    if others is not None:
        own = latest
        latest = np.maximum(own, others.newest_t)
        place = int(of.ids.searchsorted(others.newest))
        if place < of.count and of.ids[place] == others.newest:
            latest[place] = max(int(own[place]), others.second_t)
    put(memory.lone, sums.out, latest[sums.at] <= t - sums.least, row.at(sums.at))
