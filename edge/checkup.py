"""Looks at the station itself every ten seconds: devices, buses, disk, clock, battery, heat, link."""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from edge.config import Station
from edge.device import Device
from edge.faults import Change, Faults, Look
from edge.health import Health
from edge.looking import Looking
from edge.power import Power, PowerState
from edge.recorder import Recorder
from edge.sayings import say
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from tocsin.clock import Clock
from tocsin.devices import OutputDriver
from tocsin.faults import Fault
from tocsin.link import Link
from tocsin.messages import Committed, Event, EventKind
from tocsin.said import Said, cut, joined, said_of

LOOK_S = 10.0
_DISK_WITHIN_S = 5.0
_HOT_FOR_S = 60.0
_OLD_S = 900.0       # a temperature, or a comparison with the hub, says nothing of now after so long
_COMPARISONS = 50
_PERIODS = 5
_LONGEST_TOLD = 1000  # characters: of what is all wrong with a file the first part says where to look
_THERMAL = Path("/sys/class/thermal")


class Checkup:
    """`run` looks until cancelled; `heat` and `answered` take what others hear. `asleep` is set while the link is."""

    def __init__(
        self, station: Station, clock: Clock, keeper: Timekeeper, power: Power,
        *, now_ms: Callable[[], int], health: Health, recorder: Recorder, uplink: Uplink,
        periods: Callable[[Device], int], thermal: Path = _THERMAL,
    ) -> None:  # fmt: skip
        """`now_ms` is the agent's time, where a step of the clock is told and decided; `periods` says how many of its
        periods on a device is polled next."""
        self.link: Link | None = None
        self.asleep = False
        self.has_battery = False
        self._station = station
        self._rules = station.file.health
        self._clock = clock
        self._keeper = keeper
        self._now_ms = now_ms
        self._power = power
        self._periods = periods
        self._health = health
        self._recorder = recorder
        self._uplink = uplink
        self._thermal = thermal
        self._faults = Faults(self._rules.unasked)
        self._counts: dict[str, tuple[int, float]] = {}
        self._heat: dict[str, tuple[float, float]] = {}
        self._hubs_ms: deque[tuple[float, int]] = deque(maxlen=_COMPARISONS)
        self._begun_s = clock.monotonic_s()
        self._answers = 0
        self._room = Looking(lambda: _disk_wrong(station.folder, self._rules.disk_free_mb))
        uplink.on_answer = self.answered

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            await self._clock.sleep_until(self._clock.monotonic_s() + LOOK_S)

    async def look(self) -> None:
        """One look at everything; what begins or ends is told."""
        disk = await self._disk()
        now_ms = self._now_ms()  # first: it finds a clock that was set
        now_s = self._clock.monotonic_s()
        looks = [*self._sensors(now_s), *self._buses(now_s), *disk, *self._time(now_s), *self._battery(now_s),
                 *self._temperatures(now_s), *self._links(now_s), self._file()]
        for change in self._faults.judge(looks, now_s, now_ms):
            self._tell(change)
        self._health.open = self._faults.open

    def _file(self) -> Look:
        problems = self._station.problems
        return Look(Fault.CONFIG, "station", cut(joined(problems), _LONGEST_TOLD) if problems else None)

    def heat(self, where: str, celsius: float) -> None:
        """A device has measured how warm it is there."""
        self._heat[where] = celsius, self._clock.monotonic_s()

    def answered(self, answer: Committed) -> None:
        """The hub has said what time it is, too. The way takes time: of several answers the quickest counts."""
        self._answers += 1
        if answer.t:
            self._hubs_ms.append((self._clock.monotonic_s(), answer.t))

    def _tell(self, change: Change) -> None:
        fault = change.fault
        kind = EventKind.HEALTH if change.begins else EventKind.CURED
        said = Said(fault.detail, fault.zh)
        detail = said if change.begins else say("was", what=said)
        device = fault.what if fault.fault == Fault.SENSOR else ""
        self._recorder.add(Event("", 0, self._now_ms(), kind, detail.en, device=device, reason=fault.fault,
                                 zh=detail.zh))

    def _since(self, key: str, count: int, now_s: float) -> float:
        """For how long a count has not risen."""
        before, since_s = self._counts.get(key, (-1, now_s))
        if count != before:
            since_s = now_s
        self._counts[key] = count, since_s
        return now_s - since_s

    def _sensors(self, now_s: float) -> Iterator[Look]:
        rules = self._rules
        for device in self._station.devices:
            if isinstance(device.driver, OutputDriver):
                continue
            name = device.table.name
            silent_s = self._since(f"device {name}", self._health.counts(name)[0], now_s)
            allowed_s = max(60 * rules.sensor_min, rules.sensor_periods * self._every_s(device))
            wrong = say("no_good_reading", long=_length(silent_s)) if silent_s >= allowed_s else None
            yield Look(Fault.SENSOR, name, wrong)

    def _buses(self, now_s: float) -> Iterator[Look]:
        for name in self._station.buses:
            on_it = [device for device in self._station.devices
                     if device.table.bus == name and not isinstance(device.driver, OutputDriver)]
            if on_it:
                answers = sum(self._health.counts(device.table.name)[1] for device in on_it)
                silent_s = self._since(f"bus {name}", answers, now_s)
                allowed_s = max(60 * self._rules.bus_min, _PERIODS * min(map(self._every_s, on_it)))
                wrong = say("bus_silent", bus=name, long=_length(silent_s)) if silent_s >= allowed_s else None
                yield Look(Fault.BUS, name, wrong)

    def _every_s(self, device: Device) -> float:
        """As it is asked now, where the station saves."""
        return device.table.every_s * self._periods(device)

    async def _disk(self) -> list[Look]:
        try:
            wrong = await self._room.result(_DISK_WITHIN_S)
        except TimeoutError:
            wrong = say("folder_silent", folder=self._station.folder, seconds=_DISK_WITHIN_S)
        error = self._recorder.status.error
        return [Look(Fault.DISK, "room", wrong),
                Look(Fault.DISK, "log", say("log_refused", why=error) if error else None)]

    def _time(self, now_s: float) -> Iterator[Look]:
        yield Look(Fault.CLOCK, "behind", say("clock_behind") if self._keeper.doubtful else None)
        in_step = self._clock.synchronized()
        if in_step is not None:
            yield Look(Fault.CLOCK, "free", None if in_step else say("clock_free"), 60 * self._rules.clock_min)
        now_ms = self._clock.now_ms()  # not that of the answer: the clock may have been set since
        ahead_ms = [now_ms - (hubs_ms + (now_s - at_s) * 1000) for at_s, hubs_ms in self._hubs_ms
                    if now_s - at_s <= _OLD_S]
        if ahead_ms:
            apart_s = min(ahead_ms) / 1000
            wrong = say("clock_apart", seconds=apart_s) if abs(apart_s) > self._rules.drift_s else None
            yield Look(Fault.DRIFT, "hub", wrong)

    def _battery(self, now_s: float) -> Iterator[Look]:
        if not self.has_battery:
            return
        volts, state = self._power.volts, self._power.state
        low = state > PowerState.NORMAL and volts is not None
        yield Look(Fault.BATTERY, "voltage", say("battery_low", volts=volts, state=state.said) if low else None)
        heard_s = self._begun_s if self._power.heard_s is None else self._power.heard_s
        unknown = now_s - heard_s >= 60 * self._rules.battery_min
        yield Look(Fault.BATTERY, "unknown",
                   say("battery_unread", long=_length(now_s - heard_s)) if unknown else None)

    def _temperatures(self, now_s: float) -> Iterator[Look]:
        cpu = _hottest(self._thermal)
        if cpu is not None:
            wrong = say("processor_hot", celsius=cpu) if cpu >= self._rules.cpu_c else None
            yield Look(Fault.HEAT, "cpu", wrong, _HOT_FOR_S)
        low, high = self._rules.cabinet_c
        for where, (celsius, at_s) in self._heat.items():
            if now_s - at_s <= _OLD_S:
                wrong = None if low <= celsius <= high else say("hot_there", where=where, celsius=celsius)
                yield Look(Fault.HEAT, where, wrong, _HOT_FOR_S)

    def _links(self, now_s: float) -> Iterator[Look]:
        """The hub answers what it was sent: with an answer, or with nothing left to send, all is well."""
        connected = self.link is not None and self.link.connected
        if self.asleep or (connected and not self._uplink.backlog):
            self._counts["link"] = self._answers, now_s
        if self.asleep:
            return
        silent_s = self._since("link", self._answers, now_s)
        wrong = say("hub_silent" if connected else "broker_away", long=_length(silent_s))
        if self.link is not None and connected and self.link.trouble.en:
            wrong = joined([self.link.trouble, wrong])
        yield Look(Fault.LINK, "hub", wrong if silent_s >= 60 * self._rules.link_min else None)


def _disk_wrong(folder: Path, free_mb: float) -> Said | None:
    """Raises nothing: a disk that cannot say how it is, is wrong."""
    try:
        if os.statvfs(folder).f_flag & os.ST_RDONLY:
            return say("folder_only_read", folder=folder)
        free = shutil.disk_usage(folder).free / 1e6
    except OSError as err:
        return say("folder_wrong", folder=folder, why=said_of(err))
    return say("folder_short", folder=folder, free=free) if free < free_mb else None


def _hottest(folder: Path) -> float | None:
    """Of all that the kernel measures on this machine, in C; None where it measures none."""
    found: list[float] = []
    for path in folder.glob("thermal_zone*/temp"):
        try:
            found.append(int(path.read_text()) / 1000)
        except (OSError, ValueError):  # a zone that is switched off
            continue
    return max(found, default=None)


def _length(seconds: float) -> Said:
    return say("minutes_long", n=seconds / 60) if seconds < 7200 else say("hours_long", n=seconds / 3600)
