"""One level of a track through a block: when it is set and reset, and its run at any reading. docs/detection.md, 5."""

from bisect import bisect_left
from operator import attrgetter
from typing import NamedTuple

import numpy as np

from thresholds.batch.counts import Counts
from thresholds.batch.stream import Stream
from thresholds.state import State
from thresholds.tables import I64, NEVER, Bools


class Early(NamedTuple):
    """A held reading that may raise: its row, time and value with the sign, and how many were taken before it."""

    row: int
    t: int
    value: int
    at: int


_AT = attrgetter("at")
YES, NO = b"\1", b"\0"


class Toggle(NamedTuple):
    """The level is set (1) or reset (0) in a row."""

    row: int
    latched: int


class Numbers(NamedTuple):
    """What a level needs of its rule, and what is remembered of it."""

    n: int
    m: int
    on_delay: int
    off_delay: int
    latch: int
    early: int
    on_bits: int
    run_since: int
    run_for: int
    latched: int
    acked: int
    off_since: int


def levels(state: State, stream: Stream, counts: Counts, at: tuple[I64, I64],
           marks: tuple[Bools, Bools, Bools]) -> list["Level"]:
    """Some levels (tracks and places) of a stream's tracks.

    `marks`: which readings qualify, are below, and less than `off` but not known; bool[L, n].
    """
    memory, tracks = state.memory, state.tables.tracks
    qualifies, below, unknown = marks
    n, m = tracks.n[at], tracks.m[tracks.which_m[at]]
    ons, offs = np.empty(qualifies.shape, dtype=np.uint8), np.empty(qualifies.shape, dtype=np.uint8)
    for one in set(m.tolist()):
        some = m == one
        ons[some] = counts.of(memory.on_bits[at][some].astype(np.int64), qualifies[some], one)
        offs[some] = counts.of(memory.off_bits[at][some].astype(np.int64), below[some], one)
    low = offs >= n[:, None]
    reaches, holds, over = ons >= n[:, None], low > unknown, (ons == 0) | (low > qualifies)
    numbers = zip(n.tolist(), m.tolist(), *(one[at].tolist() for one in (
        tracks.on_delay, tracks.off_delay, tracks.latch, tracks.early, memory.on_bits, memory.run_since, memory.run_for,
        memory.latched, memory.acked, memory.off_since)), strict=True)
    return [Level(state, stream, counts, (int(at[0][row]), int(at[1][row])), Numbers(*own),
                  (qualifies[row], reaches[row], holds[row], over[row]))
            for row, own in enumerate(numbers)]


