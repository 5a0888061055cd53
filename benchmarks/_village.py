"""The stage of the journey: broker, hub and agent as processes, the gauge and the loudspeaker in this one."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec

from benchmarks._children import GAUGE, POLL_S, RELAY
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles
from tests.processes import Command
from tests.services import Mosquitto, ServiceError, free_port
from tests.stations import AREA, StationFiles, radar_device
from tocsin import topics
from tocsin.broker import Broker
from tocsin.link import Link
from tocsin.messages import Bulletin, BulletinKind, Committed, Readings, record_of, upload_of
from tocsin.signing import new_station_key, public_key_of, unseal, verify

WITHIN_S = 20.0
ASK_S = 0.05
LOW_M, SIREN_M, HIGH_M = 0.5, 2.5, 2.7
_BULLETIN = msgspec.json.Decoder(Bulletin)
_COMMITTED = msgspec.json.Decoder(Committed)


class Wire:
    """A gauge and a relay on Modbus TCP; tells when an answer with a value went out, and when the relay switched."""

    def __init__(self) -> None:
        self._gauge, self._relay = RadarLevel(Measures.LEVEL), Relay()
        self._gauge.set("depth_m", LOW_M)
        self._relay.on_change = lambda at_s, on: self._switches.put_nowait((at_s, on))
        self._switches: asyncio.Queue[tuple[float, bool]] = asyncio.Queue()
        self._awaited: tuple[int, asyncio.Future[float]] | None = None
        self.server = ModbusTcp({GAUGE: self._gauge, RELAY: self._relay}, on_served=self._served)

    @property
    def port(self) -> int:
        return self.server.port

    async def show(self, depth_m: float) -> float:
        """The monotonic second at which an answer with this depth was on the wire."""
        served: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited = round(depth_m * 1000), served
        self._gauge.set("depth_m", depth_m)
        return await served

    async def switched(self, *, on: bool) -> float:
        """The monotonic second of the next switch that way."""
        while True:
            at_s, is_on = await self._switches.get()
            if is_on is on:
                return at_s

    def _served(self, unit: int, _function: int, _address: int, words: tuple[int, ...]) -> None:
        if unit == GAUGE and self._awaited and words[0] << 16 | words[1] == self._awaited[0]:
            served, self._awaited = self._awaited[1], None
            served.set_result(time.monotonic())


class Village:
    """What the bench asks for. Times are seconds of the machine's monotonic clock."""

    def __init__(self, folder: Path, hub: HubFiles, broker: Broker, broker_name: str, keys: dict[str, str]) -> None:
        self.broker, self.broker_name = broker, broker_name
        self.wire, self.bare = Wire(), Wire()
        self._folder, self._keys, self._hub_url = folder, keys, hub.url
        self._public_key = public_key_of(hub.private_key)
        self._bulletins: asyncio.Queue[tuple[float, BulletinKind]] = asyncio.Queue()
        self._first: dict[str, tuple[str, int]] = {}
        self._landed: dict[str, asyncio.Future[float]] = {}
        self._link = Link(
            broker, "loudspeaker", on_message=self._on_message,
            subscriptions=[f"{topics.ROOT}/+/readings", f"{topics.ROOT}/+/committed", topics.bulletin(AREA, "+")],
        )  # fmt: skip

    async def rise(self) -> tuple[float, float, float]:
        """When the gauge's new value was on the wire, when the siren sounded, when the bulletin arrived."""
        return await self.wire.show(HIGH_M), await self.wire.switched(on=True), await self._said(BulletinKind.ALERT)

    async def fall(self) -> None:
        """Back to calm, up to the last bulletin."""
        await self.wire.show(LOW_M)
        await self.wire.switched(on=False)
        await self._said(BulletinKind.CLOSE)

    async def start_another(self, name: str) -> float:
        """Milliseconds from the start of another station's agent to its first reading on the hub's disk."""
        landed: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._landed[name] = landed
        files = self._files(name, self.bare.port, siren=False)
        command = Command(self._folder / f"{name}-process", "edge", str(files.write()))
        began_s = time.monotonic()
        command.start()
        try:
            async with asyncio.timeout(WITHIN_S):
                return (await landed - began_s) * 1000
        finally:
            command.stop()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The wires, the loudspeaker, and the agent."""
        async with self.wire.server, self.bare.server:
            listening = asyncio.create_task(self._link.run(), name="loudspeaker")
            files = self._files("bench", self.wire.port, siren=True)
            agent = Command(self._folder / "agent", "edge", str(files.write()))
            try:
                async with asyncio.timeout(WITHIN_S):
                    await self._link.wait_connected()
                    await _told(f"{self._hub_url}/healthz", "ok")
                    agent.start()
                    await _told(f"{self._hub_url}/api/v1/stations", "Upper bridge")  # before it, no area is warned
                yield
            finally:
                agent.stop()
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    def _files(self, name: str, port: int, *, siren: bool) -> StationFiles:
        url = f"mqtt://{self.broker.host}:{self.broker.port}"
        return StationFiles(self._folder / name, f"tcp://127.0.0.1:{port}", url, name, self._keys[name],
                            devices=radar_device(every_s=POLL_S), siren=siren)

    async def _said(self, kind: BulletinKind) -> float:
        while True:
            at_s, said = await self._bulletins.get()
            if said is kind:
                return at_s

    async def _on_message(self, topic: str, payload: bytes) -> None:
        at_s = time.monotonic()
        if topics.is_bulletin(topic):
            bulletin = _BULLETIN.decode(verify(payload, topic, self._public_key))
            self._bulletins.put_nowait((at_s, bulletin.kind))
            return
        station = topic.split("/")[2]
        if station in self._landed and not self._landed[station].done():
            self._follow(station, topic, payload, at_s)

    def _follow(self, station: str, topic: str, payload: bytes, at_s: float) -> None:
        """Until the station's first readings are committed."""
        if topic.endswith("/readings"):
            records = [one for one in map(record_of, upload_of(payload).records) if isinstance(one, Readings)]
            if records and station not in self._first:
                self._first[station] = records[0].boot, records[0].seq
            return
        boot, seq = self._first.get(station, ("", 0))
        ranges = _COMMITTED.decode(unseal(payload, topic, self._keys[station])).ranges
        if any(part.boot == boot and part.first <= seq <= part.last for part in ranges):
            self._landed[station].set_result(at_s)


async def _told(url: str, words: str) -> None:
    """Returns when the hub's page says so."""
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                if words in (await client.get(url)).text:
                    return
            await asyncio.sleep(ASK_S)


@contextlib.asynccontextmanager
async def village(folder: Path, others: int = 20) -> AsyncIterator[Village]:
    """Everything started and connected; `others` more stations may start."""
    keys = {name: new_station_key() for name in ("bench", *(f"start-{number}" for number in range(others)))}
    with _broker(folder) as (url, for_hub, broker_name):
        hub_files = HubFiles(folder / "hub", for_hub, list(keys.items()))
        hub = Command(folder / "hub-process", "hub", str(hub_files.write()))
        hub.start()
        try:
            place = Village(folder, hub_files, Broker.of(url), broker_name, keys)
            async with place.running():
                yield place
        finally:
            hub.stop()


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Its address, what hub.toml says of it, and its name."""
    try:
        server = Mosquitto(folder / "mosquitto")
    except ServiceError:
        port = free_port()
        yield f"mqtt://127.0.0.1:{port}", f"embedded:{port}", "embedded broker"
        return
    server.start()
    try:
        yield server.url, server.url, "Mosquitto"
    finally:
        server.kill()
