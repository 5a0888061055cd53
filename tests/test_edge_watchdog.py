"""systemd hears that the station works only while it does: over a real datagram socket."""

import asyncio
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import load_station
from edge.watchdog import Watchdog
from tests.edge_bench import MINUTE_MS, Bench
from tests.lines import until
from tests.processes import Command
from tests.shared_data import REPOSITORY
from tests.stations import START_MS, SetClock, StationFiles, radar_device, running
from tests.test_agent import Site
from tocsin.messages import Event, EventKind
from tocsin.notify import Notify
from tocsin.said import Said

UNIT = REPOSITORY / "deploy" / "tocsin-edge.service"


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(address)

    def heard(self) -> list[str]:
        """Every line since the last look."""
        lines: list[str] = []
        while True:
            try:
                lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return lines

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(str(tmp_path / "notify"))
    yield made
    made.close()


@pytest.fixture
def notify(tmp_path: Path) -> Notify:
    return Notify(str(tmp_path / "notify"))


class Guarded:
    """A watchdog over a bench's two devices; its real seconds are the test's."""

    def __init__(self, folder: Path, notify: Notify) -> None:
        self.bench = Bench(folder / "station")
        self.real_s = self.siren_idle_s = 0.0
        self.said: list[str] = []
        self.dog = Watchdog(notify, self.bench.clock, self.bench.agent.recorder, {"gauge": 60.0, "bucket": 60.0},
                            lambda said: self.said.append(said.en), siren_idle_s=lambda: self.siren_idle_s,
                            real_s=lambda: self.real_s)

    def tried(self, *devices: str) -> None:
        for device in devices:
            self.dog.tried(device)


