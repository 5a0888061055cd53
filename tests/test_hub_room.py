"""A disk that fills up: readings wait at their stations, warnings still land, and it goes on by itself. A real one."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.intake import NO_ROOM
from hub.room import RESERVE_BYTES, Room
from tests.hub_intakes import WITHIN_S, Desk, at_work
from tests.hub_lander import STATION
from tests.hub_messages import detection, readings, upload
from tocsin import topics
from tocsin.clock import WoundClock

LEAST = 8 << 20
DISK = 64 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of DISK bytes. Needs root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    """A file of somebody else's that leaves so many bytes at most."""
    other = folder / "other"
    with other.open("ab", buffering=0) as file:
        try:
            while shutil.disk_usage(folder).free > leave:
                file.write(b"x" * (1 << 16))
        except OSError:
            assert leave == 0
    return other


async def tell(desk: Desk, seq: int, *, warns: bool = False) -> None:
    kind, record = (topics.DETECTIONS, detection(seq)) if warns else (topics.READINGS, readings(seq, [1.0] * 200))
    await desk.intake.on_message(topics.up(STATION, kind), upload(STATION, record))


async def test_readings_wait_before_the_disk_is_full_and_warnings_land(disk: Path) -> None:
    async with at_work(disk / "hub.sqlite") as desk:
        room = desk.intake.room = Room(disk, LEAST, desk.clock)
        await tell(desk, 1)
        await desk.answer()
        other = fill(disk, LEAST // 2)
        desk.clock.wind_to(desk.clock.now_ms() + 2_000)
        await tell(desk, 2)
        await tell(desk, 3, warns=True)
        assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(3, 3)]
        assert desk.on_disk() == {1, 3}
        assert desk.intake.counts[NO_ROOM] == 1
        other.unlink()
        desk.clock.wind_to(desk.clock.now_ms() + 2_000)
        await tell(desk, 2)
        assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(2, 2)]
        assert not room.short


async def test_a_disk_that_others_fill_to_the_last_byte_keeps_no_warning_waiting(disk: Path) -> None:
    async with at_work(disk / "hub.sqlite") as desk:
        room = desk.intake.room = Room(disk, LEAST, desk.clock)
        await tell(desk, 1)
        await desk.answer()
        assert room.keep_reserve()
        other = fill(disk, 0)
        await tell(desk, 2)  # the disk was looked at within this second
        await until_trouble(desk)
        await desk.landed(1)
        await tell(desk, 3, warns=True)
        assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(3, 3)]
        assert desk.on_disk() == {1, 3}, "nothing is answered that is not there"
        assert desk.intake.counts[NO_ROOM] == 1
        assert desk.intake.trouble == ""
        assert not room.keep_reserve()
        other.unlink()
        assert room.keep_reserve()
        assert (disk / "reserve").stat().st_size == RESERVE_BYTES
        desk.clock.wind_to(desk.clock.now_ms() + 2_000)
        await tell(desk, 2)
        assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(2, 2)]


async def until_trouble(desk: Desk) -> None:
    """Returns when a commit has failed."""
    async with asyncio.timeout(WITHIN_S):
        while not desk.intake.counts.get("failed commits"):
            await asyncio.sleep(0)


def test_a_hub_that_may_use_all_of_the_disk_never_waits(disk: Path) -> None:
    room = Room(disk, 0, WoundClock(0))
    fill(disk, 0)
    assert not room.look(now=True)
    assert not room.keep_reserve()


def test_a_folder_that_cannot_be_seen_stops_nothing(tmp_path: Path) -> None:
    room = Room(tmp_path / "gone", LEAST, WoundClock(0))
    assert not room.look(now=True)
    assert not room.give_reserve()


