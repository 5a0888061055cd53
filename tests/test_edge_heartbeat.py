"""What a station says of itself, and what the broker says in its place when it is gone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.fitting import fitted
from tests.processes import Command
from tests.services import Mosquitto, Server
from tests.stations import StationFiles, radar_device
from tests.tasks import beside
from tests.test_agent import Site
from tests.test_link_large import NARROW, NarrowMosquitto
from tocsin import topics
from tocsin.broker import Broker
from tocsin.faults import OpenFault
from tocsin.link import Link
from tocsin.messages import DeviceHealth, Heartbeat, LogHealth, SirenHealth, encode
from tocsin.packing import pack, unpack


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    """What is in it is ended with the test."""
    started: list[Server] = []
    yield started
    for server in started:
        server.kill()


@pytest.fixture
def mosquitto(tmp_path: Path, servers: list[Server]) -> Mosquitto:
    server = Mosquitto(tmp_path / "broker")
    server.start()
    servers.append(server)
    return server


class Listener:
    """Hears the heartbeats of a station over a real broker."""

    def __init__(self, url: str, name: str) -> None:
        self.beats: asyncio.Queue[Heartbeat] = asyncio.Queue()
        self.link = Link(Broker.of(url), name, subscriptions=[topics.up("bridge", topics.HEARTBEAT)],
                         on_message=self._hear)

    async def _hear(self, _topic: str, payload: bytes) -> None:
        await self.beats.put(msgspec.json.decode(payload, type=Heartbeat))

    async def said(self, *, online: bool) -> Heartbeat:
        """The next one that says so."""
        async with asyncio.timeout(30):
            while (beat := await self.beats.get()).online is not online:
                pass
            return beat


async def test_of_a_killed_agent_the_broker_says_that_it_is_gone_also_to_who_asks_later(
    tmp_path: Path, mosquitto: Mosquitto, servers: list[Server]
) -> None:
    broker, site = mosquitto, Site(tmp_path / "site")
    site.files.broker = broker.url
    hub, later = Listener(broker.url, "hub"), Listener(broker.url, "later")
    async with site.wire, beside(hub.link.run()):
        site.files.port = f"tcp://127.0.0.1:{site.wire.port}"
        agent = Command(tmp_path / "process", "edge", str(site.files.write()))
        servers.append(agent)
        agent.start()
        alive = await hub.said(online=True)
        assert {device.device for device in alive.devices} == {"gauge", "other", "siren"}
        assert alive.log is not None
        agent.kill()
        gone = await hub.said(online=False)
        assert (gone.boot, gone.station) == (alive.boot, "bridge")
        async with beside(later.link.run()):
            assert await later.said(online=False) == gone
        agent.start()
        assert (await hub.said(online=True)).boot != alive.boot
        await asyncio.to_thread(agent.stop)
        assert (await hub.said(online=False)).boot != alive.boot, "a clean stop is said by the station itself"


def many(well: int, ill: int, faults: int, words: int) -> Heartbeat:
    """Of so many devices and faults; what is wrong is said in so many characters."""
    good = [DeviceHealth(f"well-{at}", 10, 0, 5) for at in range(well)]
    bad = [DeviceHealth(f"ill-{at}", 0, 10, 0, "x" * words) for at in range(ill)]
    mixed = [device for pair in zip(good, bad, strict=False) for device in pair]
    return Heartbeat(1, "bridge", 5, online=True, siren=4, devices=[*mixed, *good[ill:], *bad[well:]],
                     faults=[OpenFault("sensor", f"ill-{at}", "y" * words, 1, "故" * words) for at in range(faults)])


def packed_not(data: bytes) -> bytes:
    return data


@given(st.integers(0, 60), st.integers(1, 60), st.integers(0, 20), st.sampled_from([1, 90, 900]),
       st.integers(800, 30_000), st.booleans())
def test_a_heartbeat_fits_and_what_is_left_out_is_counted_the_least_first(
    well: int, ill: int, faults: int, words: int, most: int, packs: bool
) -> None:
    whole = many(well, ill, faults, words)
    payload = fitted(whole, most, pack if packs else packed_not)
    assert len(payload) <= most
    said = msgspec.json.decode(unpack(payload, 1 << 22), type=Heartbeat)
    named = [device.device for device in said.devices]
    assert len(named) + said.more_devices == well + ill
    assert sum(bool(device.fault) for device in said.devices) + said.more_ill == ill
    assert len(said.faults) + said.more_faults == faults
    assert named == [device.device for device in whole.devices if device.device in set(named)]
    if said.more_ill:
        assert all(device.fault for device in said.devices), "one that is well is named before one that is not"
    if said.more_faults:
        assert not said.devices
    assert (said.siren, said.online) == (4, True)


def test_no_more_is_left_out_than_must_be() -> None:
    whole = many(50, 50, 5, 40)
    size = len(encode(whole))
    assert fitted(whole, size, packed_not) == encode(whole)
    said = msgspec.json.decode(fitted(whole, size - 1, packed_not), type=Heartbeat)
    assert (said.more_devices, said.more_ill, said.more_faults) == (1, 0, 0)


def test_what_is_wrong_with_the_whole_station_is_named_before_single_devices() -> None:
    whole = many(0, 0, 40, 90)
    disk, config = (OpenFault(fault, "it", "z" * 90, 1, "错" * 90) for fault in ("disk", "config"))
    whole = msgspec.structs.replace(whole, faults=[*whole.faults, disk, config])
    said = msgspec.json.decode(fitted(whole, 2600, packed_not), type=Heartbeat)
    assert said.faults[-2:] == [disk, config]
    assert 2 < len(said.faults) < 42
    assert said.faults[:-2] == whole.faults[:len(said.faults) - 2]


def test_long_words_about_the_siren_are_cut_before_it_goes_unsaid_with_every_fault() -> None:
    whole = msgspec.structs.replace(
        many(0, 2, 2, 90), siren_health=SirenHealth(0, "", 0, "", "s" * 3000, "", "警" * 3000),
        log=LogHealth(1.0, 2.0, fault="l" * 900))
    said = msgspec.json.decode(fitted(whole, 2600, packed_not), type=Heartbeat)
    assert (len(said.faults), len(said.devices), said.more_ill) == (2, 2, 0)
    assert said.siren_health is not None
    assert said.siren_health.fault.startswith("sss")
    assert said.log is not None
    assert said.log.fault


def test_one_that_cannot_be_so_small_is_as_small_as_it_gets() -> None:
    said = msgspec.json.decode(fitted(many(3, 3, 3, 900), 10, packed_not), type=Heartbeat)
    assert (said.devices, said.faults, said.more_devices, said.more_ill, said.more_faults) == ([], [], 6, 3, 3)


async def test_a_station_of_hundreds_of_devices_is_heard_by_a_broker_that_takes_little(
    tmp_path: Path, servers: list[Server]
) -> None:
    broker = NarrowMosquitto(tmp_path / "narrow")
    broker.start()
    servers.append(broker)
    devices = "".join(radar_device(f"a-gauge-of-a-long-name-{unit}", unit) for unit in range(1, 241))
    files = StationFiles(tmp_path / "site", "tcp://127.0.0.1:9", broker.url, devices=devices, siren=False)
    hub = Listener(broker.url, "hub")
    agent = Command(tmp_path / "process", "edge", str(files.write()))
    servers.append(agent)
    async with beside(hub.link.run()):
        await hub.link.wait_connected()
        agent.start()
        alive = await hub.said(online=True)
        agent.kill()
        gone = await hub.said(online=False)
    assert [len(beat.devices) + beat.more_devices for beat in (alive, gone)] == [240, 240]
    assert 100 < len(alive.devices) < 240
    assert len(encode(alive)) <= NARROW
    assert len(encode(gone)) <= 1024
