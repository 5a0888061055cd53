"""Disks that refuse, hang or lose what they had: the agent tells it, keeps what counts, and goes on."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge import recorder as module
from edge.agent import Agent
from edge.config import load_station
from edge.recorder import KINDS, Recorder
from edge.thinning import Limits
from tests.lines import HANGS_S, until
from tests.stations import START_MS, StationFiles, radar_device
from tests.test_agent import Site
from tests.test_edge_thinning import BOOT, detection
from tocsin.clock import WoundClock
from tocsin.config import ConfigError
from tocsin.inputs import Thinned
from tocsin.log import Entry, Log, read_log
from tocsin.messages import Detection, Event, EventKind, Readings, encode, record_of
from tocsin.said import Said


def reading(number: int) -> Readings:
    return Readings("", 0, [START_MS + number], ["gauge/stage_m"], [float(number)], [0])


@asynccontextmanager
async def writing(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def values(folder: Path) -> list[float]:
    return [record.value[0] for entry in read_log(folder) if isinstance(record := record_of(entry.payload), Readings)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_PENDING", 20)
    monkeypatch.setattr(module, "_RETRY_S", 0.001)


async def test_what_waits_for_a_disk_is_bounded_and_readings_in_calm_go_first(tmp_path: Path, small: None) -> None:
    storage = Log(tmp_path)
    recorder = Recorder(storage, BOOT, lambda _entries: None)
    gone: list[tuple[int, int]] = []
    recorder.on_gone = gone.extend
    for number in range(1, 101):
        recorder.urgent = 40 <= number < 45
        recorder.add(detection(0, number, 4) if number == 40 else reading(number))
        assert recorder.status.pending <= 20
    async with writing(recorder):
        await recorder.synced(100)
    recorder.close()
    there = [entry.seq for entry in read_log(tmp_path)]
    marks = [record for entry in read_log(tmp_path) if isinstance(record := record_of(entry.payload), Thinned)]
    assert values(tmp_path)[:4] == [41.0, 42.0, 43.0, 44.0], "readings above clear outlast those in calm"
    assert values(tmp_path)[-10:] == [float(number) for number in range(91, 101)], "the newest stay"
    assert 40 in there
    lost = {seq for low, high in gone for seq in range(low, high + 1)}
    assert lost.isdisjoint(set(there) - {mark.seq for mark in marks})
    assert lost | set(there) == set(range(1, 101))
    assert recorder.status.given_up == sum(mark.removed for mark in marks)
    assert Log(tmp_path).damage == []


async def test_what_the_log_has_and_could_only_not_sync_is_not_given_up_and_the_mark_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None
) -> None:
    storage = Log(tmp_path)
    recorder = Recorder(storage, BOOT, lambda _entries: None)
    gone: list[tuple[int, int]] = []
    recorder.on_gone = gone.extend
    recorder._sync_asked = 5

    def full() -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "sync", full)
        for number in range(1, 6):
            recorder.add(reading(number))
        async with writing(recorder):
            await until(lambda: recorder.status.error is not None)
    for number in range(6, 101):
        recorder.add(reading(number))
    async with writing(recorder):
        await recorder.synced(100)
    recorder.close()
    assert values(tmp_path)[:5] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert gone[0][0] == 6
    marks = [record for entry in read_log(tmp_path) if isinstance(record := record_of(entry.payload), Thinned)]
    assert recorder.status.given_up == sum(mark.removed for mark in marks) > 0


async def test_detections_are_never_given_up(tmp_path: Path, small: None) -> None:
    recorder = Recorder(Log(tmp_path), BOOT, lambda _entries: None)
    for number in range(1, 61):
        recorder.add(detection(0, number, 4))
        recorder.add(Event("", 0, number, EventKind.REFUSED, "silent"))
    async with writing(recorder):
        await recorder.synced(120)
    recorder.close()
    assert sum(entry.kind == KINDS[Detection] for entry in read_log(tmp_path)) == 60


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_warning_does_not_wait_for_a_disk_that_refuses_or_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: None, hangs: bool
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 0.001 if hangs else 60.0)
    storage, told, go_on = Log(tmp_path), list[Entry](), threading.Event()
    recorder = Recorder(storage, BOOT, told.extend)
    append = storage.append

    def refuse(entries: list[Entry]) -> None:
        if hangs:
            go_on.wait(60)
            append(entries)
        elif not go_on.is_set():
            raise OSError(28, "No space left on device")
        else:
            append(entries)

    monkeypatch.setattr(storage, "append", refuse)
    async with writing(recorder):
        recorder.add(reading(1))
        recorder.add(detection(0, 2, 4))
        await until(lambda: bool(told))
        assert [entry.kind for entry in told] == [KINDS[Detection]]
        assert ("answer" if hangs else "No space") in str(recorder.status.error)
        assert list(read_log(tmp_path)) == []
        recorder.add(detection(0, 3, 0))
        await until(lambda: len(told) == 2)
        go_on.set()
        await recorder.synced(3)
        assert recorder.status.error is None
    recorder.close()
    assert [entry.seq for entry in told] == [2, 3, 1, 2, 3]
    assert [entry.seq for entry in read_log(tmp_path)] == [1, 2, 3]


@pytest.mark.parametrize("level", [0, 4])
async def test_no_warning_and_no_clear_is_told_that_a_power_cut_could_take_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: int
) -> None:
    """The clear of the last episode comes in calm, whose readings are synced in groups."""
    storage, told = Log(tmp_path, early=True), list[Entry]()
    recorder = Recorder(storage, BOOT, told.extend)
    synced: list[int] = []
    sync = storage.sync

    def noted() -> None:
        sync()
        synced.append(storage.next_seq - 1)

    monkeypatch.setattr(storage, "sync", noted)
    async with writing(recorder):
        recorder.add(reading(1))
        await recorder.written(1)
        assert synced == []
        recorder.add(detection(0, 2, level))
        await recorder.written(2)
        assert synced == [2]
    recorder.close()


async def test_no_reading_in_calm_waits_for_its_sync_longer_than_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten seconds from the last sync on, not from the last record: others may have come since."""
    waits: list[float | None] = []
    timeout = asyncio.timeout

    def noted(delay: float | None) -> asyncio.Timeout:
        if delay != HANGS_S:
            waits.append(delay)
        return timeout(delay)

    storage = Log(tmp_path, early=True)
    recorder = Recorder(storage, BOOT, lambda _: None)
    async with writing(recorder):
        recorder.add(reading(1))
        await recorder.synced(1)
        recorder._synced_s = time.monotonic() - 9.0
        monkeypatch.setattr(asyncio, "timeout", noted)
        recorder.add(reading(2))
        await until(lambda: len(waits) == 1)
        assert recorder._synced == 1
        assert waits[0] is not None
        assert waits[0] <= 1.0
        recorder._synced_s = 0.0
        recorder.add(reading(3))
        await until(lambda: recorder._synced == 3)
        await until(lambda: waits[-1] is None)    # nothing is left to sync
    recorder.close()


