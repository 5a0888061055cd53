"""A real agent on a real wire, operated, reloaded and killed: its log gives its own decisions."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from edge.operate import Ask, ask
from edge.own_log import replayed
from simulators.devices import RadarLevel, RainCounter, Relay
from simulators.faults import Silent
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.edge_bench import GAUGE, LATCHED, RAIN
from tests.processes import Command
from tests.stations import StationFiles, radar_device, rain_device
from tocsin.inputs import Acknowledge, Config, Service, Tick
from tocsin.messages import Readings, Start, encode

REAL = LATCHED.replace("n = 1\nm = 1", "n = 2\nm = 3") + RAIN + """
[[check]]
quantity = "stage_m"
max_rate_per_min = 0.1
spike_floor = 0.5
"""


class Village:
    """A gauge, a bucket and a relay on a wire, and the process of the agent that reads them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gauge, self.bucket = RadarLevel(Measures.LEVEL), RainCounter(0.5)
        self.gauge.set("depth_m", 1.0)
        self.wire = ModbusTcp({1: self.gauge, 3: self.bucket, 9: Relay()}, on_served=self._count)
        self._served = 0

    def _count(self, _unit: int, _function: int, _address: int, _words: tuple[int, ...]) -> None:
        self._served += 1

    def begin(self) -> None:
        """The station's files, once the wire has its port."""
        devices = radar_device("gauge", every_s=0.05, deadline_s=0.2) + rain_device("bucket", every_s=0.05)
        port = f"tcp://127.0.0.1:{self.wire.port}"
        self.files = StationFiles(self.folder / "edge", port, devices=devices, rules=REAL)
        self.agent = Command(self.folder / "process", "edge", str(self.files.write()))

    async def reads(self, more: int) -> None:
        wanted = self._served + more
        async with asyncio.timeout(30):
            while self._served < wanted:
                await asyncio.sleep(0.005)

    async def say(self, **words: Any) -> str:
        async with asyncio.timeout(30):
            while True:
                with suppress(OSError):  # the agent has just been started
                    reply = await asyncio.to_thread(ask, self.files.folder / "station-data", Ask(**words))
                    assert reply.done, reply.said
                    return reply.said
                await asyncio.sleep(0.02)

    async def reload(self, rules: str, orange: float) -> None:
        """Other rules in the file, a SIGHUP, and the wait for them to be in force."""
        (self.files.folder / "rules.toml").write_text(rules)
        assert self.agent.pid is not None
        os.kill(self.agent.pid, signal.SIGHUP)
        async with asyncio.timeout(30):
            while not any(isinstance(record, Start) and record.card.rules[0].levels["orange"] == orange
                          for record in self.files.log()):
                await asyncio.sleep(0.02)


async def test_a_real_agent_on_a_real_wire_killed_and_operated_can_be_replayed(tmp_path: Path) -> None:
    village = Village(tmp_path)
    async with village.wire:
        village.begin()
        try:
            village.agent.start()
            await village.reads(10)
            await village.say(do="service", device="bucket", minutes=30, who="Li Wei")
            village.bucket.rain(100.0)                             # test tips
            village.wire.set_fault(1, Silent())
            await village.reads(6)
            village.wire.set_fault(1, None)
            village.gauge.set("depth_m", 2.7)
            await village.reads(10)
            await village.say(do="service", device="bucket", minutes=0, who="Li Wei")
            village.agent.kill()
            village.bucket.rain(3.0)
            village.agent.start()
            await village.reads(10)
            village.gauge.set("depth_m", 1.0)
            await village.reads(10)
            assert "orange: stage" in await village.say(do="levels"), "it latches, and the kill has not cleared it"
            await village.say(do="ack", rule="stage", series=GAUGE, who="Li Wei")
            await village.reads(6)
            await village.reload(REAL.replace("on = 2.5", "on = 2.2"), 2.2)
            village.gauge.set("depth_m", 2.3)
            await village.reads(12)
            village.agent.kill()
            village.agent.start()
            await village.reads(6)
            assert "orange: stage" in await village.say(do="levels")
        finally:
            village.agent.stop()
    own = replayed(village.files.folder / "station-data")
    assert list(map(encode, own.decided)) == list(map(encode, own.told))
    assert (own.skipped, own.damage, own.parted) == (0, [], [])
    assert [(one.rule, one.level) for one in own.told] == [("stage", 3), ("stage", 0), ("stage", 3)]
    kinds = {type(record) for record in village.files.log()}
    assert {Readings, Config, Service, Acknowledge, Tick} <= kinds
