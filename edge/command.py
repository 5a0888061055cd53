"""`tocsin edge station.toml`"""

from edge.agent import Agent
from edge.config import Station, load_station
from tocsin.clock import Clock
from tocsin.service import run_until_stopped, serve


def run(argv: list[str]) -> int:
    return serve("edge", argv, load_station, _start, "the agent of one station")


def _start(station: Station, clock: Clock) -> None:
    run_until_stopped(lambda: Agent(station, clock).run())
