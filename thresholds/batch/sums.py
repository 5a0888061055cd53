"""Sums of rises over windows, for a whole block. docs/detection.md, 4; the memory is that of window_sum.

Rain only adds up: no sum of a stretch of readings is above what fell from the beginning of the first one's window to
the end of the stretch. Only where that comes to a level the sums themselves are worked out.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from thresholds.batch.entries import FEW, Entries, entries, written
from thresholds.batch.lookup import lookup
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
    covered: I64


def running(state: State, stream: Stream) -> Running:
    """The memory is still that before the block."""
    memory, before = state.memory, slice(stream.series, stream.series + 1)
    rises, covers = stream.rises(state), stream.covers()
    return Running(stream, rises, np.cumsum(np.concatenate([memory.total[before], rises])), covers,
                   np.cumsum(np.concatenate([memory.covered[before], covers])))


class Sum(Protocol):
    """One window's sums."""

    def values(self, begin: int, end: int) -> I64:
        """At the readings of these numbers."""

    def bounds(self, edges: I64) -> I64:
        """What the sums of each stretch are at most."""

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        """Covered time and length of the windows of the readings of these numbers."""

    def lost(self, begin: int, end: int) -> int | None:
        """How much less than its length is covered of each of these windows, at most; None: not known so simply."""


@dataclass(slots=True)
class Slots:
    """What the short sums of a series share: running totals and covered time at the ends of entries, one longer."""

    run: Running
    made: Entries
    total: I64
    covered: I64


def slots(state: State, run: Running, ring: int) -> Slots:
    """The entries of a series' ring with those of the block; these are not written yet."""
    memory = state.memory
    made = entries(run.stream, state.tables.sums.slots, ring, int(memory.slot_count[ring]), memory.slot_t)
    total, covered = made.ends(memory.slot_total, run.total[1:]), made.ends(memory.slot_covered, run.covered[1:])
    return Slots(run, made, total, covered)


@dataclass(slots=True)
class ShortSum:
    """Up to an hour, on slots. `apart` is the running sum of what is left out, as Slots.total (None: nothing)."""

    window: int
    shared: Slots
    apart: I64 | None

    def values(self, begin: int, end: int) -> I64:
        made, run = self.shared.made, self.shared.run
        head = made.heads(run.stream.t[begin:end], self.window)
        value = run.total[begin + 1:end + 1] - self.shared.total.take(head)
        if self.apart is not None:
            value -= self.apart[made.owns(begin, end) + 1] - self.apart[head]
        return value

    def bounds(self, edges: I64) -> I64:
        made, run = self.shared.made, self.shared.run
        head = np.searchsorted(made.t, run.stream.t[edges[:-1]] - self.window, "right")
        bounds: I64 = run.total[edges[1:]] - self.shared.total[head]
        return bounds

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        made, run, t = self.shared.made, self.shared.run, self.shared.run.stream.t[begin:end]
        head = made.heads(t, self.window)
        now, before, after = run.covered[begin + 1:end + 1], self.shared.covered[head], self.shared.covered[head + 1]
        last = made.t[head]
        if made.pick is not None:
            own = head == made.owns(begin, end)
            after, last = np.where(own, now, after), np.where(own, t, last)
        cut = np.minimum(after - before, last - (t - self.window))
        return now - after + cut, np.full(t.size, self.window)

    def lost(self, begin: int, end: int) -> int | None:
        stream = self.shared.run.stream
        return stream.uncovered(begin, int(stream.t[begin]) - self.window, end)


def short(state: State, shared: Slots, number: int) -> ShortSum:
    """Sum `number` of the table over the block; its head and its silences are remembered."""
    memory, window, run, made = state.memory, int(state.tables.sums.window[number]), shared.run, shared.made
    apart = None
    if state.tables.series.kind[run.stream.series] == TOTAL:
        found = _events(state, run.stream, number)
        places = [(made.at(t), rise) for t, rise in found.before if t != NEVER]
        before = [(entry, rise) for entry, rise in places if entry is not None and entry < made.t.size]
        if found.numbers.size or before:
            apart = np.zeros(made.t.size + 1, dtype=np.int64)
            for entry, rise in before:
                apart[entry + 1:entry + 2] += rise
            own = made.kept + found.numbers if made.own is None else made.own[found.numbers]
            apart[own + 1] += run.rises[found.numbers]
            apart = np.cumsum(apart)
        _remember(state, run, number, found, made.slot)
    head = np.searchsorted(made.t, run.stream.t[-1:] - window, "right")
    memory.head[number] = made.first + head[0]
    return ShortSum(window, shared, apart)


def store_slots(state: State, shared: Slots, ring: int) -> None:
    """Writes the ring, once all sums are made."""
    memory, made = state.memory, shared.made
    entry, place = written(made, state.tables.sums.slots, ring)
    memory.slot_t[place] = made.t[entry]
    memory.slot_total[place] = shared.total[entry + 1]
    memory.slot_covered[place] = shared.covered[entry + 1]
    memory.slot_count[ring] = made.first + made.t.size


@dataclass(slots=True)
class Minutes:
    """What the long sums of a series share: the minute of the last reading before the block, and the ring as it was."""

    run: Running
    before: int
    at: int
    size: int
    ring_total: I64
    ring_covered: I64

    def covered_at(self, count: I64, end: I64) -> I64:
        """Covered time at the ends of minutes behind `count` readings, and in the time that the next one covers."""
        run = self.run
        reached = (end + 1) * MINUTE_MS - run.stream.t[count] + run.covers[count]
        covered: I64 = run.covered[count] + np.maximum(reached, 0)
        return covered

    def count(self, end: I64) -> I64:
        """How many readings of the block lie up to the ends of these minutes."""
        found: I64 = self.run.stream.t.searchsorted((end + 1) * MINUTE_MS, "right")
        return found

    def old(self, end: I64) -> I64:
        """Where the ring has the ends of those minutes, of the first ones, that lie before the block."""
        return end[:int(np.searchsorted(end, self.before))] % self.size


