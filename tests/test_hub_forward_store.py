"""What the forwarder makes of a store's answers, and how long it waits."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.forward import JITTER, LONGEST_WAIT_S, READER, Forwarder
from hub.landing import cursor_of
from tests.hub_messages import NOON_MS, readings
from tests.tasks import beside
from tests.test_hub_forward import WITHIN_S, EagerClock, Shelf, arrive, send_all
from tocsin.clock import WoundClock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


async def test_points_beyond_retention_are_told_counted_and_passed(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = Shelf(failures=[PermanentError("beyond", expired=2)])
    arrive(database, readings(1, [1.0, 2.0, 3.0]))
    forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    with caplog.at_level(logging.WARNING):
        await send_all(forwarder)
    assert (forwarder.counts["beyond retention"], forwarder.counts["refused"]) == (2, 0)
    assert "2 points are older than it keeps any" in caplog.text
    assert cursor_of(database.connection, READER) == 1
    assert database.connection.execute("SELECT count(*) FROM quarantine").fetchone() == (0,)


async def test_waits_are_shorter_by_chance_and_never_longer_than_the_cap(database: Database) -> None:
    shelf = Shelf(failures=[TransientError("away")] * 8)
    clock = EagerClock(NOON_MS)
    forwarder = Forwarder(database, shelf, clock, chance=lambda: 1.0)
    arrive(database, readings(1))
    async with asyncio.timeout(WITHIN_S), beside(forwarder.run()):
        while not shelf.points:
            await asyncio.sleep(0.001)
    assert clock.waits == [(1 - JITTER) * wait for wait in [1, 2, 4, 8, 16, *[LONGEST_WAIT_S] * 3]]


async def test_who_listens_is_told_inside_the_transaction_that_moves_the_cursor(database: Database) -> None:
    heard: list[tuple[int, bool]] = []
    forwarder = Forwarder(database, Shelf(), WoundClock(NOON_MS))
    forwarder.on_forwarded.append(lambda connection, points: heard.append((len(points), connection.in_transaction)))
    arrive(database, readings(1, [1.0, 2.0]))
    await send_all(forwarder)
    assert heard == [(2, True)]
