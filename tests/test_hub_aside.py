"""A record that landing fails on by a defect of the hub holds up nothing for ever, and is not lost."""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hub.aside
import hub.intake
from hub.checks import Delivery
from hub.database import Database
from hub.landing import Landed, land
from hub.places import Memory
from tests.channels import until
from tests.hub_intakes import Desk, at_work, range_of
from tests.hub_lander import STATION
from tests.hub_messages import NOON_MS, readings, start
from tocsin import topics
from tocsin.messages import Record, encode

BAD = 3
WEEK_MS = 7 * 86_400_000
TOPIC = topics.up(STATION, topics.READINGS)
ALL: list[Record] = [start(1), readings(2), readings(BAD), readings(4), readings(5)]


@dataclass
class Defect:
    """Until it is mended."""

    there: bool = True


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_work(tmp_path / "hub.sqlite") as made:
        yield made


@pytest.fixture(params=[OverflowError("too large"), sqlite3.IntegrityError("a constraint"), "an SQL error"])
def defect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Defect:
    """Landing fails on the record BAD."""
    made = Defect()

    def poisoned(connection: sqlite3.Connection, deliveries: Sequence[Delivery], *rest: Any, **more: Any) -> Landed:
        landed = land(connection, deliveries, *rest, **more)
        if made.there and any(good.record.seq == BAD for one in deliveries for good in one.good):
            if isinstance(request.param, str):
                connection.execute("SELECT json_extract('{', '$.a')")
            raise request.param
        return landed

    monkeypatch.setattr(hub.intake, "land", poisoned)
    monkeypatch.setattr(hub.aside, "land", poisoned)
    return made


def in_quarantine(desk: Desk) -> list[tuple[str, str, bytes, bool]]:
    with sqlite3.connect(desk.database.path) as other:    # another process would find it
        return other.execute("SELECT topic, reason, payload, whole FROM quarantine ORDER BY id").fetchall()


async def told(desk: Desk, *records: Record | bytes) -> list[tuple[int, int]]:
    await desk.tell(*records)
    return [(one.first, one.last) for one in (await desk.answer()).ranges]


@pytest.mark.usefixtures("defect")
async def test_the_rest_of_its_message_lands_at_once_and_it_is_set_aside_at_the_third_time(desk: Desk) -> None:
    for _ in range(hub.aside.TRIES - 1):
        assert await told(desk, *ALL) == [(1, 2), (4, 5)]
        assert in_quarantine(desk) == []
        assert desk.intake.aside == 0
    await desk.tell(*ALL)
    assert (await desk.answer()).ranges == [range_of(*ALL)]
    assert in_quarantine(desk) == [(TOPIC, "the hub fails on it by a defect", encode(ALL[2]), False)]
    assert desk.on_disk() == {1, 2, 4, 5}
    assert desk.intake.aside == 1
    assert desk.intake.counts[hub.intake.DEFECT] == 3
    assert desk.intake.counts["quarantined: the hub fails on it by a defect"] == 1
    assert await told(desk, ALL[2]) == [(BAD, BAD)]    # its answer was lost: it need not be tried three times again
    assert desk.intake.aside == 1


@pytest.mark.usefixtures("defect")
async def test_a_refused_record_beside_it_is_answered(desk: Desk) -> None:
    refused = encode(readings(4, [1.0])).replace(b'"t":[1723118400000]', b'"t":[5]')
    assert await told(desk, readings(2), readings(BAD), refused) == [(2, 2), (4, 4)]
    assert [payload for _, _, payload, _ in in_quarantine(desk)] == [refused]


@pytest.mark.parametrize("most", ["MOST", "MOST_BYTES"])
@pytest.mark.usefixtures("defect")
async def test_a_defect_that_hits_everything_leaves_records_at_their_stations(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, most: str
) -> None:
    monkeypatch.setattr(hub.aside, most, 0)
    for _ in range(5):
        assert await told(desk, *ALL) == [(1, 2), (4, 5)]
    assert in_quarantine(desk) == []


async def test_each_start_tries_what_was_set_aside_again(tmp_path: Path, defect: Defect) -> None:
    async with at_work(tmp_path / "hub.sqlite") as desk:
        for _ in range(hub.aside.TRIES):
            await told(desk, *ALL)
    async with at_work(tmp_path / "hub.sqlite") as desk:
        assert await told(desk, readings(6)) == [(6, 6)]
        assert len(in_quarantine(desk)) == 1
        await until(lambda: desk.intake.aside == 1)
        assert await told(desk, ALL[2]) == [(BAD, BAD)]
    defect.there = False
    async with at_work(tmp_path / "hub.sqlite") as desk:
        assert await told(desk, readings(7)) == [(7, 7)]
        await until(lambda: desk.intake.counts.get("landed") == 2)
        assert (in_quarantine(desk), desk.intake.aside) == ([], 0)
        assert desk.on_disk() == {1, 2, 3, 4, 5, 6, 7}
        assert await told(desk, *ALL) == [(1, 5)]
        assert desk.intake.counts["repeated"] == len(ALL)


async def test_what_was_set_aside_speaks_for_no_station_that_has_been_silent_since(
    tmp_path: Path, defect: Defect
) -> None:
    """A dead station would look alive after each start of the hub."""
    async with at_work(tmp_path / "hub.sqlite") as desk:
        for _ in range(hub.aside.TRIES):
            await told(desk, *ALL)
    defect.there = False
    async with at_work(tmp_path / "hub.sqlite", NOON_MS + WEEK_MS) as desk:
        await until(lambda: desk.on_disk() == {1, 2, 3, 4, 5})
        assert desk.database.connection.execute("SELECT heard_at FROM stations").fetchall() == [(NOON_MS,)]
        assert desk.database.connection.execute("SELECT max(arrived) FROM landing").fetchall() == [(NOON_MS + WEEK_MS,)]


async def test_a_disk_that_takes_nothing_is_no_defect(
    tmp_path: Path, defect: Defect, caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(tmp_path / "hub.sqlite") as desk:
        for _ in range(hub.aside.TRIES):
            await told(desk, *ALL)
    defect.there = False
    path = tmp_path / "hub.sqlite"
    database = Database(path)
    (row,) = (aside := hub.aside.Aside(database)).look()
    database.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        aside.try_again(row, NOON_MS, Memory())
    assert (aside.kept, "it still does" in caplog.text) == (1, False)
    database.connection.execute("PRAGMA query_only = OFF")
    database.connection.execute("DELETE FROM quarantine")
    assert aside.try_again(row, NOON_MS, Memory()) == {}
    database.close()


async def test_warnings_do_not_wait_for_all_that_was_set_aside(
    tmp_path: Path, defect: Defect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand commits would hold up landing and the desk for half a minute at a start."""
    both = [readings(BAD), readings(BAD, [9.0])]
    async with at_work(tmp_path / "hub.sqlite") as desk:
        for _ in range(hub.aside.TRIES):
            await told(desk, readings(2), *both)
        assert desk.intake.aside == len(both)
    defect.there = False
    order = list[int]()

    def noted(connection: sqlite3.Connection, deliveries: Sequence[Delivery], *rest: Any, **more: Any) -> Landed:
        order.extend(good.record.seq for one in deliveries for good in one.good)
        return land(connection, deliveries, *rest, **more)

    monkeypatch.setattr(hub.intake, "land", noted)
    monkeypatch.setattr(hub.aside, "land", noted)
    async with at_work(tmp_path / "hub.sqlite") as desk:
        await desk.tell(readings(6))
        await until(lambda: len(order) == 3)
    assert order[:2] != [BAD, BAD]
