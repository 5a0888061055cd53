"""The backup of every night: made, thinned, taken elsewhere; what fails or hangs is told."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hub.nightly
from hub.backup import archives, make
from hub.config import HubConfig
from hub.config_operations import BackupTable
from hub.database import Database
from hub.nightly import Last, Nightly, due_before
from hub.restore import verify
from tests.hub_backups import config, file
from tests.hubs import HubFiles, running_hub
from tests.test_journey import until
from tocsin.clock import SystemClock, WoundClock
from tocsin.times import ms_of

__all__ = ["config", "file"]


@pytest.mark.parametrize(("now", "due"), [
    ("2026-11-22T02:29:59+08:00", "2026-11-21T02:30:00+08:00"),
    ("2026-11-22T02:30:00+08:00", "2026-11-22T02:30:00+08:00"),
    ("2026-11-22T23:00:00+08:00", "2026-11-22T02:30:00+08:00"),
    ("2026-01-01T00:00:00+08:00", "2025-12-31T02:30:00+08:00"),
])
def test_the_last_time_that_the_clock_showed_it(now: str, due: str) -> None:
    assert due_before("02:30", "Asia/Shanghai", ms_of(now)) == ms_of(due)


class Night:
    """A hub's nightly backup on a wound clock, at 20:00 the evening before."""

    def __init__(self, file: Path, config: HubConfig, table: BackupTable) -> None:
        self.clock = WoundClock(ms_of("2026-11-21T20:00:00+08:00"))
        self.config = msgspec.structs.replace(
            config, backup=msgspec.structs.replace(table, folder=str(file.parent / "nightly")))
        self.database = Database(Path(config.hub.data) / "hub.sqlite")
        self.file = file
        self.nightly = self.started()

    def started(self) -> Nightly:
        return Nightly(self.database, self.config, self.file, self.clock)

    async def at(self, time: str) -> None:
        """What the loop does at that time."""
        self.clock.wind_to(ms_of(time))
        if self.nightly._is_due(self.clock.now_ms()):
            await self.nightly.make()

    @property
    def made(self) -> list[str]:
        return [path.name for path in archives(Path(self.config.backup.folder))]


@pytest.fixture
def nights(file: Path, config: HubConfig) -> Iterator[list[Night]]:
    made: list[Night] = []
    yield made
    for one in made:
        one.database.close()


async def test_one_a_night_the_newest_kept_and_taken_elsewhere(
    file: Path, config: HubConfig, tmp_path: Path, nights: list[Night]
) -> None:
    (tmp_path / "other-machine").mkdir()
    table = BackupTable(at="02:30", keep=2, send=["cp", "{archive}", str(tmp_path / "other-machine")])
    night = Night(file, config, table)
    nights.append(night)
    await night.at("2026-11-21T20:00:01+08:00")
    assert len(night.made) == 1, "a hub that has none yet makes up for last night's"
    await night.at("2026-11-22T02:29:59+08:00")
    assert len(night.made) == 1
    await night.at("2026-11-22T02:30:00+08:00")
    await night.at("2026-11-22T02:31:00+08:00")
    night.nightly = night.started()  # the hub was started again: it knows that it has one
    await night.at("2026-11-22T12:00:00+08:00")
    assert len(night.made) == 2
    await night.at("2026-11-23T09:00:00+08:00")
    assert night.made == ["tocsin-hub-20261121T183000Z.tar.gz", "tocsin-hub-20261123T010000Z.tar.gz"]
    assert {path.name for path in (tmp_path / "other-machine").iterdir()} == {
        "tocsin-hub-20261121T120001Z.tar.gz", *night.made}
    assert night.nightly.trouble() == ""
    for path in (tmp_path / "other-machine").iterdir():
        verify(path)


@pytest.mark.parametrize(("send", "within_s", "said"), [
    (["sh", "-c", "echo no route to {archive} >&2; exit 3"], 30, "send: sh ended with 3: no route to"),
    (["no-such-command-at-all", "{archive}"], 30, "send: no-such-command-at-all: No such file or directory"),
    (["sh", "-c", "sleep 100 # {archive}"], 0.2, "send: sh was not done after 0.2 s"),
])
async def test_what_fails_is_told_and_tried_again_after_an_hour_until_it_works(
    file: Path, config: HubConfig, nights: list[Night], send: list[str], within_s: float, said: str
) -> None:
    night = Night(file, config, BackupTable(at="02:30", send=send, timeout_s=within_s))
    nights.append(night)
    await night.at("2026-11-22T02:30:00+08:00")
    assert said in night.nightly.trouble()
    assert night.nightly.trouble().endswith("(last good one: never)")
    assert night.started().trouble() == night.nightly.trouble(), "also after a restart"
    before = night.nightly.last.tried
    await night.at("2026-11-22T03:29:59+08:00")
    assert night.nightly.last.tried == before
    night.config = msgspec.structs.replace(night.config, backup=msgspec.structs.replace(night.config.backup, send=[]))
    night.nightly = night.started()
    await night.at("2026-11-22T03:30:00+08:00")
    assert night.nightly.trouble() == ""
    assert night.nightly.last == Last(ms_of("2026-11-22T03:30:00+08:00"), ms_of("2026-11-22T03:30:00+08:00"), "")


