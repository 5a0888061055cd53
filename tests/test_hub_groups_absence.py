"""A hub that was away, or had no broker, heard nobody: that is no station's silence, and clears no alarm of one."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from hub.groups_replay import replayed
from tests.hub_groups_hub import SILENT, GroupHub
from tests.village import at
from tocsin.levels import Level


@pytest.fixture
async def silent(tmp_path: Path) -> AsyncIterator[GroupHub]:
    hub = GroupHub(tmp_path, SILENT)
    yield hub
    hub.village.close()


async def test_the_hub_s_own_absence_is_nobody_s_silence(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:05", 1, "upper-bridge")
    await silent.ticks("14:06")
    silent.village.clock.wind_to(at("16:00"))
    silent.restart()
    silent.village.starts("next-door")
    await silent.ticks("16:09:50")
    assert silent.bodies() == []
    await silent.ticks("16:10")
    assert len(silent.bodies()) == 1


async def test_a_hub_that_hears_nobody_finds_nobody_silent(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:05", 1, "upper-bridge")
    await silent.ticks("14:06")
    silent.hears = False
    await silent.ticks("15:00", every_s=30)
    silent.hears = True
    silent.village.starts("next-door")
    await silent.reads()
    await silent.ticks("15:09:50")
    assert silent.bodies() == []
    await silent.ticks("15:11")
    assert [one["at"] for one in map(msgspec.json.decode, silent.bodies())] == [at("15:10:20")]
    assert replayed(silent.village.database.connection) == silent.bodies()


async def test_an_alarm_of_silence_stands_while_the_hub_hears_nobody(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:08", 1, "upper-bridge")
    silent.village.starts("next-door")
    await silent.ticks("14:11")
    silent.hears = False
    await silent.ticks("15:00", every_s=30)
    silent.hears = True
    await silent.ticks("15:09")
    assert [one["level"] for one in map(msgspec.json.decode, silent.bodies())] == [Level.RED]


async def test_a_link_that_was_away_for_a_moment_changes_nothing(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:05", 1, "upper-bridge")
    silent.village.starts("next-door")
    await silent.ticks("14:06")
    silent.hears = False
    await silent.ticks("14:06:20")
    silent.hears = True
    await silent.ticks("14:11")
    assert [one["at"] for one in map(msgspec.json.decode, silent.bodies())] == [at("14:10")]


async def test_a_start_clears_no_alarm_of_a_station_that_is_silent(silent: GroupHub) -> None:
    await silent.finds(Level.RED, "14:08", 1, "upper-bridge")
    silent.village.starts("next-door")
    await silent.ticks("14:11")
    silent.restart()
    for minute in range(12, 40):
        for station in ("next-door", "upper-bridge"):
            silent.village.starts(station)
        await silent.ticks(f"14:{minute}")
    assert [one["level"] for one in map(msgspec.json.decode, silent.bodies())] == [Level.RED]
    assert replayed(silent.village.database.connection) == silent.bodies()
