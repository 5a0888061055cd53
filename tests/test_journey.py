"""The whole journey on real parts: instruments, agent, Mosquitto, hub, InfluxDB, a person's answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
from lxml import etree

from edge.agent import Agent
from hub import answers
from hub.model import Why
from hub.service import Hub
from simulators.devices import RadarLevel, Relay
from simulators.faults import Refuses
from simulators.instruments import Measures
from simulators.people import Person
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, influx_store, running_hub
from tests.services import InfluxDb, Mosquitto
from tests.stations import AREA, START_MS, StationFiles, radar_device, running, wind
from tocsin import topics
from tocsin.broker import Broker
from tocsin.clock import WoundClock
from tocsin.levels import Hazard, Level
from tocsin.link import Link
from tocsin.messages import Bulletin, BulletinKind
from tocsin.signing import public_key_of, verify

T = TypeVar("T")
MINUTE_MS = 60_000
PEOPLE = f'[[person]]\nname = "Li Wei"\nrole = "village head"\ntier = "village"\narea = "{AREA}"\n'
CAP = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}


async def until(ask: Callable[[], Awaitable[T]], within_s: float = 60.0) -> T:
    """What `ask` gives, as soon as it is true: other processes have no event to wait for."""
    async with asyncio.timeout(within_s):
        while not (answer := await ask()):
            await asyncio.sleep(0.01)
    return answer


@dataclass
class Village:
    """Everything between a gauge in the river and the loudspeaker."""

    gauge: RadarLevel
    relay: Relay
    wire: ModbusTcp
    clock: WoundClock
    agent: Agent
    hub: Hub
    files: HubFiles
    influxdb: InfluxDb
    database: str
    heard: list[Bulletin]
    minute: int = 0

    async def stages(self, *metres: float) -> None:
        """A minute and a reading each."""
        for stage in metres:
            self.gauge.set("depth_m", stage)
            self.minute += 1
            await wind(self.agent, self.clock, [START_MS + self.minute * MINUTE_MS])

    async def arrived(self) -> None:
        """The hub has on disk, in the store and on the desk what the station has logged."""

        async def done() -> bool:
            return not self.agent.uplink.backlog and not await self.hub.behind()

        await self.agent.recorder.written(self.agent.recorder.last_seq)
        await until(done)

    async def heard_kinds(self, count: int) -> list[tuple[BulletinKind, int]]:
        async def enough() -> bool:
            return len(self.heard) >= count

        await until(enough)
        return [(bulletin.kind, bulletin.level) for bulletin in self.heard]

    def stored(self, influxql: str) -> list[dict[str, object]]:
        return self.influxdb.query(self.database, influxql)


@pytest.fixture
async def village(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDb, request: pytest.FixtureRequest
) -> AsyncIterator[Village]:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].rstrip("-")
    clock, gauge, relay = WoundClock(START_MS), RadarLevel(Measures.LEVEL), Relay()
    gauge.set("depth_m", 0.5)
    heard: list[Bulletin] = []
    async with ModbusTcp({1: gauge, 9: relay}) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", mosquitto.url, name,
                               devices=radar_device())
        files = HubFiles(tmp_path / "hub", mosquitto.url, [(station.id, station.key)],
                         influx_store(influxdb.url, name), PEOPLE)
        async with (listening(mosquitto.url, public_key_of(files.private_key), heard),
                    running_hub(files.write(), clock) as hub, running(station.write(), clock) as agent):
            await agent.pipeline.wait_handled(1)
            yield Village(gauge, relay, wire, clock, agent, hub, files, influxdb, name, heard)


@asynccontextmanager
async def listening(broker: str, public_key: str, heard: list[Bulletin]) -> AsyncIterator[None]:
    """A loudspeaker: it says what the hub has signed for its area, and nothing else."""

    async def on_message(topic: str, payload: bytes) -> None:
        if payload:
            heard.append(msgspec.json.decode(verify(payload, topic, public_key), type=Bulletin))

    link = Link(Broker.of(broker), "loudspeaker", subscriptions=[topics.bulletin(AREA, "+")], on_message=on_message)
    task = asyncio.create_task(link.run())
    try:
        await link.wait_connected()
        yield
    finally:
        for hazard in Hazard:    # the broker is shared with other tests
            await link.publish(topics.bulletin(AREA, hazard), b"", retain=True)
        task.cancel()


async def test_from_the_wire_to_the_answer_and_the_all_clear(village: Village) -> None:
    await village.stages(1.0, 2.1, 2.7, 3.1)
    await village.arrived()
    (warning,) = await village.hub.open_warnings()
    assert (warning.level, list(warning.calls)) == (Level.RED, ["Li Wei"])
    assert village.relay.on

    async with httpx.AsyncClient(base_url=village.files.url) as phone:
        console = (await phone.get("/")).text
        assert "Upper bridge" in console
        link = answers.link(village.hub.config, warning.id, "Li Wei")
        said = await Person("Li Wei").answer(link, village.clock, phone)
        assert "Li Wei" in said
    (warning,) = await village.hub.open_warnings()
    assert warning.calls["Li Wei"].answered_at == village.clock.now_ms()

    await village.stages(2.2, 0.4)
    await village.arrived()
    assert await village.hub.open_warnings() == []
    whys = [row.why for row in await village.hub.journal(warning.id)]
    assert [whys[0], whys[-1]] == [Why.FIRST, Why.CLEARED]
    assert Why.ANSWERED in whys
    assert await village.heard_kinds(5) == [
        (BulletinKind.ALERT, 2), (BulletinKind.UPDATE, 3), (BulletinKind.UPDATE, 4), (BulletinKind.UPDATE, 2),
        (BulletinKind.CLOSE, 0)]
    caps = [etree.parse(path) for path in sorted(village.hub.cap_folder.glob("*.xml"))]
    assert [cap.findtext("c:msgType", namespaces=CAP) for cap in caps] == ["Alert", *["Update"] * 4]
    assert caps[-1].findtext("c:info/c:responseType", namespaces=CAP) == "AllClear"


async def test_a_hub_that_came_up_just_now_knows_whom_the_first_detection_warns(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]
) -> None:
    broker, clock, gauge = new_mosquitto(), WoundClock(START_MS), RadarLevel(Measures.LEVEL)
    gauge.set("depth_m", 0.5)
    async with ModbusTcp({1: gauge}) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", broker.url, siren=False)
        files = HubFiles(tmp_path / "hub", broker.url, [(station.id, station.key)], people=PEOPLE)
        async with running(station.write(), clock) as agent:
            await agent.link.wait_connected()
            await wind(agent, clock, [START_MS + MINUTE_MS])
            async with running_hub(files.write(), clock) as hub:
                await hub.link.wait_connected()
                gauge.set("depth_m", 3.1)  # the start record went to nobody, and is not due again yet
                await wind(agent, clock, [START_MS + 2 * MINUTE_MS])
                warnings = await until(hub.open_warnings)
    assert [(warning.area, list(warning.calls)) for warning in warnings] == [(AREA, ["Li Wei"])]


async def test_a_refusing_device_an_impossible_value_and_a_malformed_message_are_told_and_the_rest_goes_on(
    village: Village, mosquitto: Mosquitto
) -> None:
    village.wire.set_fault(1, Refuses(2))
    await village.stages(0.6)
    village.wire.set_fault(1, None)
    await village.stages(25.0, 0.7)
    station = village.database
    async with quick_link(mosquitto.url) as link:
        await link.publish(topics.up(station, topics.READINGS), b'{"v":1,"station":')
        await link.publish(topics.up(station, topics.READINGS), b"\xff\xfe")
        await link.publish(topics.up("stranger", topics.READINGS), b"{}")
    await village.stages(2.1)
    await village.arrived()
    told = [(event["what"], event["detail"]) for event in village.stored("SELECT what, detail FROM events")]
    assert ("refused", "exception: exception 2: illegal data address") in told
    assert ("refused", "implausible: stage_m 25 is outside the plausible -2 to 10") in told

    async def counted() -> bool:
        return Counter(village.hub.counts())["intake: quarantined: malformed"] == 3

    await until(counted)
    values = [row["value"] for row in village.stored("SELECT value FROM readings")]
    assert values == [0.5, 25.0, 0.7, 2.1]
    assert [warning.level for warning in await village.hub.open_warnings()] == [Level.YELLOW]


@asynccontextmanager
async def quick_link(broker: str) -> AsyncIterator[Link]:
    """Somebody else at the broker."""

    async def ignore(_topic: str, _payload: bytes) -> None:
        """Subscribes to nothing."""

    link = Link(Broker.of(broker), "somebody", subscriptions=[], on_message=ignore)
    task = asyncio.create_task(link.run())
    try:
        await link.wait_connected()
        yield link
    finally:
        task.cancel()
