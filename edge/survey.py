"""What a running station knows of itself at one moment: for `tocsin status` and for who puts a station into service."""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.care import battery_of
from edge.config import Station
from edge.device import Device
from edge.looking import Looking
from edge.mounts import journal_s
from edge.pipeline import Pipeline
from edge.poll import Poller
from edge.power import Power
from edge.recorder import Recorder
from edge.sayings import say
from edge.thinning import used_bytes
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from edge.watch import Watch
from thresholds.parts import named
from thresholds.tables import NEVER
from tocsin import __version__
from tocsin.clock import Clock
from tocsin.devices import OutputDriver
from tocsin.levels import Level
from tocsin.link import Link
from tocsin.log import Log
from tocsin.messages import EventKind
from tocsin.said import Said, SaidError, joined, said_of

_ECHO_S = 20.0
_LOOK_S = 0.02
_DISK_WITHIN_S = 2.0


class SeriesNow(msgspec.Struct, frozen=True):
    """The newest reading of a series, taken or not, and when the last one was taken; times in ms UTC, 0 for never.

    `every_s`: how often it is asked now; a station that saves asks more seldom than its file says. `value` is in the
    quantity's unit, `quality` tocsin.readings.Quality bits. `service`: somebody works on it until. `scale`: what
    calibration may change of it, as it is in force.
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
    scale: dict[str, float | str] = {}


class LevelNow(msgspec.Struct, frozen=True):
    """A rule that is above clear. `since`: the first qualifying reading of the episode, ms UTC."""

    rule: str
    series: str
    level: str
    since: int


class ShelvedNow(msgspec.Struct, frozen=True):
    """A rule that sounds nothing and calls nobody until `until`, ms UTC: a person has shelved it."""

    rule: str
    series: str
    until: int


class ErrorNow(msgspec.Struct, frozen=True):
    """What a device that is good again was refused for last, at `t` (ms UTC)."""

    device: str
    t: int
    error: str


class ClockNow(msgspec.Struct, frozen=True):
    """`doubtful`: set back, so that time goes on by itself. `synchronized`: by a time source; None: not known."""

    doubtful: bool
    synchronized: bool | None


class LinkNow(msgspec.Struct, frozen=True):
    """`answered_s`: seconds since the hub last said that it has something on its disk; None: not since the start.

    `trouble`: why there is no connection, or what the broker refuses.
    """

    connected: bool
    broker: str
    trouble: str
    backlog: int
    answered_s: float | None
    trouble_zh: str = ""


class DiskNow(msgspec.Struct, frozen=True):
    """Bytes. `error`: why the log cannot be written, "" where it can; `error_zh` in Chinese. `journal_s`: as
    edge.mounts says."""

    log: int
    free: int
    waiting: int
    error: str
    journal_s: int = 0
    error_zh: str = ""


class PowerNow(msgspec.Struct, frozen=True):
    """What the battery allows (edge.power.PowerState's word), and its voltage; None where it was not read yet."""

    state: str
    volts: float | None


class StationNow(msgspec.Struct, frozen=True):
    """Everything, at `t` (ms UTC by the agent's clock). `health` is the heartbeat as it would go out now.

    `problems`: why calibration or rules are not those that the station's files say. `probed`: devices that failed so
    often that they are only probed. `power` is None where the station measures no battery. `siren_unsure`: why nobody
    knows whether the siren could be switched on, "" where nothing speaks against it; with `_zh` in Chinese.
    """

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
    has_siren: bool
    problems: list[str] = []
    probed: list[str] = []
    power: PowerNow | None = None
    problems_zh: list[str] = []
    errors: list[ErrorNow] = []
    shelved: list[ShelvedNow] = []
    siren_unsure: str = ""
    siren_unsure_zh: str = ""


@dataclass(slots=True)
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
    pollers: Mapping[str, Poller]
    power: Power
    began_s: float
    _looking: Looking[DiskNow] = field(init=False)

    def __post_init__(self) -> None:
        self._looking = Looking(self._disk)

    async def now(self, problems: Sequence[Said | str]) -> StationNow:
        """Changes nothing, and waits for nothing but a look at the folder's size, for _DISK_WITHIN_S at most."""
        disk, unsure = await self._disk_now(), self._siren_unsure()
        table = self.station.file.station
        return StationNow(
            table.id, table.name, table.name_zh or table.name, __version__, self.clock.now_ms(),
            self.clock.monotonic_s() - self.began_s, self.pipeline.decider.live.plan.rules.hash[:8],
            ClockNow(self.keeper.doubtful, self.clock.synchronized()), self._levels(), self._series(), self._link(),
            disk, msgspec.to_builtins(self.watch.report()), self.station.file.siren is not None,
            [str(one) for one in problems], [name for name, poller in self.pollers.items() if poller.probing],
            self._power(), [joined([one]).zh for one in problems], self._errors(), self._shelved(),
            unsure.en, unsure.zh,
        )  # fmt: skip

    async def echo(self, who: str) -> Said:
        """A record goes up, and the hub says that it is on its disk. Raises SaidError with what is in the way."""
        loop = asyncio.get_running_loop()
        self.pipeline.now_ms()
        self.pipeline.told(EventKind.COMMISSION, say("asks_echo", who=who))
        seq, began_s = self.recorder.last_seq, loop.time()
        while not self.uplink.has(seq):
            if loop.time() - began_s > _ECHO_S:
                raise SaidError(say("unconnected", broker=self._broker()) if not self.link.connected else
                                say("no_echo", seconds=_ECHO_S, count=self.uplink.backlog))
            await asyncio.sleep(_LOOK_S)
        return say("seconds", seconds=loop.time() - began_s)

    def _levels(self) -> list[LevelNow]:
        state = self.pipeline.decider.live
        return [LevelNow(*named(track), Level(level).word, int(state.memory.since[k])) for k, (track, level)
                in enumerate(zip(state.plan.tracks, state.memory.level.tolist(), strict=True)) if level]

    def _shelved(self) -> list[ShelvedNow]:
        return [ShelvedNow(*named(track), until) for track, until in self.pipeline.shelved()]

    def _errors(self) -> list[ErrorNow]:
        health = self.pipeline.health
        found = [ErrorNow(one.device, *health.last_error(one.device)) for one in health.report() if not one.fault]
        return [one for one in found if one.t]

    def _series(self) -> list[SeriesNow]:
        return [self._one(device, plan.series.key, plan.series.quantity, device.scales()[plan.series.key])
                for device in self.station.devices for plan in device.series.values()]

    def _one(self, device: Device, key: str, quantity: str, scale: dict[str, Any]) -> SeriesNow:
        name = device.table.name
        decider, found = self.pipeline.decider, self.pipeline.latest.get(key)
        until = max(decider.service.get(key, 0), decider.service.get(name, 0))
        column = decider.columns.get(key)
        good = int(decider.live.memory.good_t[column]) if column is not None else NEVER
        poller = self.pollers.get(name)
        every_s = poller.every_s if poller else device.table.every_s
        now = SeriesNow(key, name, quantity, every_s, good=max(0, good), service=until, scale=scale)
        if found is None:
            return now
        at = found.series.index(key)
        return msgspec.structs.replace(now, t=found.t[at], value=found.value[at], quality=found.quality[at])

    def _link(self) -> LinkNow:
        answered = self.uplink.answered_s
        since = None if answered is None else asyncio.get_running_loop().time() - answered
        trouble = self.link.trouble
        return LinkNow(self.link.connected, self._broker(), trouble.en, self.uplink.backlog, since, trouble.zh)

    def _power(self) -> PowerNow | None:
        return PowerNow(self.power.state.word, self.power.volts) if battery_of(self.station) else None

    def _siren_unsure(self) -> Said:
        """The relay is asked once a day; what shares its bus is asked all the time."""
        siren, devices = self.station.file.siren, self.station.devices
        bus = next((one.table.bus for one in devices if siren and one.table.name == siren.device), "")
        asked = [one.table.name for one in devices if one.table.bus == bus and not isinstance(one.driver, OutputDriver)]
        away = asked and all(map(self.pipeline.health.is_away, asked))
        return say("siren_unsure", bus=bus) if away else Said("", "")

    def _broker(self) -> str:
        """Without user and password."""
        return f"{self.station.broker.host}:{self.station.broker.port}"

    async def _disk_now(self) -> DiskNow:
        try:
            return await self._looking.result(_DISK_WITHIN_S)
        except TimeoutError:
            return self._disk_wrong(say("disk_silent", seconds=_DISK_WITHIN_S))

    def _disk(self) -> DiskNow:
        status, folder = self.recorder.status, self.storage.folder
        en, zh = (status.error.en, status.error.zh) if status.error else ("", "")
        try:
            free = shutil.disk_usage(folder).free
            return DiskNow(used_bytes(folder), free, status.pending, en, journal_s(folder), zh)
        except OSError as err:    # then above all somebody wants to know how the rest is
            return self._disk_wrong(said_of(err))

    def _disk_wrong(self, why: Said) -> DiskNow:
        """Nobody knows how large and how full; what the log's writer says of it comes before `why`."""
        status = self.recorder.status
        said = status.error or why
        return DiskNow(0, 0, status.pending, said.en, error_zh=said.zh)