async def test_above_clear_every_reading_is_on_the_card_at_once_and_in_calm_it_waits(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        recorder = agent.recorder
        agent._watch._kept_s = site.clock.monotonic_s()    # a checkpoint that is kept asks for a sync too
        await recorder.synced(recorder.last_seq)
        await site.read(agent, 0.6)
        assert recorder._synced < recorder.last_seq
        for stage in (2.1, 2.2, 2.1, 3.2):    # from the second on no level changes, but for the last
            await site.read(agent, stage)
            await until(lambda: recorder._synced == recorder.last_seq)
        await site.read(agent, 0.5)
        assert not recorder.urgent
        await recorder.synced(recorder.last_seq)
        await site.read(agent, 0.6)
        assert recorder._synced < recorder.last_seq


async def test_an_agent_tells_that_its_disk_refuses_and_what_was_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        await site.read(agent, 0.5)
        tidy = agent._tidy
        await until(lambda: tidy.health.most_mb > 0)
        agent.recorder._error = Said("No space left on device", "磁盘已满")
        tidy.tell_writing()
        tidy.tell_writing()
        assert tidy.health.fault == "No space left on device"
        agent.recorder._error, agent.recorder._given_up = None, 12
        tidy.tell_writing()
        tidy.tell_writing()
        await agent.recorder.written(agent.recorder.last_seq)
    told = [(one.detail, one.zh) for one in site.files.log() if isinstance(one, Event) and one.what is EventKind.DISK]
    assert told == [("the log cannot be written: No space left on device", "日志无法写入：磁盘已满"),
                    ("the log is written again; 12 records were given up meanwhile, readings in calm first",
                     "日志恢复写入；期间放弃了 12 条记录，先舍无预警时的读数")]


def stocked(folder: Path, records: int = 400) -> Path:
    """A station's folder with a log of several segments that no hub has."""
    path = StationFiles(folder, "tcp://127.0.0.1:9", devices=radar_device()).write()
    log = Log(folder / "station-data" / "log", segment_bytes=8_000)
    for seq in range(1, records + 1):
        record = detection(seq, START_MS + seq, 2) if seq == 100 else Readings(
            BOOT, seq, [START_MS + seq], ["gauge/stage_m"], [1.0], [0])
        log.append([Entry(seq, KINDS[type(record)], encode(record))])
    log.close()
    return path


async def test_a_file_damaged_in_the_middle_is_set_aside_and_told_by_the_running_agent(tmp_path: Path) -> None:
    path = stocked(tmp_path)
    folder = tmp_path / "station-data" / "log"
    victim = sorted(folder.glob("segment-*.log"))[2]
    data = bytearray(victim.read_bytes())
    data[500] ^= 1
    victim.write_bytes(data)
    agent = Agent(load_station(path), WoundClock(START_MS + 60_000))
    async with writing(agent.recorder):
        for kind, words, _ in await asyncio.to_thread(agent._tidy._mend):
            assert (kind, victim.name in words.en) == (EventKind.DISK, True)
        assert (folder / victim.name.replace(".log", ".damaged")).read_bytes() == bytes(data)
        assert await asyncio.to_thread(agent._tidy._mend) == []
    agent.recorder.close()


async def test_old_warnings_that_no_hub_confirmed_are_found_in_a_long_log(tmp_path: Path) -> None:
    path = stocked(tmp_path)
    first = Agent(load_station(path), WoundClock(START_MS + 60_000))
    first.pipeline.remember()
    first.recorder.close()
    first._lock.close()
    agent = Agent(load_station(path), WoundClock(START_MS + 120_000))
    assert 100 not in agent.uplink._urgent, "a start does not read a log of a year"
    await agent._tidy._find_urgent(agent.recorder.last_seq)
    assert 100 in agent.uplink._urgent
    agent.recorder.close()


async def test_a_full_log_is_thinned_and_told_and_nothing_waits_for_what_is_gone(tmp_path: Path) -> None:
    path = stocked(tmp_path, 1500)
    path.write_text(path.read_text() + "[log]\nmost_mb = 1\n")
    agent = Agent(load_station(path), WoundClock(START_MS + 60_000))
    agent._tidy._limits = (0, 0)
    assert await asyncio.to_thread(agent._tidy._make_room) == []
    before = agent.uplink.backlog
    log = agent._log
    used = sum(one.stat().st_size for one in log.sealed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Limits, "of", lambda *_args: Limits(used // 2, 0))
        await agent._tidy._quietly(agent._tidy._make_room)
    assert agent._tidy.health.thinned >= 3
    assert agent.uplink.backlog <= before + 5
    assert all(seq in agent.uplink._spans for seq in range(3, 50))
    (told,) = [one.detail for entry in agent.recorder._pending if isinstance(one := record_of(entry.payload), Event)
               and one.what is EventKind.THINNED][:1]
    assert told.startswith("step 3 of 6: of readings in calm one in 5 minutes is kept; ")
    agent.recorder.close()


async def test_what_went_before_a_disk_refused_is_told_and_nothing_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stocked(tmp_path, 1500)
    agent = Agent(load_station(path), WoundClock(START_MS + 60_000))
    rewrite, first = agent._log.rewrite, agent._log.sealed[0]

    def refuse(path: Path, entries: list[Entry], thinned: int) -> None:
        if path != first:
            raise OSError(28, "No space left on device")
        rewrite(path, entries, thinned)

    monkeypatch.setattr(agent._log, "rewrite", refuse)
    monkeypatch.setattr(Limits, "of", lambda *_args: Limits(1, 0))
    (gone, *_) = [one for _, _, one in await asyncio.to_thread(agent._tidy._make_room)]
    assert gone[0][0] <= 3
    agent.recorder.close()


@pytest.mark.parametrize(("in_the_way", "why"), [
    ("log", "File exists"), (".", "File exists"), ("..", "Not a directory")])
def test_a_folder_that_can_hold_no_log_is_a_sentence(tmp_path: Path, in_the_way: str, why: str) -> None:
    """As one that is another user's: a traceback says to nobody what to do."""
    path = StationFiles(tmp_path / "station", "tcp://127.0.0.1:9", devices=radar_device()).write()
    path.write_text(path.read_text().replace("[station]", '[station]\ndata = "up/data"'))
    folder = path.parent / "up" / "data"
    blocked = Path(os.path.normpath(folder / in_the_way))
    blocked.parent.mkdir(parents=True, exist_ok=True)
    blocked.touch()
    with pytest.raises(ConfigError, match=f"data: no log can be kept there: {why}; give the folder to the user that"):
        Agent(load_station(path), WoundClock(START_MS))


def test_a_folder_that_became_read_only_keeps_no_agent_from_starting_and_no_second_one_from_being_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stocked(tmp_path)
    opened = os.open

    def read_only(name: Path, flags: int, mode: int = 0o777, **named: int) -> int:
        if flags & (os.O_RDWR | os.O_WRONLY | os.O_CREAT) and tmp_path in Path(name).parents:
            raise OSError(30, "Read-only file system")
        return opened(name, flags, mode, **named)

    monkeypatch.setattr(os, "open", read_only)
    agent = Agent(load_station(path), WoundClock(START_MS + 60_000))
    assert any("Read-only" in words.en for words in agent._log.damage)
    with pytest.raises(ConfigError, match="another agent runs"):
        Agent(load_station(path), WoundClock(START_MS + 60_000))
