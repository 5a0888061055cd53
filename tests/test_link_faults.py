"""The link: what fails on one message, or around a socket, must not harm the rest, nor the memory."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lines import until
from tests.services import Mosquitto, free_port
from tests.tasks import beside
from tests.test_link import DeafBroker, ignore
from tests.tls import Authority, TlsMosquitto
from tocsin import client as module
from tocsin import link as link_module
from tocsin import trust
from tocsin.broker import Broker, context_of
from tocsin.link import Link, LinkDownError

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CONNACK = bytes.fromhex("2003000000")


@asynccontextmanager
async def served(serve: Serve) -> AsyncIterator[Broker]:
    """What serves so; at the end all its connections are cut."""
    port, writers = free_port(), list[asyncio.StreamWriter]()

    async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await serve(reader, writer)

    server = await asyncio.start_server(keep, "127.0.0.1", port)
    try:
        yield Broker("127.0.0.1", port)
    finally:
        for writer in writers:
            writer.transport.abort()
        server.close()
        await asyncio.sleep(0)


def flood(sizes: list[int], go: asyncio.Event) -> Serve:
    """A broker that says all of this at once, of QoS 0, to whoever is connected."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(CONNACK)
        await go.wait()
        packets = bytearray()
        for size in sizes:
            body = b"\0\1t\0" + bytes(size)
            packets += b"\x30" + bytes([len(body) & 127 | 128, len(body) >> 7 & 127 | 128, len(body) >> 14]) + body
        writer.write(packets)
        while await reader.read(1000):
            pass

    return serve


