"""A station with a data budget and its hub, for a day of calm and through a storm, over a real broker."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.operate import Ask
from hub import committed, forward
from hub.service import Hub
from hub.web.freshness import Freshness, of_station
from hub.web.pages import traffic_of
from hub.web.words import Words
from simulators.devices import RadarLevel
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, running_hub
from tests.services import Mosquitto
from tests.stations import START_MS, StationFiles, radar_device, running
from tocsin.clock import WoundClock
from tocsin.messages import Summary

SERIES = 20
PERIOD_MS = 10_000
DAY_MS = 86_400_000
BUDGET = "[uplink]\nmonthly_mb = 30\n"


@dataclass
class Valley:
    """Twenty radars, their station and the hub."""

    agent: Agent
    hub: Hub
    clock: WoundClock
    gauges: dict[int, RadarLevel]
    files: StationFiles

    async def read(self, stages: Callable[[int], float]) -> None:
        """Every gauge once, ten seconds later; returns when what went up for it is settled."""
        for unit, gauge in self.gauges.items():
            gauge.set("depth_m", stages(unit))
        wanted = self.agent.pipeline.handled + SERIES
        self.clock.wind_to(self.clock.now_ms() + PERIOD_MS)
        async with asyncio.timeout(30):
            await self.agent.pipeline.wait_handled(wanted)
            await self.settled()

    async def settled(self) -> None:
        await self.agent.recorder.written(self.agent.recorder.last_seq)
        await asyncio.sleep(0)
        while self.agent.uplink.backlog or await self.hub.behind():
            await asyncio.sleep(0.002)

    async def stored(self, unit: int) -> list[float]:
        found = await self.hub.store.series("bridge", f"g{unit}", "stage_m", 0, 1 << 42, 1 << 30)
        return [value for _, value in found]

    def log(self, kind: type) -> list[object]:
        return [one for one in self.files.log() if isinstance(one, kind)]


@asynccontextmanager
async def valley(folder: Path, broker: str, uplink: str = BUDGET) -> AsyncIterator[Valley]:
    clock, gauges = WoundClock(START_MS), {unit: RadarLevel(Measures.LEVEL) for unit in range(1, SERIES + 1)}
    for gauge in gauges.values():
        gauge.set("depth_m", 1.0)
    devices = "".join(radar_device(f"g{unit}", unit, PERIOD_MS / 1000) for unit in gauges)
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(ModbusTcp(dict(gauges.items())))
        files = StationFiles(folder / "edge", f"tcp://127.0.0.1:{wire.port}", broker, devices=devices, siren=False,
                             uplink=uplink)
        hub_files = HubFiles(folder / "hub", broker, [(files.id, files.key)])
        hub = await stack.enter_async_context(running_hub(hub_files.write(), clock))
        await hub.link.wait_connected()
        agent = await stack.enter_async_context(running(files.write(), clock))
        await agent.link.wait_connected()
        await agent.pipeline.wait_handled(SERIES)
        yield Valley(agent, hub, clock, gauges, files)


@pytest.fixture(autouse=True)
def prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten seconds pass in milliseconds here: the hub's pauses are as much shorter."""
    monkeypatch.setattr(committed, "APART_S", 0.001)
    monkeypatch.setattr(forward, "GATHER_S", 0.0)


