"""Stations that nobody enrolled: held, shown, never answered; and what approves one."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from hub import strangers
from hub.approve import approve
from hub.config import load_hub
from hub.database import Database
from hub.roster import Roster
from hub.strangers import Word, hold, strangers_of
from tests.hub_intakes import OTHER, OTHER_KEY, Desk, at_work, range_of
from tests.hub_messages import NOON_MS, card, detection, heartbeat, readings, start, upload
from tests.hubs import HubFiles
from tocsin import topics
from tocsin.__main__ import main
from tocsin.messages import encode
from tocsin.signing import new_station_key

KEY = new_station_key()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_work(tmp_path / "hub.sqlite") as made:
        yield made


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


async def test_a_stranger_is_held_with_what_a_person_needs_and_nothing_of_it_is_answered(desk: Desk) -> None:
    say = desk.intake.on_message
    await say(topics.up("mill", topics.HEARTBEAT), heartbeat("mill"))
    await say(topics.up("mill", topics.DETECTIONS), upload("mill", start(1), detection(2)))
    desk.clock.wind_to(NOON_MS + 5_000)
    await say(topics.up("mill", topics.READINGS), upload("mill", readings(3), encode(start(1)).replace(b"250", b"x")))
    await say(topics.up("mill", topics.READINGS), b"rubbish")
    await say(topics.up("mill", topics.READINGS), upload("creek", readings(3)))
    await desk.tell(readings(1))
    assert (await desk.answer()).ranges == [range_of(readings(1))]
    assert desk.said.empty()
    (found,) = strangers_of(desk.database.connection)
    assert (found.station, found.messages, found.records, found.card) == ("mill", 3, 4, card())
    assert found.heartbeat is not None
    assert desk.on_disk() == {1}
    assert desk.intake.counts["held: unknown station"] == 3
    reasons = {row[0] for row in desk.database.connection.execute("SELECT reason FROM quarantine")}
    assert reasons == {"malformed", "another station's name inside"}


def test_of_more_strangers_than_are_held_the_longest_unheard_goes(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST", 3)
    with database.transaction() as connection:
        for number, name in enumerate(["a", "b", "c", "a", "d"]):
            hold(connection, Word(name, 10, records=2), NOON_MS + number)
    held = {one.station: (one.first_seen - NOON_MS, one.messages, one.records, one.size)
            for one in strangers_of(database.connection)}
    assert held == {"a": (0, 2, 4, 20), "c": (2, 1, 2, 10), "d": (4, 1, 2, 10)}


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    """A hub file, in whose database `mill` waits."""
    path = HubFiles(tmp_path / "hub", "mqtt://127.0.0.1:9", [("bridge", KEY)]).write()
    database = Database(Path(load_hub(path).hub.data) / "hub.sqlite")
    with database.transaction() as connection:
        hold(connection, Word("mill", 10, records=2, card=card()), NOON_MS)
        hold(connection, Word("creek", 10, records=2), NOON_MS)
    database.close()
    return path


def roster(hub: Path) -> tuple[dict[str, str], list[str]]:
    """Who may speak, and who waits."""
    config = load_hub(hub)
    database = Database(Path(config.hub.data) / "hub.sqlite")
    try:
        return dict(Roster(database, config.keys)), [one.station for one in strangers_of(database.connection)]
    finally:
        database.close()


def test_who_waits_is_listed(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "approve", str(hub)]) == 0
    creek, mill = capsys.readouterr().out.splitlines()
    assert creek.startswith("creek: it has not said where it stands; first heard 2024-08-08T12:00:00Z")
    assert mill.startswith("mill: Stone Bridge, 30.25 119.75, area 330112001003; first heard")


def test_an_approved_station_has_the_key_that_it_was_given(hub: Path) -> None:
    key = new_station_key()
    assert main(["hub", "approve", str(hub), "mill", "--key", key, "--who", "Li Wei"]) == 0
    assert roster(hub) == ({"bridge": KEY, "mill": key}, ["creek"])


def test_without_one_a_key_is_made_and_said(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "approve", str(hub), "mill"]) == 0
    said = capsys.readouterr().out
    assert f'key = "{roster(hub)[0]["mill"]}"' in said
    assert f'public_key = "{load_hub(hub).public_key}"' in said


@pytest.mark.parametrize(("words", "why"), [
    (["bridge"], '"bridge" is a station of this hub already'),
    (["weir"], '"weir" does not wait; use creek, mill, or tocsin enrol'),
    (["mill", "--key", "12"], "--key is not allowed; use the 64 hex digits"),
    (["mill", "--who", ""], "--who '' is not allowed"),
])
def test_what_cannot_be_is_refused_and_changes_nothing(
    hub: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    before = roster(hub)
    assert main(["hub", "approve", str(hub), *words]) == 1
    assert why in capsys.readouterr().err
    assert roster(hub) == before


async def test_after_approval_what_it_sends_again_lands_and_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    async with at_work(path) as desk:
        config = load_hub(HubFiles(tmp_path / "hub", "mqtt://127.0.0.1:9", []).write())
        keys = Roster(desk.database, config.keys)
        desk.intake._keys = keys
        await desk.tell(readings(1), station=OTHER)
        await desk.landed(1)
        assert desk.on_disk() == set()
        approve(desk.database, config, OTHER, OTHER_KEY, "Li Wei", NOON_MS)
        keys.refresh()
        desk.intake._answers._keys = keys
        await desk.tell(readings(1), station=OTHER)
        assert (await desk.answer()).ranges == [range_of(readings(1))]
        assert strangers_of(desk.database.connection) == []

