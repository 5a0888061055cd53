"""A store on a real InfluxDB and the hub's downsampler beside it, for tests."""

from collections import defaultdict
from pathlib import Path
from uuid import uuid4

from hub.config_store import StoreTable
from hub.database import Database
from hub.forward import MOMENT_MS
from hub.influx import LineStore, place_of
from hub.influx.downsample import Downsampler
from hub.influx.place import DOWNSAMPLED
from hub.influx.rollups import WIDTHS_MS
from hub.influx.setup import Plan, prepare
from hub.store import Point
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb
from tocsin.clock import WoundClock

DAY_MS = 86_400_000
Rollup = tuple[float, float, float, int]
Expected = dict[tuple[str, str, str, int], Rollup]    # width, device, quantity, begin: min, max, sum, count


class Rig:
    """A store, a downsampler and what was sent, without the forwarder's network: `send` writes and notes as it does."""

    def __init__(self, folder: Path, server: InfluxDb, *, late_only: bool = False, keep_days: int = 0) -> None:
        self.table = StoreTable("influxdb1", server.url, f"down_{uuid4().hex}", downsample="auto")
        prepare(self.table, Plan(dry=False, say=lambda _: None))
        self.server = server
        self.clock = WoundClock(NOON_MS)
        self.database = Database(folder / f"{uuid4().hex}.sqlite")
        self.sent: dict[tuple[str, str, int], float] = {}
        self.options = {"late_only": late_only, "keep_days": keep_days}
        self.store = LineStore(place_of(self.table))
        self.downsampler = self.again()

    def again(self) -> Downsampler:
        return Downsampler(self.database, self.store, self.clock, **self.options)  # type: ignore[arg-type]

    async def send(self, *points: Point) -> None:
        await self.store.write(points)
        self.sent |= {(one.device, one.quantity, one.t_ms): one.value for one in points}
        with self.database.transaction() as connection:
            self.downsampler.note(connection, {(one.station, one.t_ms // MOMENT_MS * MOMENT_MS) for one in points})

    async def work(self) -> None:
        while await self.downsampler.step():
            pass

    def made(self) -> Expected:
        return {
            (width, row["device"], row["quantity"], row["time"]): (row["min"], row["max"], row["sum"], row["count"])
            for width in WIDTHS_MS
            for row in self.server.query(
                self.table.database, f'SELECT * FROM "{DOWNSAMPLED}"."readings_{width}"'
            )
        }

    def right(self, until_ms: int = 1 << 62) -> Expected:
        windows: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
        for (device, quantity, t), value in self.sent.items():
            for width, width_ms in WIDTHS_MS.items():
                if t // width_ms * width_ms + width_ms <= until_ms:
                    windows[width, device, quantity, t // width_ms * width_ms].append(value)
        return {key: (min(some), max(some), sum(some), len(some)) for key, some in windows.items()}

    def waiting(self) -> list[tuple[str, int]]:
        """Width and begin, in order of time."""
        return self.database.connection.execute("SELECT width, begin FROM windows ORDER BY begin, width").fetchall()

    async def close(self) -> None:
        await self.store.close()
        self.database.close()


def at(t_ms: int, value: float, device: str = "gauge") -> Point:
    return Point("lin-an-01", device, "stage_m", t_ms, value, 0)
