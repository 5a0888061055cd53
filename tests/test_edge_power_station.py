"""A station whose battery is low: rarer polls, a stop in calm, a return, and what the hub hears of it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from edge.agent import Agent
from edge.care import REST_BLIND_S, REST_EVERY_S, rest
from edge.config import load_station
from edge.power import PowerState
from simulators.faults import Refuses
from tests.lines import until
from tests.services import Mosquitto
from tests.solar import Solar
from tests.tasks import beside
from tocsin import topics
from tocsin.broker import Broker
from tocsin.config import ConfigError
from tocsin.link import Link
from tocsin.messages import Event, EventKind, Heartbeat
from tocsin.notify import Notify


@pytest.fixture
def solar(tmp_path: Path) -> Solar:
    return Solar(tmp_path)


async def test_a_low_battery_makes_polls_rarer_and_a_warning_makes_them_fast_again(solar: Solar) -> None:
    async with solar.agent() as agent:
        await solar.minutes(3)
        assert agent._health.power == "normal"
        solar.charger.set("battery_v", 11.9)
        await solar.minutes(7)
        assert [one.fault for one in agent._health.open if one.what == "voltage"] == ["battery"]
        assert agent._watch._heartbeat(online=True).power == "saving"
        await solar.minutes(8)
        await agent.recorder.written(agent.recorder.last_seq)
        calm = [minute for minute in solar.read() if minute >= 10]
        assert {late - early for early, late in pairwise(calm)} == {2}
        solar.gauge.set("depth_m", 2.6)
        await solar.minutes(8)
        await agent.recorder.written(agent.recorder.last_seq)
        assert {late - early for early, late in pairwise(solar.read()[-5:])} == {1}
        assert not [one for one in solar.files.log() if isinstance(one, Event) and one.what is EventKind.STALE]
    assert solar.states() == ["saving"]


async def test_critical_polls_stay_rare_and_nothing_stops_while_a_level_stands(solar: Solar) -> None:
    async with solar.agent() as agent:
        solar.gauge.set("depth_m", 2.1)  # yellow: the siren is silent
        solar.charger.set("battery_v", 11.2)
        await solar.minutes(20)
        assert agent.care.power.state is PowerState.OFF
        assert not agent.care.over.is_set()
        await agent.recorder.written(agent.recorder.last_seq)
        assert {late - early for early, late in pairwise(solar.read()[-4:])} == {2}
        solar.gauge.set("depth_m", 0.5)
        await solar.minutes(12)
        assert agent.care.over.is_set()


async def test_at_off_in_calm_the_agent_ends_cleanly_and_returns_when_the_battery_has_recovered(solar: Solar) -> None:
    async with solar.wire:
        station = load_station(solar.write())
        agent = Agent(station, solar.clock)
        solar.over = agent.care.over
        ended = asyncio.create_task(agent.run())
        await solar.at_rest()
        solar.charger.set("battery_v", 11.2)
        while not agent.care.over.is_set():
            await solar.minutes(1)
        async with asyncio.timeout(30):
            await ended
        assert solar.states() == ["off"]
        solar.tasks, solar.over = 1, asyncio.Event()
        solar.clock._sleepers.clear()
        resting = asyncio.create_task(rest(station, solar.clock, Notify("")))
        for volts, slept in ((11.2, 3), (12.7, 2)):
            solar.charger.set("battery_v", volts)
            for _ in range(slept):
                await solar.at_rest()
                assert not resting.done()
                solar.clock.wind_to(solar.clock.now_ms() + round(REST_EVERY_S * 1000))
        async with asyncio.timeout(30):
            await resting
        served = solar.gauge.served
        again = Agent(station, solar.clock)
        solar.tasks = 7
        ended = asyncio.create_task(again.run())
        await solar.at_rest()
        assert solar.gauge.served > served
        ended.cancel()
        with suppress(asyncio.CancelledError):
            await ended


async def test_a_battery_that_cannot_be_read_keeps_no_station_blind(solar: Solar) -> None:
    async with solar.wire:
        station = load_station(solar.write())
        solar.wire.set_fault(5, Refuses(4))
        solar.tasks = 1
        resting = asyncio.create_task(rest(station, solar.clock, Notify("")))
        for _ in range(round(REST_BLIND_S / REST_EVERY_S)):
            await solar.at_rest()
            assert not resting.done()
            solar.clock.wind_to(solar.clock.now_ms() + round(REST_EVERY_S * 1000))
        async with asyncio.timeout(30):
            await resting


async def test_a_voltage_that_no_battery_has_is_no_recovery(tmp_path: Path) -> None:
    solar = Solar(tmp_path, "[device.series.battery_v]\nplausible = [6.0, 18.0]\n")
    async with solar.wire:
        solar.charger.set("battery_v", 25.0)
        solar.tasks = 1
        async with beside(rest(load_station(solar.write()), solar.clock, Notify(""))):
            for _ in range(6):
                await solar.at_rest()
                solar.clock.wind_to(solar.clock.now_ms() + round(REST_EVERY_S * 1000))
            await solar.at_rest()


async def test_a_low_battery_is_asked_often_enough_to_see_its_return(tmp_path: Path) -> None:
    solar = Solar(tmp_path)
    for quantity in ("battery_v", "battery_pct", "battery_temp_c", "cabinet_temp_c"):
        solar.files.rules += f'[[check]]\nquantity = "{quantity}"\nstale_after_min = 600\n'
    solar.files.devices = solar.files.devices.replace("unit = 5\n", "unit = 5\nevery_s = 120\n")
    async with solar.agent() as agent:
        agent.care.power.state = PowerState.CRITICAL
        assert agent.care.slower(agent._station.devices[1])() == 2
        assert agent.care.slower(agent._station.devices[0])() == 2


async def test_a_battery_that_nobody_reads_stays_what_it_was_and_is_told(solar: Solar) -> None:
    async with solar.agent() as agent:
        solar.charger.set("battery_v", 11.9)
        await solar.minutes(7)
        solar.wire.set_fault(5, Refuses(4))
        await solar.minutes(17)
        assert agent.care.power.state is PowerState.SAVING
        assert {one.what for one in agent._health.open if one.fault == "battery"} == {"voltage", "unknown"}


class Hub:
    """Hears a station over a real broker, and confirms nothing."""

    def __init__(self, url: str) -> None:
        self.beats: list[Heartbeat] = []
        self.levels = 0
        self.link = Link(Broker.of(url), "hub", subscriptions=[topics.up("bridge", "+")], on_message=self._hear)

    async def _hear(self, topic: str, payload: bytes) -> None:
        if topic.endswith("heartbeat"):
            self.beats.append(msgspec.json.decode(payload, type=Heartbeat))
        self.levels += topic.endswith("detections")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path / "broker")
    server.start()
    yield server
    server.kill()


async def asleep(solar: Solar, agent: Agent, hub: Hub) -> None:
    """The battery is low, and the link sleeps."""
    await hub.link.wait_connected()
    await agent.link.wait_connected()
    solar.charger.set("battery_v", 11.9)
    while not agent.care.checkup.asleep:
        await solar.minutes(1)
    await until(lambda: not agent.link.connected)


async def test_a_saving_station_says_how_long_it_sleeps_and_a_warning_wakes_its_link(
    solar: Solar, broker: Mosquitto
) -> None:
    solar.files.broker = broker.url
    hub = Hub(broker.url)
    async with beside(hub.link.run()), solar.agent() as agent:
        await asleep(solar, agent, hub)
        await until(lambda: bool(hub.beats) and hub.beats[-1].next_s > 0)
        assert (hub.beats[-1].online, hub.beats[-1].power) == (True, "saving"), "the will came"
        solar.gauge.set("depth_m", 2.1)
        await solar.minutes(3)
        await agent.link.wait_connected()
        await until(lambda: hub.levels > 0)
        assert agent.care.power.state is PowerState.SAVING
        solar.gauge.set("depth_m", 0.5)
        await solar.minutes(10)
        assert not agent.recorder.urgent
        assert agent.link.connected, "the hub has not confirmed that all is clear"


async def test_the_hub_hears_of_the_end_although_the_link_slept(solar: Solar, broker: Mosquitto) -> None:
    solar.files.broker = broker.url
    hub = Hub(broker.url)
    async with beside(hub.link.run()), solar.agent() as agent:
        await asleep(solar, agent, hub)
        solar.charger.set("battery_v", 11.2)
        while not agent.care.over.is_set():
            await solar.minutes(1)
        await until(lambda: bool(hub.beats) and not hub.beats[-1].online)
        assert hub.beats[-1].power == "off"


@pytest.mark.parametrize(("series", "says"), [
    ("gauge/stage_m", 'power: series: "gauge/stage_m" is not a voltage of this file; use charger/battery_v'),
    ("charger/battery_v", ""),
])
def test_the_series_of_power_is_a_voltage_of_the_station(solar: Solar, series: str, says: str) -> None:
    solar.files.port = "tcp://127.0.0.1:9"
    solar.files.devices += f'[power]\nseries = "{series}"\n'
    path = solar.files.write()
    if not says:
        assert load_station(path).file.power.series == series
        return
    with pytest.raises(ConfigError, match=says):
        load_station(path)


async def test_a_voltage_in_service_moves_nothing(tmp_path: Path) -> None:
    site = Solar(tmp_path)
    async with site.agent() as agent:
        agent.operations.service("charger/battery_v", 30, "Li Wei")
        site.charger.set("battery_v", 11.8)
        await site.minutes(12)
        assert agent.care.power.state.word == "normal"
        agent.operations.service("charger/battery_v", 0, "Li Wei")
        await site.minutes(12)
        assert agent.care.power.state.word == "saving"
