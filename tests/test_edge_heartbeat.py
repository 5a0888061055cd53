"""What a station says of itself, and what the broker says in its place when it is gone."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.processes import Command
from tests.services import Mosquitto, Server
from tests.tasks import beside
from tests.test_agent import Site
from tocsin import topics
from tocsin.link import Broker, Link
from tocsin.messages import Heartbeat


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
