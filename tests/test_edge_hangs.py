"""What hangs without a word, a disk or a command, holds up nothing but itself."""

import asyncio
import sys
import threading
from pathlib import Path

import psutil
import pytest

from edge import agent as agents
from edge import checkup as checkups
from edge import commands, papers
from edge import modem as modems
from edge.modem import command
from edge.orders import Known
from edge.power import PowerState, PowerTable
from tests.edge_bench import Bench
from tests.hub_voice import HubVoice
from tests.lines import until
from tests.stations import START_MS
from tests.tasks import beside
from tests.test_agent import Site
from tests.test_edge_modem import Hours
from tocsin.messages import Event, EventKind
from tocsin.orders import Obeyed
from tocsin.service import run_until_stopped


async def test_a_disk_that_hangs_does_not_hold_up_the_ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, free, asked = Site(tmp_path), threading.Event(), []

    def hangs(*_: object) -> None:
        asked.append(1)
        free.wait()

    ticks: list[int] = []

    def ticked() -> None:
        ticks.append(site.clock.now_ms())
        tick()

    async with site.agent() as agent:
        try:
            monkeypatch.setattr(agent._log, "drop", hangs)
            tick = agent.pipeline.tick
            monkeypatch.setattr(agent.pipeline, "tick", ticked)
            for ten in range(1, 31):
                now_ms = START_MS + ten * 10_000
                site.clock.wind_to(now_ms)
                await until(lambda now_ms=now_ms: now_ms in ticks)  # type: ignore[misc]
            await until(lambda: bool(asked))    # the thread may begin late
            assert len(asked) == 1, "one thread waits for that disk, not one a minute"
        finally:
            free.set()


async def test_a_look_at_a_disk_that_hangs_is_not_begun_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, free, asked = Site(tmp_path), threading.Event(), []

    def hangs(*_: object) -> None:
        asked.append(1)
        free.wait()

    async with site.agent() as agent:
        try:
            monkeypatch.setattr(checkups, "_disk_wrong", hangs)
            monkeypatch.setattr(checkups, "_DISK_WITHIN_S", 0.01)
            checkup = agent.care.checkup
            for _ in range(20):
                (room, _) = await checkup._disk()
                assert str(room.wrong).endswith("it has not answered for 0.01 s")
            await until(lambda: bool(asked))
            assert len(asked) == 1
            free.set()
            while (await checkup._disk())[0].wrong is not None:
                pass
        finally:
            free.set()


async def test_a_command_that_does_not_die_when_killed_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that waits inside a driver of the kernel: no signal reaches it."""
    process = asyncio.subprocess.Process
    killed: list[asyncio.subprocess.Process] = []
    really = process.kill
    monkeypatch.setattr(process, "kill", lambda one: killed.append(one))
    monkeypatch.setattr(modems, "_COMMAND_S", 0.05)
    monkeypatch.setattr(modems, "_KILLED_S", 0.05)
    async with asyncio.timeout(30):
        await command([sys.executable, "-c", "import time; time.sleep(20)"])
    (one,) = killed
    really(one)
    await until(lambda: not psutil.pid_exists(one.pid))


async def test_a_command_is_ended_with_who_asked_for_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    words = f"import os, time; open({str(begun)!r}, 'w').write(str(os.getpid())); time.sleep(20)"
    async with beside(command([sys.executable, "-c", words])):
        await until(lambda: begun.exists() and bool(begun.read_text()))
    await until(lambda: not psutil.pid_exists(int(begun.read_text())))


async def test_a_modem_that_hangs_when_switched_on_or_off_delays_no_link() -> None:
    hangs = [sys.executable, "-c", "import time; time.sleep(20)"]
    hours = Hours(PowerTable(modem_on=hangs, modem_off=hangs))
    async with beside(hours.modem.run()):
        await until(lambda: hours.line.up)
        hours.power.state = PowerState.SAVING
        await hours.minutes(6)
        await until(lambda: not hours.line.up)
        hours.urgent = True
        async with asyncio.timeout(30):
            while not hours.line.up:
                await hours.minutes(1)


async def test_a_part_that_was_cancelled_by_nobody_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task group takes such an end for one that was asked for, and a bus would stay dead without a word."""
    monkeypatch.setattr(agents, "_LONGEST_S", 0.0)
    begun: list[int] = []
    async with Site(tmp_path).agent() as agent:

        async def part() -> None:
            begun.append(1)
            if len(begun) == 1:
                raise asyncio.CancelledError
            await asyncio.Event().wait()

        keeping = asyncio.create_task(agent._keep("part", part))
        while len(begun) < 2 and not keeping.done():
            await asyncio.sleep(0)
        assert agent.failures == {"part": 1}
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping


