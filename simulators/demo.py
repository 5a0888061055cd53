"""`tocsin demo`: broker, hub, two station agents and their instruments on this machine, and a storm in a minute.

Every part is the real one, started as its own command: only instruments, weather and people are played. Nothing is left
behind: the files live in a temporary folder unless `--keep` names one.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from simulators import demo_files
from simulators.demo_files import Plan
from tocsin.clock import ScaledClock
from tocsin.records import RecordError
from tocsin.signing import public_key_of

if TYPE_CHECKING:
    from simulators.demo_watch import Watch
    from simulators.simulation import Simulation

BROKER_PORTS = range(21883, 22883)
WEB_PORTS = range(8080, 8180)
STOP_S = 8.0
AFTERMATH_S = 20.0  # beyond the storm's end, for the last all-clear
NEEDS = "tocsin demo needs every extra: pip install '.[edge,hub,dev]' in tocsin's folder"


def run(argv: list[str]) -> int:
    """Exit code: 0 when every step of the journey happened (or Ctrl-C without --once), else 1."""
    parser = argparse.ArgumentParser(prog="tocsin demo", description=f"{__doc__}".partition("\n")[0])
    parser.add_argument("--once", action="store_true", help="end with the storm; exit code 0 if every step happened")
    parser.add_argument("--record", type=Path, metavar="FILE", help="play the greatest rise of a real record instead")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="put the files there and leave them")
    args = parser.parse_args(argv)
    began_s = _process_began_s()
    logging.getLogger("tocsin.link").setLevel(logging.ERROR)  # that the broker is not up yet is no news here
    try:
        plan = demo_files.record(args.record) if args.record else demo_files.storm()
        with _folder(args.keep) as folder:
            return asyncio.run(_demo(plan, folder, once=args.once, began_s=began_s))
    except ModuleNotFoundError as err:
        print(f"{NEEDS} ({err.name} is missing)", file=sys.stderr)
    except (RecordError, ValueError, OSError) as err:
        print(f"tocsin demo: {err}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


async def _demo(plan: Plan, folder: Path, *, once: bool, began_s: float) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    started_s, origin_ms = time.monotonic(), time.time_ns() // 1_000_000
    clock = ScaledClock(origin_ms, plan.speed, started_s)
    broker_port, web_port = _free(BROKER_PORTS), _free(WEB_PORTS)
    keys = demo_files.station_keys()
    hub_path, private = demo_files.hub_file(folder, broker_port, web_port, keys)
    print(f"tocsin demo: {plan.says}\nfiles: {folder}", flush=True)
    async with _parts(folder, f"scaled:{origin_ms}:{plan.speed!r}:{started_s!r}") as parts:
        parts.start("hub", hub_path)
        # imported while the hub comes up
        from simulators.demo_watch import Watch
        from simulators.scenario import read
        from simulators.simulation import build

        scenario = folder / "scenario.toml"
        scenario.write_text(plan.scenario)
        async with build(read(scenario), str(scenario), folder, clock) as simulation:
            for station, key in keys.items():
                ports = _ports(simulation)
                parts.start("edge", demo_files.station_file(folder, plan, station, ports, broker_port, key))
            watch = Watch(simulation, clock, f"mqtt://127.0.0.1:{broker_port}", f"http://127.0.0.1:{web_port}",
                          public_key_of(private), began_s)
            playing = [asyncio.create_task(simulation.play(clock), name="weather"),
                       asyncio.create_task(watch.run(), name="watch")]
            try:
                await _until_over(plan, watch, parts.processes, stop, once=once)
            finally:
                for task in playing:
                    task.cancel()
                await asyncio.gather(*playing, return_exceptions=True)
    watch.sum_up()
    return 0 if watch.complete or (stop.is_set() and not once) else 1


async def _until_over(
    plan: Plan, watch: "Watch", processes: list[subprocess.Popen[bytes]], stop: asyncio.Event, *, once: bool
) -> None:
    """Until the storm is over and all is clear (--once), Ctrl-C, or a part that died."""
    until_s = time.monotonic() + plan.lasts_s + AFTERMATH_S
    told = False
    while not stop.is_set():
        dead = [process for process in processes if process.poll() is not None]
        if dead:
            print(f"a part ended by itself with code {dead[0].returncode}: {dead[0].args!r}", file=sys.stderr)
            return
        over = (watch.complete and watch.calm) or time.monotonic() > until_s
        if over and once:
            return
        if over and not told:
            told = True
            print("the storm is over; the console stays until Ctrl-C", flush=True)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.1)


class _Parts:
    """tocsin's own commands as processes; they end with this one, even if it is killed."""

    def __init__(self, folder: Path, clock: str) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self._folder = folder
        self._clock = clock

    def start(self, command: str, path: Path) -> None:
        """From the main thread: the kernel ends a process with the thread that started it."""
        guard = ["setpriv", "--pdeathsig", "TERM", "--"] if shutil.which("setpriv") else []
        words = [command, str(path), "--clock", self._clock]
        with (self._folder / f"{command}-{len(self.processes)}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(
                [*guard, sys.executable, "-m", "tocsin", *words],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            ))


@asynccontextmanager
async def _parts(folder: Path, clock: str) -> AsyncIterator[_Parts]:
    parts = _Parts(folder, clock)
    try:
        yield parts
    finally:
        for process in reversed(parts.processes):
            process.terminate()
        for process in parts.processes:
            await asyncio.to_thread(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.resolve()
    else:
        with tempfile.TemporaryDirectory(prefix="tocsin-demo-") as folder:
            yield Path(folder)


def _ports(simulation: "Simulation") -> dict[str, str]:
    """Where a station finds each wire."""
    from simulators.wires import AsciiPty, ModbusRtuPty, ModbusTcp

    return {
        name: f"tcp://{wire.host}:{wire.port}" if isinstance(wire, ModbusTcp) else wire.path
        for name, wire in simulation.wires.items() if isinstance(wire, ModbusTcp | ModbusRtuPty | AsciiPty)
    }


def _free(ports: range) -> int:
    """The first port of 127.0.0.1 that nobody listens on. Raises OSError."""
    for port in ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError(f"no free port from {ports.start} to {ports.stop - 1}")


def _process_began_s() -> float:
    """The monotonic second at which this process was started (proc(5): field 22, in clock ticks since boot)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    since_boot_s = ticks / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot_s)
