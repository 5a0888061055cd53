"""From landing to the store: in order, each point once, whatever falls over on the way."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub import forward, landing
from hub.checks import inspect
from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.forward import BATCH, GATHER_S, LONGEST_WAIT_S, READER, Forwarder
from hub.influx import InfluxStore
from hub.landing import cursor_of, land
from hub.store import AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, Row, Store
from tests.hub_messages import BOOT, NOON_MS, OTHER_BOOT, detection, event, readings, start, upload
from tests.services import InfluxDb
from tests.tasks import beside
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.inputs import Tick
from tocsin.levels import Level
from tocsin.messages import Record, Siren

STATION = "lin-an-01"
DAY_MS = 86_400_000
WITHIN_S = 30.0


@dataclass
class Shelf:
    """A store in memory that can be told to fail."""

    points: list[AnyPoint] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    async def write(self, points: Sequence[AnyPoint]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.points += points
        self.batches.append(len(points))

    async def latest(self, station: str) -> list[Point]:
        raise NotImplementedError

    async def latest_all(self) -> list[Point]:
        raise NotImplementedError

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        raise NotImplementedError

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        raise NotImplementedError

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@dataclass
class Slow(Shelf):
    """Takes the first batch only once the second was read."""

    read: asyncio.Event = field(default_factory=asyncio.Event)

    async def write(self, points: Sequence[AnyPoint]) -> None:
        await self.read.wait()
        await super().write(points)


class EagerClock(WoundClock):
    """Winds itself to whatever is waited for, and remembers how long that was."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.waits: list[float] = []

    async def sleep_until(self, monotonic_s: float) -> None:
        self.waits.append(monotonic_s - self.monotonic_s())
        self.wind_to(self.now_ms() + round(self.waits[-1] * 1000))
        await asyncio.sleep(0)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


def arrive(database: Database, *records: Record, at: int = NOON_MS) -> None:
    delivery = inspect(topics.up(STATION, topics.READINGS), upload(STATION, *records), {STATION})
    with database.transaction() as connection:
        land(connection, [delivery], at)


async def send_all(forwarder: Forwarder) -> None:
    while await forwarder.step():
        pass


async def stages(store: Store) -> list[tuple[int, float]]:
    """(ms after noon, value), a week long."""
    found = await store.series(STATION, "gauge", "stage_m", NOON_MS - DAY_MS, NOON_MS + 7 * DAY_MS, 100_000)
    return [(t - NOON_MS, value) for t, value in found]


async def test_every_kind_of_record_becomes_its_points(database: Database) -> None:
    shelf = Shelf()
    siren = Siren(BOOT, 5, NOON_MS, "siren", int(Level.RED), "stage is red", 12.5)
    arrive(database, start(1), readings(2, [1.0, 2.0]), Tick(BOOT, 3, NOON_MS), detection(4), siren, event(6))
    await send_all(Forwarder(database, shelf, WoundClock(NOON_MS)))
    assert shelf.points == [
        EventPoint(STATION, NOON_MS, "start", "", "tocsin 0.1.0, rules r1"),
        Point(STATION, "gauge", "stage_m", NOON_MS, 1.0, 0),
        Point(STATION, "gauge", "stage_m", NOON_MS + 1_000, 2.0, 0),
        LevelPoint(STATION, "gauge/stage_m", "stage", NOON_MS, 3, 3.25, 3.0, "episode-1", 1),
        EventPoint(STATION, NOON_MS, "siren", "siren", "red: stage is red (12.5 ms)"),
        EventPoint(STATION, NOON_MS, "refused", "gauge", "silent: no answer"),
    ]


async def test_repeats_and_two_clocks_make_each_reading_one_point(database: Database, store: Store) -> None:
    forwarder = Forwarder(database, store, WoundClock(NOON_MS))
    arrive(database, readings(1, [1.0, 2.0]))
    await send_all(forwarder)
    arrive(database, readings(1, [1.0, 2.0]), readings(2, [3.0, 4.0], boot=OTHER_BOOT))
    await send_all(forwarder)
    assert await stages(store) == [(0, 1.0), (1, 3.0), (1_000, 2.0), (1_001, 4.0)]


