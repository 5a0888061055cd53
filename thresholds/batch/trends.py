"""Rate, least-squares slope and time to a threshold, for a whole block. docs/detection.md, 4; the memory is trend's.

Most of the time values move too little for any level. How far they move in a stretch of readings, and how even the
readings stand, bounds every slope in it; only where that comes to a level the trends themselves are worked out.
"""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.entries import Entries, entries, written
from thresholds.batch.stream import Stream
from thresholds.detectors.trend import confirms
from thresholds.rule import HOUR_MS
from thresholds.state import TREND_SUMS, State
from thresholds.tables import BEYOND, I64, NEVER, Bools, TrendTable

CHUNK = 128                  # so many entries are looked at together for how far they move
SLACK = 1.001                # for what binary fractions round: a bound may be too high, never too low
F64 = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(slots=True)
class Ring:
    """What the trends of a series share that count time in one unit. `x` are the values of the entries."""

    stream: Stream
    made: Entries
    number: int
    unit: int
    x: I64


def ring(state: State, stream: Stream, number: int) -> Ring:
    """The entries of a series' ring with those of the block; these are not written yet."""
    memory, trends = state.memory, state.tables.trends
    made = entries(stream, trends.rings, number, int(memory.trend_count[number]), memory.trend_t)
    return Ring(stream, made, number, int(trends.unit[number]), made.of(memory.trend_x, stream.x))


def store(state: State, own: Ring) -> None:
    """Writes the ring, once all trends are made."""
    memory, trends, made = state.memory, state.tables.trends, own.made
    entry, place = written(made, trends.rings, own.number)
    memory.trend_t[place], memory.trend_x[place] = made.t[entry], own.x[entry]
    u, x, first = made.t // own.unit, own.x, int(entry[0])
    for name, (a, b) in zip(TREND_SUMS, ((u, None), (x, None), (u, u), (u, x)), strict=True):
        sums = getattr(memory, name)
        before = sums[made.before[0]:made.before[0] + 1] if made.before.size else np.zeros(1, dtype=np.int64)
        earlier = np.add.reduce(a[:first]) if b is None else np.dot(a[:first], b[:first])
        later = a[first:] if b is None else a[first:] * b[first:]
        sums[place] = before + earlier + np.cumsum(later)
    memory.trend_count[own.number] = made.first + made.t.size


@dataclass(slots=True)
class Fit:
    """Of readings one after the other: their windows' first entries, times from there, and the sums of least squares.

    `num` and `den` are numerator and denominator of the slope (thousandths per unit), `n` the number of readings.
    """

    head: I64
    passed: I64
    _ring: Ring
    _begin: int
    _sums: tuple[I64, I64, I64] | None = None

    def least_squares(self) -> tuple[I64, I64, I64]:
        if self._sums is None:
            self._sums = self._summed()
        return self._sums

    def _summed(self) -> tuple[I64, I64, I64]:
        """Sums over windows are differences of running sums, from the first window's beginning on."""
        own, stream = self._ring, self._ring.stream
        end = self._begin + self.head.size
        newest = own.made.owns(self._begin, end)
        low, high = int(self.head[0]), int(newest[-1]) + 1
        t, x = stream.t[self._begin:end], stream.x[self._begin:end]
        u, head, n = t // own.unit, self.head - low, newest - self.head + 1
        early, past = own.made.t[low:high] // own.unit, own.x[low:high]
        sums = []
        for term, last in ((early, u), (past, x), (early * early, u * u), (early * past, u * x)):
            ends = np.zeros(term.size + 1, dtype=np.int64)
            np.cumsum(term, out=ends[1:])
            sums.append(ends.take(newest - low) + last - ends.take(head))
        st, sx, stt, stx = sums
        return n * stx - st * sx, n * stt - st * st, n


