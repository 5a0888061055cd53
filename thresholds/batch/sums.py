"""Sums of rises over windows, for a whole block. docs/detection.md, 4; the memory is that of window_sum."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from thresholds.batch.entries import Entries, entries, written
from thresholds.batch.lookup import Lookup, lookup
from thresholds.batch.stream import Stream
from thresholds.rule import MINUTE_MS
from thresholds.state import State
from thresholds.tables import I64, NEVER, TOTAL

MOD_32 = 2**32 - 1


@dataclass(slots=True)
class Running:
    """Of a series: totals (modulo 2**64) and covered time at the end of each reading, those before it in front."""

    stream: Stream
    rises: I64
    total: I64
    covers: I64
    before: I64
    _covered: I64 | None = None

    @property
    def covered(self) -> I64:
        if self._covered is None:
            self._covered = np.cumsum(np.concatenate([self.before, self.covers]))
        return self._covered


def running(state: State, stream: Stream) -> Running:
    """The memory is still that before the block."""
    memory, before = state.memory, slice(stream.series, stream.series + 1)
    rises = stream.rises(state)
    total = np.empty(rises.size + 1, dtype=np.int64)
    total[0] = memory.total[stream.series]
    total[1:] = rises
    return Running(stream, rises, np.cumsum(total, out=total), stream.covers(), memory.covered[before].copy())


class Sum(Protocol):
    """One window's sums: int64[n]."""

    value: I64

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        """Covered time and length of the windows of the readings of these numbers."""


@dataclass(slots=True)
class ShortSum:
    """Up to an hour, on slots."""

    value: I64
    head: I64
    window: int
    run: Running
    made: Entries
    covered: I64

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        run, head, t = self.run, self.head[begin:end], self.run.stream.t[begin:end]
        now, before, after = run.covered[begin + 1:end + 1], self.covered[head], self.covered[head + 1]
        last = self.made.t[head]
        if self.made.pick is not None:
            own = head == self.made.own[begin:end]
            after, last = np.where(own, now, after), np.where(own, t, last)
        cut = np.minimum(after - before, last - (t - self.window))
        return now - after + cut, np.full(t.size, self.window)


@dataclass(slots=True)
class Slots:
    """What the short sums of a series share."""

    run: Running
    made: Entries
    total: I64
    _covered: I64 | None = None

    def covered(self, state: State) -> I64:
        if self._covered is None:
            self._covered = self.made.ends(state.memory.slot_covered, self.run.covered[1:])
        return self._covered


def slots(state: State, run: Running, ring: int) -> Slots:
    """The entries of a series' ring with those of the block; these are not written yet."""
    memory = state.memory
    made = entries(run.stream, state.tables.sums.slots, ring, int(memory.slot_count[ring]), memory.slot_t)
    return Slots(run, made, made.ends(memory.slot_total, run.total[1:]))


def short(state: State, shared: Slots, number: int) -> ShortSum:
    """Sum `number` of the table over the block; its head and its silences are remembered."""
    memory, window, run, made = state.memory, int(state.tables.sums.window[number]), shared.run, shared.made
    head = made.heads(run.stream.t - window, window)
    value = run.total[1:] - shared.total.take(head)
    if state.tables.series.kind[run.stream.series] == TOTAL:
        found = _events(state, run.stream, number)
        before = [(made.at(t), rise) for t, rise in found.before if t >= made.first_t]
        if found.numbers.size or before:
            apart = np.zeros(made.t.size + 1, dtype=np.int64)
            for entry, rise in before:
                apart[entry + 1:entry + 2] += rise
            apart[made.own[found.numbers] + 1] += run.rises[found.numbers]
            apart = np.cumsum(apart)
            value -= apart[made.own + 1] - apart[head]
        _remember(state, run, number, found, made.slot_of, made.slot)
    memory.head[number] = made.first + head[-1]
    return ShortSum(value, head, window, run, made, shared.covered(state))


def store_slots(state: State, shared: Slots, ring: int) -> None:
    """Writes the ring, once all sums are made."""
    memory, made = state.memory, shared.made
    entry, place = written(made, state.tables.sums.slots, ring)
    memory.slot_t[place] = made.t[entry]
    memory.slot_total[place] = shared.total[entry + 1]
    memory.slot_covered[place] = shared.covered(state)[entry + 1]
    memory.slot_count[ring] = made.first + made.t.size


@dataclass(slots=True)
class Minutes:
    """What the long sums of a series share: minutes of the readings, and the last one before the block."""

    run: Running
    ring: int
    minute: I64
    whole: I64
    before: int
    counts: Lookup
    at: int
    size: int


