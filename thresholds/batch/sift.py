"""Which readings of a series are held as spikes, and which of those the next one confirms. docs/detection.md, 3.

All readings are at first thought to be taken, and compared with what would then stand before them. Only from those
that differ too much the series is walked reading by reading, until the readings that the next one is compared with are
again those right before it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thresholds.rule import DAY_MS, MINUTE_MS
from thresholds.state import State
from thresholds.tables import AMOUNT, I64, MIDDLE_OF, NEVER, TOTAL, VALUE, Bools

AFTER = {VALUE: MIDDLE_OF, TOTAL: 1, AMOUNT: 1}    # so many readings taken make all certain again


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings in the order of rows, and before which of them (their number: after the last) the series began anew."""

    row: I64
    t: I64
    x: I64
    anew: I64


class Held(NamedTuple):
    """A reading that was held in its row, behind `at` readings taken before."""

    row: int
    t: int
    x: int
    at: int


class _Waiting(NamedTuple):
    number: int
    t: int
    x: int


def forget(state: State, series: int) -> None:
    """Nothing is held any more."""
    state.memory.held_t[series], state.memory.held_raw[series], state.memory.dropped[series] = NEVER, 0, 0


def sift(state: State, series: int, readings: Readings) -> tuple[Readings, list[Held]]:
    """What is taken of the readings that are not excluded, and what was held in its row."""
    if not readings.t.size:
        if readings.anew.size:
            forget(state, series)
        return readings, []
    walk = _Walk(state, series, readings)
    suspects = _suspects(state, series, readings)
    alone = _alone(state, series, readings, suspects)
    at = 0
    while at < suspects.size:
        begin = int(suspects[at])
        end = walk.past_alone(begin) if alone[at] else walk.along(begin)
        at = int(np.searchsorted(suspects, end)) if end < readings.t.size else suspects.size
    memory, waits = state.memory, walk.waits
    memory.held_t[series] = waits.t if waits else NEVER
    memory.held_raw[series] = waits.x if waits else 0
    memory.dropped[series] = walk.dropped
    if not (walk.held or walk.carried or walk.confirmed):
        return readings, []
    return _taken(readings, walk)


def _suspects(state: State, series: int, readings: Readings) -> I64:
    """From where the series must be walked: what is far, or has nothing certain before it."""
    memory, kind = state.memory, int(state.tables.series.kind[series])
    far = _far(state, series, readings.t, readings.x)
    least = {VALUE: MIDDLE_OF, TOTAL: 1, AMOUNT: 0}[kind]
    starts = readings.anew[readings.anew < readings.t.size]
    if memory.seen[series] < least or memory.held_t[series] != NEVER:
        starts = np.append(starts, 0)
    return np.union1d(far, starts) if starts.size else far