@dataclass(slots=True)
class Window:
    """One window of each reading. `holes` are the readings after a hole, `hole` the entry after the last one before."""

    ring: Ring
    length: int
    holes: I64
    hole: int
    _fit: tuple[int, int, Fit] | None = None
    _even: "Even | None" = None

    def fit(self, begin: int, end: int) -> Fit:
        """Of the readings of these numbers; the last one asked for is kept."""
        if self._fit is None or self._fit[:2] != (begin, end):
            head = self.heads(begin, end)
            passed = self.ring.stream.t[begin:end] - self.ring.made.t.take(head)
            self._fit = (begin, end, Fit(head, passed, self.ring, begin))
        return self._fit[2]

    def heads(self, begin: int, end: int) -> I64:
        """The first entry of each reading's window, behind the last hole."""
        made, stream = self.ring.made, self.ring.stream
        head = made.heads(stream.t[begin:end], self.length)
        first, last = np.searchsorted(self.holes, (begin, end)).tolist()
        before = self.hole
        if first:
            before = int(made.owns(int(self.holes[first - 1]), int(self.holes[first - 1]) + 1)[0])
        if last > first:
            after = np.full(head.size, before)
            after[self.holes[first:last] - begin] = made.owns(begin, end)[self.holes[first:last] - begin]
            return np.maximum(head, np.maximum.accumulate(after))
        return np.maximum(head, before) if before > 0 else head

    def even(self) -> "Even":
        """What bounds the trends in it."""
        if self._even is None:
            self._even = _even(self.ring, self.length)
        return self._even