async def test_a_crash_between_write_and_cursor_writes_nothing_twice(
    database: Database, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrive(database, readings(1, [1.0, 2.0]), readings(2, [3.0, 4.0], boot=OTHER_BOOT))

    def crash(connection: sqlite3.Connection, reader: str, last_id: int) -> None:
        raise sqlite3.OperationalError("the plug was pulled")

    with monkeypatch.context() as broken:
        broken.setattr(landing, "move_cursor", crash)
        with pytest.raises(sqlite3.OperationalError):
            await Forwarder(database, store, WoundClock(NOON_MS)).step()
    assert cursor_of(database.connection, READER) == 0
    written = await stages(store)
    assert len(written) == 4
    again = Database(database.path)
    arrive(again, readings(3, [5.0], at=NOON_MS + 9_000))
    await send_all(Forwarder(again, store, WoundClock(NOON_MS)))
    again.close()
    assert await stages(store) == [*written, (9_000, 5.0)]


async def test_influxdb_away_and_back(database: Database, new_influxdb: Callable[[], InfluxDb]) -> None:
    server = new_influxdb()
    store = InfluxStore(server.url, "tocsin")
    clock = WoundClock(NOON_MS)
    forwarder = Forwarder(database, store, clock)
    arrive(database, readings(1, [1.0]))
    await send_all(forwarder)
    server.kill()
    running = asyncio.create_task(forwarder.run())
    arrive(database, readings(2, [2.0, 3.0], at=NOON_MS + 5_000))
    forwarder.wake()
    async with asyncio.timeout(WITHIN_S):
        while forwarder.counts["failed"] < 2:
            clock.wind_to(clock.now_ms() + 1_000)
            await asyncio.sleep(0.001)
        assert cursor_of(database.connection, READER) == 1
        server.start()
        while forwarder.counts["forwarded"] < 3:
            clock.wind_to(clock.now_ms() + 1_000)
            await asyncio.sleep(0.001)
    assert await stages(store) == [(0, 1.0), (5_000, 2.0), (6_000, 3.0)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_waits_grow_to_half_a_minute_and_start_again_after_a_success(database: Database) -> None:
    shelf = Shelf(failures=[TransientError("away")] * 8)
    clock = EagerClock(NOON_MS)
    forwarder = Forwarder(database, shelf, clock, chance=lambda: 0.0)
    running = asyncio.create_task(forwarder.run())
    arrive(database, readings(1))
    forwarder.wake()
    async with asyncio.timeout(WITHIN_S):
        while not shelf.points:
            await asyncio.sleep(0.001)
        assert clock.waits == [1, 2, 4, 8, 16, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]
        shelf.failures.append(TransientError("away again"))
        arrive(database, readings(2, at=NOON_MS + 5_000))
        forwarder.wake()
        while len(shelf.points) < 2:
            await asyncio.sleep(0.001)
    assert clock.waits[-1] == 1
    assert forwarder.counts["failed"] == 9
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_line_that_influxdb_refuses_is_kept_with_its_words(database: Database, influxdb: InfluxDb) -> None:
    name = f"refuses_{uuid4().hex}"
    influxdb.create(name)
    influxdb.write(name, f"readings,station=x quality=1.5 {NOON_MS}")  # in this week the field is a float now
    store = InfluxStore(influxdb.url, name)
    arrive(database, readings(1, [9.0]), readings(2, [1.0, 2.0], at=NOON_MS + 7 * DAY_MS))
    forwarder = Forwarder(database, store, WoundClock(NOON_MS + 5))
    await send_all(forwarder)
    found = await store.series(STATION, "gauge", "stage_m", NOON_MS, NOON_MS + 8 * DAY_MS, 10)
    assert [value for _, value in found] == [1.0, 2.0]
    ((arrived, reason, detail, payload),) = database.connection.execute(
        "SELECT arrived, reason, detail, payload FROM quarantine"
    ).fetchall()
    assert (arrived, reason) == (NOON_MS + 5, "refused by the store")
    assert "field type conflict" in detail
    assert payload == b"readings,device=gauge,quantity=stage_m,station=lin-an-01 value=9.0,quality=0i %d" % NOON_MS
    assert (forwarder.counts["refused"], cursor_of(database.connection, READER)) == (1, 2)
    await store.close()


async def test_refused_points_stop_nothing(database: Database) -> None:
    shelf = Shelf(failures=[PermanentError("no", [(Point(STATION, "gauge", "stage_m", NOON_MS, 1.5, 0), "no")])])
    arrive(database, readings(1))
    forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    await send_all(forwarder)
    arrive(database, readings(2, at=NOON_MS + 5_000))
    await send_all(forwarder)
    assert len(shelf.points) == 1


async def test_a_record_of_a_newer_hub_is_set_aside(database: Database) -> None:
    shelf = Shelf()
    arrive(database, readings(1), readings(2, at=NOON_MS + 5_000))
    database.connection.execute("UPDATE landing SET raw = ? WHERE id = 1", (b'{"kind":"picture"}',))
    await send_all(Forwarder(database, shelf, WoundClock(NOON_MS)))
    assert [point.t_ms for point in shelf.points] == [NOON_MS + 5_000]
    kept = database.connection.execute("SELECT topic, reason, payload FROM quarantine").fetchall()
    assert kept == [("landing 1", "malformed", b'{"kind":"picture"}')]


async def test_batches_are_bounded(database: Database) -> None:
    shelf = Shelf()
    arrive(database, readings(1, [1.0] * (2 * BATCH + 7)))
    await send_all(Forwarder(database, shelf, WoundClock(NOON_MS)))
    assert shelf.batches == [BATCH, BATCH, 7]


async def test_the_next_batch_is_ready_while_the_store_takes_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.forward._GROUP_BYTES", 0)
    slow = Slow()
    forwarder = Forwarder(database, slow, WoundClock(NOON_MS))
    reading = landing.read

    def note(*asked: Any) -> list[landing.Row]:
        found = reading(*asked)
        if [row.id for row in found] == [2]:
            loop.call_soon_threadsafe(slow.read.set)
        return found

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(landing, "read", note)
    for seq in range(1, 4):
        arrive(database, readings(seq, at=NOON_MS + seq))
    async with asyncio.timeout(WITHIN_S):
        await send_all(forwarder)
    assert [point.t_ms - NOON_MS for point in slow.points] == [1, 2, 3]
    assert slow.batches == [1, 1, 1]
    assert cursor_of(database.connection, READER) == 3


async def test_what_was_read_ahead_is_read_again_after_a_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.forward._GROUP_BYTES", 0)
    shelf = Shelf(failures=[TransientError("away")])
    forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    for seq in range(1, 4):
        arrive(database, readings(seq, at=NOON_MS + seq))
    with pytest.raises(TransientError):
        await forwarder.step()
    assert cursor_of(database.connection, READER) == 0
    await send_all(forwarder)
    assert [point.t_ms - NOON_MS for point in shelf.points] == [1, 2, 3]


async def test_a_store_that_lost_data_is_filled_again(database: Database, influxdb: InfluxDb) -> None:
    name = f"refill_{uuid4().hex}"
    store = InfluxStore(influxdb.url, name)
    forwarder = Forwarder(database, store, WoundClock(NOON_MS))
    for seq in range(1, 4):
        arrive(database, readings(seq, [float(seq)], at=NOON_MS + seq), at=NOON_MS + 1_000 * seq)
    await send_all(forwarder)
    influxdb.query("", f'DROP DATABASE "{name}"')
    influxdb.create(name)
    await forwarder.refill(NOON_MS + 2_000)
    await send_all(forwarder)
    assert await stages(store) == [(2, 2.0), (3, 3.0)]
    await forwarder.refill(NOON_MS + 9_000)  # nothing landed since then
    assert not await forwarder.step()
    await store.close()


async def test_running_follows_what_lands_and_lets_it_gather(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In real time: nobody winds this clock."""
    shelf, rests, over = Shelf(), list[float](), asyncio.Event()
    forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    landed = 0

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await over.wait()

    def land_one() -> None:
        nonlocal landed
        landed += 1
        arrive(database, readings(landed, at=NOON_MS + landed))
        forwarder.wake()

    monkeypatch.setattr(forward, "pause", rest)
    async with asyncio.timeout(WITHIN_S), beside(forwarder.run()):
        while not rests:
            land_one()
            while forwarder.counts["forwarded"] < landed and not rests:
                await asyncio.sleep(0.001)
        sent = sum(shelf.batches)
        land_one()
        land_one()
        over.set()
        while forwarder.counts["forwarded"] < landed:
            await asyncio.sleep(0.001)
    assert shelf.batches[-1] == landed - sent
    assert 0 < rests[0] <= GATHER_S
    assert cursor_of(database.connection, READER) == landed
