"""What group rules keep on the disk: only what changed, and no more than a replay needs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub import groups_kept, groups_log
from hub.groups_replay import basis_of, replayed
from tests.hub_groups_hub import NET, SILENT, GroupHub, night
from tests.village import at, detection
from tocsin.levels import Level
from tocsin.messages import encode


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[GroupHub]:
    there = GroupHub(tmp_path, NET + SILENT)
    yield there
    there.village.close()


def rows(hub: GroupHub, table: str) -> int:
    (found,) = hub.village.database.connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


async def days(hub: GroupHub, first: int, last: int) -> None:
    """Each day a flood at noon: two rise, and fall an hour later; revisions count up by day."""
    for day in range(first, last + 1):
        for when, levels, turn in (("12:00", (Level.ORANGE, Level.RED), 1), ("13:00", (Level.CLEAR, Level.CLEAR), 2)):
            hub.village.clock.wind_to(at(when, day))
            for station, level in zip(("upper-bridge", "mill-creek"), levels, strict=True):
                hub.village.finds(detection(level, when, 2 * day + turn, day=day), station)
            await hub.reads()
            await hub.groups.tick()
        for minute in range(5, 60, 6):
            hub.village.clock.wind_to(at(f"14:{minute:02d}", day))
            await hub.groups.tick()


async def test_inputs_and_bases_go_with_landing_and_the_rest_is_replayed_byte_for_byte(hub: GroupHub) -> None:
    await days(hub, 9, 20)
    connection = hub.village.database.connection
    inputs, bodies = rows(hub, "group_inputs"), hub.bodies()
    assert rows(hub, "group_bases") >= 10
    assert replayed(connection) == bodies, "nothing of landing is gone, so all is given"
    connection.execute("DELETE FROM landing WHERE arrived < ?", (at("00:00", 18),))
    await days(hub, 21, 23)
    begun = basis_of(connection)
    assert at("00:00", 17) < begun.kept.state.t < at("00:00", 20)
    assert rows(hub, "group_bases") <= 7
    assert rows(hub, "group_inputs") < inputs * 7 / 12
    there = groups_log.decided(connection, begun.decisions)
    assert replayed(connection) == there
    assert 0 < len(there) < len(hub.bodies())


async def test_a_start_goes_on_from_exactly_what_was_kept(hub: GroupHub) -> None:
    await night(hub)
    hub.village.finds(detection(Level.BLUE, "17:30", 30), "mill-creek")
    await hub.reads()
    found = []
    for _ in range(2):
        hub.restart()
        kept = groups_kept.load(hub.village.database.connection)
        assert kept is not None
        found.append((kept.state.tracks, kept.state.groups, kept.state.stale, kept.state.heard, kept.tables))
    assert found[0] == found[1]
    assert found[0][0]["mill-creek"]["mill-creek/radar/stage_m/stage"].revision == 30
    assert found[0][1].keys() == {"two bridges", "nobody hears"}


async def test_only_what_changed_is_written(hub: GroupHub) -> None:
    await night(hub)
    hub.restart()
    written: list[str] = []
    hub.village.database.connection.set_trace_callback(written.append)
    hub.village.clock.wind_to(at("17:31"))
    hub.village.finds(detection(Level.ORANGE, "17:31", 40), "mill-creek")
    await hub.reads()
    await hub.ticks("17:50")
    names = {tuple(line.split("'")[1:4:2]) for line in written if "INTO group_parts" in line}
    assert ("tracks", "mill-creek") in names
    assert {name for part, name in names if part == "tracks"} <= {
        "mill-creek", "group:two bridges", "group:nobody hears"}
    assert {part for part, _ in names} <= {"tracks", "heard", "groups"}, "rules and what is stale stayed as they were"


async def test_what_an_older_hub_kept_in_one_is_taken_and_the_rules_taken_out_are_gone(hub: GroupHub) -> None:
    await night(hub)
    connection = hub.village.database.connection
    kept = groups_kept.load(connection)
    assert kept is not None
    connection.execute("UPDATE group_state SET body = ?", (encode(kept).decode(),))
    connection.execute("DELETE FROM group_parts")
    connection.execute("DELETE FROM group_bases")
    assert groups_kept.load(connection) == kept
    hub.restart()
    await hub.ticks("18:30")
    assert replayed(hub.village.database.connection) == groups_log.decided(
        hub.village.database.connection, basis_of(hub.village.database.connection).decisions)
    hub.rules.write_text(NET, encoding="utf-8")
    await hub.ticks("19:10")
    names = {name for (name,) in hub.village.database.connection.execute(
        "SELECT name FROM group_parts WHERE part IN ('groups', 'heard')")}
    assert names == {"two bridges"}