def window(state: State, own: Ring, number: int) -> Window:
    """Window `number` of the table over the block; its head and its last hole are remembered."""
    memory, stream, length = state.memory, own.stream, int(state.tables.trends.window[number])
    first, n = own.made.first, own.stream.t.size
    found = Window(own, length, stream.apart(length // 2), int(memory.trend_hole[number]) - first)
    memory.trend_head[number] = first + found.heads(n - 1, n)[0]
    if found.holes.size:
        last = int(found.holes[-1])
        memory.trend_hole[number] = first + own.made.owns(last, last + 1)[0]
    return found


@dataclass(slots=True)
class Trend:
    """Feature `number` of the table over the block."""

    number: int
    table: TrendTable
    window: Window

    @property
    def size(self) -> int:
        """How many readings the block has."""
        return self.window.ring.stream.t.size

    def work_out(self, begin: int, end: int) -> tuple[I64, Bools]:
        """At the readings of these numbers, and where it is known; NEVER elsewhere."""
        value, known = self._work_out(begin, end)
        return np.where(known, value, NEVER), known

    def _work_out(self, begin: int, end: int) -> tuple[I64, Bools]:
        table, fit, own = self.table, self.window.fit(begin, end), self.window.ring
        sign = int(table.sign[self.number])
        long_enough: Bools = fit.passed >= self.window.length // 2
        x = own.stream.x[begin:end]
        if self.number < table.rates:
            rise = (x - own.x.take(fit.head)) * (HOUR_MS * sign)
            return rise // np.maximum(fit.passed, 1), long_enough
        num, den, n = fit.least_squares()
        known: Bools = long_enough & (n >= table.n_min[self.number]) & (den > 0)
        num, den = np.where(known, num, 0) * sign, np.where(known, den, 1)
        if self.number < table.rates + table.slopes:
            return num * (HOUR_MS // own.unit) // den, known
        return self._time_to(x * sign, num, den, known)

    def _time_to(self, x: I64, num: I64, den: I64, known: Bools) -> tuple[I64, Bools]:
        """Worked out only where the target is ahead and comes nearer."""
        unit = self.window.ring.unit
        left = int(self.table.target[self.number]) - x
        reached: Bools = left <= 0
        nearer = np.flatnonzero((num > 0) & ~reached & (x >= self.table.floor[self.number]))
        value = np.where(reached, 0, NEVER)
        units = -(-(left[nearer] * den[nearer]) // num[nearer])
        value[nearer] = np.where(units > BEYOND // unit, NEVER, -units * unit)
        return value, known | reached

    def may_reach(self, least: int, edges: I64) -> Bools:
        """bool[stretches]: where a bound does not exclude that the feature is at least so high."""
        table, own = self.table, self.window.ring
        if own.made.pick is not None or least <= NEVER:
            return np.ones(edges.size - 1, dtype=np.bool_)
        even = self.window.even()
        sign = int(table.sign[self.number])
        if self.number < table.rates:
            may = even.range * (SLACK * HOUR_MS / (self.window.length // 2)) + 1 >= least
        elif self.number < table.rates + table.slopes:
            may = even.steepest * SLACK + 1 >= least
        else:
            left = int(table.target[self.number]) - (even.high if sign == 1 else -even.low)
            may = (left <= 0) | (even.steepest * SLACK + 1 >= left / SLACK * HOUR_MS / max(-least, 1))
        first = (own.made.kept + edges[:-1]) // CHUNK
        last = (own.made.kept + edges[1:] - 1) // CHUNK
        before = np.append(0, np.cumsum(may))
        found: Bools = before[last + 1] > before[first]
        return found

    def confirmed(self, state: State, track: int, numbers: I64) -> Bools:
        """bool[readings, 4]: which levels of a track the robust slope confirms at the readings of these numbers."""
        own, stream = self.window.ring, self.window.ring.stream
        found = np.zeros((numbers.size, state.tables.tracks.off.shape[1]), dtype=np.bool_)
        for place, number in enumerate(numbers.tolist()):
            begin = int(self.window.heads(number, number + 1)[0])
            newest = int(own.made.owns(number, number + 1)[0])
            t = np.append(own.made.t[begin:newest], stream.t[number])
            x = np.append(own.x[begin:newest], stream.x[number])
            found[place] = confirms(state, track, t, x)
        return found


@dataclass(frozen=True, slots=True)
class Even:
    """Of each chunk of entries with the windows of all its readings: lowest and highest value, and the steepest slope
    (thousandths an hour) that there can be.
    """

    low: I64
    high: I64
    range: I64
    steepest: F64


def _even(own: Ring, length: int) -> Even:
    """Values move by `range`, and n readings stand at least `gap` apart. With times about their middle u and values
    about the middle of the range, |sum of u x| <= range / 2 * sqrt(n * sum of u u), and sum of u u is at least
    gap^2 * n * (n^2 - 1) / 12: the slope, their quotient, is at most range * sqrt(3 / (n^2 - 1)) / gap.
    """
    t, x = own.made.t, own.x
    starts = np.arange(0, t.size, CHUNK)
    gaps = np.diff(t, prepend=t[0] - length)
    back = starts // CHUNK - np.searchsorted(t, t[starts] - length, "right") // CHUNK
    low, high = _over(np.minimum, x, back), _over(np.maximum, x, back)
    least, most = _over(np.minimum, gaps, back), _over(np.maximum, gaps, back)
    span = np.where(most <= length - length // 2, length - most, length // 2)
    n = np.maximum(span // most + 1, 0).astype(np.float64)
    apart = np.maximum(least - own.unit, 0).astype(np.float64)
    moved = high - low
    with np.errstate(divide="ignore", invalid="ignore"):
        steepest = moved * np.sqrt(3 / np.maximum(n * n - 1, 0)) / apart * HOUR_MS
    return Even(low, high, moved, np.where((n > 1) & (apart > 0), steepest, np.inf))


def _over(what: np.ufunc, numbers: I64, back: I64) -> I64:
    """The lowest or highest of each chunk and of those up to `back` before it."""
    whole = numbers.size // CHUNK * CHUNK
    found: I64 = what.reduce(numbers[:whole].reshape(-1, CHUNK), axis=1)
    if whole < numbers.size:
        found = np.append(found, what.reduce(numbers[whole:]))
    over: I64 = found.copy()
    for step in range(1, int(back.max(initial=0)) + 1):
        some = np.flatnonzero(back >= step)
        over[some] = what(over[some], found[some - step])
    return over
