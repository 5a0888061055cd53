"""The readings of one series that a block takes, one after the other, beside what came before them."""

from dataclasses import dataclass, field

import numpy as np

from thresholds.batch import sift
from thresholds.block import MISSING, Block
from thresholds.state import State
from thresholds.tables import BEYOND, I64, TOTAL, Bools
from thresholds.tell import Outcome
from tocsin.readings import EXCLUDED, Quality

RANGE = int(Quality.RANGE)
LATE = int(Quality.LATE)
SERVICE = int(Quality.SERVICE)

# Tracks are looked at in stretches of so many readings: most of them are at rest throughout.
STRETCH = 512


@dataclass(slots=True)
class Stream:
    """What a series takes in a block: n readings, in the order in which they are taken.

    There are none where one is only held, or the series begins anew. `row` is the row in which a reading is taken: two
    in one row are a held reading and the one that confirms it. `since` is the time since the reading before, `broken`
    the numbers of those more than two periods after it, `anew` the numbers of those before which the series began anew
    (n: after the last). `past` are the times of the last taken readings before the block, oldest first; `held` what was
    held in the block.
    """

    series: int
    period: int
    row: I64
    t: I64
    x: I64
    since: I64
    broken: I64
    anew: I64
    past: I64
    held: list[sift.Held] = field(default_factory=list)
    _rises: I64 | None = None
    _times: I64 | None = None
    _lapsed: I64 | None = None
    _last: I64 | slice | None = None

    @property
    def good_t(self) -> int:
        """Time of the last reading taken before the block."""
        return int(self.past[-1])

    @property
    def steady_first(self) -> bool:
        """Whether the first reading follows the one before the block without a gap."""
        return self.broken.size == 0 or int(self.broken[0]) != 0

    def times(self) -> I64:
        """Times of the readings before the block and of those in it."""
        if self._times is None:
            self._times = np.concatenate([self.past, self.t])
        return self._times

    def lapsed(self) -> I64:
        """int64[n]: event time without gaps; that of the last reading before the block is its own time."""
        if self._lapsed is None:
            gaps = np.zeros_like(self.t)
            gaps[self.broken] = self.since[self.broken]
            self._lapsed = self.t - np.cumsum(gaps)
        return self._lapsed

    def apart(self, passed: int) -> I64:
        """Numbers of the readings more than so much time after the one before."""
        if passed < 2 * self.period:
            return np.flatnonzero(self.since > passed)
        return self.broken[self.since[self.broken] > passed]

    def uncovered(self, begin: int, after: int, end: int) -> int | None:
        """The time after the moment `after` that the readings up to number `end` leave uncovered, at most, as they are
        seen from number `begin` on. None where that moment is not behind a reading of the block.
        """
        first = int(self.t[:begin].searchsorted(after, "right"))
        if not first:
            return None
        gaps = self.broken[slice(*self.broken.searchsorted((first, end)).tolist())]
        return int(self.since[gaps].sum()) - gaps.size * self.period

    def covers(self) -> I64:
        """int64[n]: the time that each reading stands for."""
        covers = self.since.copy()
        covers[self.broken] = self.period
        return covers

    def rises(self, state: State) -> I64:
        """int64[n]: what each reading adds to the total of its series."""
        if self._rises is None:
            self._rises = _rises(self, state)
        return self._rises

    def piece(self, begin: int, end: int) -> "Stream":
        """The readings from number `begin` to `end`, as if the block had only these."""
        first, last = np.searchsorted(self.broken, (begin, end)).tolist()
        past = self.times()[begin:begin + self.past.size]
        t, x = self.t[begin:end], self.x[begin:end]
        return Stream(self.series, self.period, self.row[begin:end], t, x, self.since[begin:end],
                      self.broken[first:last] - begin, self.anew[:0], past)

    def edges(self) -> I64:
        """Where stretches of readings begin, and the end of the last. Both readings of a row are in one stretch."""
        edges = np.arange(0, self.t.size, STRETCH)
        edges[1:] += self.row[edges[1:]] == self.row[edges[1:] - 1]
        return np.append(edges[edges < self.t.size], self.t.size)

    def last_of_rows(self) -> I64 | slice:
        """The last reading of each row: the row's own."""
        if self._last is None:
            own: Bools = self.row[1:] != self.row[:-1]
            self._last = slice(None) if bool(own.all()) else np.flatnonzero(np.append(own, True))
        return self._last


