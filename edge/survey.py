"""What a running station knows of itself at one moment: for `tocsin status` and for who puts a station into service."""

import asyncio
import shutil
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from edge.config import Station
from edge.pipeline import Pipeline
from edge.recorder import Recorder
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from edge.watch import Watch
from thresholds.parts import named
from thresholds.tables import NEVER
from tocsin import __version__
from tocsin.clock import Clock
from tocsin.levels import Level
from tocsin.link import Link
from tocsin.log import Log


class SeriesNow(msgspec.Struct, frozen=True):
    """The newest reading of a series, taken or not, and when the last one was taken; times in ms UTC, 0 for never.

    `value` is in the quantity's unit, `quality` tocsin.readings.Quality bits. `service`: somebody works on it until.
    """

    key: str
    device: str
    quantity: str
    every_s: float
    t: int = 0
    value: float | None = None
    quality: int = 0
    good: int = 0
    service: int = 0


class LevelNow(msgspec.Struct, frozen=True):
    """A rule that is above clear. `since`: the first qualifying reading of the episode, ms UTC."""

    rule: str
    series: str
    level: str
    since: int


class ClockNow(msgspec.Struct, frozen=True):
    """`doubtful`: set back, so that time goes on by itself. `synchronized`: by a time source; None: not known."""

    doubtful: bool
    synchronized: bool | None


class LinkNow(msgspec.Struct, frozen=True):
    """`answered_s`: seconds since the hub last said that it has something on its disk; None: not since the start."""

    connected: bool
    broker: str
    backlog: int
    answered_s: float | None


class DiskNow(msgspec.Struct, frozen=True):
    """Bytes. `error`: why the log cannot be written, "" where it can."""

    log: int
    free: int
    waiting: int
    error: str


class StationNow(msgspec.Struct, frozen=True):
    """Everything, at `t` (ms UTC by the agent's clock). `health` is the heartbeat as it would go out now."""

    station: str
    name: str
    name_zh: str
    version: str
    t: int
    up_s: float
    rules: str
    clock: ClockNow
    levels: list[LevelNow]
    series: list[SeriesNow]
    link: LinkNow
    disk: DiskNow
    health: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Survey:
    """`now` looks around. `began_s`: the clock's monotonic second at which the agent began."""

    station: Station
    clock: Clock
    keeper: Timekeeper
    pipeline: Pipeline
    storage: Log
    uplink: Uplink
    link: Link
    watch: Watch
    recorder: Recorder
    began_s: float

    async def now(self) -> StationNow:
        """Changes nothing, and waits for nothing but a look at the folder's size."""
        disk = await asyncio.to_thread(self._disk)
        table = self.station.file.station
        return StationNow(
            table.id, table.name, table.name_zh or table.name, __version__, self.clock.now_ms(),
            self.clock.monotonic_s() - self.began_s, self.pipeline.decider.live.plan.rules.hash[:8],
            ClockNow(self.keeper.doubtful, self.clock.synchronized()), self._levels(), self._series(), self._link(),
            disk, msgspec.to_builtins(self.watch.report()),
        )  # fmt: skip

    async def text(self) -> str:
        """That, as JSON."""
        return msgspec.json.encode(await self.now()).decode()

    def _levels(self) -> list[LevelNow]:
        state = self.pipeline.decider.live
        return [LevelNow(*named(track), Level(level).word, int(state.memory.since[k])) for k, (track, level)
                in enumerate(zip(state.plan.tracks, state.memory.level.tolist(), strict=True)) if level]

    def _series(self) -> list[SeriesNow]:
        return [self._one(device.table.name, device.table.every_s, plan.series.key, plan.series.quantity)
                for device in self.station.devices for plan in device.series.values()]

    def _one(self, device: str, every_s: float, key: str, quantity: str) -> SeriesNow:
        decider, found = self.pipeline.decider, self.pipeline.latest.get(key)
        until = max(decider.service.get(key, 0), decider.service.get(device, 0))
        column = decider.columns.get(key)
        good = int(decider.live.memory.good_t[column]) if column is not None else NEVER
        now = SeriesNow(key, device, quantity, every_s, good=max(0, good), service=until)
        if found is None:
            return now
        at = found.series.index(key)
        return msgspec.structs.replace(now, t=found.t[at], value=found.value[at], quality=found.quality[at])

    def _link(self) -> LinkNow:
        answered = self.uplink.answered_s
        since = None if answered is None else asyncio.get_running_loop().time() - answered
        return LinkNow(self.link.connected, self._broker(), self.uplink.backlog, since)

    def _broker(self) -> str:
        """Without user and password."""
        parts = urlsplit(self.station.file.hub.broker)
        return f"{parts.hostname}:{parts.port or (8883 if parts.scheme == 'mqtts' else 1883)}"

    def _disk(self) -> DiskNow:
        status = self.recorder.status
        files = [path.stat().st_size for path in self.storage.folder.iterdir()]
        return DiskNow(sum(files), shutil.disk_usage(self.storage.folder).free, status.pending, status.error)
