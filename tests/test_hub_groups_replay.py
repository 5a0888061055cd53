"""The log of the hub gives its group decisions again, byte for byte, whatever is killed; and judges by other rules."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hub import groups_kept
from hub.groups_replay import replayed
from tests.hub_groups_hub import NET, SILENT, GroupHub, night
from tests.hubs import HubFiles
from tests.shared_data import REPOSITORY
from tests.village import CARDS, at, detection
from tocsin.__main__ import main
from tocsin.levels import Level

CHILD = """
import asyncio, sys
from pathlib import Path
import msgspec
from hub import groups_log
from hub.config import GroupsTable
from hub.groups_run import Groups
from tests.village import Village, at
groups_log.rows_after.__defaults__ = (2,)
async def main():
    village = Village(Path(sys.argv[1]))
    config = msgspec.structs.replace(village.config, groups=GroupsTable(sys.argv[1] + "/groups.toml"))
    village.clock.wind_to(at("14:30"))
    groups = Groups(village.database, config, village.clock, village.desk.wake)
    print("begun", flush=True)
    while True:
        await groups.process()
        await village.desk.process()
        village.clock.wind_to(village.clock.now_ms() + 100_000)
        await groups.tick()
        print("round", flush=True)
asyncio.run(main())
"""


def _run_and_kill(folder: Path, rounds: int) -> None:
    command = [sys.executable, "-c", CHILD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"begun\n"
        for _ in range(rounds):
            assert child.stdout.readline() == b"round\n"
        os.kill(child.pid, signal.SIGKILL)


@pytest.mark.parametrize("rounds", [0, 1, 3, 6, 12])
async def test_kill_9_at_any_place_decides_nothing_twice_and_forgets_nothing(tmp_path: Path, rounds: int) -> None:
    hub = GroupHub(tmp_path, NET + SILENT)
    for number, (station, level) in enumerate([
        ("upper-bridge", Level.ORANGE), ("mill-creek", Level.RED), ("next-door", Level.BLUE),
        ("mill-creek", Level.CLEAR), ("upper-bridge", Level.RED), ("mill-creek", Level.ORANGE)], 1):
        hub.village.clock.wind_to(at(f"14:{4 * number:02d}"))
        hub.village.finds(detection(level, f"14:{4 * number:02d}", number), station)
    hub.village.close()
    _run_and_kill(tmp_path, rounds)
    hub.village.clock.wind_to(at("15:30"))
    hub.restart()
    for station in CARDS:
        hub.village.starts(station)
    await hub.reads()
    await hub.ticks("16:30", every_s=97)
    bodies = hub.bodies()
    assert len(bodies) >= 3
    assert replayed(hub.village.database.connection) == bodies
    told = [(one.decision.group, one.decision.revision) for one in await hub.groups.recent(99)]
    assert len(told) == len(set(told))
    journalled = hub.village.database.connection.execute(
        "SELECT count(*) FROM journal WHERE json_extract(event, '$.station') LIKE 'group:%'").fetchone()[0]
    assert journalled == len(bodies)
    hub.village.close()


@pytest.mark.parametrize("kill_after", [None, 0, 1, 3])
async def test_a_replay_of_the_log_gives_every_decision_byte_for_byte(tmp_path: Path, kill_after: int | None) -> None:
    hub = GroupHub(tmp_path, NET + SILENT)
    await night(hub, kill_after=kill_after)
    bodies = hub.bodies()
    assert len(bodies) >= 6
    assert replayed(hub.village.database.connection) == bodies
    hub.village.close()


async def test_a_crash_before_the_commit_decides_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = GroupHub(tmp_path, NET)
    await net.finds(Level.ORANGE, "14:01", 1, "upper-bridge")
    net.village.clock.wind_to(at("14:05"))
    net.village.finds(detection(Level.ORANGE, "14:05", 1), "mill-creek")

    def torn(*_: object) -> None:
        raise OSError("pulled plug")

    with monkeypatch.context() as broken:
        broken.setattr(groups_kept, "keep", torn)
        with pytest.raises(OSError, match="pulled plug"):
            await net.groups.process()
    assert net.bodies() == []
    net.restart()
    await net.reads()
    assert len(net.bodies()) == 1
    net.restart()
    await net.reads()
    assert len(net.bodies()) == 1
    assert replayed(net.village.database.connection) == net.bodies()


async def test_the_command_says_what_other_rules_would_have_decided(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [(name, "22" * 32) for name in CARDS])
    path = files.write()
    path.write_text(f'{path.read_text()}\n[groups]\nrules = "groups.toml"\n', encoding="utf-8")
    (tmp_path / "hub-data").mkdir()
    hub = GroupHub(tmp_path / "hub-data", NET)
    (tmp_path / "groups.toml").write_text(NET, encoding="utf-8")
    (tmp_path / "other.toml").write_text(NET.replace('at = "orange"', 'at = "red"'), encoding="utf-8")
    await night(hub)
    hub.village.close()
    assert main(["replay", str(path), "--tz", "Asia/Shanghai"]) == 0
    own = capsys.readouterr().out.splitlines()
    assert own[:2] == [
        f"{path}: from 2024-08-08 14:00:00 on, as far as its log goes. 自 2024-08-08 14:00:00 起（接收记录所及）。",
        "2024-08-08 14:03:00  orange  two bridges: upper-bridge orange, mill-creek red"]
    assert main(["replay", str(tmp_path / "groups.toml"), str(path), "--tz", "Asia/Shanghai"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == own[1]
    assert main(["replay", str(tmp_path / "other.toml"), str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: no group rule would have decided anything. 没有组合规则触发。\n"
    with closing(sqlite3.connect(tmp_path / "hub-data" / "hub.sqlite")) as connection:
        connection.execute("UPDATE group_log SET body = json_set(body, '$.level', 1) WHERE id = 1")
        connection.commit()
    assert main(["replay", str(path)]) == 1
    assert "these are not the decisions that the hub took" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "groups.toml")]) == 1
    assert "name a hub.toml whose landed records they shall judge" in capsys.readouterr().err
    assert main(["replay", str(tmp_path / "groups.toml"), str(path), "--html", "x"]) == 1
    assert "--html is not for group rules" in capsys.readouterr().err