def _rises(stream: Stream, state: State) -> I64:
    """A running total that went back was reset and counts from nothing."""
    series = stream.series
    if not stream.x.size or state.tables.series.kind[series] != TOTAL:
        return stream.x
    rises = np.empty_like(stream.x)
    rises[0] = stream.x[0] - state.memory.past_raw[series, 0]
    np.subtract(stream.x[1:], stream.x[:-1], out=rises[1:])
    back = np.flatnonzero(rises < 0)
    rises[back] = stream.x[back]
    rises[stream.anew[stream.anew < rises.size]] = 0
    return rises


def make(state: State, series: int, row: I64, t: I64, x: I64, anew: I64) -> Stream:
    """A stream of readings; the memory is still that before the block."""
    memory, period = state.memory, int(state.tables.series.period[series])
    past = memory.past_t[series, ::-1].copy()
    if not memory.seen[series]:
        anew = np.union1d(anew, 0)
    if not t.size:
        return Stream(series, period, row, t, x, t, t, anew, past)
    since = np.empty_like(t)
    since[0] = t[0] - memory.good_t[series]
    np.subtract(t[1:], t[:-1], out=since[1:])
    return Stream(series, period, row, t, x, since, np.flatnonzero(since > 2 * period), anew, past)


def read(state: State, block: Block, outcome: Outcome, series: int) -> Stream | None:
    """The readings of a series that the block takes; marks the quality of all of them. None where it takes nothing."""
    # a copy of the series' own: numpy takes numbers out of a column many times slower
    quality, t, x = (np.ascontiguousarray(one[:, series]) for one in (outcome.quality, block.t_ms, block.raw))
    given = int(np.bitwise_or.reduce(quality))
    missing = (quality & MISSING) != 0
    if missing.all():
        return None
    excluded = (quality & EXCLUDED) != 0 if given & ~MISSING else missing.copy()
    low, high = int(state.tables.series.low[series]), int(state.tables.series.high[series])
    if x.min() < low or x.max() > high:
        ranged = ((x < low) | (x > high)) & ~missing
        outcome.quality[np.flatnonzero(ranged), series] |= RANGE
        excluded |= ranged
    there = np.flatnonzero(excluded & ~missing)    # but not taken: few
    rows = np.flatnonzero(~excluded)
    own, last = t.take(rows), int(state.memory.last_t[series])
    if not _onward(last, own, rows.searchsorted(there), t.take(there)):
        every = np.flatnonzero(~missing)
        late = _late(last, t.take(every), every)
        outcome.quality[late, series] |= LATE
        excluded[late] = True
        rows = np.flatnonzero(~excluded)
        own = t.take(rows)
    state.memory.last_t[series] = max(last, int(own[-1:].max(initial=0)), int(t.take(there).max(initial=0)))
    anew = rows[:0]
    if given & SERVICE:
        anew = np.unique(rows.searchsorted(np.flatnonzero(((quality & SERVICE) != 0) & ~missing)))
    return _sifted(state, outcome, series, sift.Readings(rows, own, x.take(rows), anew))


def _onward(last: int, own: I64, place: I64, others: I64) -> bool:
    """Whether each time is after that before it; `others` are the few that stand in front of number `place` of `own`.
    """
    edges = np.concatenate([[last], own, [BEYOND]])
    return bool((own > edges[:-2]).all() and (others > edges[place]).all() and (others < edges[place + 1]).all()
                and (others[1:] > others[:-1]).all())


def _late(last: int, t: I64, rows: I64) -> I64:
    """The rows of the readings that are not after the last one."""
    found: I64 = rows[t <= np.maximum.accumulate(np.append(last, t[:-1]))]
    return found


def _sifted(state: State, outcome: Outcome, series: int, readings: sift.Readings) -> Stream | None:
    held: list[sift.Held] = []
    if state.tables.series.floor[series] < BEYOND:
        readings, held = sift.sift(state, series, readings)
        outcome.quality[[one.row for one in held], series] |= int(Quality.SPIKE_HELD)
    elif readings.anew.size:
        sift.forget(state, series)
    if not (readings.t.size or readings.anew.size or held):
        return None
    stream = make(state, series, readings.row, readings.t, readings.x, readings.anew)
    stream.held = held
    return stream
