"""What a rain gauge tells a duty officer: the rain of the last hour and day, not the counter's total."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from hub.errors import TransientError
from hub.web import curves
from hub.web.curves import Points
from hub.web.freshness import SeriesState, StationState
from hub.web.view import View
from tocsin.quantities import QUANTITIES
from tocsin.times import DAY_MS, HOUR_MS

RAIN = "rain_mm"
WINDOWS_MS = (HOUR_MS, DAY_MS)
SPAN_MS = DAY_MS + HOUR_MS  # the sum of a day starts from the last reading before it, which may be some time back
MOST_POINTS = 3_000         # of a gauge read every 30 s or slower all; else the ends of every minute
KEPT_MS = 10_000


@dataclass(frozen=True, slots=True)
class Fallen:
    """What fell in the last `window_ms`, in mm; None where no reading tells.

    `whole` is false where no reading lies before the window: then it is at least that much.
    """

    window_ms: int
    mm: float | None = None
    whole: bool = False


UNKNOWN = tuple(map(Fallen, WINDOWS_MS))
Gauges = dict[tuple[str, str], Sequence[Fallen]]


def is_rain(quantity: str) -> bool:
    """Rain as it falls, or its running total."""
    return quantity == RAIN or (quantity in QUANTITIES and QUANTITIES[quantity].increments == RAIN)


def fallen(points: Points, quantity: str, now_ms: int) -> Sequence[Fallen]:
    """One per window, from the points of the last SPAN_MS."""
    sums = curves.summed(points) if quantity == RAIN else curves.fallen(points)
    return [
        Fallen(
            window_ms,
            mm=curves.per_interval(sums, (now_ms - window_ms, now_ms))[0],
            whole=bool(sums) and sums[0][0] <= now_ms - window_ms,
        )
        for window_ms in WINDOWS_MS
    ]


class Rainfall:
    """Asks the store once per gauge and 10 s of the hub's clock, however many look."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._kept: dict[tuple[str, str], tuple[int, Sequence[Fallen]]] = {}
        self._lock = asyncio.Lock()

    async def of(self, states: Sequence[StationState]) -> Gauges:
        """By station and series key, every gauge that has a newest value. UNKNOWN while the store is down."""
        now_ms = self._view.clock.now_ms()
        gauges: Gauges = {}
        down = False
        async with self._lock:
            for station, one in _gauges(states):
                gauge = (station, one.series.key)
                try:
                    gauges[gauge] = UNKNOWN if down else await self._of(gauge, one, now_ms)
                except TransientError:
                    gauges[gauge] = UNKNOWN
                    down = True  # a store that is not there answers slowly: it is not asked again for this page
        return gauges

    async def _of(self, gauge: tuple[str, str], one: SeriesState, now_ms: int) -> Sequence[Fallen]:
        """Raises TransientError."""
        kept = self._kept.get(gauge)
        if kept and 0 <= now_ms - kept[0] < KEPT_MS:
            return kept[1]
        if one.quantity == RAIN and MOST_POINTS * one.series.period_s * 1000 < SPAN_MS:
            return UNKNOWN  # amounts that the store thins out cannot be summed
        start, end = now_ms - SPAN_MS, now_ms + 1
        points = await self._view.store.series(gauge[0], one.device, one.quantity, start, end, MOST_POINTS)
        low, high = one.series.plausible
        found = fallen([(t, value) for t, value in points if low <= value <= high], one.quantity, now_ms)
        self._kept[gauge] = (now_ms, found)
        return found


def _gauges(states: Sequence[StationState]) -> list[tuple[str, SeriesState]]:
    return [(state.view.id, one) for state in states for one in state.series if one.point and is_rain(one.quantity)]
