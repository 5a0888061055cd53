"""The link: what waits on a connection that is gone must not wait for its deadline."""

import asyncio

import pytest

from tests.lines import until
from tests.services import free_port
from tocsin.link import Broker, Link, LinkDownError


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
        async with asyncio.timeout(5):
            await link.wait_connected()
        sending = asyncio.create_task(link.publish("tocsin/1/a/readings", b"{}"))
        await until(lambda: broker.published == 1)
        broker.writers[0].transport.abort()
        with pytest.raises(LinkDownError):
            async with asyncio.timeout(2):
                await sending
        async with asyncio.timeout(5):
            await link.wait_connected()
    finally:
        running.cancel()
        for writer in broker.writers:
            writer.transport.abort()
        server.close()