def test_ready_comes_once_and_not_before_every_device_was_asked(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    site = Guarded(tmp_path, notify)
    site.tried("gauge")
    site.dog.beat()
    assert "READY=1" not in manager.heard()
    site.tried("bucket")
    site.dog.beat()
    assert manager.heard()[:2] == ["READY=1", "WATCHDOG=1"]
    site.dog.beat()
    assert "READY=1" not in manager.heard()
    site.bench.stop()


def test_a_device_that_nobody_asks_ends_the_pings_and_is_told_once(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    site = Guarded(tmp_path, notify)
    site.tried("gauge", "bucket")
    site.bench.clock.pass_ms(2 * MINUTE_MS)
    site.dog.ticked()
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    site.tried("bucket")
    for _ in range(2):
        site.bench.clock.pass_ms(1000)
        site.dog.beat()
    assert manager.heard() == [f"STATUS=device gauge has not been asked for {s} s" for s in (121, 122)]
    assert site.said == ["device gauge has not been asked for 121 s"]
    site.tried("gauge")
    site.dog.ticked()
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    site.bench.stop()


def test_a_decider_that_is_not_told_the_time_ends_the_pings_and_is_told_once(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    """As when each tick fails by a defect: polls and log go on, and no silence and no sounding in time is seen."""
    site = Guarded(tmp_path, notify)
    site.bench.clock.pass_ms(70_000)
    site.tried("gauge", "bucket")
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    for _ in range(2):
        site.bench.clock.pass_ms(1000)
        site.dog.beat()
    assert manager.heard() == [f"STATUS=the decider has not been told the time for {s} s" for s in (71, 72)]
    assert site.said == ["the decider has not been told the time for 71 s"]
    site.dog.ticked()
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    site.bench.stop()


def test_a_tick_that_fails_is_none_for_the_watchdog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    dog = bench.agent.care.watchdog
    dog._pauses_s = {}
    bench.clock.pass_ms(MINUTE_MS)
    bench.tick()
    bench.clock.pass_ms(MINUTE_MS)
    assert dog.stalled() is None
    monkeypatch.setattr(bench.agent.pipeline, "_sound_in_time", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bench.tick()
    bench.clock.pass_ms(11_000)
    assert str(dog.stalled()) == "the decider has not been told the time for 71 s"
    bench.stop()


def test_a_writer_that_does_not_move_ends_the_pings_but_a_disk_that_refuses_does_not(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    site = Guarded(tmp_path, notify)
    site.tried("gauge", "bucket")
    assert site.bench.agent.recorder.status.pending
    site.dog.beat()
    site.real_s = 60.0
    site.dog.beat()
    assert manager.heard().count("WATCHDOG=1") == 2
    site.real_s = 61.0
    site.dog.beat()
    assert manager.heard() == ["STATUS=the log's writer has not moved for 61 s"]
    site.bench.agent.recorder._error = Said("No space left on device", "磁盘已满")
    site.dog.beat()
    assert "WATCHDOG=1" in manager.heard()
    site.bench.stop()


def test_dead_devices_that_take_a_line_long_do_not_end_the_pings(
    tmp_path: Path, manager: Manager, notify: Notify
) -> None:
    """A cable that is cut: thirty are waited for in turn. To start the agent again would not mend it."""
    clock = SetClock(START_MS)
    devices = "".join(radar_device(f"gauge-{unit}", unit, deadline_s=5.0) for unit in range(10, 40))
    files = StationFiles(tmp_path / "station", "tcp://127.0.0.1:9", devices=devices, siren=False)
    agent = Agent(load_station(files.write()), clock, notify)
    dog = agent.care.watchdog
    for unit in range(10, 40):
        dog.tried(f"gauge-{unit}")
    clock.pass_ms(300_000)  # a poll each minute, and two exchanges of five seconds with each of thirty
    dog.ticked()
    assert dog.stalled() is None
    clock.pass_ms(121_000)
    assert str(dog.stalled()) == "device gauge-10 has not been asked for 421 s"
    agent.recorder.close()
    agent._lock.close()


async def test_an_agent_whose_bus_stands_still_stops_the_pings(tmp_path: Path, manager: Manager) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        dog = agent.care.watchdog
        dog._notify = Notify(str(tmp_path / "notify"))
        await until(lambda: dog._tried_s.keys() == {"gauge", "other"})
        dog.beat()
        assert "WATCHDOG=1" in manager.heard()
        running_bus = agent._buses["field"]._jobs
        agent._buses["field"]._jobs = type(running_bus)()  # its owner waits where nobody comes any more
        site.clock.wind_to(site.clock.now_ms() + MINUTE_MS)
        await until(lambda: agent._buses["field"]._jobs.qsize() == 2)
        site.clock.wind_to(site.clock.now_ms() + 2 * MINUTE_MS)  # and 1.6 s in which they could have been waited for
        dog.beat()
        heard = manager.heard()
        assert "WATCHDOG=1" not in heard
        assert heard[-1].startswith("STATUS=device gauge has not been asked for 180 s")
        await agent.recorder.written(agent.recorder.last_seq)
    told = [one.detail for one in site.files.log() if isinstance(one, Event) and one.what is EventKind.FAULT]
    assert told == ["watchdog: device gauge has not been asked for 180 s"]


async def test_an_agent_without_a_manager_runs_as_ever(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.wire:
        site.files.port = f"tcp://127.0.0.1:{site.wire.port}"
        async with running(site.files.write(), site.clock) as agent:
            await agent.pipeline.wait_handled(2)
            agent.care.watchdog.beat()
    Notify(str(tmp_path / "nobody")).say("READY=1")


def test_the_manager_is_found_by_its_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    assert Notify.of_environment().path == ""
    monkeypatch.setenv("NOTIFY_SOCKET", f"@tocsin-test-{os.getpid()}")
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    found = Notify.of_environment()
    assert found.every_s == 20.0
    abstract = Manager(f"\0tocsin-test-{os.getpid()}")
    found.say("READY=1", "STATUS=up")
    assert abstract.heard() == ["READY=1", "STATUS=up"]
    abstract.close()
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Notify.of_environment().every_s == 10.0


async def test_a_real_process_says_ready_all_is_well_and_that_it_stops(
    tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    site = Site(tmp_path / "site")
    async with site.wire:
        site.files.port = f"tcp://127.0.0.1:{site.wire.port}"
        agent = Command(tmp_path / "process", "edge", str(site.files.write()))
        agent.start()
        heard: list[str] = []
        async with asyncio.timeout(30):
            while heard.count("WATCHDOG=1") < 3:
                heard += manager.heard()
                await asyncio.sleep(0.005)
        assert heard[0] == "READY=1"
        await asyncio.to_thread(agent.stop)
    assert manager.heard()[-1] == "STOPPING=1"


def test_the_unit_is_one_that_systemd_takes_and_that_pings_in_time(tmp_path: Path) -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert "Type=notify\n" in text
    assert "Restart=always\n" in text
    assert "StartLimitIntervalSec=0\n" in text
    assert "WatchdogSec=60\n" in text
    start, after = (line for key in ("ExecStart", "ExecStopPost")
                    for line in re.findall(f"^{key}=(.*)$", text, re.MULTILINE))
    program, _, station = start.split()
    assert f"{program} siren-off {station}" in after, "the same program and file"
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        unit = tmp_path / UNIT.name
        unit.write_text(text.replace("/opt/tocsin/.venv/bin/tocsin", sys.executable))
        command = [analyze, "verify", "--man=no", str(unit)]
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


@pytest.mark.parametrize(("result", "said"), [
    ("success", "siren-off /etc/tocsin/station.toml\n"), ("signal", ""), ("watchdog", ""), ("exit-code", ""),
])
def test_the_unit_switches_the_siren_off_after_a_clean_stop_alone(result: str, said: str) -> None:
    line = next(line for line in UNIT.read_text(encoding="utf-8").splitlines() if line.startswith("ExecStopPost="))
    command = shlex.split(line.removeprefix("ExecStopPost=").replace("$$", "$"))
    command[-1] = command[-1].replace("/opt/tocsin/.venv/bin/tocsin", "echo")
    ended = {**os.environ, "SERVICE_RESULT": result}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ended)
    assert done.stdout == said
