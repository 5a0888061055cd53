"""A storm over very many stations: each detection costs what it costs alone, and nobody waits long for the desk."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hub.tally
from hub import arrivals
from hub.landing import cursor_of
from hub.model import Episode
from hub.model import Warning as HubWarning
from hub.tally import Tallies, Weight, weight_of
from hub.warnings import Answered, Confirmed, EpisodeChanged, Event, Held, Tick, step
from hub.warnings_kept import CLOSED
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
    assert [row[-1] for row in found] == ["SCAN warnings USING INDEX warnings_closed"]


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
