"""The agent of one station: its parts, their order of start, and their order of stop."""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from edge.bus import Bus, listen
from edge.config import Device, Station
from edge.health import Health
from edge.pipeline import Pipeline
from edge.poll import poll_for_ever
from edge.recorder import Recorder
from edge.restore import restored, write_checkpoint
from edge.siren import Siren
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from thresholds.kernel import save
from thresholds.rules import cards
from tocsin import __version__, topics
from tocsin.clock import Clock
from tocsin.devices import ListeningDriver, OutputDriver, PolledDriver
from tocsin.levels import Level
from tocsin.link import Broker, Link, LinkDownError, Will
from tocsin.log import Log
from tocsin.messages import (
    VERSION,
    Event,
    EventKind,
    Heartbeat,
    SeriesCard,
    Start,
    StationCard,
    encode,
)
from tocsin.messages import Siren as SirenRecord

TICK_S = 10.0
CHECKPOINT_S = 60.0
HEARTBEAT_S = 60.0
KEEP_S = 7 * 86400.0  # what is delivered stays this long: a hub restored from a backup asks for it
_STOP_S = 2.0

log = logging.getLogger(__name__)


class Agent:
    """`run` serves until cancelled. `pipeline` and `recorder` are there for those who watch."""

    def __init__(self, station: Station, clock: Clock) -> None:
        self._station = station
        self._clock = clock
        self._boot = secrets.token_hex(8)
        file = station.file
        self._log = Log(station.folder / "log")
        before = restored(station, self._log)
        self._health = Health([device.table.name for device in station.devices])
        self._keeper = Timekeeper(clock, before.last_ms)
        self._uplink = Uplink(self._log, file.station.id, file.hub.key)
        self._uplink.restore_urgent(before.uncommitted)
        self.recorder = Recorder(self._log, self._boot, self._uplink.written)
        self.pipeline = Pipeline(station, before.state, self.recorder, self._keeper, self._health)
        self._buses = {name: Bus(bus) for name, bus in station.buses.items() if bus.speaks != "lines"}
        self.pipeline.siren = self._siren = self._make_siren()
        self._link = self._make_link()
        self._begin()
        for detection in before.unlogged:
            self.recorder.add(detection)
        self.pipeline.sound("start", 0.0)

    async def run(self) -> None:
        """Until cancelled; then the last records are written and the hub is told."""
        async with _all_of(self._tasks()):
            try:
                await asyncio.Event().wait()
            finally:
                await self._say_goodbye()
        self._uplink.close()

    def _tasks(self) -> dict[str, Coroutine[Any, Any, None]]:
        tasks: dict[str, Coroutine[Any, Any, None]] = {
            "recorder": self.recorder.run(),
            "link": self._link.run(),
            "uplink": self._uplink.run(self._link),
            "watch": self._watch(),
        }
        if self._siren is not None:
            tasks["siren"] = self._siren.run()
        tasks |= {f"bus {name}": bus.run() for name, bus in self._buses.items()}
        for device in self._station.devices:
            tasks |= self._device_task(device)
        return tasks

    def _device_task(self, device: Device) -> dict[str, Coroutine[Any, Any, None]]:
        table = device.table
        match device.driver:
            case OutputDriver():
                return {}
            case ListeningDriver() as driver:
                bus = self._station.buses[table.bus]
                return {f"device {table.name}": listen(
                    bus, driver, lambda items: self.pipeline.heard(device, items, time.monotonic()))}
            case PolledDriver() as driver:
                polling = poll_for_ever(device, driver, self._buses[table.bus], self._clock, self.pipeline.heard)
                return {f"device {table.name}": polling}

    async def _watch(self) -> None:
        """Ticks, checkpoints, heartbeats and the log's tidying, by the clock."""
        due_s = self._clock.monotonic_s()
        checkpoint_s = due_s + CHECKPOINT_S
        heartbeat_s = due_s
        while True:
            self.pipeline.tick()
            if due_s >= checkpoint_s:
                checkpoint_s = due_s + CHECKPOINT_S
                await self._save()
            if due_s >= heartbeat_s:
                heartbeat_s = due_s + HEARTBEAT_S
                await self._beat()
            due_s += TICK_S
            await self._clock.sleep_until(due_s)

    async def _save(self) -> None:
        """A checkpoint of the kernel, and old segments away. A disk that refuses is the recorder's to report."""
        seq, state = self.recorder.last_seq, save(self.pipeline.state)
        await self.recorder.written(seq)
        with suppress(OSError):
            await asyncio.to_thread(write_checkpoint, self._station.folder, seq, state)
            await asyncio.to_thread(self._log.drop, KEEP_S, self._clock.now_ms() / 1000)

    async def _beat(self, *, online: bool = True) -> None:
        with suppress(LinkDownError):
            await self._link.publish(self._heartbeat_topic, encode(self._heartbeat(online=online)), retain=True)

    async def _say_goodbye(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._beat(online=False)

    @property
    def _heartbeat_topic(self) -> str:
        return topics.up(self._station.file.station.id, topics.HEARTBEAT)

    def _heartbeat(self, *, online: bool) -> Heartbeat:
        return Heartbeat(
            v=VERSION,
            station=self._station.file.station.id,
            t=self._clock.now_ms(),
            online=online,
            boot=self._boot,
            backlog=self._uplink.backlog,
            siren=int(self._siren is not None and self._siren.sounding),
            devices=self._health.report(),
        )

    def _begin(self) -> None:
        """The first record of this start, and what was wrong with the files."""
        now_ms = self._keeper.now_ms()
        self.recorder.add(Start("", 0, now_ms, __version__, card_of(self._station)))
        for damage in self._log.damage:
            log.error("log: %s", damage)
            self.recorder.add(Event("", 0, now_ms, EventKind.DISK, damage))

    def _make_siren(self) -> Siren | None:
        table = self._station.file.siren
        if table is None:
            return None
        device = next(device for device in self._station.devices if device.table.name == table.device)
        assert isinstance(device.driver, OutputDriver)  # noqa: S101 - load_station has checked it
        bus = self._buses[device.table.bus]
        return Siren(device.table, device.driver, bus, table.level, self._siren_done, self._siren_fault)

    def _siren_done(self, level: Level, why: str, took_ms: float) -> None:
        name = self._siren.name if self._siren else ""
        self.recorder.add(SirenRecord("", 0, self._keeper.now_ms(), name, int(level), why, round(took_ms, 3)))

    def _siren_fault(self, detail: str) -> None:
        name = self._siren.name if self._siren else ""
        self.recorder.add(Event("", 0, self._keeper.now_ms(), EventKind.SIREN, detail, device=name))

    def _make_link(self) -> Link:
        station = self._station.file.station.id

        async def connected() -> None:
            await self._uplink.connected()
            await self._beat()

        return Link(
            Broker.of(self._station.file.hub.broker),
            f"tocsin-{station}",
            subscriptions=[topics.committed(station)],
            on_message=self._uplink.committed,
            on_connect=connected,
            will=lambda: Will(self._heartbeat_topic, encode(self._heartbeat(online=False))),
        )


def card_of(station: Station) -> StationCard:
    """What the station says of itself."""
    table = station.file.station
    return StationCard(
        name=table.name,
        name_zh=table.name_zh or table.name,
        area=table.area,
        latitude=table.latitude,
        longitude=table.longitude,
        series=[
            SeriesCard(series.key, series.quantity, series.period_ms / 1000, series.plausible, series.datum)
            for series in station.series
        ],
        rules=cards(station.plan),
        rules_hash=station.plan.rules.hash,
    )


@asynccontextmanager
async def _all_of(tasks: dict[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs named tasks beside the body; one that fails fails all; at the end they are cancelled, newest first."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(task, name=name) for name, task in tasks.items()]
        try:
            yield
        finally:
            for task in reversed(running):
                task.cancel()