async def test_a_part_that_fails_at_its_end_ends(tmp_path: Path) -> None:
    begun = asyncio.Event()
    async with Site(tmp_path).agent() as agent:

        async def part() -> None:
            try:
                begun.set()
                await asyncio.Event().wait()
            finally:
                raise OSError("the port is gone")

        keeping = asyncio.create_task(agent._keep("part", part))
        await begun.wait()
        keeping.cancel()
        await asyncio.wait({keeping}, timeout=30)
        assert keeping.cancelled()


def test_names_that_hang_in_many_threads_leave_some_for_others() -> None:
    free, done = threading.Event(), list[int]()

    async def many() -> None:
        hanging = [asyncio.ensure_future(asyncio.to_thread(free.wait)) for _ in range(20)]
        try:
            async with asyncio.timeout(30):
                await asyncio.to_thread(done.append, 1)
        finally:
            free.set()
            await asyncio.gather(*hanging)

    run_until_stopped(many)
    assert done


class _Hung:
    """A station that knows its hub, with `what` of an object hanging until `free`."""

    def __init__(self, folder: Path) -> None:
        self.hub = HubVoice()
        self.bench = Bench(folder, public_key=self.hub.public_key)
        self.commands = self.bench.agent.commands
        self.free = threading.Event()

    @property
    def answers(self) -> list[tuple[str, bool, str]]:
        return [(one.id, one.done, one.said) for one in self.bench.of(Obeyed)]


async def test_a_disk_that_hangs_leaves_no_command_without_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not those that come behind the one that it hangs on; and it is not asked once more for each."""
    monkeypatch.setattr(commands, "_SYNCED_S", 0.05)
    site, asked = _Hung(tmp_path), []
    begin = site.commands._ledger.begin

    def hangs(known: Known) -> None:
        asked.append(known.id)
        site.free.wait()
        begin(known)

    monkeypatch.setattr(site.commands._ledger, "begin", hangs)
    async with beside(site.bench.agent.recorder.run()):
        try:
            for name in ("c1", "c2", "c3"):
                await site.commands.take(*site.hub.command(name, do="levels"))
            why = "it cannot be remembered that this was done: the disk does not answer within 0.05 s"
            assert site.answers == [(name, False, why) for name in ("c1", "c2", "c3")]
            await until(lambda: bool(asked))
            assert asked == ["c1"]
            monkeypatch.setattr(commands, "_SYNCED_S", 5.0)
            site.free.set()
            await until(lambda: site.commands._writing is None or site.commands._writing.done())
            await site.commands.take(*site.hub.command("c4", do="levels"))
            assert site.answers[3:] == [("c4", True, "everything is clear")]
        finally:
            site.free.set()
    site.bench.stop()


async def test_a_key_of_the_hub_that_a_hanging_disk_keeps_waiting_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_SYNCED_S", 0.05)
    site = _Hung(tmp_path)
    monkeypatch.setattr(site.commands._keys, "change", lambda _: site.free.wait())
    async with beside(site.bench.agent.recorder.run()):
        try:
            await site.commands.take(*site.hub.new_key())
            (event,) = [one for one in site.bench.of(Event) if one.what is EventKind.COMMAND]
            assert event.detail.endswith("the hub's new key cannot be kept: the disk does not answer within 0.05 s")
        finally:
            site.free.set()
    site.bench.stop()


async def test_a_command_that_does_not_end_is_answered_and_holds_up_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "SLOW_WITHIN_S", 0.05)
    site = _Hung(tmp_path)
    async with beside(site.bench.agent.recorder.run()):
        async with site.bench.operations._lock:    # rules that are read from a log that hangs
            await site.commands.take(*site.hub.command("c1", do="reload"))
            await site.commands.take(*site.hub.command("c2", do="levels"))
        assert site.answers == [
            ("c1", False, "it was not done within 0.05 s; how far it came is not known"),
            ("c2", True, "everything is clear"),
        ]
    site.bench.stop()


async def test_papers_on_a_disk_that_hangs_hold_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = _Hung(tmp_path)
    hangs: list[int] = []

    def papers_of(_: object) -> None:
        hangs.append(1)
        site.free.wait()
        raise OSError("it came back")

    monkeypatch.setattr(papers, "papers_of", papers_of)
    monkeypatch.setattr(commands, "_LOOK_S", 0.0)
    async with beside(site.bench.agent.recorder.run()), beside(site.commands.run()):
        try:
            await until(lambda: bool(hangs))
            await site.commands.heard(*site.hub.command("c1", do="levels"))
            await until(lambda: bool(site.answers))
            assert site.answers == [("c1", True, "everything is clear")]
            assert hangs == [1]
        finally:
            site.free.set()
    site.bench.stop()