class Level:
    """One level of a track. The memory stays that before the readings until `store`."""

    def __init__(self, state: State, stream: Stream, counts: Counts, at: tuple[int, int], own: Numbers,
                 found: tuple[Bools, Bools, Bools, Bools]) -> None:
        """`found`: where readings qualify, N of M do, the condition to fall holds, and a run is over."""
        self._memory, self._at, self._stream, self._counts, self._own = state.memory, at, stream, counts, own
        self._marks, reaches, holds, over = found
        self._qualifies, self._holds, self._over = self._marks.tobytes(), holds.tobytes(), over.tobytes()
        self._raised = (self._delayed(reaches) if own.on_delay and reaches.any() else reaches).tobytes()
        self._latched, self._acked, self._off_since = own.latched, own.acked, own.off_since
        self._set_at = 0

    def toggles(self, early: list[Early]) -> list[Toggle]:
        """When the level is set and reset, in order; `early` are the held readings that reach the highest level."""
        found: list[Toggle] = []
        waiting = [one for one in early if self._own.early]
        at, n = 0, self._stream.t.size
        while True:
            if self._latched:
                at = self._fall(at)
                if at == n:
                    return found
                found.append(Toggle(int(self._stream.row[at]), 0))
                self._latched, self._off_since, at = 0, NEVER, at + 1
                continue
            raised = _first(self._raised, at)
            sooner = self._sooner(waiting, at, raised)
            if sooner is None and raised == n:
                return found
            found.append(Toggle(sooner.row if sooner else int(self._stream.row[raised]), 1))
            at = sooner.at if sooner else raised
            self._latched, self._acked, self._set_at, self._off_since = 1, 0, at, NEVER

    def since(self, number: int) -> int:
        """Since when the run lasts that there is behind a reading; NEVER."""
        ended = _last(self._over, number)
        if ended < 0 and self._own.run_since != NEVER:
            return self._own.run_since
        begun = _first(self._qualifies, ended + 1)
        return NEVER if begun > number else int(self._stream.t[begun])

    def run(self, number: int) -> tuple[int, int]:
        """Since when the run lasts that there is behind a reading (-1: before the block) and for how long; NEVER, 0."""
        if number < 0:
            return self._own.run_since, self._own.run_for
        ended = _last(self._over, number)
        if ended < 0 and self._own.run_since != NEVER:
            return self._own.run_since, self._own.run_for + int(self._stream.lapsed()[number]) - self._stream.good_t
        begun = _first(self._qualifies, ended + 1)
        if begun > number:
            return NEVER, 0
        lapsed = self._stream.lapsed()
        return int(self._stream.t[begun]), int(lapsed[number] - lapsed[begun])

    def store(self) -> None:
        """Keeps what is behind the last reading."""
        memory, at, n = self._memory, self._at, self._stream.t.size
        memory.latched[at], memory.acked[at] = self._latched, self._acked
        if not n:
            return
        memory.run_since[at], memory.run_for[at] = self.run(n - 1)
        memory.off_since[at] = self._held_since(n - 1) if self._latched else NEVER

    def _sooner(self, waiting: list[Early], at: int, raised: int) -> Early | None:
        """The first held reading that raises the level, behind `at` readings and no more than `raised`."""
        for place in range(bisect_left(waiting, at, key=_AT), len(waiting)):
            if waiting[place].at > raised:
                return None
            if self._raises(waiting[place]):
                return waiting[place]
        return None

    def _raises(self, one: Early) -> bool:
        """Had it been taken, would it raise the level?"""
        stream = self._stream
        before = int(stream.t[one.at - 1]) if one.at else stream.good_t
        since, lasted = self.run(one.at - 1)
        passed = one.t - before
        lasted = 0 if since == NEVER else lasted + (passed if passed <= 2 * stream.period else 0)
        ons = 1 + self._counts.before(self._own.on_bits, self._marks, one.at, one.t, self._own.m)
        return ons >= self._own.n and lasted >= self._own.on_delay

    def _delayed(self, reach: Bools) -> Bools:
        """Raised: N of M, in a run that has lasted for the delay."""
        raised = np.zeros_like(reach)
        lapsed, n = self._stream.lapsed(), raised.size
        at = 0
        while at < n:
            alive = at == 0 and self._own.run_since != NEVER
            begun = at if alive else _first(self._qualifies, at)
            if begun == n:
                break
            end = _first(self._over, begun)
            before = self._stream.good_t - self._own.run_for if alive else int(lapsed[begun])
            reached = begun + int(np.searchsorted(lapsed[begun:end], before + self._own.on_delay))
            raised[reached:end] = reach[reached:end]
            at = end + 1 if end < n else n
        return raised

    def _fall(self, at: int) -> int:
        """The first reading from number `at` at which the level that is set falls; n where there is none.

        Goes from one stretch without a break to the next, in which the condition to fall holds.
        """
        t, n = self._stream.t, self._stream.t.size
        if self._own.latch and not self._acked:
            return n
        while at < n:
            begin = _first(self._holds, at)
            if begin == n:
                return n
            if self._own.off_delay == 0 and not self._raised[begin]:
                return begin
            end = self._break(begin)
            reached = int(np.searchsorted(t[begin:end], self._begun(begin) + self._own.off_delay)) + begin
            while reached < end and self._raised[reached]:
                reached += 1
            if reached < end:
                return reached
            at = end
        return n

    def _break(self, begin: int) -> int:
        """The first reading behind `begin` at which the condition to fall does not hold, or not without a break."""
        broken = self._stream.broken
        end = _first(self._holds, begin, NO)
        place = bisect_left(broken, begin + 1)
        return min(end, int(broken[place])) if place < broken.size else end

    def _begun(self, begin: int) -> int:
        if begin == 0 and self._off_since != NEVER and self._stream.steady_first:
            return self._off_since
        return int(self._stream.t[begin])

    def _held_since(self, number: int) -> int:
        """Since when the condition to fall holds without a break, behind a reading and since the level was set."""
        if self._set_at > number or not self._holds[number]:
            return NEVER
        begin = max(_last(self._holds, number, NO) + 1, self._set_at)
        broken = self._stream.broken
        place = bisect_left(broken, number + 1)
        return self._begun(max(begin, int(broken[place - 1])) if place else begin)


def _first(found: bytes, begin: int, what: bytes = YES) -> int:
    """The first true one from `begin` on; the size where there is none. Bytes: they are searched the fastest."""
    place = found.find(what, begin)
    return place if place >= 0 else len(found)


def _last(found: bytes, end: int, what: bytes = YES) -> int:
    """The last true one up to `end`; -1 where there is none."""
    return found.rfind(what, 0, end + 1)