async def test_a_message_that_its_handler_fails_on_costs_no_other_and_not_the_connection(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    heard: list[bytes] = []

    async def hear(_topic: str, payload: bytes) -> None:
        if payload == b"poison":
            raise RuntimeError("poison")
        heard.append(payload)

    broker.start()
    try:
        link = Link(Broker.of(broker.url), "station", subscriptions=["down"], on_message=hear)
        async with beside(link.run()), asyncio.timeout(30):
            await link.wait_connected()
            client = link._client
            await asyncio.gather(*(link.publish("down", payload) for payload in (b"1", b"poison", b"2")))
            await until(lambda: heard == [b"1", b"2"])
            assert link._client is client
    finally:
        broker.kill()


@pytest.mark.parametrize("err", [RuntimeError("a defect"), LinkDownError("the broker did not take it")])
async def test_what_follows_a_connection_is_done_again_where_it_fails(
    monkeypatch: pytest.MonkeyPatch, err: Exception
) -> None:
    monkeypatch.setattr(link_module, "_FIRST_WAIT_S", 0.01)
    broker, done = DeafBroker(), 0

    async def greet() -> None:
        nonlocal done
        done += 1
        if done < 3:
            raise err

    async with served(broker.serve) as address:
        link = Link(address, "station", subscriptions=[], on_message=ignore, on_connect=greet)
        async with beside(link.run()), asyncio.timeout(30):
            await until(lambda: done == 3)
            assert len(broker.writers) == 1


async def test_a_subscription_that_is_not_answered_is_still_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first answer refuses, the second never comes, the third grants."""
    monkeypatch.setattr(link_module, "_HEAR_AGAIN_S", 0.01)
    monkeypatch.setattr(link_module, "_TIMEOUT_S", 0.2)
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        while head := await reader.read(1):
            packet = await reader.readexactly((await reader.readexactly(1))[0])
            if head[0] >> 4 == 1:
                writer.write(CONNACK)
            elif head[0] >> 4 == 8:
                asked += 1
                if asked != 2:
                    writer.write(bytes.fromhex("9004") + packet[:2] + bytes([0, 0x87 if asked == 1 else 1]))

    async with served(serve) as address:
        link = Link(address, "station", subscriptions=["down"], on_message=ignore)
        async with beside(link.run()), asyncio.timeout(30):
            await until(lambda: asked == 2)
            assert link.trouble.en == "the broker does not let us hear down: Not authorized"
            await until(lambda: asked == 3 and link.trouble.en == "")


async def test_messages_that_wait_are_bounded_by_their_bytes_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 1_000_000)
    sizes, go, gate, heard = [100_000] * 40, asyncio.Event(), asyncio.Event(), 0
    go.set()

    async def slow(_topic: str, _payload: bytes) -> None:
        nonlocal heard
        await gate.wait()
        heard += 1

    async with served(flood(sizes, go)) as address:
        link = Link(address, "station", subscriptions=[], on_message=slow)
        async with beside(link.run()), asyncio.timeout(30):
            await until(lambda: link.dropped > 0 and link.dropped + len(waiting(link)) + 1 >= len(sizes))
            assert len(waiting(link)) == 10
            gate.set()
            await until(lambda: heard + link.dropped == len(sizes))
            assert heard in {10, 11}
    assert sum("dropped" in one.message for one in caplog.records) == 1


def waiting(link: Link) -> Any:
    assert link._client is not None
    return link._client.messages


async def test_a_flood_lets_others_have_their_turn() -> None:
    jumps, before, heard, sizes, go = 0, 0, 0, [50] * 6_000, asyncio.Event()

    async def hear(_topic: str, _payload: bytes) -> None:
        nonlocal heard
        heard += 1

    async with served(flood(sizes, go)) as address:
        link = Link(address, "station", subscriptions=[], on_message=hear)
        async with beside(link.run()), asyncio.timeout(60):
            await link.wait_connected()
            go.set()
            while heard + link.dropped < len(sizes):
                await asyncio.sleep(0)
                came = heard + link.dropped + len(waiting(link))
                jumps, before = max(jumps, came - before), came
    assert jumps <= 3 * module._PACKETS


async def test_a_socket_that_closes_before_it_is_watched_is_not_watched() -> None:
    """Its number may be another file's by then."""
    wrong: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
    async with served(DeafBroker().serve) as address:
        link = Link(address, "station", subscriptions=[], on_message=ignore)
        async with beside(link.run()), asyncio.timeout(30):
            await link.wait_connected()
            assert link._client is not None
            paho = link._client._client
            paho._call_socket_register_write()
            paho._sock_close()
            await asyncio.sleep(0)
    assert wrong == []


async def test_a_disk_that_hangs_or_lost_the_files_of_tls_ends_no_link_that_had_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "authority")
    server = TlsMosquitto(tmp_path / "broker", authority.sign("server", "127.0.0.1"))
    gate, turns, asked = threading.Event(), 0, 0
    monkeypatch.setattr(trust, "_READ_S", 0.05)

    def hang(broker: Broker) -> Any:
        nonlocal asked
        asked += 1
        gate.wait()
        return context_of(broker)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    server.start()
    try:
        link = Link(Broker.of(server.url, str(authority.cert)), "station", subscriptions=[], on_message=ignore)
        async with asyncio.timeout(30), beside(others()), beside(link.run()):
            await link.wait_connected()
            authority.cert.unlink()
            await again(link)
            monkeypatch.setattr(trust, "context_of", hang)
            before = turns
            await again(link)
            await again(link)
            await until(lambda: asked > 0)
            assert asked == 1, "one thread hangs, and no other"
            assert turns > before
    finally:
        gate.set()
        server.kill()


async def test_files_of_tls_that_were_never_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(trust, "_READ_S", 0.05)
    monkeypatch.setattr(trust, "context_of", lambda _broker: gate.wait())
    link = Link(Broker.of(f"mqtts://127.0.0.1:{free_port()}"), "station", subscriptions=[], on_message=ignore)
    async with beside(link.run()), asyncio.timeout(30):
        await until(lambda: link.trouble.en == "the disk does not give the files for TLS")
        gate.set()


async def again(link: Link) -> None:
    """Another connection."""
    client = link._client
    assert client is not None
    client.hang_up()
    await until(lambda: link._client is not client)
    await link.wait_connected()
