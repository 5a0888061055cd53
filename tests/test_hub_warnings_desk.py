"""The desk on a real database: what has landed is decided once, whatever is killed or delivered again."""

import asyncio
from pathlib import Path

import pytest

from hub import arrivals, journal, outbox
from hub.callout import UNKNOWN_AREA, Policy
from hub.config import PersonTable
from hub.happened import EpisodeChanged
from hub.journal import Asked, Said
from hub.landing import cursor_of
from hub.model import Tier, WarningState, Why
from tests.village import NEXT_VILLAGE, VILLAGE, Village, at, detection
from tocsin import topics
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.messages import BulletinKind


async def test_from_landing_to_outbox(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    village.clock.wind_to(at("14:00:01"))
    await village.reads()
    warning = await village.only()
    assert (warning.area, warning.hazard, warning.level, warning.opened_at) == (VILLAGE, "flood", 3, at("14:00:01"))
    assert [(bulletin.kind, bulletin.cause_t) for bulletin in await village.desk.bulletins_of(warning.id)] == [
        (BulletinKind.ALERT, at("14:00"))
    ]
    assert village.outbox() == [(warning.bulletins[0], "cap"), (warning.bulletins[0], "loudspeaker")]
    rows = await village.desk.journal_of(warning.id)
    assert [(row.why, type(row.event)) for row in rows] == [
        (Why.FIRST, EpisodeChanged), (Why.FIRST, Said), (Why.FIRST, Asked), (Why.FIRST, Asked)
    ]
    assert rows[0].detail == "upper-bridge radar/stage_m stage: orange, 2.35 against 2"
    assert rows[2].detail == "Li Ming (village), call 1"
    assert village.wakes == 1


async def test_a_night_in_the_village_and_its_journal(village: Village) -> None:
    village.finds(detection(Level.YELLOW, "14:00", 1))
    await village.reads()
    await village.ticks("14:02:30")
    warning = await village.only()
    await village.desk.answer("Li Ming", warning.id, "answer page", "")
    village.finds(detection(Level.RED, "14:02:40", 2, previous=Level.YELLOW))
    village.finds(detection(Level.BLUE, "13:00", 1), "mill-creek")
    await village.reads()
    village.answers_at_site("the keeper", "14:02:50")
    await village.ticks("14:06:30")
    await village.reads()
    await village.desk.answer("Zhao Lei", warning.id, "knock at the door", "drove there")
    village.finds(detection(Level.CLEAR, "14:06", 3, previous=Level.RED))
    village.finds(detection(Level.CLEAR, "13:30", 2, previous=Level.BLUE), "mill-creek")
    await village.reads()
    closed = await village.desk.warning(warning.id)
    assert closed is not None
    assert (closed.state, closed.peak, closed.calls["Zhao Lei"].note) == (WarningState.CLOSED, Level.RED, "drove there")
    assert [call.person for call in closed.calls.values() if not call.answered_at] == ["Li Ming", "Wang Fang"]
    rows = await village.desk.journal_of(warning.id)
    assert [row.why for row in rows if isinstance(row.event, Said)] == [Why.FIRST, Why.HIGHER, Why.CLEARED]
    assert journal.replay(rows, Policy.of(village.config)) == {warning.id: closed}
    assert await village.desk.recent(5) == [closed]
    assert await village.desk.open_warnings() == []


async def test_journal_of_everything_replays_to_the_state_on_the_disk(village: Village) -> None:
    for round_number in range(3):
        for station in ("upper-bridge", "next-door"):
            for hazard, rule in ((Hazard.FLOOD, "stage"), (Hazard.GAS, "ch4")):
                episode = f"e{round_number}"
                raised = detection(
                    Level.ORANGE, f"14:0{3 * round_number}", 2 * round_number + 1, rule=rule, hazard=hazard,
                    episode=episode, seq=10 * round_number + (5 if rule == "ch4" else 1),
                )
                village.finds(raised, station)
        await village.reads()
        await village.ticks(f"14:0{3 * round_number + 1}:30")
        for station in ("upper-bridge", "next-door"):
            cleared = detection(
                Level.CLEAR, f"14:0{3 * round_number + 1}", 2 * round_number + 2, previous=Level.ORANGE,
                episode=f"e{round_number}", seq=10 * round_number + 2,
            )
            village.finds(cleared, station)
        village.clock.wind_to(at(f"14:0{3 * round_number + 2}"))
        await village.reads()
    stored = {warning.id: warning for warning in await village.desk.recent(99)}
    stored |= {warning.id: warning for warning in await village.desk.open_warnings()}
    assert len(stored) == 8
    rows = await village.database.run(journal.read, village.database.connection)
    assert journal.replay(rows, Policy.of(village.config)) == stored


async def test_calls_go_up_to_the_town_while_nobody_answers(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    await village.ticks("14:03")
    rows = await village.desk.journal_of((await village.only()).id)
    escalated = [(row.t, row.detail) for row in rows if row.why is Why.ESCALATED and isinstance(row.event, Asked)]
    assert escalated == [(at("14:03"), "Zhao Lei (town), call 1")]


async def test_tick_that_does_nothing_writes_nothing(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    before = village.database.connection.total_changes
    await village.ticks("14:00:59")
    assert village.database.connection.total_changes == before


async def test_readings_alone_cost_the_desk_no_commit(village: Village, monkeypatch: pytest.MonkeyPatch) -> None:
    await village.reads()
    before = village.database.connection.total_changes
    village.starts()
    landed = village.database.connection.total_changes
    assert landed > before
    await village.reads()
    assert village.database.connection.total_changes == landed
    monkeypatch.setattr("hub.desk._LAZY", 1)
    village.starts()
    await village.reads()
    cursor = cursor_of(village.database.connection, "desk")
    assert cursor == village.database.connection.execute("SELECT max(id) FROM landing").fetchone()[0]


async def test_backlog_of_a_flood_that_is_over_calls_nobody(village: Village) -> None:
    village.finds(detection(Level.RED, "13:50", 1))
    village.finds(detection(Level.CLEAR, "13:55", 2, previous=Level.RED))
    await village.reads()
    (warning,) = await village.desk.recent(5)
    assert (warning.historic, warning.peak, warning.bulletins, warning.calls) == (True, Level.RED, [], {})
    assert village.outbox() == []
    assert [row.why for row in await village.desk.journal_of(warning.id)] == [Why.HISTORIC, Why.HISTORIC]


async def test_raise_that_follows_a_clear_in_one_backlog_is_live(village: Village) -> None:
    village.finds(detection(Level.RED, "13:40", 1))
    village.finds(detection(Level.CLEAR, "13:50", 2, previous=Level.RED))
    village.finds(detection(Level.ORANGE, "13:58", 3, episode="e2"))
    await village.reads()
    warning = await village.only()
    assert (warning.historic, warning.level, len(warning.bulletins)) == (False, Level.ORANGE, 1)


async def test_button_at_the_siren_answers_what_is_open_where_the_station_stands(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    village.finds(detection(Level.ORANGE, "14:00", 1), "next-door")
    await village.reads()
    village.clock.wind_to(at("14:00:30"))
    village.answers_at_site("Li Ming", "14:00:20")
    await village.reads()
    here, there = sorted(await village.desk.open_warnings(), key=lambda warning: warning.area)
    assert (here.area, here.calls["Li Ming"].answered_at) == (VILLAGE, at("14:00:20"))
    assert (there.area, "Li Ming" in there.calls) == (NEXT_VILLAGE, False)


async def test_answer_from_a_site_that_names_its_warning(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1), "next-door")
    await village.reads()
    warning = await village.only()
    village.answers_at_site("Chen Bo", "14:00", "upper-bridge", warning.id)
    await village.reads()
    assert (await village.only()).calls["Chen Bo"].how == "button at the siren"


async def test_answers_that_cannot_be_taken_say_why(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    warning = await village.only()
    with pytest.raises(ValueError, match='"Li Min" is not called in this warning; use Li Ming, Wang Fang, Chen Bo'):
        await village.desk.answer("Li Min", warning.id, "answer page", "")
    with pytest.raises(ValueError, match='"flood-1" is not a warning of this hub'):
        await village.desk.answer("Li Ming", "flood-1", "answer page", "")
    with pytest.raises(ValueError, match='"flood-1" is not a warning of this hub'):
        await village.desk.confirm("flood-1", "Sun Yan")


async def test_answer_on_a_page_counts_although_the_hubs_clock_was_set_back(village: Village) -> None:
    village.clock.wind_to(at("15:00"))
    village.finds(detection(Level.ORANGE, "15:00", 1))
    await village.reads()
    village.clock = type(village.clock)(at("14:00"))
    village.restart()
    await village.desk.answer("Li Ming", (await village.only()).id, "answer page", "")
    assert (await village.only()).calls["Li Ming"].answered_at == at("15:00")


async def test_late_answer_to_a_warning_that_another_one_followed(village: Village) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    first = await village.only()
    village.finds(detection(Level.CLEAR, "14:00:10", 2, previous=Level.ORANGE))
    await village.reads()
    village.finds(detection(Level.BLUE, "14:00:20", 3, episode="e2"))
    await village.reads()
    await village.desk.answer("Li Ming", first.id, "knock at the door", "")
    old, new = await village.desk.warning(first.id), await village.only()
    assert old is not None
    assert (old.calls["Li Ming"].how, new.calls["Li Ming"].answered_at) == ("knock at the door", 0)
    assert new.id != first.id
    village.finds(detection(Level.RED, "14:00:30", 4, episode="e2", previous=Level.BLUE))
    await village.reads()
    new = await village.only()
    rows = await village.database.run(journal.read, village.database.connection)
    assert journal.replay(rows, Policy.of(village.config)) == {old.id: old, new.id: new}


async def test_confirming_moves_people(village: Village) -> None:
    village.finds(detection(Level.RED, "14:00", 1, authority=Authority.CONFIRM))
    await village.reads()
    warning = await village.only()
    await village.desk.confirm(warning.id, "Sun Yan")
    assert [bulletin.stage for bulletin in await village.desk.bulletins_of(warning.id)] == [Stage.PREPARE, Stage.MOVE]


async def test_all_clear_of_one_hazard_does_not_hide_another(village: Village) -> None:
    village.finds(detection(Level.RED, "14:00", 1))
    village.finds(detection(Level.BLUE, "14:00", 1, hazard=Hazard.GAS, rule="ch4", seq=2))
    await village.reads()
    village.finds(detection(Level.CLEAR, "14:00", 2, hazard=Hazard.GAS, rule="ch4", previous=Level.BLUE, seq=3))
    await village.reads()
    flood = await village.only()
    (said,) = await village.desk.bulletins_of(flood.id)
    (gas,) = await village.desk.recent(1)
    over = (await village.desk.bulletins_of(gas.id))[-1]
    assert over.version > said.version
    kept = outbox.newest(village.database.connection)
    assert {(one.hazard, one.kind) for one in kept} == {
        (Hazard.FLOOD, BulletinKind.ALERT), (Hazard.GAS, BulletinKind.CLOSE)}
    assert len({topics.bulletin(one.area, one.hazard) for one in kept}) == 2


async def test_what_an_older_hub_kept_for_all_hazards_stays_beside_the_first_of_another(village: Village) -> None:
    village.finds(detection(Level.RED, "14:00", 1))
    await village.reads()
    village.database.connection.execute("UPDATE meta SET key = replace(key, '/flood', '') WHERE key LIKE 'bulletin/%'")
    village.finds(detection(Level.BLUE, "14:00", 1, hazard=Hazard.GAS, rule="ch4", seq=2))
    await village.reads()
    assert {one.hazard for one in outbox.newest(village.database.connection)} == {Hazard.FLOOD, Hazard.GAS}


async def test_versions_rise_per_area_also_after_an_old_backup_was_put_back(village: Village, tmp_path: Path) -> None:
    for revision, level in enumerate((Level.BLUE, Level.YELLOW, Level.RED), 1):
        village.finds(detection(level, "14:00", revision))
        await village.reads()
    versions = [bulletin.version for bulletin in await village.desk.bulletins_of((await village.only()).id)]
    assert versions == sorted(set(versions))
    later = Village(tmp_path / "restored", start="14:01")
    later.starts()
    later.finds(detection(Level.RED, "14:01", 9))
    await later.reads()
    assert (await later.desk.bulletins_of((await later.only()).id))[0].version > versions[-1]
    later.close()


async def test_station_without_a_card_is_warned_of_and_the_county_finds_out(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.finds(detection(Level.RED, "14:00", 1))
    await village.reads()
    warning = await village.only()
    assert (warning.area, list(warning.calls)) == (UNKNOWN_AREA, ["Sun Yan"])
    assert village.desk.counts["unknown place"] == 1
    village.close()


async def test_nobody_to_call_is_counted(tmp_path: Path) -> None:
    village = Village(tmp_path, [PersonTable("Chen Bo", "village head", Tier.VILLAGE, NEXT_VILLAGE)])
    village.starts()
    village.finds(detection(Level.RED, "14:00", 1))
    await village.reads()
    assert (await village.only()).calls == {}
    assert village.desk.counts["nobody to call"] == 1
    village.close()


async def test_the_running_desk_follows_landing_and_outlives_an_error(
    village: Village, monkeypatch: pytest.MonkeyPatch
) -> None:
    village.finds(detection(Level.ORANGE, "14:00", 1))
    real, failures = arrivals.read, [OSError("disk")]

    def shaky(*args: object) -> object:
        if failures:
            raise failures.pop()
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("hub.arrivals.read", shaky)
    task = asyncio.create_task(village.desk.run())
    while not village.desk.counts.get("restarts"):
        await asyncio.sleep(0)
    village.clock.wind_to(at("14:00:02"))
    while not village.wakes:
        await asyncio.sleep(0)
    village.finds(detection(Level.RED, "14:00", 2, previous=Level.ORANGE))
    village.desk.wake()
    while village.wakes < 2:
        await asyncio.sleep(0)
    task.cancel()
    assert (await village.only()).level == Level.RED