async def test_calm_takes_less_than_a_megabyte_a_day(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto], count: Callable[[int, int], int]
) -> None:
    """20 gauges every 10 s whose water stirs by millimetres and moves by centimetres over the day."""
    hours, dice = count(1, 6), random.Random(4)

    def stage(unit: int) -> float:
        day = (there.clock.now_ms() - START_MS) / DAY_MS
        return round(1.0 + 0.03 * math.sin(2 * math.pi * (day + unit / SERIES)) + dice.gauss(0.0, 0.003), 3)

    async with valley(tmp_path, new_mosquitto().url) as there:
        await there.settled()
        traffic = there.agent.link.traffic
        mqtt_before, network_before = traffic.mqtt, traffic.network
        for _ in range(hours * 3_600_000 // PERIOD_MS):
            await there.read(stage)
        pings = hours * 60 * 2    # with their answers, 2 bytes each; the network's heads are tocsin.traffic's
        mqtt = traffic.mqtt - mqtt_before + 2 * pings
        network = traffic.network - network_before + 82 * pings
        assert len(there.log(Summary)) >= hours * 12 - 1
        heartbeat = (await there.hub.stations())[0].heartbeat
    print(f"{hours} h: {mqtt} bytes of MQTT both ways, {mqtt * 24 // hours} a day; as the network counts "
          f"{network * 24 // hours} a day")
    assert mqtt * 24 / hours <= 1_000_000
    assert heartbeat is not None
    assert (heartbeat.every_s, heartbeat.summary_s, heartbeat.thinning) == (600, 300, 0)
    assert heartbeat.month_bytes > 0
    assert "of 30.0 MB this month" in traffic_of(heartbeat, Words("en"))


async def test_the_hub_shows_fresh_values_in_calm_and_every_one_while_a_level_stands(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]
) -> None:
    async with valley(tmp_path, new_mosquitto().url) as there:
        for _ in range(40):
            await there.read(lambda unit: 1.0)
        assert len(await there.stored(1)) < 6, "the first reading, the newest at the start, and the summaries"
        (view,) = await there.hub.stations()
        assert of_station(view, there.clock.now_ms()).freshness is Freshness.FRESH
        storm = [1.5, 1.9, 2.1, 2.1, 2.1, 2.6, 2.6, 2.6]
        for value in storm:
            await there.read(lambda unit, value=value: value)  # type: ignore[misc]
        assert (await there.stored(1))[-len(storm):] == storm
        for _ in range(40):
            await there.read(lambda unit: 1.0)
        many = len(await there.stored(1))
        for _ in range(60):
            await there.read(lambda unit: 1.001)
        assert len(await there.stored(1)) - many <= 3


async def test_what_was_kept_back_can_be_asked_for_and_no_point_is_there_twice(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]
) -> None:
    async with valley(tmp_path, new_mosquitto().url) as there:
        for number in range(70):
            await there.read(lambda unit, number=number: 1.0 + number % 3 / 1000)  # type: ignore[misc]
        assert len(await there.stored(2)) < 8
        ask = Ask("raw", who="Li Wei", series="g2/stage_m", start="2024-08-08T00:00:00Z", until="2024-08-09T00:00:00Z")
        said = there.agent.operations.raw(ask.series, ask.start, ask.until, ask.who)
        assert "2024-08-08T00:00:00Z to 2024-08-09T00:00:00Z of g2/stage_m" in said.en
        async with asyncio.timeout(30):
            while len(await there.stored(2)) < 71:
                await asyncio.sleep(0.01)
            await there.settled()
        values = await there.stored(2)
        assert values == [1.0, *(1.0 + number % 3 / 1000 for number in range(70))]
        assert len(await there.stored(3)) < 8
        for series, start, until, words in (
            ("g99/stage_m", ask.start, ask.until, "is not a series of this station"),
            (ask.series, ask.until, ask.start, "is before"),
            (ask.series, "yesterday", ask.until, 'start: "yesterday" is not a time; write ISO 8601 in UTC'),
            (ask.series, "2024-08-08T00:00:00", ask.until, 'start: "2024-08-08T00:00:00" is not a time'),
        ):
            with pytest.raises(ValueError, match=words):
                there.agent.operations.raw(series, start, until, "Li Wei")


async def test_without_a_budget_every_reading_goes_up(tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]) -> None:
    async with valley(tmp_path, new_mosquitto().url, uplink="") as there:
        for _ in range(35):
            await there.read(lambda unit: 1.0)
        assert len(await there.stored(1)) == 36
        assert there.log(Summary) == []
