"""What must not end, blind or mute an agent: defects, disks that refuse, restarts with other files, a lost relay."""

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from drivers import radar_level
from edge import agent as agents
from edge import watch as watches
from edge.checkpoint import CHECKPOINT, Checkpoints
from edge.config import load_station
from edge.recorder import KINDS, Recorder
from edge.restore import restored
from simulators.faults import Silent
from tests.lines import until
from tests.stations import START_MS, StationFiles, radar_device, running, wind
from tests.test_agent import MINUTE_MS, Site, logged, siren_is
from tocsin.clock import WoundClock
from tocsin.config import ConfigError
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.log import Entry, Log, read_log
from tocsin.messages import Detection, Event, EventKind, Readings, encode
from tocsin.readings import Quality, Reading, Rejection

BOOT = "00000000000000aa"
LEVELS = "yellow = 2.0\norange = 2.5\nred = 3.0"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def event(detail: str) -> Event:
    return Event("", 0, START_MS, EventKind.DISK, detail)


async def test_a_defect_in_a_driver_is_told_and_neither_device_goes_blind(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = radar_level.Driver.decode

    def defect(self: radar_level.Driver, answers: list[list[int]]) -> list[Reading | Rejection]:
        if answers[0][1] == 666:
            raise ZeroDivisionError("division by zero")
        return decode(self, answers)

    monkeypatch.setattr(radar_level.Driver, "decode", defect)
    monkeypatch.setattr(agents, "_AGAIN_S", 0.0)
    async with site.agent() as agent:
        site.stage(0.666)
        site.clock.wind_to(START_MS + MINUTE_MS)
        await until(lambda: agent.failures["device gauge"] >= 2)
        site.stage(2.2)
        await logged(site, lambda record: isinstance(record, Detection))
        await agent.recorder.written(agent.recorder.last_seq)
    told = [one.detail for one in site.of(Event) if isinstance(one, Event) and one.what is EventKind.FAULT]
    assert told == ["device gauge: ZeroDivisionError: division by zero"]
    others = [one for one in site.files.log() if isinstance(one, Readings) and one.series == ["other/stage_m"]]
    assert len(others) == 2


async def test_a_part_whose_own_wait_was_cancelled_begins_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agents, "_AGAIN_S", 0.0)
    async with site.agent() as agent:
        siren = agent.pipeline.siren
        assert siren is not None
        with monkeypatch.context() as patch:
            patch.setattr(siren.output, "switch", cancelled)
            site.stage(3.2)
            site.clock.wind_to(START_MS + MINUTE_MS)
            await until(lambda: agent.failures["siren"] >= 1)
        await siren_is(site, on=True)


async def cancelled(**_: object) -> None:
    raise asyncio.CancelledError


async def test_a_value_that_is_no_number_is_refused_and_the_log_can_be_read_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_number(self: radar_level.Driver, answers: list[list[int]]) -> list[Reading | Rejection]:
        return [Reading("depth_m", float("nan")), Reading("rain_mm", 1.0)]

    async with site.agent() as agent:
        with monkeypatch.context() as patch:
            patch.setattr(radar_level.Driver, "decode", no_number)
            await site.read(agent, 0.5)
    details = {one.detail for one in site.of(Event) if isinstance(one, Event) and one.reason == "format"}
    assert details == {"nan is not a number", "rain_mm is not what this driver says it gives"}
    async with site.agent() as agent:
        await site.read(agent, 2.2)
    assert [level for _, level, _ in site.detections()] == [Level.YELLOW]


async def test_two_frames_that_came_in_one_lump_both_count(site: Site) -> None:
    async with site.agent() as agent:
        device = agent._station.devices[0]
        for depth in (2.1, 2.6):
            agent.pipeline.heard(device, [Reading("depth_m", depth)], 0.0)
        await agent.recorder.written(agent.recorder.last_seq)
    lump = [(one.t[0] - START_MS, one.quality[0]) for one in site.files.log()
            if isinstance(one, Readings) and one.value[0] in {2.1, 2.6}]
    assert lump == [(1, Quality.GOOD), (2, Quality.GOOD)]
    assert [level for _, level, _ in site.detections()] == [Level.YELLOW, Level.ORANGE]


async def test_a_second_agent_on_the_same_folder_is_refused(site: Site) -> None:
    async with site.agent():
        with pytest.raises(ConfigError, match="another agent runs on this folder"):
            async with running(site.files.write(), WoundClock(START_MS)):
                pass
    async with site.agent() as agent:
        await site.read(agent, 0.5)


async def test_a_disk_that_refuses_stops_neither_ticks_nor_the_siren_nor_the_tidying(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watches, "_DISK_S", 0.0)
    refuses, ticks, tidied = False, 0, 0
    append = Log.append

    def full(self: Log, entries: list[Entry]) -> None:
        if refuses:
            raise OSError(28, "No space left on device")
        append(self, entries)

    monkeypatch.setattr(Log, "append", full)
    async with site.agent() as agent:
        tick, drop = agent.pipeline.tick, agent._log.drop

        def count_tick() -> None:
            nonlocal ticks
            ticks += 1
            tick()

        def count_drop(older_than_s: float, now_s: float) -> int:
            nonlocal tidied
            tidied += 1
            return drop(older_than_s, now_s)

        monkeypatch.setattr(agent.pipeline, "tick", count_tick)
        monkeypatch.setattr(agent._log, "drop", count_drop)
        refuses = True
        for minute in range(1, 5):
            site.stage(3.3 if minute > 2 else 0.5)
            await wind(agent, site.clock, [START_MS + minute * MINUTE_MS], polls=2)
            await until(lambda minute=minute: ticks >= minute and tidied >= minute)  # type: ignore[misc]
            await until(lambda: all(task.done() for task in agent._watch._beside.values()))
        await siren_is(site, on=True)
        refuses = False
    values = [one.value[0] for one in site.files.log() if isinstance(one, Readings) and one.series == ["gauge/stage_m"]]
    assert values == [0.5, 0.5, 0.5, 3.3, 3.3], "what waited for the disk was written at the stop"


