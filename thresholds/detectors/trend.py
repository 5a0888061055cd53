"""How fast, and how long to go: rate, least-squares slope, time to a threshold. docs/detection.md, 4.

Running sums of u, x, uu and ux over a ring of readings, one a slot: the sums over a window are differences of two
entries, modulo 2**64. n Σux - Σu Σx and n Σuu - Σu Σu do not change when times or values are shifted, so sums of epoch
times that have wrapped give the exact result while the result itself stays below 2**63. The rules loader sees to it.
"""

from typing import NamedTuple, TypeVar

import numpy as np

from thresholds.rings import advance
from thresholds.row import Row, both, put, some
from thresholds.rule import HOUR_MS
from thresholds.selection import DerivedPart, WindowPart
from thresholds.state import TREND_SUMS, State
from thresholds.tables import BEYOND, I64, NEVER, Bools

BINS = 10
LEAST_BINS = 3
Whole = TypeVar("Whole", int, I64)


class Newest(NamedTuple):
    """Of each ring: the number of the entry that was written, and the sums up to it."""

    last: I64
    sums: tuple[I64, ...]


class Windows(NamedTuple):
    """Of each window: first reading in it as number and as place, and its last; whether they span half of it."""

    head: I64
    place: I64
    last: I64
    passed: I64
    long_enough: Bools


class Line(NamedTuple):
    """Of each window: numerator and denominator of the slope (thousandths per unit of time), how many readings;
    whether they make a line.
    """

    num: I64
    den: I64
    n: I64
    sure: Bools


def take(state: State, row: Row, again: Bools | None) -> None:
    """Times taken are still those before this row. `again`: readings in the slot of the one before (None: none)."""
    of = row.of
    if of.windows is None:
        return
    newest = _write(state, row, of.windows, again)
    windows = _windows(state, row, of.windows, newest)
    if of.rates is not None:
        _rates(state, row, of.rates, windows)
    if of.slopes is not None or of.times is not None:
        line = _least_squares(state, of.windows, windows, newest)
        if of.slopes is not None:
            _slopes(state, row, of.slopes, line)
        if of.times is not None:
            _times(state, row, of.times, line)


def _write(state: State, row: Row, part: WindowPart, again: Bools | None) -> Newest:
    memory, rings = state.memory, part.rings
    at, good = rings.at, row.at(rings.at)
    t, x = row.t[at], row.raw[at]
    last = memory.trend_count[rings.numbers]
    count = last + (1 if again is None else ~again[at])
    put(memory.trend_count, rings.numbers, count, good)
    last = count - 1
    place, before = rings.begin + last % rings.size, rings.begin + (last - 1) % rings.size    # before the first: zeros
    u = t // part.unit
    terms = (u, x, u * u, u * x)
    sums = tuple(getattr(memory, name)[before] + term for name, term in zip(TREND_SUMS, terms, strict=True))
    if good is not None:
        taken = good.nonzero()[0]
        place, t, x = place[taken], t[taken], x[taken]
    memory.trend_t[place], memory.trend_x[place] = t, x
    for name, values in zip(TREND_SUMS, sums, strict=True):
        getattr(memory, name)[place] = values if good is None else values[taken]
    return Newest(last, sums)


def _windows(state: State, row: Row, part: WindowPart, newest: Newest) -> Windows:
    """Moves the windows on."""
    memory, at = state.memory, part.at
    good, t, last = row.at(at), row.t[at], newest.last[part.ring]
    head = memory.trend_head[part.numbers]
    hole = memory.trend_hole[part.numbers]
    gap = both(row.since[at] > part.half, good)
    if gap is not None and some(gap):
        hole = np.where(gap, last, hole)
        put(memory.trend_hole, part.numbers, hole, good)
    head, place = advance(np.maximum(head, hole), t - part.window, memory.trend_t, (part.begin, part.size), good)
    put(memory.trend_head, part.numbers, head, good)
    passed = t - memory.trend_t[place]
    return Windows(head, place, last, passed, passed >= part.half)


def _rates(state: State, row: Row, part: DerivedPart, windows: Windows) -> None:
    of = part.of
    rise = row.raw[part.at] - state.memory.trend_x[windows.place[of]]
    rate = part.sign * rise * HOUR_MS // np.maximum(windows.passed[of], 1)
    _put(state, row, part, rate, windows.long_enough[of])


