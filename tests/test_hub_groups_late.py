"""Late history that group rules reconstruct: beside landing, once, with the rules of its time."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from hub import groups_rebuild
from hub.groups import Rebuild
from hub.groups_replay import replayed
from hub.groups_rules import Group
from hub.groups_state import Decision
from tests.hub_groups_hub import NET, GroupHub
from tests.village import at, detection
from tocsin.levels import Level


@pytest.fixture
async def net(tmp_path: Path) -> AsyncIterator[GroupHub]:
    there = GroupHub(tmp_path, NET)
    yield there
    there.village.close()


def owed(net: GroupHub) -> int:
    (found,) = net.village.database.connection.execute("SELECT count(*) FROM group_rebuilds").fetchone()
    return int(found)


async def late_flood(net: GroupHub) -> None:
    """Both bridges tell at 16:00 of a flood at 14:00."""
    net.village.clock.wind_to(at("16:00"))
    for station in ("upper-bridge", "mill-creek"):
        net.village.finds(detection(Level.ORANGE, "14:10", 1), station)
        net.village.finds(detection(Level.CLEAR, "14:50", 2), station)
    while await net.groups.process():
        pass
    net.village.clock.wind_to(at("16:02"))
    await net.groups.tick()


async def test_late_history_holds_up_neither_landing_nor_new_decisions(
    net: GroupHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection, asked: Rebuild, groups: tuple[Group, ...]) -> Iterator[Decision]:
        begun.set()
        assert go_on.wait(30.0)
        return real(connection, asked, groups)

    real = groups_rebuild.rebuilt
    monkeypatch.setattr(groups_rebuild, "rebuilt", slow)
    await late_flood(net)
    rebuilding = asyncio.create_task(net.groups.rebuilder.process())
    while not begun.is_set():
        await asyncio.sleep(0)
    net.village.finds(detection(Level.ORANGE, "16:02", 3, episode="e2"), "upper-bridge")
    net.village.finds(detection(Level.ORANGE, "16:02", 3, episode="e2"), "mill-creek")
    while await net.groups.process():
        pass
    assert not rebuilding.done()
    assert [one["level"] for one in map(msgspec.json.decode, net.bodies())] == [Level.ORANGE]
    go_on.set()
    assert await rebuilding == 1
    found = [(one["at"], one.get("rebuilt", False)) for one in map(msgspec.json.decode, net.bodies())]
    assert found == [(at("16:02"), False), (at("14:10"), True), (at("15:30"), True)]
    assert replayed(net.village.database.connection) == net.bodies()


async def test_late_history_that_was_owed_at_a_crash_is_found_after_it_once_with_the_rules_of_then(
    net: GroupHub,
) -> None:
    await late_flood(net)
    net.rules.write_text(NET.replace("two bridges", "other name"), encoding="utf-8")
    await net.groups.tick()
    assert owed(net) == 1
    for _ in range(2):
        net.restart()
        await net.reads()
    found = [(one["group"], one["level"]) for one in map(msgspec.json.decode, net.bodies())]
    assert found == [("two bridges", Level.ORANGE), ("two bridges", Level.CLEAR)]
    assert (owed(net), net.groups.counts.get("rebuilt", 0)) == (0, 0)
    assert replayed(net.village.database.connection) == net.bodies()
