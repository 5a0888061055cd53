"""A store of plain lists for the tests of the hub's pages."""

from collections.abc import Sequence

from hub.errors import TransientError
from hub.store import AnyPoint, LabelPoint, Point, Row


class MemoryStore:
    """Series as lists; `down` makes it unreachable."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str, str], list[tuple[int, float]]] = {}
        self.down = False
        self.asked: list[tuple[str, str, str, int, int, int]] = []

    async def write(self, points: Sequence[AnyPoint]) -> None:
        for point in points:
            if isinstance(point, Point):
                key = (point.station, point.device, point.quantity)
                self.points.setdefault(key, []).append((point.t_ms, point.value))

    async def latest(self, station: str) -> list[Point]:
        return [point for point in await self.latest_all() if point.station == station]

    async def latest_all(self) -> list[Point]:
        if self.down:
            raise TransientError("connection refused")
        return [Point(*key, *points[-1], 0) for key, points in sorted(self.points.items())]

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        if self.down:
            raise TransientError("connection refused")
        points = self.points.get((point.station, point.device, point.quantity), [])
        return [(t, value, 0) for t, value in points if start_ms <= t < end_ms][:most]

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        self.asked.append((station, device, quantity, start_ms, end_ms, most))
        if self.down:
            raise TransientError("connection refused")
        points = self.points.get((station, device, quantity), [])
        inside = [(t, value) for t, value in points if start_ms <= t < end_ms]
        return inside if len(inside) <= most else _thinned(inside, start_ms, end_ms, most // 2)

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        raise NotImplementedError

    async def close(self) -> None:
        return None


def _thinned(points: list[tuple[int, float]], start_ms: int, end_ms: int, count: int) -> list[tuple[int, float]]:
    buckets: dict[int, list[tuple[int, float]]] = {}
    for t, value in points:
        buckets.setdefault((t - start_ms) * count // (end_ms - start_ms), []).append((t, value))
    ends = [(min(b, key=lambda p: p[1]), max(b, key=lambda p: p[1])) for b in buckets.values()]
    return sorted({point for pair in ends for point in pair})