def _far(state: State, series: int, t: I64, x: I64) -> I64:
    """Numbers of the readings that would be far if all before them were taken."""
    memory, table = state.memory, state.tables.series
    rate, floor, kind = int(table.rate[series]), int(table.floor[series]), int(table.kind[series])
    times = np.concatenate([[memory.good_t[series]], t])
    passed = np.subtract(times[1:], times[:-1])
    shortest = min(max(int(passed.min()), 0), DAY_MS)
    before = np.concatenate([memory.past_raw[series, ::-1], x])
    likely = np.flatnonzero(_unlike(before, kind, max(floor, rate * shortest // MINUTE_MS)))
    if not likely.size:
        return likely
    limit = np.maximum(floor, rate * np.minimum(passed[likely], DAY_MS) // MINUTE_MS)
    step = x[likely] - _base(before, kind, likely)
    far: Bools = (np.abs(step) > limit) | ((kind == TOTAL) & (step < 0))
    return likely[far]


def _unlike(before: I64, kind: int, limit: int) -> Bools:
    """Which readings may differ from their base by more than the lowest limit; three readings stand before the first.

    The middle of three lies no further away than the three steps to them together.
    """
    if kind == AMOUNT:
        return before[MIDDLE_OF:] > limit
    step = before[1:] - before[:-1]
    if kind == TOTAL:
        unlike: Bools = (step[2:] < 0) | (step[2:] > limit)
        return unlike
    wide: Bools = np.abs(step) > limit // MIDDLE_OF
    return wide[2:] | wide[1:-1] | wide[:-2]


def _base(before: I64, kind: int, numbers: I64) -> I64:
    return _base_of(kind, before[numbers + 2], before[numbers + 1], before[numbers])


def _base_of(kind: int, a: I64, b: I64, c: I64) -> I64:
    """Of the last three values, the newest first."""
    if kind == AMOUNT:
        return np.zeros_like(a)
    if kind == TOTAL:
        return a
    middle: I64 = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
    return middle


def _alone(state: State, series: int, readings: Readings, suspects: I64) -> Bools:
    """Which suspects are held and not confirmed, and followed by so many readings near to what came before that all is
    certain again. Most spikes are such; all before a suspect is thought to be certain.
    """
    table, t, x = state.tables.series, readings.t, readings.x
    rate, floor, kind = int(table.rate[series]), int(table.floor[series]), int(table.kind[series])
    after = AFTER[kind]
    alone: Bools = (suspects >= MIDDLE_OF) & (suspects < t.size - after)
    if readings.anew.size:
        alone[:] = False
    s = suspects[alone]
    h, past, last = x[s], [x[s - 1], x[s - 2], x[s - 3]], t[s - 1]
    good = np.ones(s.size, dtype=np.bool_)
    for further in range(1, after + 1):
        base, now = _base_of(kind, *past), x[s + further]
        step = now - base
        good &= np.abs(step) <= np.maximum(floor, rate * np.minimum(t[s + further] - last, DAY_MS) // MINUTE_MS)
        if kind == TOTAL:
            good &= step >= 0
        if further == 1:
            same_side = ((step > 0) & (h > base)) | ((step < 0) & (h < base))
            good &= ~(same_side & (2 * np.abs(now - h) <= np.abs(h - base)))
        past, last = [now, *past[:2]], t[s + further]
    alone[alone] = good
    return alone


class _Walk:
    """The filter, reading by reading. `dropped` has the numbers of what was held and never confirmed."""

    def __init__(self, state: State, series: int, readings: Readings) -> None:
        memory, table = state.memory, state.tables.series
        self._readings = readings
        self._kind, self._floor, self._rate = (int(one[series]) for one in (table.kind, table.floor, table.rate))
        self._past_raw = memory.past_raw[series].tolist()
        self._seen0, self._good_t0 = int(memory.seen[series]), int(memory.good_t[series])
        held_t = int(memory.held_t[series])
        self.waits = _Waiting(-1, held_t, int(memory.held_raw[series])) if held_t != NEVER else None
        self.carried: _Waiting | None = None
        self.held: list[int] = []
        self.confirmed: dict[int, int] = {}    # by number: the value that is taken
        self._anew = set(readings.anew.tolist())
        self.dropped = int(memory.dropped[series])
        self._past: list[int] = []
        self._seen = 0
        self._good_t = 0

    def past_alone(self, number: int) -> int:
        """Holds a reading that is alone; returns the number of that before which all is certain again."""
        self.held.append(number)
        self.waits, self.dropped = None, 0
        return number + AFTER[self._kind] + 1

    def along(self, begin: int) -> int:
        """From a reading before which all is certain to where it is so again; returns the number of that reading."""
        self._start(begin)
        size = self._readings.t.size
        certain = 0
        for number in range(begin, size):
            if number in self._anew:
                self.waits, self.dropped, self._seen, certain = None, 0, 0, 0
            certain = self._take(number, certain)
            if certain >= MIDDLE_OF:
                return number + 1
        if size in self._anew:
            self.waits, self.dropped = None, 0
        return size

    def _start(self, begin: int) -> None:
        x, t = self._readings.x, self._readings.t
        last = [int(one) for one in x[max(begin - MIDDLE_OF, 0):begin][::-1]]
        self._past = (last + self._past_raw)[:MIDDLE_OF]
        self._seen = MIDDLE_OF if begin else self._seen0
        self._good_t = int(t[begin - 1]) if begin else self._good_t0

    def _take(self, number: int, certain: int) -> int:
        """Holds or takes a reading. Returns how many readings in a row have been taken as they are."""
        t, x, waits = int(self._readings.t[number]), int(self._readings.x[number]), self.waits
        self.waits = None
        far = self._is_far(t, x)
        if waits and self._confirms(waits, t, x, far):
            h = self._borne_out(waits.x, x)
            if waits.number < 0:
                self.carried = waits._replace(x=h)
            else:
                self.confirmed[waits.number] = h
            self._accept(waits.t, h)
            self._accept(t, x)
            # what comes from before the block, or was not taken as it was read, is not among the readings
            return certain + 2 if waits.number >= 0 and h == waits.x else 1
        if self._base() is None and waits:
            self.dropped = 1 - self.dropped
            far = self.dropped == 1
        if far:
            self.waits = _Waiting(number, t, x)
            self.held.append(number)
            return 0
        self._accept(t, x)
        return certain + 1 if AFTER[self._kind] > 1 else MIDDLE_OF

    def _accept(self, t: int, x: int) -> None:
        self.dropped = 0
        self._past = [x, *self._past[:2]]
        self._seen = min(self._seen + 1, MIDDLE_OF)
        self._good_t = t

    def _base(self) -> int | None:
        if self._kind == AMOUNT:
            return 0
        if not self._seen:
            return None
        return sorted(self._past)[1] if self._kind == VALUE and self._seen == MIDDLE_OF else self._past[0]

    def _is_far(self, t: int, x: int) -> bool:
        """Too far from the base, or there is none."""
        base = self._base()
        if base is None:
            return True
        return abs(x - base) > self._limit(t - self._good_t) or (self._kind == TOTAL and x < base)

    def _confirms(self, waits: _Waiting, t: int, x: int, far: bool) -> bool:
        base = self._base()
        if base is None:
            return abs(x - waits.x) <= self._limit(t - waits.t) and not (self._kind == TOTAL and x < waits.x)
        same_side = (x > base and waits.x > base) or (x < base and waits.x < base)
        return same_side and (far or 2 * abs(x - waits.x) <= abs(waits.x - base))

    def _borne_out(self, h: int, x: int) -> int:
        base = self._base()
        if base is None or self._kind != VALUE:
            return h
        return min(h, x) if h > base else max(h, x)

    def _limit(self, passed: int) -> int:
        return max(self._floor, self._rate * min(passed, DAY_MS) // MINUTE_MS)


def _taken(readings: Readings, walk: _Walk) -> tuple[Readings, list[Held]]:
    """What is left, what was confirmed in the row that confirmed it."""
    gone = np.array([number for number in walk.held if number not in walk.confirmed], dtype=np.int64)
    row, x = readings.row, readings.x
    if walk.confirmed:
        late = np.array(sorted(walk.confirmed), dtype=np.int64)
        row, x = row.copy(), x.copy()
        row[late] = row[late + 1]
        x[late] = [walk.confirmed[number] for number in late.tolist()]
    every = np.array(walk.held, dtype=np.int64)
    more = int(walk.carried is not None)
    held = list(map(Held, *(one.tolist() for one in (
        readings.row[every], readings.t[every], readings.x[every], every - gone.searchsorted(every) + more))))
    row, t, x = (_without(one, gone.tolist()) for one in (row, readings.t, x))
    if walk.carried:
        t, x = np.concatenate([[walk.carried.t], t]), np.concatenate([[walk.carried.x], x])
        row = np.concatenate([row[:1], row])
    return Readings(row, t, x, readings.anew - gone.searchsorted(readings.anew) + more), held


def _without(numbers: I64, gone: list[int]) -> I64:
    """All but those at some places, which are few: what lies between is copied piece by piece."""
    begins, ends = [0, *(one + 1 for one in gone)], [*gone, numbers.size]
    return np.concatenate([numbers[begin:end] for begin, end in zip(begins, ends, strict=True)])
