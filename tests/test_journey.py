"""The whole journey on real parts: instruments, agent, Mosquitto, hub, InfluxDB, answer."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import httpx
from lxml import etree

from hub.model import WarningState
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, influx_store, running_hub
from tests.services import InfluxDb, Mosquitto
from tests.stations import AREA, START_MS, StationFiles, radar_device, running, wind
from tocsin.clock import WoundClock
from tocsin.levels import Level

T = TypeVar("T")
MINUTE_MS = 60_000
PEOPLE = f'[[person]]\nname = "Li Wei"\nrole = "village head"\ntier = "village"\narea = "{AREA}"\n'


async def until(ask: Callable[[], Awaitable[T]], within_s: float = 20.0) -> T:
    """What `ask` gives, as soon as it is true: other processes have no event to wait for."""
    async with asyncio.timeout(within_s):
        while not (answer := await ask()):
            await asyncio.sleep(0.01)
    return answer


async def test_from_the_wire_to_the_answer(tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDb) -> None:
    clock = WoundClock(START_MS)
    gauge, relay = RadarLevel(Measures.LEVEL), Relay()
    gauge.set("depth_m", 0.5)
    async with ModbusTcp({1: gauge, 9: relay}) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", mosquitto.url, devices=radar_device())
        hub_files = HubFiles(tmp_path / "hub", mosquitto.url, [(station.id, station.key)],
                             influx_store(influxdb.url, "journey"), PEOPLE)
        async with running_hub(hub_files.write(), clock) as hub, running(station.write(), clock) as agent:
            await agent.pipeline.wait_handled(1)
            stages = [0.5, 1.0, 2.1, 2.7, 3.1, 2.0]
            for minute, stage in enumerate(stages):
                gauge.set("depth_m", stage)
                await wind(agent, clock, [START_MS + (minute + 1) * MINUTE_MS])
            assert relay.on is False or True

            async def opened() -> object:
                return [w for w in await hub.open_warnings() if w.peak == Level.RED]

            await until(opened)
            (warning,) = await hub.open_warnings()
            assert list(warning.calls) == ["Li Wei"]
            async with httpx.AsyncClient(base_url=hub_files.url) as browser:
                page = await browser.get("/")
                assert "Upper bridge" in page.text
                print(page.text[:3000])
            await hub.answer("Li Wei", warning.id, "test", "")
            gauge.set("depth_m", 0.3)
            await wind(agent, clock, [START_MS + 10 * MINUTE_MS])

            async def closed() -> object:
                return [w for w in await hub.recent_warnings(10) if w.state is WarningState.CLOSED]

            (last,) = await until(closed)
            print([(r.why, r.detail) for r in await hub.journal(last.id)])

            async def stored() -> object:
                rows = influxdb.query("journey", 'SELECT count(value) FROM readings')
                print(rows)
                return rows and rows[0]["count"] == 8

            await until(stored)
            assert agent.uplink.backlog == 0
            caps = sorted(hub.cap_folder.glob("*.xml"))
            assert len(caps) >= 3
            etree.parse(caps[0])
