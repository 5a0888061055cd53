"""How fast, and how long to go: rate, least-squares slope, time to a threshold. docs/detection.md, 4.

Running sums of u, x, uu and ux over a ring of readings, one a slot: the sums over a window are differences of two
entries, modulo 2**64. n Σux - Σu Σx and n Σuu - Σu Σu do not change when times or values are shifted, so sums of epoch
times that have wrapped give the exact result while the result itself stays below 2**63. The rules loader sees to it.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from thresholds.row import Row
from thresholds.state import State
from thresholds.tables import BEYOND, HOUR_MS, I64, NEVER, Bools, pick

BINS = 10
LEAST_BINS = 3
Whole = TypeVar("Whole", int, I64)
SUMS = ("trend_st", "trend_sx", "trend_stt", "trend_stx")


@dataclass(frozen=True, slots=True)
class Windows:
    """One entry a window: the readings in it, by number, oldest and newest; whether they span half of it."""

    head: I64
    last: I64
    long_enough: Bools


def take(state: State, row: Row) -> None:
    """Times taken are still those before this row."""
    _write(state, row)
    windows = _windows(state, row)
    trends = state.tables.trends
    d = pick(row.good[trends.series[trends.of]])
    _rates(state, row, windows, d)
    _slopes(state, row, windows, d)


def _write(state: State, row: Row) -> None:
    memory, trends = state.memory, state.tables.trends
    rings = trends.rings
    r = pick(row.good[rings.series])
    series, slot = rings.series[r], rings.slot[r]
    t, x = row.t[series], row.raw[series]
    again = (t - 1) // slot == (memory.good_t[series] - 1) // slot
    memory.trend_count[r] += ~again
    count, at, size = memory.trend_count[r], rings.at[r], rings.size[r]
    place, before = at + (count - 1) % size, at + (count - 2) % size    # before the first stand zeros
    u = t // trends.unit[r]
    memory.trend_t[place], memory.trend_x[place] = t, x
    for name, term in zip(SUMS, (u, x, u * u, u * x), strict=True):
        sums = getattr(memory, name)
        sums[place] = sums[before] + term


def _windows(state: State, row: Row) -> Windows:
    """Moves the windows of this row's series on. The entries of the others are of no use."""
    memory, trends = state.memory, state.tables.trends
    rings = trends.rings
    w = pick(row.good[trends.series])
    series, ring = trends.series[w], trends.ring[w]
    at, size, last = rings.at[ring], rings.size[ring], memory.trend_count[ring] - 1
    hole = np.where(row.since[series] > trends.window[w] // 2, last, memory.trend_hole[w])
    begin = row.t[series] - trends.window[w]
    head = np.maximum(memory.trend_head[w], hole)
    moving = np.flatnonzero(memory.trend_t[at + head % size] <= begin)
    while moving.size:
        head[moving] += 1
        moving = moving[memory.trend_t[at[moving] + head[moving] % size[moving]] <= begin[moving]]
    memory.trend_hole[w], memory.trend_head[w] = hole, head
    long_enough = np.zeros(trends.window.size, dtype=np.bool_)
    long_enough[w] = row.t[series] - memory.trend_t[at + head % size] >= trends.window[w] // 2
    return Windows(memory.trend_head, memory.trend_count[trends.ring] - 1, long_enough)


def _rates(state: State, row: Row, windows: Windows, d: "slice | I64") -> None:
    memory, trends = state.memory, state.tables.trends
    d = np.arange(trends.rates) if isinstance(d, slice) else d[d < trends.rates]
    if d.size:
        w = trends.of[d]
        series, ring = trends.series[w], trends.ring[w]
        first = trends.rings.at[ring] + windows.head[w] % trends.rings.size[ring]
        passed = np.maximum(row.t[series] - memory.trend_t[first], 1)
        rate = trends.sign[d] * (row.raw[series] - memory.trend_x[first]) * HOUR_MS // passed
        _put(state, d, rate, windows.long_enough[w])


def _slopes(state: State, row: Row, windows: Windows, d: "slice | I64") -> None:
    trends = state.tables.trends
    d = np.arange(trends.rates, trends.of.size) if isinstance(d, slice) else d[d >= trends.rates]
    if not d.size:
        return
    w = trends.of[d]
    series, ring = trends.series[w], trends.ring[w]
    num, den, n = _least_squares(state, windows, w)
    known = windows.long_enough[w] & (n >= trends.n_min[d]) & (den > 0)
    num, den = np.where(known, num, 0) * trends.sign[d], np.where(known, den, 1)
    slope = d < trends.rates + trends.slopes
    per_hour = HOUR_MS // trends.unit[ring]
    _put(state, d[slope], (num * per_hour)[slope] // den[slope], known[slope])
    to = ~slope
    d, num, den, known = d[to], num[to], den[to], known[to]
    x = row.raw[series[to]] * trends.sign[d]
    left = trends.target[d] - x
    reached, never = left <= 0, (x < trends.floor[d]) | (num <= 0)
    safe = reached | never
    units, unit = _up(np.where(safe, 0, left) * den, np.where(safe, 1, num)), trends.unit[ring[to]]
    value = np.where(reached, 0, np.where(never | (units > BEYOND // unit), NEVER, -units * unit))
    _put(state, d, value, known | reached)


def _least_squares(state: State, windows: Windows, w: I64) -> tuple[I64, I64, I64]:
    """Numerator and denominator of the slope (thousandths per unit of time), and the number of readings."""
    memory, trends = state.memory, state.tables.trends
    ring = trends.ring[w]
    at, size = trends.rings.at[ring], trends.rings.size[ring]
    newest, before = at + windows.last[w] % size, at + (windows.head[w] - 1) % size
    n = windows.last[w] - windows.head[w] + 1
    st, sx, stt, stx = (getattr(memory, name)[newest] - getattr(memory, name)[before] for name in SUMS)
    return n * stx - st * sx, n * stt - st * st, n


def _up(a: Whole, b: Whole) -> Whole:
    """a / b, rounded up."""
    return -(-a // b)


def _put(state: State, d: I64, value: I64, known: Bools) -> None:
    place = state.tables.trends.first + d
    state.memory.value[place] = np.where(known, value, NEVER)
    state.memory.valid[place] = known


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
