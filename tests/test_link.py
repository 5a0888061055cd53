"""The link: what waits on a connection that is gone must not wait for its deadline."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from tests.lines import until
from tests.services import Mosquitto, free_port
from tests.tasks import beside
from tocsin import link as module
from tocsin.broker import Broker
from tocsin.link import Link, LinkDownError, RefusedError
from tocsin.traffic import Traffic


async def ignore(_topic: str, _payload: bytes) -> None:
    """Nothing is subscribed."""


class DeafBroker:
    """Accepts MQTT 5 connections and never says that it took a message, until the connection is cut."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.published = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while head := await reader.read(1):
            await reader.readexactly((await reader.readexactly(1))[0])
            if head[0] >> 4 == 1:
                writer.write(bytes.fromhex("2003000000"))  # CONNACK, success, no properties
            self.published += head[0] >> 4 == 3


async def test_a_message_under_way_when_the_connection_breaks_is_given_back_at_once() -> None:
    broker, port = DeafBroker(), free_port()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
    link = Link(Broker("127.0.0.1", port), "station", subscriptions=[], on_message=ignore)
    running = asyncio.create_task(link.run())
    try:
        async with asyncio.timeout(30):
            await link.wait_connected()
        sending = asyncio.create_task(link.publish("tocsin/1/a/readings", b"{}"))
        await until(lambda: broker.published == 1)
        broker.writers[0].transport.abort()
        with pytest.raises(LinkDownError):
            async with asyncio.timeout(15):    # half of what a message is given
                await sending
        async with asyncio.timeout(30):
            await link.wait_connected()
    finally:
        running.cancel()
        for writer in broker.writers:
            writer.transport.abort()
        server.close()


async def test_a_broker_that_hangs_up_before_it_answers_is_tried_again_at_once() -> None:
    """What stands in front of a broker that is down accepts and hangs up; when the broker is back, so is the link."""
    broker, port, turned_away = DeafBroker(), free_port(), 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turned_away
        if turned_away < 2:
            turned_away += 1
            await reader.read(1)
            writer.transport.abort()
        else:
            await broker.serve(reader, writer)

    server = await asyncio.start_server(hang_up, "127.0.0.1", port)
    link = Link(Broker("127.0.0.1", port), "station", subscriptions=[], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        await until(lambda: turned_away > 0 and link.trouble.en not in {"", "not connected yet"})
        await link.wait_connected()
        assert turned_away == 2
        broker.writers[0].transport.abort()
    server.close()


def test_traffic_is_both_ways_with_what_lies_around_it() -> None:
    traffic = Traffic(keepalive_s=10)
    traffic.connected(0.0, tls=False)
    begun = traffic.network
    traffic.published("tocsin/1/a/readings", bytes(100), 5.0)
    message, answer = 100 + len("tocsin/1/a/readings") + 6, 4
    assert traffic.mqtt == message + answer
    assert traffic.network - begun == traffic.mqtt + 2 * 80    # IP and TCP of each and of its acknowledgement
    traffic.received("tocsin/1/a/committed", b"", 5.0 + 35)
    silent = traffic.mqtt - message - answer
    assert silent == len("tocsin/1/a/committed") + 6 + 4 + 3 * 2 * 2    # three pings and their answers


def test_a_large_message_goes_in_several_segments_and_tls_costs_its_share() -> None:
    plain, secret = Traffic(keepalive_s=10), Traffic(keepalive_s=10)
    plain.connected(0.0, tls=False)
    secret.connected(0.0, tls=True)
    before = secret.network - plain.network
    for traffic in (plain, secret):
        traffic.published("t", bytes(3000), 1.0)
    assert plain.mqtt == secret.mqtt
    assert secret.network - plain.network - before == 22 * (3 + 1)


async def test_a_broker_that_answers_pings_and_takes_no_message_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PUBLISH_S", 0.2)
    broker, port = DeafBroker(), free_port()
    server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
    link = Link(Broker("127.0.0.1", port), "station", subscriptions=[], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        for connections in (1, 2, 3):
            await until(lambda connections=connections: len(broker.writers) == connections)  # type: ignore[misc]
            await link.wait_connected()
            with pytest.raises(LinkDownError):
                await link.publish("tocsin/1/a/readings", b"{}")
            await until(lambda: not link.connected)
        for writer in broker.writers:
            writer.transport.abort()
    server.close()


async def test_what_a_broker_does_not_let_us_hear_is_told_and_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HEAR_AGAIN_S", 0.01)
    port, answers = free_port(), iter([0x87, 0x87, 0x01])    # not authorized, twice; QoS 1
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while head := await reader.read(1):
            packet = await reader.readexactly((await reader.readexactly(1))[0])
            if head[0] >> 4 == 1:
                writer.write(bytes.fromhex("2003000000"))
            elif head[0] >> 4 == 8:
                writer.write(bytes.fromhex("9004") + packet[:2] + bytes([0, next(answers)]))
                asked += 1
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    link = Link(Broker("127.0.0.1", port), "station", subscriptions=["down"], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        await link.wait_connected()
        assert link.trouble.en == "the broker does not let us hear down: Not authorized"
        await until(lambda: asked == 3 and link.trouble.en == "")
        assert link.connected
    server.close()


async def test_what_follows_a_connection_is_begun_before_who_waited_for_it_goes_on() -> None:
    """An uplink that went on first would send the newest readings before it knows that a warning must go again."""
    broker, port, order, waits = DeafBroker(), free_port(), list[str](), asyncio.Event()

    async def greet() -> None:
        order.append("follows")

    async def wait(link: Link) -> None:
        waits.set()
        await link.wait_connected()
        order.append("goes on")

    server = await asyncio.start_server(broker.serve, "127.0.0.1", port)
    link = Link(Broker("127.0.0.1", port), "station", subscriptions=[], on_message=ignore, on_connect=greet)
    async with beside(wait(link)):
        await waits.wait()
        async with beside(link.run()):
            await until(lambda: len(order) == 2)
            broker.writers[0].transport.abort()
    server.close()
    assert order == ["follows", "goes on"]


async def test_that_a_broker_refuses_our_messages_is_told_until_it_takes_them(tmp_path: Path) -> None:
    """A list of who may do what that forgets a station: connected, and yet nothing goes up."""
    broker = Listed(tmp_path)
    broker.start()
    try:
        link = Link(Broker.of(f"mqtt://bridge:x@127.0.0.1:{broker.port}"), "station", subscriptions=[],
                    on_message=ignore)
        async with beside(link.run()), asyncio.timeout(30):
            await link.wait_connected()
            assert link.trouble.en == ""
            with pytest.raises(RefusedError, match=r"^the broker refuses it: Not authorized$"):
                await link.publish("up", b"{}")
            assert link.trouble.en == "the broker refuses our messages: Not authorized"
            broker.list("user bridge\ntopic readwrite #\n")
            while link.trouble.en:
                with suppress(RefusedError):
                    await link.publish("up", b"{}")
    finally:
        broker.kill()


class Listed(Mosquitto):
    """With a list of its own, which lets nobody do anything at first."""

    def arguments(self) -> list[str]:
        found = super().arguments()
        self.list("user nobody\ntopic readwrite #\n")
        with (self.folder / "mosquitto.conf").open("a") as config:
            config.write(f"acl_file {self.folder / 'acl'}\n")
        return found

    def list(self, lines: str) -> None:
        (self.folder / "acl").write_text(lines)
        if self.pid is not None:
            os.kill(self.pid, signal.SIGHUP)
