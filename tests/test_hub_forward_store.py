"""What the forwarder makes of a store's answers, and how long it waits."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.forward import JITTER, LONGEST_WAIT_S, MOMENT_MS, READER, Forwarder, Moment
from hub.landing import cursor_of
from hub.store import AnyPoint
from tests.hub_messages import NOON_MS, detection, event, readings
from tests.tasks import beside
from tests.test_hub_forward import STATION, WITHIN_S, EagerClock, Shelf, arrive, send_all
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


@pytest.mark.parametrize("by_lines", [False, True])
async def test_who_listens_is_told_of_ten_minutes_in_the_transaction_that_moves_the_cursor(
    database: Database, by_lines: bool
) -> None:
    heard: list[tuple[set[Moment], bool]] = []
    forwarder = Forwarder(database, LineShelf() if by_lines else Shelf(), WoundClock(NOON_MS))
    forwarder.on_forwarded.append(lambda connection, moments: heard.append((set(moments), connection.in_transaction)))
    wide = readings(2, [1.0, 2.0, 3.0], at=NOON_MS + 9 * MOMENT_MS, step_ms=2 * MOMENT_MS)
    arrive(database, readings(1, [1.0, 2.0], at=NOON_MS - 1_000), wide, event(3), detection(4))
    await send_all(forwarder)
    tens = [-1, 0, 9, 11, 13]
    assert heard == [({(STATION, NOON_MS + ten * MOMENT_MS) for ten in tens}, True)]


async def test_readings_go_as_lines_also_where_somebody_listens(database: Database) -> None:
    shelf = LineShelf()
    forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    forwarder.on_forwarded.append(lambda *_: None)
    arrive(database, readings(1, [1.0, 2.0]))
    await send_all(forwarder)
    assert [text.count("value=") for text in shelf.texts] == [2]
    assert shelf.points == []


async def test_what_was_on_its_way_when_a_refill_was_asked_for_is_sent_again(database: Database) -> None:
    """Also the first of all, whose place is where the refill begins."""
    shelf = Losing()
    forwarder = shelf.forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    arrive(database, readings(1), readings(2, at=NOON_MS + 5_000))
    await send_all(forwarder)
    assert [point.t_ms for point in shelf.points] == [NOON_MS, NOON_MS + 5_000]
    assert cursor_of(database.connection, READER) == 2


async def test_a_refill_takes_back_also_what_was_read_ahead(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.forward._GROUP_BYTES", 0)
    shelf = Losing()
    forwarder = shelf.forwarder = Forwarder(database, shelf, WoundClock(NOON_MS))
    for seq in range(1, 5):
        arrive(database, readings(seq, at=NOON_MS + seq))
    await send_all(forwarder)
    assert [point.t_ms - NOON_MS for point in shelf.points] == [1, 2, 3, 4]
    assert cursor_of(database.connection, READER) == 4


@dataclass
class LineShelf(Shelf):
    """Takes lines too."""

    texts: list[str] = field(default_factory=list)

    async def write_lines(self, texts: Sequence[str], points: Sequence[AnyPoint]) -> None:
        self.texts += texts
        await self.write(points)


@dataclass
class Losing(Shelf):
    """Loses the first that it has taken, and asks for everything again."""

    forwarder: Forwarder | None = None

    async def write(self, points: Sequence[AnyPoint]) -> None:
        await super().write(points)
        if self.forwarder is not None:
            forwarder, self.forwarder = self.forwarder, None
            self.points.clear()
            await forwarder.refill(0)