async def test_one_that_could_not_be_sent_is_sent_later_and_fills_no_disk(
    file: Path, config: HubConfig, tmp_path: Path, nights: list[Night]
) -> None:
    night = Night(file, config, BackupTable(at="02:30", keep=2, send=["cp", "{archive}", str(tmp_path / "away" / "x")]))
    nights.append(night)
    for time in ("22T02:30:00", "23T02:30:00", "24T02:30:00", "24T03:30:00", "24T04:30:00"):
        await night.at(f"2026-11-{time}+08:00")
        night.nightly = night.started()
    kept = ["tocsin-hub-20261122T183000Z.tar.gz", "tocsin-hub-20261123T183000Z.tar.gz"]
    assert night.made == kept, "one a night, however often it is tried, and no more than are wanted"
    assert "No such file or directory" in night.nightly.trouble()
    (tmp_path / "away").mkdir()
    await night.at("2026-11-24T05:30:00+08:00")
    assert (night.made, night.nightly.trouble()) == (kept, "")
    assert (tmp_path / "away" / "x").read_bytes() == (Path(night.config.backup.folder) / kept[1]).read_bytes()
    assert night.nightly.counts["made"] == 1


async def test_a_clock_that_was_far_ahead_once_costs_no_night(
    file: Path, config: HubConfig, nights: list[Night]
) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    await night.at("2036-01-01T02:30:00+08:00")
    night.clock = WoundClock(ms_of("2026-11-22T02:30:00+08:00"))
    night.nightly = night.started()
    await night.at("2026-11-22T02:31:00+08:00")
    assert "tocsin-hub-20261121T183100Z.tar.gz" in night.made


async def test_a_backup_that_cannot_be_noted_ends_nothing(
    file: Path, config: HubConfig, nights: list[Night], caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    night.database.connection.execute("PRAGMA query_only = ON")
    await night.at("2026-11-22T02:30:00+08:00")
    assert "nightly backup: it cannot be noted: attempt to write a readonly database" in caplog.text
    assert (len(night.made), night.nightly._is_due(night.clock.now_ms())) == (1, False)


async def test_a_command_that_no_machine_can_run_is_told(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable(at="02:30", send=["cp", "{archive}", "a\0b"]))
    nights.append(night)
    await night.at("2026-11-22T02:30:00+08:00")
    assert "send: cp: embedded null byte" in night.nightly.trouble()


async def test_without_a_time_there_is_none(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable())
    nights.append(night)
    running = asyncio.create_task(night.nightly.run())
    await asyncio.sleep(0)
    night.clock.wind_to(ms_of("2026-11-25T02:30:00+08:00"))
    await asyncio.sleep(0)
    running.cancel()
    assert night.made == []


async def test_the_loop_makes_it_when_its_time_has_come(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    done = asyncio.Event()
    night.nightly._keep = lambda last: done.set()  # type: ignore[method-assign]
    running = asyncio.create_task(night.nightly.run())
    async with asyncio.timeout(30):
        while not night.nightly.counts["made"]:
            await asyncio.sleep(0.01)
    running.cancel()
    assert night.nightly.last.error == ""


def test_a_table_that_cannot_work_is_told() -> None:
    with pytest.raises(ValueError, match="use a time of day like 02:30"):
        BackupTable(at="24:00")
    with pytest.raises(ValueError, match=r"no word has \{archive\}"):
        BackupTable(send=["true"])


async def test_a_running_hub_makes_it_and_tells_what_fails(tmp_path: Path) -> None:
    table = '[backup]\nat = "02:30"\nsend = ["sh", "-c", "echo no route >&2; exit 1", "{archive}"]\n'
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [], table)
    async with running_hub(files.write(), SystemClock()) as hub:

        async def told() -> bool:
            return bool(hub.health().troubles)

        await until(told)
        assert hub.health().troubles[0].startswith("the nightly backup failed: send: sh ended with 1: no route (last")
        assert b"\ntocsin_hub_backup_failed 1.0\n" in await hub.metrics()
    (archive,) = archives(tmp_path / "hub-backups")
    assert {entry.name for entry in verify(archive).files} == {"hub.toml", "data/hub.sqlite", "data/store.sqlite"}


async def test_one_that_hangs_is_told_in_the_end(
    file: Path, config: HubConfig, nights: list[Night], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a folder of another machine does: nothing fails, and nothing goes on."""
    begun, gate = threading.Event(), threading.Event()

    def hang(*arguments: Any) -> Path:
        begun.set()
        assert gate.wait(60)
        return make(*arguments)

    monkeypatch.setattr(hub.nightly, "make", hang)
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    making = asyncio.create_task(night.at("2026-11-22T02:30:00+08:00"))
    assert await asyncio.to_thread(begun.wait, 60)
    night.clock.wind_to(ms_of("2026-11-22T09:30:00+08:00"))
    assert night.nightly.trouble() == ""
    night.clock.wind_to(ms_of("2026-11-22T09:30:01+08:00"))
    assert night.nightly.trouble() == "the nightly backup has not ended for 7 h (last good one: never)"
    gate.set()
    await making
    assert (len(night.made), night.nightly.trouble()) == (1, "")
