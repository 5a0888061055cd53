"""`tocsin edge station.toml`"""

import asyncio
import ctypes
import faulthandler
import signal
from contextlib import suppress

from edge.agent import Agent
from edge.care import rest
from edge.config import Station, load_station
from tocsin.clock import Clock
from tocsin.config import ConfigError
from tocsin.notify import Notify
from tocsin.service import run_until_stopped, serve

_MMAP_THRESHOLD, _ARENA_MAX = -3, -8  # of mallopt(3)
_LARGE_BYTES = 128 * 1024


def run(argv: list[str]) -> int:
    return serve("edge", argv, load_station, _start, "the agent of one station")


def _start(station: Station, clock: Clock) -> None:
    _give_back()
    faulthandler.enable()  # where the watchdog ends the process, the journal has what it was doing
    run_until_stopped(lambda: _serve(station, clock))


def _give_back() -> None:
    """Memory that was needed once, as for a checkpoint, goes back to the machine: glibc by itself keeps more of it each
    time, and keeps some for every thread."""
    with suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_ARENA_MAX, 1)


async def _serve(station: Station, clock: Clock) -> None:
    """An agent after the other: one that the battery ends is followed by a rest, and the next one."""
    notify, loop = Notify.of_environment(), asyncio.get_running_loop()
    try:
        while True:
            agent = Agent(station, clock, notify)
            loop.add_signal_handler(signal.SIGHUP, agent.reload)
            await agent.run()
            loop.add_signal_handler(signal.SIGHUP, lambda: None)
            notify.say("STATUS=the battery is too low: waiting until it has recovered")
            await rest(station, clock, notify)
            with suppress(ConfigError):  # rules that were read meanwhile; where the file is wrong now, as before
                station = load_station(station.place)
    finally:
        notify.say("STOPPING=1")
