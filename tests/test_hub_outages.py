"""The store is away, says 500, is full, slow, hanging, or refuses a line in ten thousand: nothing is lost, nothing
waits but the forwarder, and it catches up. A real hub, a real InfluxDB, and a proxy between them that makes the faults.

The minutes of an outage are wound; what is measured, landing, pages and catching up, is in real seconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import httpx
import msgspec
import pytest

from hub.config_landing import LandingTable
from hub.config_store import StoreTable
from hub.errors import TransientError
from hub.service import Hub
from hub.web.app import app
from tests import village
from tests.fault_proxy import Fault, FaultProxy
from tests.hub_messages import NOON_MS, detection, readings, start, upload
from tests.services import InfluxDb
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.messages import Record

STATION = "upper-bridge"
WITHIN_S = 60.0           # what takes longer will not come any more
LANDED_WITHIN_S = 30, 5   # of real time, and with --prove; without a fault it is no different
PAGE_WITHIN_S = 30, 4     # it waits 2 s for the newest values at most
CAUGHT_UP_BY = 5          # times real time
WEEK_MS = 7 * 86_400_000
STUCK = ("intake: not landed: no room", "intake: failed commits", "desk: restarts")


@dataclass
class County:
    """A hub, its store behind a proxy, and what its station has sent."""

    hub: Hub
    clock: WoundClock
    proxy: FaultProxy
    client: httpx.AsyncClient
    parts: list[asyncio.Task[None]]
    points: int                                                          # a second
    sent: dict[int, float] = field(default_factory=dict)                 # by time
    slowest: dict[str, float] = field(default_factory=lambda: {"landing": 0.0, "page": 0.0})
    _seq: int = 1

    async def second(self) -> None:
        """One second of the station's readings arrives and is on the hub's disk."""
        at = self.clock.now_ms()
        values = [float(at % 1_000_000) + number / 4096 for number in range(self.points)]
        step_ms = 1_000 // self.points
        self.sent |= {at + step_ms * number: value for number, value in enumerate(values)}
        await self._arrive(topics.READINGS, readings(self._next(), values, at=at, step_ms=step_ms))
        self.clock.wind_to(at + 1_000)

    async def minute(self) -> None:
        for _ in range(60):
            await self.second()

    async def warn(self) -> None:
        """A detection arrives, is weighed, and is on the page."""
        seq = self._next()
        raised = msgspec.structs.replace(detection(seq, at=self.clock.now_ms()), episode=f"e{seq}")
        await self._arrive(topics.DETECTIONS, start(self._next(), at=self.clock.now_ms()), raised)
        async with asyncio.timeout(WITHIN_S):
            while not any(one.episodes for one in await self.hub.open_warnings()):
                self._nothing_stands_still()
                await asyncio.sleep(0.001)
        began_s = time.monotonic()
        answer = await self.client.get("/")
        self._note("page", began_s)
        assert answer.status_code == httpx.codes.OK

    async def noticed(self) -> None:
        """The forwarder has met the fault: minutes are wound in less than the real moment for which it gathers."""
        async with asyncio.timeout(WITHIN_S):
            while not self.hub.counts().get("forwarder: failed"):
                self._nothing_stands_still()
                await asyncio.sleep(0.002)

    async def caught_up(self) -> float:
        """Real seconds until the store has everything; the clock is wound on for the forwarder's waits."""
        began_s = time.monotonic()
        async with asyncio.timeout(WITHIN_S):
            while await self.hub.behind():
                self._nothing_stands_still()
                self.clock.wind_to(self.clock.now_ms() + 100)
                await asyncio.sleep(0.002)
        return time.monotonic() - began_s

    async def _arrive(self, lane: str, *records: Record) -> None:
        wanted = self.hub.counts()["intake: landed"] + len(records) if self._seq > 2 else len(records)
        began_s = time.monotonic()
        await self.hub._intake.on_message(topics.up(STATION, lane), upload(STATION, *records))
        async with asyncio.timeout(WITHIN_S):
            while self.hub.counts().get("intake: landed", 0) < wanted:
                self._nothing_stands_still()
                await asyncio.sleep(0.0005)     # not 0: the threads that land need the interpreter too
        self._note("landing", began_s)

    def _nothing_stands_still(self) -> None:
        """A part that waits for a clock that nobody winds would wait until the end of this test."""
        counts = self.hub.counts()
        stuck = {name: counts[name] for name in STUCK if counts.get(name)}
        assert not stuck, f"{stuck}; {self.hub._intake.trouble}"
        for task in self.parts:     # one that has ended says why
            if task.done():
                task.result()

    def _note(self, what: str, began_s: float) -> None:
        self.slowest[what] = max(self.slowest[what], time.monotonic() - began_s)

    def _next(self) -> int:
        self._seq += 1
        return self._seq


@pytest.fixture
def proxy(influxdb: InfluxDb, count: Callable[[int, int], int]) -> Iterator[FaultProxy]:
    with FaultProxy(influxdb.url, slow_s=count(50, 1_000) / 1_000).running() as running:
        yield running


