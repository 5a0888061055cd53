"""From stored points to what a chart shows: pieces without gaps, rain per interval, rain sums, round ticks. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tocsin.times import DAY_MS

Points = Sequence[tuple[int, float]]
RAIN_DAY_STARTS_H = 8
FARTHEST = 1e15  # no quantity comes near; a stray value must not break the page that shows it


def pieces(points: Points, gap_ms: int) -> list[list[tuple[int, float]]]:
    """The points in order, cut wherever two neighbours are more than `gap_ms` apart."""
    cut: list[list[tuple[int, float]]] = []
    for point in points:
        if cut and point[0] - cut[-1][-1][0] <= gap_ms:
            cut[-1].append(point)
        else:
            cut.append([point])
    return cut


def fallen(totals: Points) -> list[tuple[int, float]]:
    """A running total without its resets: mm since the first point. A fall of the counter is a reset, not rain."""
    if not totals:
        return []
    sums = [(totals[0][0], 0.0)]
    for (_, before), (t, after) in pairwise(totals):
        sums.append((t, sums[-1][1] + max(0.0, after - before)))
    return sums


def summed(amounts: Points) -> list[tuple[int, float]]:
    """The running total of amounts that each fell until their time."""
    total = 0.0
    sums = []
    for t, amount in amounts:
        total += amount
        sums.append((t, total))
    return sums


def per_interval(sums: Points, edges: Sequence[int]) -> list[float | None]:
    """What fell in (edge, next edge], in the unit of `sums`; None where no reading tells.

    Rain that fell in a gap stands in the interval of the reading that told it.
    """
    times = [t for t, _ in sums]
    found: list[float | None] = []
    for start, end in pairwise(edges):
        first, last = bisect_right(times, start), bisect_right(times, end)
        if first == last:
            found.append(None)
        else:
            found.append(sums[last - 1][1] - (sums[first - 1][1] if first else sums[0][1]))
    return found


def over_window(sums: Points, window_ms: int) -> list[tuple[int, float]]:
    """At each point, what fell in the window that ends there, as far as the points reach back."""
    times = [t for t, _ in sums]
    found = []
    for t, total in sums:
        before = bisect_right(times, t - window_ms)
        found.append((t, total - (sums[before - 1][1] if before else sums[0][1])))
    return found


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart), at most `most` + 1, the outer ones around low..high."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"an axis from {low} to {high}: both ends must be finite")
    low, high = max(low, -FARTHEST), min(high, FARTHEST)
    if high - low <= max(1.0, abs(low), abs(high)) * 1e-9:
        low, high = low - max(1.0, abs(low)) * 0.05, high + max(1.0, abs(high)) * 0.05
    rough = (high - low) / (most - 1)
    power = math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough * (1 - 1e-9))
    step = factor * 10.0**power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -power)
    return [round(n * step, digits) for n in range(first, last + 1)]


def time_marks(start_ms: int, end_ms: int, step_ms: int, zone: ZoneInfo, origin_h: int = 0) -> list[int]:
    """Moments start <= t <= end, `step_ms` apart, lying on `origin_h` o'clock local time. Steps of whole days follow
    the local calendar, also where a day has 23 or 25 hours."""
    local = datetime.fromtimestamp(start_ms / 1000, UTC).astimezone(zone)
    day = (local - timedelta(days=1)).replace(hour=origin_h, minute=0, second=0, microsecond=0, fold=0)
    marks: list[int] = []
    while (dawn := round(day.timestamp() * 1000)) <= end_ms:
        day += timedelta(days=max(1, step_ms // DAY_MS))
        until = dawn + 1 if step_ms >= DAY_MS else round(day.timestamp() * 1000)
        marks += [t for t in range(dawn, until, step_ms) if start_ms <= t <= end_ms]
    return marks
