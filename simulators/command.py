"""`tocsin simulate scenario.toml`: instruments on real wires, until Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from tocsin.clock import Clock, SystemClock, clock_of
from tocsin.config import ConfigError
from tocsin.times import iso

NEEDS = "tocsin simulate needs pymodbus, which the field agent does without: pip install '.[dev]' in tocsin's folder"


def run(argv: list[str]) -> int:
    """Exit code: 0 after Ctrl-C or SIGTERM, 1 for a scenario or wire that cannot be had."""
    parser = argparse.ArgumentParser(prog="tocsin simulate", description="Simulated instruments on real wires.")
    parser.add_argument("scenario", type=Path, help="a TOML file; simulators/sample.toml explains every key")
    parser.add_argument("--clock", default="", metavar="SPEC", help='"system" or "scaled:ORIGIN_MS:SPEED[:STARTED_S]"')
    args = parser.parse_args(argv)
    try:
        asyncio.run(_simulate(args.scenario, clock_of(args.clock)))
    except ModuleNotFoundError as err:
        return _failed(NEEDS if err.name == "pymodbus" else str(err))
    except (ConfigError, ValueError, OSError) as err:
        return _failed(str(err))
    return 0


def check(path: Path) -> list[str]:
    """What is wrong with a scenario file, a sentence each; opens no port."""
    from simulators.scenario import read
    from simulators.simulation import build

    try:
        build(read(path), str(path), path.parent, SystemClock())
    except ConfigError as err:
        return err.problems
    return []


async def _simulate(path: Path, clock: Clock) -> None:
    from simulators.scenario import read
    from simulators.simulation import build, relays

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    simulation = build(read(path), str(path), path.parent, clock)
    for name, relay in relays(simulation).items():
        relay.on_change = lambda at_s, on, name=name: _say(
            f"relay {name} {'on' if on else 'off'} at {iso(clock.now_ms())} monotonic {at_s:.6f}")
    async with simulation:
        for name, wire in simulation.wires.items():
            _say(f"wire {name} {wire.where}")
        _say("ready")
        try:
            async with asyncio.TaskGroup() as tasks:
                playing = tasks.create_task(simulation.play(clock), name="simulation player")
                await stop.wait()
                playing.cancel()
        except ExceptionGroup as group:
            raise group.exceptions[0] from None


def _say(line: str) -> None:
    print(line, flush=True)


def _failed(why: str) -> int:
    print(why, file=sys.stderr)
    return 1