@asynccontextmanager
async def county(folder: Path, proxy: FaultProxy, database: str, points: int) -> AsyncIterator[County]:
    clock = WoundClock(NOON_MS)
    config = msgspec.structs.replace(
        village.config(folder), store=StoreTable("influxdb1", proxy.url, database),
        landing=LandingTable(free_mb=0),    # how full the disk of this machine is changes nothing
    )
    hub = Hub(config, clock)
    transport = httpx.ASGITransport(cast("Any", app(hub)))  # two libraries' words for the same ASGI
    parts = [asyncio.create_task(run(), name=name) for name, run in (
        ("intake", hub._intake.run), ("forwarder", hub._forwarder.run), ("desk", hub._desk.run)
    )]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            yield County(hub, clock, proxy, client, parts, points)
    finally:
        for task in parts:
            task.cancel()
        _, deaf = await asyncio.wait(parts, timeout=WITHIN_S)
        assert not deaf, f"{[task.get_name() for task in deaf]} did not end"
        await hub.store.close()
        hub.archive.close()
        hub._database.close()


def kept(server: InfluxDb, database: str) -> dict[int, float]:
    return {row["time"]: row["value"] for row in server.query(database, "SELECT value FROM readings")
            if row["value"] is not None}


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.ERROR, Fault.FULL, Fault.SLOW])
async def test_ten_minutes_without_the_store_lose_nothing_and_hold_up_nothing(
    fault: Fault, tmp_path: Path, influxdb: InfluxDb, proxy: FaultProxy, count: Callable[[int, int], int]
) -> None:
    database = f"outage_{uuid4().hex}"
    minutes = count(1, 10)
    async with county(tmp_path, proxy, database, points=count(20, 500)) as there:
        await there.second()
        await there.caught_up()
        proxy.fault = fault
        for _ in range(minutes):
            await there.minute()
            await there.warn()
        if fault is not Fault.SLOW:
            await there.noticed()
            assert await there.hub.behind() > 60 * minutes - 60
            proxy.fault = Fault.NONE  # a slow store stays slow: it must be caught up with as it is
        took_s = await there.caught_up()
        assert kept(influxdb, database) == there.sent
        assert 60 * minutes / took_s >= count(1, CAUGHT_UP_BY)
        assert there.slowest["landing"] < count(*LANDED_WITHIN_S)
        assert there.slowest["page"] < count(*PAGE_WITHIN_S)
        assert there.hub.counts().get("forwarder: refused", 0) == 0
        print(f"{fault.name}: {len(there.sent)} points, caught up in {took_s:.1f} s, slowest {there.slowest}")


async def test_one_bad_line_in_ten_thousand_is_found_and_the_others_are_kept(
    tmp_path: Path, influxdb: InfluxDb, proxy: FaultProxy, count: Callable[[int, int], int]
) -> None:
    database = f"bad_{uuid4().hex}"
    influxdb.create(database)
    influxdb.write(database, f"readings,station=x quality=1.5 {NOON_MS - WEEK_MS}")  # a float in that week
    async with county(tmp_path, proxy, database, points=500) as there:
        bad = []
        for number in range(count(2, 60)):
            for _ in range(20):
                await there.second()
            bad.append(NOON_MS - WEEK_MS + 1_000 * (number + 1))
            await there._arrive(topics.READINGS, readings(there._next(), [1.0], at=bad[-1]))
            await there.warn()
        took_s = await there.caught_up()
        assert kept(influxdb, database) == there.sent
        assert there.hub.counts()["forwarder: refused"] == len(bad)
        reasons = there.hub._database.connection.execute("SELECT reason, detail FROM quarantine").fetchall()
        assert len(reasons) == len(bad)
        assert all(reason == "refused by the store" and "field type conflict" in said for reason, said in reasons)
        assert there.slowest["landing"] < count(*LANDED_WITHIN_S)
        print(f"{len(there.sent)} points, {len(bad)} bad, {proxy.writes} writes, caught up in {took_s:.1f} s")


async def test_a_store_that_hangs_holds_up_no_page(
    tmp_path: Path, influxdb: InfluxDb, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch,
    count: Callable[[int, int], int],
) -> None:
    monkeypatch.setattr("hub.influx.store._READ_TIMEOUT_S", 0.3)
    async with county(tmp_path, proxy, f"hangs_{uuid4().hex}", points=20) as there:
        await there.second()
        await there.caught_up()
        proxy.fault = Fault.HANGING
        await there.minute()
        await there.warn()
        assert there.slowest["page"] < count(*PAGE_WITHIN_S)
        with pytest.raises(TransientError, match=r"did not answer|ReadTimeout"):
            await there.hub.store.latest(STATION)
        proxy.fault = Fault.NONE
        proxy._released.set()
        await there.caught_up()
        assert kept(influxdb, there.hub.config.store.database) == there.sent
