"""Messages that are too large, on a real Mosquitto: refused with words, and nothing else suffers for it."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import aiomqtt
import pytest

from edge.recorder import KINDS
from edge.uplink import Uplink
from tests.lines import until
from tests.services import Mosquitto
from tests.tasks import beside
from tests.test_edge_uplink import BOOT, STATION, reading
from tocsin import topics
from tocsin.broker import Broker
from tocsin.link import LARGEST_PACKET, Link, TooLargeError
from tocsin.log import Entry, Log
from tocsin.messages import LARGEST, Event, EventKind, encode, record_of, upload_of
from tocsin.said import Said
from tocsin.signing import new_station_key

NARROW = 20_000


class NarrowMosquitto(Mosquitto):
    """Takes no packet above NARROW bytes, and says so."""

    def arguments(self) -> list[str]:
        arguments = super().arguments()
        config = self.folder / "mosquitto.conf"
        config.write_text(config.read_text() + f"max_packet_size {NARROW}\n")
        return arguments


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[Mosquitto]:
    server = NarrowMosquitto(tmp_path / "narrow")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path / "broker")
    server.start()
    yield server
    server.stop()


async def ignore(_topic: str, _payload: bytes) -> None:
    """Nothing is subscribed."""


def words(count: int) -> str:
    """Text that does not pack well."""
    return random.Random(count).randbytes(count // 2).hex()


async def test_a_message_larger_than_the_broker_takes_is_refused_and_the_connection_stays(narrow: Mosquitto) -> None:
    link = Link(Broker("127.0.0.1", narrow.port), STATION, subscriptions=[], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        await link.wait_connected()
        client = link._client
        with pytest.raises(TooLargeError, match=rf"^20001 bytes, and 127.0.0.1 takes {NARROW}$"):
            await link.publish("t", b"x" * (NARROW - 16))
        await link.publish("t", b"x" * (NARROW - 17))
        assert link._client is client


async def test_without_a_word_of_the_broker_the_limit_is_the_hubs(broker: Mosquitto) -> None:
    link = Link(Broker("127.0.0.1", broker.port), STATION, subscriptions=[], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        await link.wait_connected()
        with pytest.raises(TooLargeError, match=f"at most {LARGEST_PACKET}$"):
            await link.publish("t", b"x" * LARGEST_PACKET)
        await link.publish("t", b"x" * LARGEST)


async def test_what_is_too_large_for_us_is_not_sent_to_us_and_the_next_message_comes(broker: Mosquitto) -> None:
    heard: list[int] = []

    async def hear(_topic: str, payload: bytes) -> None:
        heard.append(len(payload))

    link = Link(Broker("127.0.0.1", broker.port), STATION, subscriptions=["down"], on_message=hear)
    async with beside(link.run()), asyncio.timeout(30):
        await link.wait_connected()
        client = link._client
        async with aiomqtt.Client("127.0.0.1", broker.port) as other:
            for size in (3, LARGEST_PACKET, LARGEST, 5):
                await other.publish("down", b"x" * size, qos=1)
        await until(lambda: heard[-1:] == [5])
        assert heard == [3, LARGEST, 5]
        assert link._client is client


async def test_records_that_are_too_large_hold_up_no_others_and_are_told_once(
    tmp_path: Path, narrow: Mosquitto
) -> None:
    storage = Log(tmp_path / "log")
    large = {3, 7, 8}
    for seq in range(1, 11):
        event = Event(BOOT, seq, seq, EventKind.DISK, words(2 * NARROW))
        storage.append([Entry(seq, KINDS[Event], encode(event)) if seq in large else reading(seq)])
    seen: list[int] = []
    told: list[Said] = []

    async def hear(_topic: str, payload: bytes) -> None:
        seen.extend(record_of(bytes(raw)).seq for raw in upload_of(payload).records)

    uplink = Uplink(storage, STATION, new_station_key())
    uplink.on_fault = told.append
    address = Broker("127.0.0.1", narrow.port)
    hub = Link(address, "hub", subscriptions=[topics.up(STATION, topics.READINGS)], on_message=hear)
    link = Link(address, STATION, subscriptions=[], on_message=ignore, on_connect=uplink.connected)
    async with beside(hub.run()), asyncio.timeout(30):
        await hub.wait_connected()
        async with beside(link.run()), beside(uplink.run(link)):
            await until(lambda: len(set(seen)) == 7)
            await uplink.connected()
            await until(lambda: len(seen) >= 14)  # what nobody answered comes again, but those three
    assert set(seen) == set(range(1, 11)) - large
    assert uplink.backlog == 7
    assert [one.en.partition(" stays")[0] for one in told] == ["record 3", "record 7", "record 8"]
    assert all(one.en.endswith(f"and 127.0.0.1 takes {NARROW}") for one in told)
    assert [one.zh.partition("：")[0] for one in told] == [
        f"第 {seq} 条记录留在日志中，不再上传" for seq in sorted(large)]
    assert all(one.zh.endswith(f"而 127.0.0.1 最多接受 {NARROW}") for one in told)
    uplink.close()
    storage.close()
