"""A disk that does not answer: nothing that counts waits for it, and it is not asked again and again."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import load_station
from edge.cursor import Cursor
from edge.recorder import KINDS, Recorder
from edge.rule_source import Source
from tests.lines import until
from tests.shared_data import REPOSITORY
from tests.stations import START_MS
from tests.tasks import beside
from tests.test_agent import Site
from tests.test_edge_disk import stocked, writing
from tests.test_edge_uplink import BOOT, Rig, hasty
from tocsin.beside import Threads
from tocsin.clock import WoundClock
from tocsin.inputs import Tick
from tocsin.log import Entry, Log
from tocsin.messages import Answer, EventKind, encode
from tocsin.said import Said

__all__ = ["hasty"]


def warning(seq: int) -> Entry:
    return Entry(seq, KINDS[Answer], encode(Answer(BOOT, seq, seq, "who", "key", "text")))


async def test_ticks_go_on_while_a_disk_hangs_and_it_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.watch._DISK_S", 0.001)
    agent = Agent(load_station(stocked(tmp_path)), WoundClock(START_MS + 60_000))
    answers, asked = threading.Event(), list[float]()

    def hang(*_args: float) -> int:
        asked.append(_args[0])
        answers.wait(30)
        return 0

    monkeypatch.setattr(agent._log, "drop", hang)
    watch = agent._watch
    async with writing(agent.recorder), asyncio.timeout(30):
        for _ in range(3):
            watch._begin("checkpoint", watch._save)
            await asyncio.sleep(0.01)
        await until(lambda: bool(asked))    # its thread may begin late
        assert len(asked) == 1
        answers.set()
        await watch._beside["checkpoint"]
    agent.recorder.close()


async def test_a_cursor_that_the_disk_does_not_take_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, answers = Log(tmp_path), threading.Event()
    move = storage.move_cursor

    def hang(seq: int, hub: str) -> None:
        answers.wait(30)
        move(seq, hub)

    monkeypatch.setattr(storage, "move_cursor", hang)
    cursor = Cursor(storage)
    for seq in range(1, 50):
        cursor.save(seq, "hub-1", 10.0 * seq)
    assert (cursor.seq, storage.cursor) == (1, 0)
    answers.set()
    cursor.close(49)
    assert (Log(tmp_path).cursor, Log(tmp_path).cursor_hub) == (49, "hub-1")


class Hanging:
    """Reads of a log that give nothing until `answers`."""

    def __init__(self, storage: Log, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answers = threading.Event()
        self.asked = 0
        self._read = storage.read
        monkeypatch.setattr(storage, "read", self)

    def __call__(self, after: int = 0) -> Iterator[Entry]:
        self.asked += 1
        self.answers.wait()
        yield from self._read(after)


async def test_a_log_that_cannot_be_read_holds_up_neither_warnings_nor_live_readings_nor_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    rig = Rig(tmp_path, held=5)
    disk = Hanging(rig.log, monkeypatch)
    try:
        async with rig.running(), asyncio.timeout(30):
            await until(lambda: disk.asked == 1)
            for _ in range(10):  # the link comes and goes meanwhile
                await rig.uplink.connected()
                rig.record()
                await until(lambda: rig.log.next_seq - 1 in rig.hub.has)
                rig.record(warning)
                await until(lambda: rig.log.next_seq - 1 in rig.hub.has)
            assert disk.asked == 1
            assert not rig.hub.has.keys() & {1, 2, 3, 4, 5}
            disk.answers.set()
            await rig.all_settled()
        assert rig.hub.has.keys() >= {1, 2, 3, 4, 5}
    finally:
        disk.answers.set()


async def test_an_answer_to_a_request_that_cannot_be_read_holds_up_nothing_and_comes_whole_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hasty: None
) -> None:
    rig = Rig(tmp_path, held=5)
    async with rig.running(), asyncio.timeout(30):
        await rig.all_settled()
        disk = Hanging(rig.log, monkeypatch)
        rig.hub.has.clear()
        try:
            rig.uplink.ask("", 0, 100)
            await until(lambda: disk.asked == 1)
            rig.record(warning)
            await until(lambda: rig.log.next_seq - 1 in rig.hub.has)
            assert not rig.hub.has.keys() & {1, 2, 3, 4, 5}
        finally:
            disk.answers.set()
        await until(lambda: rig.hub.has.keys() >= {1, 2, 3, 4, 5})


async def test_a_stop_does_not_wait_for_a_log_that_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.beside.LEAVE_AFTER_S", 0.05)
    storage, answers, asked = Log(tmp_path), threading.Event(), threading.Event()

    def hang(_entries: object) -> None:
        asked.set()
        answers.wait()

    monkeypatch.setattr(storage, "append", hang)
    recorder = Recorder(storage, BOOT, lambda _entries: None)
    async with beside(recorder.run()):
        recorder.add(Tick("", 0, START_MS))
        await until(asked.is_set)
        recorder.add(Tick("", 0, START_MS + 1))
    assert not recorder.close()  # the second one is not written beside the first
    assert recorder.status.pending == 2
    answers.set()


@pytest.mark.parametrize("own", [False, True])
def test_a_process_ends_though_a_thread_of_its_own_never_will(own: bool) -> None:
    hang = "Threads(1, 'log').submit(wait)" if own else "asyncio.ensure_future(asyncio.to_thread(wait))"
    program = f"""