def _least_squares(state: State, part: WindowPart, windows: Windows, newest: Newest) -> Line:
    memory, ring = state.memory, part.ring
    before = part.begin + (windows.head - 1) % part.size
    n = windows.last - windows.head + 1
    st, sx, stt, stx = (sums[ring] - getattr(memory, name)[before]
                        for name, sums in zip(TREND_SUMS, newest.sums, strict=True))
    den = n * stt - st * st
    return Line(n * stx - st * sx, np.maximum(den, 1), n, windows.long_enough & (den > 0))


def _slopes(state: State, row: Row, part: DerivedPart, line: Line) -> None:
    of = part.of
    known = line.sure[of] & (line.n[of] >= part.n_min)
    _put(state, row, part, line.num[of] * part.sign * part.per_hour // line.den[of], known)


def _times(state: State, row: Row, part: DerivedPart, line: Line) -> None:
    of = part.of
    known = line.sure[of] & (line.n[of] >= part.n_min)
    num = line.num[of] * part.sign
    x = row.raw[part.at] * part.sign
    left = part.target - x
    reached, never = left <= 0, (x < part.floor) | (num <= 0)
    known |= reached
    goes = (known & ~(reached | never)).nonzero()[0]    # a division for each: few rise at a time
    value = NEVER * ~reached
    if goes.size:
        units, unit = _up(left[goes] * line.den[of][goes], num[goes]), part.unit[goes]
        value[goes] = np.where(units > BEYOND // unit, NEVER, -units * unit)
    _put(state, row, part, value, known)


def _up(a: Whole, b: Whole) -> Whole:
    """a / b, rounded up."""
    return -(-a // b)


def _put(state: State, row: Row, part: DerivedPart, value: I64, known: Bools) -> None:
    good = row.at(part.at)
    if np.count_nonzero(known) < known.size:
        value[~known] = NEVER
    put(state.memory.value, part.out, value, good)
    put(state.memory.valid, part.out, known, good)


def confirmed(state: State, track: int) -> Bools:
    """bool[4]: which levels of a track the robust slope confirms, at its series' newest reading."""
    memory, trends = state.memory, state.tables.trends
    w = int(trends.of[int(state.tables.tracks.feature[track]) - trends.first])
    ring = int(trends.ring[w])
    numbers = np.arange(int(memory.trend_head[w]), int(memory.trend_count[ring]))
    place = int(trends.rings.at[ring]) + numbers % int(trends.rings.size[ring])
    return confirms(state, track, memory.trend_t[place], memory.trend_x[place])


def confirms(state: State, track: int, t: I64, x: I64) -> Bools:
    """bool[4]: the same from the readings of the window: times in ms, values in thousandths, the newest last."""
    trends, off = state.tables.trends, state.tables.tracks.off[track]
    d = int(state.tables.tracks.feature[track]) - trends.first
    w = int(trends.of[d])
    unit, sign = int(trends.unit[trends.ring[w]]), int(trends.sign[d])
    left = int(trends.target[d]) - int(x[-1]) * sign
    to_target = d >= trends.rates + trends.slopes
    if to_target and left <= 0:
        return np.ones(off.shape, dtype=np.bool_)
    value = robust_slope(t, x, int(trends.window[w]), unit, sign)
    if to_target and value is not None:
        value = max(-_up(left * (HOUR_MS // unit), value) * unit, NEVER) if value > 0 else None
    return np.zeros(off.shape, dtype=np.bool_) if value is None else off <= value


def robust_slope(t: I64, x: I64, window_ms: int, unit: int, sign: int) -> int | None:
    """Theil-Sen over the medians of ten bins, thousandths an hour; None with fewer than three bins or no pair.

    Source: H. Theil 1950, P. K. Sen 1968 (median of the slopes of all pairs); lower medians keep it in whole numbers.
    """
    bins = (t - (int(t[-1]) - window_ms) - 1) * BINS // window_ms
    points = [(_lower_median(t[bins == one] // unit), _lower_median(x[bins == one]))
              for one in np.unique(bins).tolist()]
    if len(points) < LEAST_BINS:
        return None
    slopes = sorted(sign * (later[1] - earlier[1]) * (HOUR_MS // unit) // (later[0] - earlier[0])
                    for number, earlier in enumerate(points) for later in points[number + 1:] if later[0] != earlier[0])
    return slopes[(len(slopes) - 1) // 2] if slopes else None


def _lower_median(values: I64) -> int:
    return int(np.sort(values)[(values.size - 1) // 2])
