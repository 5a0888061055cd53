"""Group rules on a real database, beside the desk: what lands becomes warnings, calls and alarms."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub import journal
from hub.callout import Policy
from hub.config import GroupsTable
from hub.evidence import Speech, finding
from hub.groups_replay import replayed
from hub.journal import Asked, Said
from hub.model import WarningState, Why
from hub.troubles import OfGroups
from tests.hub_groups_hub import NET, SILENT, GroupHub
from tests.village import NEXT_VILLAGE, VILLAGE, at, detection
from tocsin.clock import WoundClock
from tocsin.config import ConfigError
from tocsin.health import Heartbeat
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import VERSION, BulletinKind, Readings


class Slow(WoundClock):
    """A second passes between two looks at it."""

    looks = 0

    def monotonic_s(self) -> float:
        self.looks += 1
        return super().monotonic_s() + self.looks


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[GroupHub]:
    hub = GroupHub(tmp_path, NET)
    yield hub
    hub.village.close()


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[GroupHub]:
    hub = GroupHub(tmp_path, SILENT)
    yield hub
    hub.village.close()


async def test_two_stations_warn_the_village_below_with_their_names_as_evidence(net: GroupHub) -> None:
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    await net.finds(Level.RED, "14:05", 1, "mill-creek")
    below, = (one for one in await net.village.desk.open_warnings() if one.area == NEXT_VILLAGE)
    assert (below.hazard, below.level, below.stage) == (Hazard.FLOOD, Level.ORANGE, Stage.PREPARE)
    assert list(below.calls) == ["Chen Bo"]
    (bulletin,) = await net.village.desk.bulletins_of(below.id)
    assert bulletin.place == "Next Village"
    assert ("Water from both bridges is on its way. Stations that warn together 2 of 2 "
            "(Upper Bridge orange, Mill Creek red), threshold 2, since 14:01") in bulletin.text_en
    assert ("上游两处来水正在下泄。同时达到预警的站点2处（共2处）（上桥橙色、磨坊溪红色），"
            "阈值2处，自8月8日14:01起") in bulletin.text_zh
    rows = await net.village.desk.journal_of(below.id)
    assert [(row.why, type(row.event)) for row in rows[1:]] == [(Why.FIRST, Said), (Why.FIRST, Asked)]
    assert rows[0].detail == "group:two bridges group/coincidence two bridges: orange, 2 against 2"
    rows = await net.village.database.run(journal.read, net.village.database.connection)
    stored = {one.id: one for one in await net.village.desk.open_warnings()}
    assert journal.replay(rows, Policy.of(net.config)) == stored


async def test_the_group_s_clear_closes_its_warning_and_no_other(net: GroupHub) -> None:
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    await net.finds(Level.ORANGE, "14:05", 1, "mill-creek")
    await net.finds(Level.CLEAR, "14:06", 2, "mill-creek", previous=Level.ORANGE)
    await net.ticks("14:50")
    open_areas = [one.area for one in await net.village.desk.open_warnings()]
    assert open_areas == [VILLAGE]
    (closed,) = await net.village.desk.recent(5)
    assert (closed.area, closed.closed_at) == (NEXT_VILLAGE, at("14:46")), "30 min of window, 10 of delay"
    assert [one.kind for one in await net.village.desk.bulletins_of(closed.id)][-1] is BulletinKind.CLOSE


async def test_a_shadow_rule_is_logged_and_calls_nobody(tmp_path: Path) -> None:
    hub = GroupHub(tmp_path, NET + "shadow = true\n")
    await hub.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    await hub.finds(Level.ORANGE, "14:05", 1, "mill-creek")
    assert [one.area for one in await hub.village.desk.open_warnings()] == [VILLAGE]
    (told,) = await hub.groups.recent(9)
    assert (told.decision.shadow, told.decision.level, hub.groups.counts["shadow"]) == (True, Level.ORANGE, 1)
    hub.village.close()


async def test_silence_calls_who_is_on_duty_and_tells_the_village_nothing(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:08", 1, "upper-bridge")
    silent.village.starts("next-door")
    await silent.ticks("14:10:20")
    alarm, = (one for one in await silent.village.desk.open_warnings() if one.technical)
    assert (alarm.level, alarm.area, alarm.opened_at) == (Level.RED, VILLAGE, at("14:10"))
    assert list(alarm.calls) == ["Zhao Lei"]
    assert await silent.village.desk.bulletins_of(alarm.id) == []
    (episode,) = alarm.episodes.values()
    said = finding(episode, Hazard.FLOOD, Speech(False, lambda value, _: f"{value:g}", {}))
    assert (said.what, said.value) == (
        "not heard, while its neighbours warn", "10 min (Mill Creek silent, Upper Bridge red)")
    flood, = (one for one in await silent.village.desk.open_warnings() if not one.technical)
    assert "Zhao Lei" not in flood.calls or flood.calls["Zhao Lei"].first_at > at("14:10"), "two alarms, not one"
    silent.village.starts("mill-creek")
    silent.village.answers_at_site("the keeper", "14:10:30")
    await silent.reads()
    await silent.ticks("14:16")
    over = await silent.village.desk.warning(alarm.id)
    assert over is not None
    assert (over.state, "the keeper" in over.calls) == (WarningState.CLOSED, False)


async def test_heartbeats_keep_a_quiet_station_from_counting_as_silent(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:05", 1, "upper-bridge")
    connection = silent.village.database.connection
    for minute in range(6, 40):
        heartbeat = Heartbeat(VERSION, "mill-creek", at(f"14:{minute:02d}"), online=True, next_s=600.0)
        with silent.village.database.transaction():
            connection.execute("UPDATE stations SET heard_at = ?, heartbeat = ? WHERE id = 'mill-creek'",
                               (at(f"14:{minute:02d}"), msgspec.json.encode(heartbeat).decode()))
        silent.village.starts("next-door")
        await silent.ticks(f"14:{minute:02d}:30", every_s=30)
    assert not [one for one in await silent.village.desk.open_warnings() if one.technical]
    before = silent.village.database.connection.execute("SELECT count(*) FROM group_inputs").fetchone()[0]
    assert before <= 6, "a heartbeat is looked for only when a station would count as silent"
    for minute in range(40, 60):
        silent.village.starts("next-door")
        await silent.ticks(f"14:{minute:02d}:30", every_s=30)
    (alarm,) = (one for one in await silent.village.desk.open_warnings() if one.technical)
    assert alarm.opened_at == at("14:59:00"), "the link said that it sleeps for 10 min after 14:39"


async def test_decided_and_not_yet_told_is_told_after_a_crash_once(net: GroupHub) -> None:
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    net.village.clock.wind_to(at("14:05"))
    net.village.finds(detection(Level.ORANGE, "14:05", 1), "mill-creek")
    await net.groups.process()
    net.restart()
    for _ in range(2):
        await net.village.reads()
        net.restart()
    assert [one.level for one in await net.village.desk.open_warnings() if one.area == NEXT_VILLAGE] == [Level.ORANGE]
    assert net.village.desk.counts.get("group decisions", 0) == 0


async def test_what_was_decided_long_ago_calls_nobody_when_it_is_told(net: GroupHub) -> None:
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    net.village.clock.wind_to(at("14:05"))
    net.village.finds(detection(Level.ORANGE, "14:05", 1), "mill-creek")
    await net.groups.process()
    net.village.clock.wind_to(at("15:00"))
    await net.village.reads()
    below, = (one for one in await net.village.desk.open_warnings() if one.area == NEXT_VILLAGE)
    assert (below.historic, below.calls) == (True, {})


async def test_late_history_is_reconstructed_marked_and_calls_nobody(net: GroupHub) -> None:
    net.village.clock.wind_to(at("16:00"))
    for level, when, revision in ((Level.ORANGE, "14:01", 1), (Level.CLEAR, "14:40", 2)):
        net.village.finds(detection(level, when, revision), "upper-bridge")
    net.village.finds(detection(Level.RED, "14:20", 1), "mill-creek")
    net.village.finds(detection(Level.CLEAR, "14:50", 2), "mill-creek")
    await net.reads()
    await net.ticks("16:02")
    found = [msgspec.json.decode(body) for body in net.bodies()]
    assert [(one["at"], one["level"], one["rebuilt"]) for one in found] == [
        (at("14:20"), 3, True), (at("15:20"), 0, True)]
    assert not [one for one in await net.village.desk.open_warnings() if one.area == NEXT_VILLAGE]
    assert net.groups.counts["rebuilt"] == 2
    assert replayed(net.village.database.connection) == net.bodies()


async def test_calm_readings_cost_no_commit(net: GroupHub) -> None:
    await net.reads()
    for seq in range(50):
        net.village.lands("upper-bridge", Readings("00000000000000aa", 2_000 + seq, [at("14:00")], ["radar/stage_m"],
                                                   [1.0], [0]), "readings")
    before = net.village.database.connection.total_changes
    await net.reads()
    await net.ticks("14:10")
    assert net.village.database.connection.total_changes == before


async def test_other_rules_are_taken_without_a_restart_and_bad_ones_are_not(net: GroupHub) -> None:
    await net.finds(Level.YELLOW, "14:01", 1, "upper-bridge")
    await net.finds(Level.YELLOW, "14:02", 1, "mill-creek")
    net.rules.write_text(NET.replace("orange = 2", "ornage = 2"), encoding="utf-8")
    await net.ticks("14:03")
    assert (net.groups.counts["refused files"], [rule.name for rule in net.groups.rules]) == (1, ["two bridges"])
    net.rules.write_text(NET.replace('at = "orange"', 'at = "yellow"'), encoding="utf-8")
    await net.ticks("14:04")
    assert net.groups.counts["reloads"] == 1
    assert [one["level"] for one in map(msgspec.json.decode, net.bodies())] == [Level.ORANGE]
    net.restart()
    await net.ticks("15:00")
    assert len(net.bodies()) == 1
    assert replayed(net.village.database.connection) == net.bodies()


async def test_a_hub_comes_up_again_on_a_bad_file_with_the_rules_that_were_in_force(net: GroupHub) -> None:
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    for break_it in (lambda: net.rules.write_text("[[group]]\n", encoding="utf-8"), net.rules.unlink):
        break_it()
        net.restart()
        assert (net.groups.counts["refused files"], [rule.name for rule in net.groups.rules]) == (1, ["two bridges"])
    await net.finds(Level.RED, "14:05", 1, "mill-creek")
    assert [one["level"] for one in map(msgspec.json.decode, net.bodies())] == [Level.ORANGE]
    net.rules.write_text(NET.replace("two bridges", "both bridges"), encoding="utf-8")
    await net.ticks("14:06")
    assert [rule.name for rule in net.groups.rules] == ["both bridges"]
    assert replayed(net.village.database.connection) == net.bodies()


async def test_a_refused_file_and_a_station_that_the_hub_does_not_know_are_troubles(net: GroupHub) -> None:
    told = OfGroups(net.groups, {"upper-bridge"})
    assert told.trouble() == "group rules name what is not a station of this hub: mill-creek"
    net.rules.write_text(NET.replace("orange = 2", "ornage = 2"), encoding="utf-8")
    await net.ticks("14:03")
    assert told.trouble() == (f'the group rules in force stay: {net.rules}: group "two bridges": '
                              '"ornage" is not a key; did you mean "orange"?')
    many = ", ".join(f'"s-{number}"' for number in range(7))
    net.rules.write_text(NET.replace('"mill-creek"', many), encoding="utf-8")
    await net.ticks("14:04")
    assert told.trouble() == (
        "group rules name what is not a station of this hub: s-0, s-1, s-2, s-3, s-4 and 2 more")
    assert OfGroups(net.groups, {"upper-bridge", *(f"s-{number}" for number in range(7))}).trouble() == ""


async def test_rules_no_longer_named_are_forgotten_and_a_hub_does_not_begin_on_a_bad_file(net: GroupHub) -> None:
    connection, config = net.village.database.connection, net.config
    assert connection.execute("SELECT count(*) FROM cursors WHERE reader = 'groups'").fetchone()[0] == 1
    net.config = msgspec.structs.replace(net.config, groups=GroupsTable())
    net.open()
    assert connection.execute("SELECT count(*) FROM cursors WHERE reader = 'groups'").fetchone()[0] == 0
    assert await net.groups.process() == 0
    net.config = config
    net.rules.write_text("[[group]]\n", encoding="utf-8")
    with pytest.raises(ConfigError, match='key "name" is missing'):
        net.open()


async def test_it_runs_woken_and_survives_a_failure(net: GroupHub, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()
    process = net.groups.process

    async def once() -> int:
        monkeypatch.setattr(net.groups, "process", process)
        failed.set()
        raise OSError("the disk is away")

    monkeypatch.setattr(net.groups, "process", once)
    task = asyncio.create_task(net.groups.run())
    await failed.wait()
    while net.groups.counts.get("restarts", 0) == 0:
        await asyncio.sleep(0)
    net.village.finds(detection(Level.ORANGE, "14:00", 1), "upper-bridge")
    net.village.finds(detection(Level.ORANGE, "14:00", 1), "mill-creek")
    net.village.clock.wind_to(at("14:01"))
    net.groups.wake()
    while not net.bodies():
        await asyncio.sleep(0)
    task.cancel()


async def test_a_storm_holds_up_intake_for_pieces_of_time(tmp_path: Path) -> None:
    """Where each piece takes long, it is of fewer records; what is decided stays the same."""
    hub = GroupHub(tmp_path, NET)
    hub.village.clock = Slow(at("14:00"))
    hub.restart()
    for number in range(130):
        station = ("upper-bridge", "mill-creek", "next-door")[number % 3]
        hub.village.finds(detection(Level.RED, "14:00", number + 1, seq=number + 1), station)
    taken = list[int]()
    while some := await hub.groups.process():
        taken.append(some)
    assert taken == [100, 10, *[1] * 20]
    assert [told.decision.level for told in await hub.groups.recent(9)] == [Level.ORANGE]
    hub.village.close()