def minutes(state: State, run: Running, ring: int) -> Minutes:
    """The memory is still that before the block."""
    rings, t = state.tables.sums.minutes, run.stream.t
    minute, good_t = (t - 1) // MINUTE_MS, run.stream.good_t
    before = (good_t - 1) // MINUTE_MS if good_t != NEVER else NEVER
    return Minutes(run, ring, minute, t // MINUTE_MS, before, lookup(minute), int(rings.at[ring]),
                   int(rings.size[ring]))


@dataclass(slots=True)
class LongSum:
    """Above an hour, on whole minutes.

    `count` readings of the block lie up to the window's beginning, the end of minute `end`. The windows of the first
    readings begin before the block, where `old_covered` was covered.
    """

    value: I64
    count: I64
    end: I64
    shared: Minutes
    old_covered: I64

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        shared, ends = self.shared, self.end[begin:end]
        covered = _covered_at(shared, self.count[begin:end], ends)
        before = self.old_covered[begin:end]
        covered[:before.size] = before
        now, t = shared.run.covered[begin + 1:end + 1], shared.run.stream.t[begin:end]
        return (now - covered) & MOD_32, t - (ends + 1) * MINUTE_MS


def _covered_at(shared: Minutes, count: I64, end: I64) -> I64:
    """Covered time at the ends of minutes behind `count` readings, and in the time that the next one covers."""
    run, t = shared.run, shared.run.stream.t
    reached = (end + 1) * MINUTE_MS - (t - run.covers)[count]
    return run.covered[count] + np.maximum(reached, 0)


def long(state: State, shared: Minutes, number: int) -> LongSum:
    """Sum `number` of the table over the block; its silences are remembered."""
    memory, window, run = state.memory, int(state.tables.sums.window[number]), shared.run
    end = (shared.whole if window % MINUTE_MS == 0 else (run.stream.t - window) // MINUTE_MS) - 1
    if window % MINUTE_MS == 0:
        end -= window // MINUTE_MS
    count = shared.counts.up_to(end)
    value = run.total[1:] - run.total.take(count)
    old = int(np.searchsorted(end, shared.before))
    place = shared.at + end[:old] % shared.size
    value[:old] = run.total[1:old + 1] - memory.minute_total[place]
    if state.tables.series.kind[run.stream.series] == TOTAL:
        found = _events(state, run.stream, number)
        if found.numbers.size:
            apart = np.zeros(run.total.size, dtype=np.int64)
            apart[found.numbers + 1] = run.rises[found.numbers]
            apart = np.cumsum(apart)
            value -= apart[1:] - apart[count]
        for t, rise in found.before:
            value[:old] -= np.where(t > (end[:old] + 1) * MINUTE_MS, rise, 0)
        _remember(state, run, number, found, shared.minute, MINUTE_MS)
    return LongSum(value, count, end, shared, memory.minute_covered[place].astype(np.int64))


def store_minutes(state: State, shared: Minutes) -> None:
    """Writes the ring, once all sums are made: the ends of minutes that have passed since the reading before."""
    memory, last = state.memory, int(shared.minute[-1])
    first = (int(shared.run.stream.t[0] - shared.run.covers[0]) - 1) // MINUTE_MS
    begin = first if shared.before == NEVER else shared.before
    end = np.arange(max(begin, last - shared.size), last)
    if end.size:
        count = shared.counts.up_to(end)
        place = shared.at + end % shared.size
        memory.minute_total[place] = shared.run.total[count]
        memory.minute_covered[place] = (_covered_at(shared, count, end) & MOD_32).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class _Events:
    """Readings of a running total after a silence longer than a window; of those before the block time and rise."""

    numbers: I64
    before: list[tuple[int, int]] = field(default_factory=list)


def _events(state: State, stream: Stream, number: int) -> _Events:
    memory = state.memory
    return _Events(np.flatnonzero(stream.since > int(state.tables.sums.window[number])),
                   list(zip(memory.apart_t[number, ::-1].tolist(), memory.apart[number, ::-1].tolist(), strict=True)))


def _remember(state: State, run: Running, number: int, found: _Events, slot_of: I64, slot: int) -> None:
    """The last two, oldest first; the last reading of a slot moves the time of the newest along."""
    t = run.stream.t
    every = found.before + [(int(t[one]), int(run.rises[one])) for one in found.numbers[-2:].tolist()]
    for place, (at, rise) in enumerate(every[:-3:-1]):
        same = int(np.searchsorted(slot_of, (at - 1) // slot, "right")) - 1
        moved = place < len(every) - 1 and same >= 0 and int(slot_of[same]) == (at - 1) // slot
        state.memory.apart_t[number, place] = t[same] if moved else at
        state.memory.apart[number, place] = rise