import asyncio, os, signal, threading
import tocsin.beside
from tocsin.beside import Threads
from tocsin.service import run_until_stopped
tocsin.beside.LEAVE_AFTER_S = 0.05
wait = threading.Event().wait
async def main():
    hanging = {hang}
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.Event().wait()
run_until_stopped(main)
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=60)


async def test_a_stop_writes_nothing_else_to_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tocsin.beside.LEAVE_AFTER_S", 0.05)
    site, answers, asked, saved = Site(tmp_path), threading.Event(), threading.Event(), list[int]()

    def hang(_entries: object) -> None:
        asked.set()
        answers.wait()

    try:
        async with site.agent() as agent:
            monkeypatch.setattr(agent._log, "append", hang)
            monkeypatch.setattr(agent.budget.meter, "save", lambda: saved.append(1))
            agent.pipeline.told(EventKind.FAULT, Said("something", "某事"))
            await until(asked.is_set)
        assert not saved
    finally:
        answers.set()


async def test_who_asks_how_a_station_is_gets_an_answer_though_its_disk_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.survey._DISK_WITHIN_S", 0.01)
    site, answers, asked = Site(tmp_path), threading.Event(), list[object]()

    def hang(folder: Path) -> int:
        asked.append(folder)
        answers.wait()
        return 5

    monkeypatch.setattr("edge.survey.used_bytes", hang)
    try:
        async with site.agent() as agent, asyncio.timeout(30):
            for _ in range(40):    # more than there are threads
                assert "the disk has not answered for 0.01 s" in (await agent.work.page()).en
            await until(lambda: bool(asked))
            assert len(asked) == 1
            answers.set()
            await until_answered(agent)
    finally:
        answers.set()


async def until_answered(agent: Agent) -> None:
    while "has not answered" in (await agent.work.page()).en:
        await asyncio.sleep(0)


async def test_rules_are_in_force_though_the_disk_does_not_take_them_as_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site, answers = Site(tmp_path), threading.Event()
    kept: list[str] = []

    def hang(_folder: Path, source: Source) -> None:
        answers.wait(30)
        kept.append(source.text)

    try:
        async with site.agent() as agent, asyncio.timeout(30):
            monkeypatch.setattr("edge.operations.keep_good", hang)
            rules = tmp_path / "rules.toml"
            rules.write_text(rules.read_text() + "# once more\n")
            await agent.operations.reload()
            assert not kept
            answers.set()
            await until(lambda: bool(kept))
            assert kept[0].endswith("# once more\n")
    finally:
        answers.set()


async def test_jobs_that_are_not_begun_before_the_end_are_cancelled_for_those_who_wait() -> None:
    threads, answers = Threads(1, "one"), threading.Event()
    first, second = threads.submit(answers.wait), threads.submit(answers.wait)
    while not first.running():
        await asyncio.sleep(0)
    threads.shutdown(wait=False, cancel_futures=True)
    assert (first.cancelled(), second.cancelled()) == (False, True)
    answers.set()
    assert first.result(30)


async def test_a_log_that_is_to_be_read_again_is_though_the_last_message_was_just_going_up(
    tmp_path: Path, hasty: None
) -> None:
    rig = Rig(tmp_path, held=5)
    publish, goes, held = rig.wire.publish, asyncio.Event(), asyncio.Event()

    async def slowly(topic: str, payload: bytes, *, retain: bool = False) -> None:
        held.set()
        await goes.wait()
        await publish(topic, payload, retain=retain)

    rig.wire.publish = slowly  # type: ignore[method-assign]
    async with rig.running(), asyncio.timeout(30):
        await held.wait()
        rig.uplink._read_again()
        again = rig.uplink._history
        goes.set()
        await until(lambda: rig.hub.has.keys() >= {5})
        await asyncio.sleep(0)
        assert rig.uplink._history is again
