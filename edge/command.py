"""`tocsin edge station.toml`"""

import asyncio
import signal

from edge.agent import Agent
from edge.config import Station, load_station
from tocsin.clock import Clock
from tocsin.service import run_until_stopped, serve


def run(argv: list[str]) -> int:
    return serve("edge", argv, load_station, _start, "the agent of one station")


def _start(station: Station, clock: Clock) -> None:
    async def serve_station() -> None:
        agent = Agent(station, clock)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, agent.reload)
        await agent.run()

    run_until_stopped(serve_station)
