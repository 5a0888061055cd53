"""A real InfluxDB 1.6 runs the queries that `tocsin hub setup` made; beside the hub's own windows none is missing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.influx.rollups import REACH_MS
from tests.hub_downsampling import DAY_MS, Rig, at
from tests.services import InfluxDb
from tests.test_journey import until
from tocsin.clock import SystemClock, WoundClock

HALF_HOUR_MS = 1_800_000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[InfluxDb]:
    server = InfluxDb(tmp_path / "influxdb", continuous=True)
    server.start()
    yield server
    server.kill()


async def test_what_the_server_makes_and_what_the_hub_makes_leave_no_gap(server: InfluxDb, tmp_path: Path) -> None:
    now_ms = SystemClock().now_ms()
    rig = Rig(tmp_path, server, late_only=True)
    rig.clock = WoundClock(now_ms)
    rig.downsampler = rig.again()
    await rig.send(*(at(now_ms - back, back % 977 / 8) for back in range(0, 3 * DAY_MS, HALF_HOUR_MS)))
    rig.clock.wind_to(now_ms + 2 * DAY_MS)
    await rig.work()
    right = rig.right(until_ms=now_ms).items()
    of_hub = rig.made()
    assert any(begin < now_ms - REACH_MS for _, _, _, begin in of_hub)
    assert not right <= of_hub.items()
    server.stop()
    server.start()    # it runs each query when it comes up, and then as often as the query says

    async def whole() -> bool:
        return right <= rig.made().items()

    await until(whole)
    await rig.close()
