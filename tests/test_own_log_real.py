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


async def test_a_real_agent_on_a_real_wire_killed_and_operated_can_be_replayed(tmp_path: Path) -> None:
    gauge, bucket, relay = RadarLevel(Measures.LEVEL), RainCounter(0.5), Relay()
    gauge.set("depth_m", 1.0)
    served = 0

    def count(_unit: int, _function: int, _address: int, _words: tuple[int, ...]) -> None:
        nonlocal served
        served += 1

    async def reads(more: int) -> None:
        wanted = served + more
        async with asyncio.timeout(30):
            while served < wanted:
                await asyncio.sleep(0.005)

    async with ModbusTcp({1: gauge, 3: bucket, 9: relay}, on_served=count) as wire:
        devices = radar_device("gauge", every_s=0.05, deadline_s=0.2) + rain_device("bucket", every_s=0.05)
        files = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", devices=devices, rules=REAL)
        agent = Command(tmp_path / "process", "edge", str(files.write()))
        folder = files.folder / "station-data"

        async def say(**words: Any) -> str:
            async with asyncio.timeout(30):
                while True:
                    with suppress(OSError):  # the agent has just been started
                        reply = await asyncio.to_thread(ask, folder, Ask(**words))
                        assert reply.done, reply.said
                        return reply.said
                    await asyncio.sleep(0.02)

        try:
            agent.start()
            await reads(10)
            await say(do="service", device="bucket", minutes=30, who="Li Wei")
            bucket.rain(100.0)                             # test tips
            wire.set_fault(1, Silent())
            await reads(6)
            wire.set_fault(1, None)
            gauge.set("depth_m", 2.7)
            await reads(10)
            await say(do="service", device="bucket", minutes=0, who="Li Wei")
            agent.kill()
            bucket.rain(3.0)
            agent.start()
            await reads(10)
            gauge.set("depth_m", 1.0)
            await reads(10)
            assert "orange: stage" in await say(do="levels"), "it latches, and the kill has not cleared it"
            await say(do="ack", rule="stage", series=GAUGE, who="Li Wei")
            await reads(6)
            (files.folder / "rules.toml").write_text(REAL.replace("on = 2.5", "on = 2.2"))
            assert agent.pid is not None
            os.kill(agent.pid, signal.SIGHUP)
            async with asyncio.timeout(30):
                while not any(isinstance(record, Start) and record.card.rules[0].levels["orange"] == 2.2
                              for record in files.log()):
                    await asyncio.sleep(0.02)
            gauge.set("depth_m", 2.3)
            await reads(12)
            agent.kill()
            agent.start()
            await reads(6)
            assert "orange: stage" in await say(do="levels")
        finally:
            agent.stop()
    own = replayed(folder)
    assert list(map(encode, own.decided)) == list(map(encode, own.told))
    assert (own.skipped, own.damage, own.parted) == (0, [], [])
    assert [(one.rule, one.level) for one in own.told] == [("stage", 3), ("stage", 0), ("stage", 3)]
    kinds = {type(record) for record in files.log()}
    assert {Readings, Config, Service, Acknowledge, Tick} <= kinds
