"""A station on a battery: a radar and a charge controller on one line, by a hand-wound clock."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from edge.agent import Agent
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.solar import Charger
from simulators.wires import ModbusTcp
from tests.lines import until
from tests.stations import START_MS, StationFiles, radar_device, running
from tocsin.clock import WoundClock
from tocsin.messages import Event, EventKind, Readings

MINUTE_MS = 60_000
CHARGER = """
[[device]]
name = "charger"
bus = "field"
driver = "epever_charger"
unit = 5
"""


class Solar:
    """A radar and a charger on one line, and an agent whose every periodic task sleeps by the wound clock."""

    def __init__(self, folder: Path, more: str = "") -> None:
        self.clock = WoundClock(START_MS)
        self.gauge, self.charger = RadarLevel(Measures.LEVEL), Charger()
        self.gauge.set("depth_m", 0.5)
        self.wire = ModbusTcp({1: self.gauge, 5: self.charger, 9: Relay()})
        self.files = StationFiles(folder, "", devices=radar_device("gauge") + CHARGER + more)
        self.tasks = 2 + 6  # two devices; ticks, watch, checkup, tidy, link and the proof of the siren
        self.over = asyncio.Event()  # of the agent that runs

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        async with self.wire, running(self.write(), self.clock) as agent:
            self.over = agent.care.over
            await self.at_rest()
            yield agent

    def write(self) -> Path:
        self.files.port = f"tcp://127.0.0.1:{self.wire.port}"
        return self.files.write()

    async def at_rest(self) -> None:
        """Every task has done what the clock asked of it, or the agent is at its end."""
        await until(lambda: len(self.clock._sleepers) >= self.tasks or self.over.is_set())

    async def minutes(self, count: int) -> None:
        for _ in range(count):
            for _ in range(6):  # ticks and looks come every ten seconds
                self.clock.wind_to(self.clock.now_ms() + 10_000)
                await self.at_rest()

    def read(self) -> list[int]:
        """The minutes in which the gauge was read."""
        return [(record.t[0] - START_MS) // MINUTE_MS for record in self.files.log()
                if isinstance(record, Readings) and record.series == ["gauge/stage_m"]]

    def states(self) -> list[str]:
        return [record.reason for record in self.files.log()
                if isinstance(record, Event) and record.what is EventKind.POWER]
