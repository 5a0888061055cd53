"""A storm over very many stations: each detection costs what it costs alone, and nobody waits long for the desk."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hub.tally
from hub import arrivals, warnings_kept
from hub.database import LATER, SCHEMA
from hub.happened import Answered, Confirmed, EpisodeChanged, Event, Held, Tick
from hub.landing import cursor_of
from hub.model import Episode
from hub.model import Warning as HubWarning
from hub.tally import Tallies, Weight, weight_of
from hub.warnings import step
from hub.warnings_kept import CLOSED
from tests.test_hub_migrations import old_file
from tests.village import POLICY, VILLAGE, Village, at, changed, detection
from tocsin.clock import WoundClock
from tocsin.levels import Authority, Level, Stage

MINUTE_MS = 60_000
LEVELS = [Level.CLEAR, Level.YELLOW, Level.ORANGE, Level.RED]


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    there = Village(tmp_path)
    yield there
    there.close()


class Creeping(WoundClock):
    """Each look at it takes a while."""

    looks = 0

    def monotonic_s(self) -> float:
        self.looks += 1
        return super().monotonic_s() + self.looks * 0.04


@st.composite
def events(draw: st.DrawFn) -> Event:
    when = at("14:00") + draw(st.integers(0, 30)) * MINUTE_MS
    kind = draw(st.sampled_from(["found"] * 8 + ["tick", "confirmed", "held", "answered"]))
    match kind:
        case "tick":
            return Tick(when)
        case "confirmed":
            return Confirmed("Zhao Lei", when)
        case "held":
            return Held("Zhao Lei", when)
        case "answered":
            return Answered("Li Ming", "answer page", "", when)
    found = detection(
        draw(st.sampled_from(LEVELS)), "14:00", draw(st.integers(1, 9)), rule=draw(st.sampled_from(["stage", "rise"])),
        stage=draw(st.sampled_from(Stage)), authority=draw(st.sampled_from(Authority)), hold_s=60.0)
    found = msgspec.structs.replace(found, t=when, shelved=draw(st.booleans()))
    station = draw(st.sampled_from(["upper-bridge", "mill-creek"]))
    return msgspec.structs.replace(
        changed(found, station=station), arrived_at=when + draw(st.sampled_from([0, 0, 0, 60 * MINUTE_MS])))


@given(st.lists(st.tuples(events(), st.booleans()), max_size=25))
def test_what_is_kept_to_save_time_changes_no_outcome(told: list[tuple[Event, bool]]) -> None:
    """Some steps are not kept: their transaction failed."""
    tallies, warning = Tallies(), None
    for number, (event, fails) in enumerate(told):
        now_ms = at("14:30") + number * MINUTE_MS
        found = step(warning, event, now_ms, POLICY, tallies)
        assert found == step(warning, event, now_ms, POLICY)
        warning = warning if fails else found[0]


def test_a_storm_weighs_each_episode_once_or_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed = 0

    def counted(episode: Episode, warning: HubWarning) -> Weight | None:
        nonlocal weighed
        weighed += 1
        return weight_of(episode, warning)

    monkeypatch.setattr(hub.tally, "weight_of", counted)
    tallies, warning = Tallies(), None
    for level, revision in ((Level.YELLOW, 1), (Level.ORANGE, 2), (Level.CLEAR, 3)):
        for number in range(300):
            event = EpisodeChanged(f"s{number}", VILLAGE, detection(level, "14:00", revision), at("14:00"))
            warning, _ = step(warning, event, at("14:00"), POLICY, tallies)
    assert warning is not None
    assert warning.level == Level.CLEAR
    assert weighed <= 2 * 3 * 300


async def test_a_long_batch_is_cut_into_pieces_of_time(village: Village) -> None:
    village.clock = Creeping(at("14:00"))
    village.restart()
    village.starts("upper-bridge")
    for number in range(20):
        village.finds(detection(Level.ORANGE, "14:00", 2, rule=f"rule {number}", seq=number + 2))
    places = list[int]()
    while await village.desk.process():
        places.append(cursor_of(village.database.connection, arrivals.READER))
    assert len(places) >= 5
    assert places == sorted(places)
    assert len((await village.only()).episodes) == 20
    assert village.desk.counts["detections"] == 20
    assert village.desk.counts["bulletins"] == 1


async def test_very_many_records_that_cannot_be_read_hold_up_nothing(village: Village) -> None:
    with village.database.transaction() as connection:
        connection.executemany(
            "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw)"
            " VALUES ('x', 'b', ?, 'answer', '', 0, ?)",
            [(number, b"{}") for number in range(arrivals.BATCH)])
    village.starts("upper-bridge")
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    assert (await village.only()).level == Level.ORANGE


async def test_closed_warnings_are_found_without_going_through_all(village: Village) -> None:
    """Everybody may ask for them, with a link that was made up."""
    found = village.database.connection.execute(f"EXPLAIN QUERY PLAN {CLOSED}", (50,)).fetchall()
    scans = [row[-1] for row in found if row[-1].startswith(("SCAN warning", "SEARCH"))]
    parts = "SEARCH warning_parts USING INDEX sqlite_autoindex_warning_parts_1 (warning=? AND part=?)"
    assert scans == ["SCAN warnings USING INDEX warnings_closed", parts, parts]


async def test_a_commit_writes_what_changed_of_a_warning_and_no_more(village: Village) -> None:
    village.starts("upper-bridge")
    for number in range(100):
        village.finds(detection(Level.ORANGE, "14:00", 1, rule=f"rule {number}", seq=number + 2))
    await village.reads()
    assert len((await village.only()).episodes) == 100
    for number in range(2):    # the first one after a start writes all
        if number:
            village.restart()
        for revision in (2 + 2 * number, 3 + 2 * number):
            written = list[str]()
            village.database.connection.set_trace_callback(written.append)
            village.finds(detection(Level.RED, "14:00", revision, rule="rule 7", seq=200 + revision))
            await village.reads()
            village.database.connection.set_trace_callback(None)
            rows = sum("INTO warning_parts" in line for line in written)
            assert rows == (100 if number and revision == 4 else 1)
            assert sum(len(line) for line in written if "INTO warnings" in line) < 5_000
            assert (await village.only()).episodes["upper-bridge/radar/stage_m/rule 7"].revision == revision


async def test_what_failed_to_be_written_is_written_with_what_comes_next(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    village.starts("upper-bridge")
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    put = warnings_kept.put

    def full(*given: Any) -> None:
        put(*given)
        monkeypatch.setattr(warnings_kept, "put", put)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(warnings_kept, "put", full)
    village.finds(detection(Level.RED, "14:01", 2))
    with pytest.raises(sqlite3.OperationalError):
        await village.desk.process()
    village.finds(detection(Level.ORANGE, "14:02", 1, rule="rise", episode="e2", seq=9))
    await village.reads()
    warning = await village.only()
    assert {one.rule: one.level for one in warning.episodes.values()} == {"stage": Level.RED, "rise": Level.ORANGE}
    assert await village.desk.warning(warning.id) == warning


@given(st.lists(st.tuples(events(), st.booleans()), max_size=25))
def test_a_warning_written_piece_by_piece_is_the_whole(told: list[tuple[Event, bool]]) -> None:
    """Now and then the hub starts again, and knows no more what it wrote."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(SCHEMA + LATER)
        warning, held = None, dict[str, HubWarning]()
        for number, (event, starts) in enumerate(told):
            warning, _ = step(warning, event, at("14:30") + number * MINUTE_MS, POLICY)
            if warning is None:
                continue
            warnings_kept.put(connection, [warning], {} if starts else held)
            held = {warning.id: warning}
            found = warnings_kept.load(connection, warning.id)
            assert found == warning
            assert list(found.episodes) == list(warning.episodes)
            assert list(found.earlier) == list(warning.earlier)


async def test_a_warning_of_an_older_program_goes_on_with_all_its_episodes(tmp_path: Path) -> None:
    old_file("hub-2.sql", tmp_path / "hub.sqlite")
    village = Village(tmp_path)
    before = await village.only()
    assert len(before.episodes) == 3
    village.finds(detection(Level.RED, "14:00", 2, seq=5))
    await village.reads()
    after = await village.desk.warning(before.id)
    assert after is not None
    assert after.episodes.keys() == before.episodes.keys()
    assert after.level == Level.RED
    village.restart()
    assert await village.desk.warning(before.id) == after
    assert after in await village.desk.open_warnings()
    village.close()


async def test_whoever_tries_answer_links_costs_no_look_at_the_disk(village: Village) -> None:
    village.starts("upper-bridge")
    await village.alarm(Level.ORANGE, 1)
    assert await village.desk.recent(50) == []
    village.clock.wind_to(at("14:10"))
    await village.alarm(Level.CLEAR, 2)
    (closed,) = await village.desk.recent(50)
    assert closed.closed_at == at("14:10")
    statements = list[str]()
    village.database.connection.set_trace_callback(statements.append)
    assert await village.desk.recent(50) == [closed]
    assert await village.desk.open_warnings() == []
    assert statements == []
