"""Rate, least-squares slope and time to a threshold, for a whole block. docs/detection.md, 4; the memory is trend's."""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.entries import Entries, entries, written
from thresholds.batch.stream import Stream
from thresholds.detectors.trend import SUMS, confirms
from thresholds.state import State
from thresholds.tables import BEYOND, HOUR_MS, I64, NEVER, Bools


@dataclass(slots=True)
class Ring:
    """What the trends of a series share that count time in one unit.

    `x` are the values of the entries; `ends` the running sums of u, x, uu and ux at their ends, one longer; `own` these
    sums at each reading.
    """

    stream: Stream
    made: Entries
    number: int
    unit: int
    x: I64
    ends: list[I64]
    own: list[I64]


def ring(state: State, stream: Stream, number: int) -> Ring:
    """The entries of a series' ring with those of the block; these are not written yet."""
    memory, trends = state.memory, state.tables.trends
    made = entries(stream, trends.rings, number, int(memory.trend_count[number]), memory.trend_t)
    unit = int(trends.unit[number])
    x = made.of(memory.trend_x, stream.x)
    u = made.t // unit
    ends = []
    for name, terms in zip(SUMS, (u, x, u * u, u * x), strict=True):
        sums = np.empty(terms.size + 1, dtype=np.int64)
        sums[0] = getattr(memory, name)[made.before[0]] if made.before.size else 0
        sums[1:] = terms
        ends.append(np.cumsum(sums, out=sums))
    if made.pick is None:
        own = [sums[made.kept + 1:] for sums in ends]
    else:
        u = stream.t // unit
        own = [sums[made.owns(0, stream.t.size)] + terms
               for sums, terms in zip(ends, (u, stream.x, u * u, u * stream.x), strict=True)]
    return Ring(stream, made, number, unit, x, ends, own)


def store(state: State, made: Ring) -> None:
    """Writes the ring, once all trends are made."""
    memory, trends = state.memory, state.tables.trends
    entry, place = written(made.made, trends.rings, made.number)
    memory.trend_t[place], memory.trend_x[place] = made.made.t[entry], made.x[entry]
    for name, sums in zip(SUMS, made.ends, strict=True):
        getattr(memory, name)[place] = sums[entry + 1]
    memory.trend_count[made.number] = made.made.first + made.made.t.size


@dataclass(slots=True)
class Window:
    """One window of each reading: its first entry, and whether the readings in it span half of it."""

    ring: Ring
    head: I64
    passed: I64
    long_enough: Bools
    _fit: tuple[I64, I64, I64] | None = None

    def fit(self) -> tuple[I64, I64, I64]:
        """Numerator and denominator of the least-squares slope (thousandths per unit), and the number of readings."""
        if self._fit is None:
            n = self.ring.made.owns(0, self.head.size) - self.head
            n += 1
            st, sx, stt, stx = (own - ends.take(self.head)
                                for own, ends in zip(self.ring.own, self.ring.ends, strict=True))
            stx *= n
            stx -= st * sx
            stt *= n
            stt -= st * st
            self._fit = stx, stt, n
        return self._fit


def window(state: State, made: Ring, number: int) -> Window:
    """Window `number` of the table over the block; its head and its last hole are remembered."""
    memory, stream, length = state.memory, made.stream, int(state.tables.trends.window[number])
    head = made.made.heads(stream.t, length)
    first = made.made.first
    hole = int(memory.trend_hole[number]) - first
    found = np.flatnonzero(stream.since > length // 2)
    if hole > 0:
        np.maximum(head, hole, out=head)
    if found.size:
        holes = np.zeros_like(head)
        holes[found] = made.made.owns(0, head.size)[found]
        np.maximum(head, np.maximum.accumulate(holes), out=head)
        hole = int(holes[found[-1]])
    memory.trend_hole[number], memory.trend_head[number] = first + hole, first + head[-1]
    passed = stream.t - made.made.t.take(head)
    return Window(made, head, passed, passed >= length // 2)


@dataclass(slots=True)
class Trend:
    """One feature over the block: int64[n], NEVER where it is unknown. `known` is None where all are."""

    value: I64
    known: Bools | None
    window: Window

    def confirmed(self, state: State, track: int, numbers: I64) -> Bools:
        """bool[readings, 4]: which levels of a track the robust slope confirms at the readings of these numbers."""
        made, head = self.window.ring, self.window.head
        found = np.zeros((numbers.size, state.tables.tracks.off.shape[1]), dtype=np.bool_)
        for place, number in enumerate(numbers.tolist()):
            begin, own = int(head[number]), int(made.made.owns(number, number + 1)[0])
            t = np.append(made.made.t[begin:own], made.stream.t[number])
            x = np.append(made.x[begin:own], made.stream.x[number])
            found[place] = confirms(state, track, t, x)
        return found


def trend(state: State, found: Window, number: int) -> Trend:
    """Derived feature `number` of the table."""
    trends = state.tables.trends
    if number < trends.rates:
        made = found.ring
        rise = made.stream.x - made.x.take(found.head)
        rise *= HOUR_MS * int(trends.sign[number])
        value = rise // np.maximum(found.passed, 1)
        known = found.long_enough
    elif number < trends.rates + trends.slopes:
        value, known = _slope(state, found, number)
    else:
        value, known = _time_to(state, found, number)
    if known.all():
        return Trend(value, None, found)
    value[~known] = NEVER
    return Trend(value, known, found)


def _fitted(state: State, found: Window, number: int) -> tuple[I64, I64, Bools]:
    """Numerator with the sign and denominator of the slope where it is known, else 0 and 1."""
    trends = state.tables.trends
    num, den, n = found.fit()
    known: Bools = found.long_enough & (n >= trends.n_min[number]) & (den > 0)
    if not known.all():
        num, den = np.where(known, num, 0), np.where(known, den, 1)
    return num if trends.sign[number] == 1 else -num, den, known


def _slope(state: State, found: Window, number: int) -> tuple[I64, Bools]:
    num, den, known = _fitted(state, found, number)
    return num * (HOUR_MS // found.ring.unit) // den, known


def _time_to(state: State, found: Window, number: int) -> tuple[I64, Bools]:
    """Worked out only where the target is ahead and comes nearer."""
    trends, unit = state.tables.trends, found.ring.unit
    num, den, known = _fitted(state, found, number)
    x = found.ring.stream.x * trends.sign[number]
    left = int(trends.target[number]) - x
    reached = left <= 0
    nearer = np.flatnonzero((num > 0) & ~reached & (x >= trends.floor[number]))
    value = np.where(reached, 0, NEVER)
    units = -(-(left[nearer] * den[nearer]) // num[nearer])
    value[nearer] = np.where(units > BEYOND // unit, NEVER, -units * unit)
    return value, known | reached