def minutes(state: State, run: Running, ring: int) -> Minutes:
    """The memory is still that before the block."""
    memory, rings, good_t = state.memory, state.tables.sums.minutes, run.stream.good_t
    at, size = int(rings.at[ring]), int(rings.size[ring])
    return Minutes(run, (good_t - 1) // MINUTE_MS if good_t != NEVER else NEVER, at, size,
                   memory.minute_total[at:at + size].copy(), memory.minute_covered[at:at + size].astype(np.int64))


@dataclass(slots=True)
class LongSum:
    """Above an hour, on whole minutes. `apart` is the running sum of what is left out, as Running.total, and `before`
    what is left out from before the block: time and rise.
    """

    window: int
    shared: Minutes
    apart: I64 | None
    before: list[tuple[int, int]]

    def values(self, begin: int, end: int) -> I64:
        run, (ends, count) = self.shared.run, self._begins(begin, end)
        total = run.total[begin + 1:end + 1]
        value = total - run.total.take(count)
        old = self.shared.old(ends)
        value[:old.size] = total[:old.size] - self.shared.ring_total[old]
        if self.apart is not None:
            value -= self.apart[begin + 1:end + 1] - self.apart[count]
        for t, rise in self.before if old.size else ():
            value[:old.size] -= np.where(t > (ends[:old.size] + 1) * MINUTE_MS, rise, 0)
        return value

    def bounds(self, edges: I64) -> I64:
        run, shared = self.shared.run, self.shared
        ends = self._ends(run.stream.t[edges[:-1]])
        before = run.total[shared.count(ends)]
        old = shared.old(ends)
        before[:old.size] = shared.ring_total[old]
        bounds: I64 = run.total[edges[1:]] - before
        return bounds

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        shared, (ends, count) = self.shared, self._begins(begin, end)
        covered = shared.covered_at(count, ends)
        old = shared.old(ends)
        covered[:old.size] = shared.ring_covered[old]
        now, t = shared.run.covered[begin + 1:end + 1], shared.run.stream.t[begin:end]
        return (now - covered) & MOD_32, t - (ends + 1) * MINUTE_MS

    def lost(self, begin: int, end: int) -> int | None:
        stream = self.shared.run.stream
        return stream.uncovered(begin, (int(stream.t[begin]) - self.window) // MINUTE_MS * MINUTE_MS, end)

    def _ends(self, t: I64) -> I64:
        """At the end of which minute each window begins."""
        return (t - self.window) // MINUTE_MS - 1

    def _begins(self, begin: int, end: int) -> tuple[I64, I64]:
        """The same for readings one after the other, and how many readings lie before."""
        t = self.shared.run.stream.t
        ends = self._ends(t[begin:end])
        if end - begin <= FEW:
            return ends, self.shared.count(ends)
        first = int(self.shared.count(ends[:1])[0])
        return ends, first + lookup((t[first:end] - 1) // MINUTE_MS).up_to(ends)


def long(state: State, shared: Minutes, number: int) -> LongSum:
    """Sum `number` of the table over the block; its silences are remembered."""
    window, run, apart = int(state.tables.sums.window[number]), shared.run, None
    before: list[tuple[int, int]] = []
    if state.tables.series.kind[run.stream.series] == TOTAL:
        found = _events(state, run.stream, number)
        before = found.before
        if found.numbers.size:
            apart = np.zeros(run.total.size, dtype=np.int64)
            apart[found.numbers + 1] = run.rises[found.numbers]
            apart = np.cumsum(apart)
        _remember(state, run, number, found, MINUTE_MS)
    return LongSum(window, shared, apart, before)


def store_minutes(state: State, shared: Minutes) -> None:
    """Writes the ring, once all sums are made: the ends of minutes that have passed since the reading before."""
    memory, t = state.memory, shared.run.stream.t
    last, first = (int(t[-1]) - 1) // MINUTE_MS, (int(t[0] - shared.run.covers[0]) - 1) // MINUTE_MS
    begin = first if shared.before == NEVER else shared.before
    end = np.arange(max(begin, last - shared.size), last)
    if end.size:
        count = shared.count(end)
        place = shared.at + end % shared.size
        memory.minute_total[place] = shared.run.total[count]
        memory.minute_covered[place] = (shared.covered_at(count, end) & MOD_32).astype(np.uint32)


@dataclass(frozen=True, slots=True)
class _Events:
    """Readings of a running total after a silence longer than a window; of those before the block time and rise."""

    numbers: I64
    before: list[tuple[int, int]]


def _events(state: State, stream: Stream, number: int) -> _Events:
    memory = state.memory
    return _Events(stream.apart(int(state.tables.sums.window[number])),
                   list(zip(memory.apart_t[number, ::-1].tolist(), memory.apart[number, ::-1].tolist(), strict=True)))


def _remember(state: State, run: Running, number: int, found: _Events, slot: int) -> None:
    """The last two, oldest first; the last reading of a slot moves the time of the newest along."""
    t = run.stream.t
    every = found.before + [(int(t[one]), int(run.rises[one])) for one in found.numbers[-2:].tolist()]
    for place, (at, rise) in enumerate(every[:-3:-1]):
        end = ((at - 1) // slot + 1) * slot
        same = int(np.searchsorted(t, end, "right")) - 1
        moved = place < len(every) - 1 and same >= 0 and int(t[same]) > end - slot
        state.memory.apart_t[number, place] = t[same] if moved else at
        state.memory.apart[number, place] = rise