# the recorder


async def test_a_stop_in_the_middle_of_a_refused_write_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Log(tmp_path)
    recorder = Recorder(storage, BOOT, lambda _entries: None)
    begun, go_on = threading.Event(), threading.Event()

    def refuse(entries: list[Entry]) -> None:
        begun.set()
        go_on.wait(60)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "append", refuse)
        recorder.add(event("decoded, not yet written"))
        task = asyncio.create_task(recorder.run())
        await until(begun.is_set)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        go_on.set()
        recorder._thread.shutdown(wait=True)
    recorder.close()
    assert [entry.seq for entry in read_log(tmp_path)] == [1]


async def test_a_record_that_cannot_be_written_down_leaves_no_hole(tmp_path: Path) -> None:
    recorder = Recorder(Log(tmp_path), BOOT, lambda _entries: None)
    with pytest.raises(UnicodeEncodeError):
        recorder.add(event("\udcff"))
    recorder.add(event("good"))
    task = asyncio.create_task(recorder.run())
    async with asyncio.timeout(30):
        await recorder.synced(1)
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    recorder.close()


# restarts


async def test_other_rules_silence_nothing_before_a_fresh_reading(site: Site) -> None:
    async with site.agent() as agent:
        await site.read(agent, 3.2)
        await siren_is(site, on=True)
    site.files.rules = site.files.rules.replace(LEVELS, "yellow = 4\norange = 5\nred = 6")
    site.relay.write(5, 0, 0)
    site.wire.set_fault(1, Silent())
    async with site.agent() as agent:
        await siren_is(site, on=True)
        site.wire.set_fault(1, None)
        await site.read(agent, 1.0)
        await siren_is(site, on=False)
    assert [(level, revision) for _, level, revision in site.detections()] == [(4, 1), (0, 2)]


async def test_other_rules_move_a_level_that_they_do_not_have_and_the_next_reading_finds_the_higher_one(
    site: Site
) -> None:
    async with site.agent() as agent:
        await site.read(agent, 2.1, 1.0, 2.1)
    site.files.rules = site.files.rules.replace(LEVELS, "orange = 1.5\nred = 2.05")
    async with site.agent() as agent:
        await siren_is(site, on=True)
        await agent.recorder.written(agent.recorder.last_seq)
    assert [(level, revision) for _, level, revision in site.detections()] == [
        (2, 1), (0, 2), (2, 3), (3, 4), (4, 5)]


def history(log: Log) -> None:
    """The end of a long episode: its beginning was dropped by age."""
    level = Detection(BOOT, 2, START_MS, "gauge/stage_m", "stage", Hazard.FLOOD, 4, 3, 40, "e", START_MS - 1,
                      Stage.MOVE, Authority.AUTO, 3.2, 3.0)
    records = [Readings(BOOT, 1, [START_MS], ["gauge/stage_m"], [3.2], [0]), level,
               Readings(BOOT, 3, [START_MS + 1], ["gauge/stage_m"], [3.3], [0])]
    log.append([Entry(number, KINDS[type(one)], encode(one)) for number, one in enumerate(records, 1)])


def test_a_log_without_its_beginning_counts_revisions_on(tmp_path: Path) -> None:
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9", devices=radar_device()).write()
    storage = Log(tmp_path / "station-data" / "log")
    history(storage)
    found = restored(load_station(path), storage)
    assert found.decider.live.memory.revision.tolist() == [40]
    assert found.decider.live.memory.level.tolist() == [4]
    assert found.unlogged == []
    assert not found.exact, "what is remembered must be written down: the log alone does not give it"


def test_a_record_that_cannot_be_read_does_not_keep_an_agent_from_starting(tmp_path: Path) -> None:
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9", devices=radar_device()).write()
    storage = Log(tmp_path / "station-data" / "log")
    bad = b'{"kind":"readings","boot":"x","seq":1,"t":[1],"series":["gauge/stage_m"],"value":[null],"quality":[0]}'
    storage.append([Entry(1, KINDS[Readings], bad), Entry(2, KINDS[Readings], bad)])
    restored(load_station(path), storage)
    (said,) = storage.damage
    assert said.en.startswith("2 records that cannot be read are left out; record 1: ")


def test_a_checkpoint_that_knows_more_than_the_log_is_not_kept_for_later(tmp_path: Path) -> None:
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9", devices=radar_device()).write()
    storage = Log(tmp_path / "station-data" / "log")
    checkpoints = Checkpoints(tmp_path / "station-data")
    checkpoints.prepare(7, b"", [], keep=False)
    checkpoints.publish()
    restored(load_station(path), storage)
    assert not (tmp_path / "station-data" / CHECKPOINT).exists(), "soon another record has the number 7"
