"""Readings that a data budget kept back and somebody asks for: all of them go up, or it is told."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge import asked, lanes
from tests.lines import until
from tests.test_edge_uplink import BOOT, Hub, hasty
from tests.test_edge_uplink_budget import BudgetRig
from tocsin.log import Entry
from tocsin.messages import Range
from tocsin.said import Said

__all__ = ["hasty"]


async def test_readings_that_are_asked_for_go_up_behind_everything_and_again_until_the_hub_has_them(
    tmp_path: Path, hasty: None
) -> None:
    rig = BudgetRig(tmp_path)
    for _ in range(6):
        rig.value(1.0)
    rig.close_window()
    async with rig.running():
        await rig.all_settled()
        assert not {2, 3, 4} & set(rig.hub.seen)
        rig.uplink.ask("gauge/stage_m", 20_000, 40_000)
        await rig.until_at_hub([2, 3, 4])
        rig.hub.has.clear()
        await rig.until_at_hub([2, 3, 4])
        await rig.hub.answer()
        await until(lambda: not rig.uplink._underway.sent)
        assert 5 not in rig.hub.seen
        assert rig.uplink.backlog == 0


class BadSector(Iterator[Entry]):
    """What it is given, then a disk that refuses."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = list(entries)

    def __next__(self) -> Entry:
        if self._entries:
            return self._entries.pop(0)
        raise OSError(5, "Input/output error")


def with_kept_readings(folder: Path) -> BudgetRig:
    rig = BudgetRig(folder)
    for _ in range(6):
        rig.value(1.0)
    rig.close_window()
    return rig


async def test_readings_that_are_asked_for_go_up_though_the_disk_refuses_for_a_while(
    tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "_AGAIN_S", 0.01)
    monkeypatch.setattr(lanes, "MOST_RECORDS", 2)
    rig = with_kept_readings(tmp_path)
    async with rig.running():
        await rig.all_settled()
        good, after = rig.log.read, list[int]()

        def read(seq: int = 0) -> Iterator[Entry]:
            after.append(seq)
            found = list(good(seq))
            return BadSector(*found[:3]) if len(after) < 4 else iter(found)

        monkeypatch.setattr(rig.log, "read", read)
        rig.uplink.ask("", 0, 60_000)
        async with asyncio.timeout(30):
            while not set(range(1, 7)) <= rig.hub.has.keys():
                await rig.hub.answer()
                await asyncio.sleep(0.001)
        assert after[:2] == [0, 2], "it goes on where it was"


async def test_readings_that_never_can_be_read_are_given_up_and_told(
    tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "_AGAIN_S", 0.001)
    monkeypatch.setattr(asked, "_TRIES", 3)
    told: list[Said] = []
    rig = with_kept_readings(tmp_path)
    rig.uplink.on_fault = told.append
    async with rig.running():
        await rig.all_settled()
        good = rig.log.read
        monkeypatch.setattr(rig.log, "read", lambda _after=0: BadSector())
        rig.uplink.ask("", 0, 60_000)
        await until(lambda: bool(told))
        assert told == [
            Said("readings that were asked for cannot be read behind record 0: Input/output error",
                 "所要求的读数在第 0 条记录之后无法读取：磁盘读写出错")]
        monkeypatch.setattr(rig.log, "read", good)
        rig.uplink.ask("", 20_000, 20_000)
        await rig.until_at_hub([2])


async def test_what_is_asked_for_and_under_way_when_another_hub_answers_goes_there(tmp_path: Path, hasty: None) -> None:
    rig = with_kept_readings(tmp_path)
    async with rig.running():
        await rig.all_settled()
        rig.uplink.ask("", 20_000, 30_000)
        await rig.until_at_hub([2, 3])
        rig.hub = Hub(rig.uplink, rig.key, "hub-2")
        rig.wire.on_record = rig.hub.take
        await rig.hub.answer(Range(BOOT, 1, 1, "nothing"))
        await rig.until_at_hub([2, 3])


async def test_only_so_much_may_be_asked_for_at_a_time(tmp_path: Path) -> None:
    rig = BudgetRig(tmp_path)
    for _ in range(5):
        rig.uplink.ask("", 0, 1)
    with pytest.raises(ValueError, match="5 requests for readings are under way"):
        rig.uplink.ask("", 0, 1)
