"""The station's care of itself, wired: faults, power, the link's hours, the watchdog."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from edge.breaker import LONGEST_PAUSE_S
from edge.bus import Bus
from edge.checkup import Checkup
from edge.config import Station
from edge.device import Device
from edge.health import Health
from edge.modem import Modem, command
from edge.pipeline import Pipeline
from edge.poll import Heard
from edge.power import DOWN_S, Power, PowerState
from edge.recorder import Recorder
from edge.sayings import say
from edge.timekeeper import Timekeeper
from edge.uplink import Uplink
from edge.watchdog import Watchdog
from tocsin.clock import Clock
from tocsin.devices import PolledDriver
from tocsin.levels import Level
from tocsin.link import Link
from tocsin.messages import Event, EventKind
from tocsin.notify import Notify
from tocsin.readings import Reading, RejectedError, Rejection
from tocsin.said import Said

REST_EVERY_S = 300.0
REST_BLIND_S = 3600.0     # a battery that nobody can read any more must not keep a station blind
END_S = 60.0              # a phone modem dials within it
_TEMPERATURES = frozenset({"battery_temp_c", "cabinet_temp_c"})

Parts = dict[str, Callable[[], Awaitable[None]]]


class Care:
    """`over` is set when the battery is so low that the agent must end. `after` and `felt` hear what was read."""

    def __init__(
        self, station: Station, clock: Clock, keeper: Timekeeper, notify: Notify,
        *, pipeline: Pipeline, health: Health, recorder: Recorder, uplink: Uplink,
    ) -> None:  # fmt: skip
        self.over = asyncio.Event()
        self._table = station.file.power
        self._battery = battery_of(station)
        self.power = power_of(station)
        self._ending_s: float | None = None
        self._uplink = uplink
        self._clock = clock
        self._pipeline = pipeline
        self._health = health
        self._recorder = recorder
        self.checkup = Checkup(station, clock, keeper, self.power, now_ms=pipeline.now_ms, health=health,
                               recorder=recorder, uplink=uplink, periods=self._periods)
        self.checkup.has_battery = self._battery is not None
        self._rounds_s = rounds_s(station)
        self._pauses_s = {device.table.name: max(LONGEST_PAUSE_S, device.table.every_s)
                          + self._rounds_s[device.table.bus]
                          for device in station.devices if isinstance(device.driver, PolledDriver)}
        siren = pipeline.siren
        self.watchdog = Watchdog(notify, clock, recorder, self._pauses_s, self._stalled,
                                 siren_idle_s=lambda: siren.idle_s if siren is not None else 0.0)
        pipeline.on_tick = self.watchdog.ticked

    def parts(self) -> Parts:
        return {"checkup": self.checkup.run, "watchdog": self.watchdog.run}

    def link_part(self, link: Link, beat: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The link's own part; `beat` says a heartbeat."""
        self.checkup.link = link
        if self._battery is None:
            return link.run

        async def asleep(seconds: float) -> None:
            self._health.next_s = round(seconds, 1)
            if seconds:
                await beat()
            self.checkup.asleep = seconds > 0

        def urgent() -> bool:
            return self._recorder.urgent or self._uplink.pressing() or self._ending_s is not None

        return Modem(link, self._table, self.power, self._clock, urgent=urgent, asleep=asleep).run

    def slower(self, device: Device) -> Callable[[], int]:
        """For edge.poll: how many periods on this device's next poll is."""
        name, every_s = device.table.name, device.table.every_s

        def now() -> int:
            periods = self._periods(device)
            pause_s = periods * every_s + self._rounds_s[device.table.bus]
            self._pauses_s[name] = max(self._pauses_s[name], pause_s)
            return periods

        return now

    def _periods(self, device: Device) -> int:
        if self._recorder.urgent and self.power.state < PowerState.CRITICAL:
            return 1
        periods = min(self._table.slower(self.power.state), self._most(device))
        if self._battery is not None and self._battery[0] is device:  # else its return would not be seen
            periods = min(periods, max(1, int(DOWN_S // device.table.every_s)))
        return periods

    def after(self, heard: Heard) -> Heard:
        """What a poll gave goes there first, and is felt then."""

        async def both(device: Device, items: Sequence[Reading | Rejection], read_s: float) -> bool:
            try:
                return await heard(device, items, read_s)
            finally:
                self.watchdog.tried(device.table.name)
                self.felt(device, items)

        return both

    def felt(self, device: Device, items: Sequence[Reading | Rejection]) -> None:
        """What a device gave says something of battery and cabinet too."""
        decider = self._pipeline.decider
        for item in items:
            plan = device.series.get(item.quantity) if isinstance(item, Reading) and math.isfinite(item.value) else None
            if isinstance(item, Reading) and plan and not decider.in_service(plan.series.key, decider.now_ms):
                self._feel(device, item)

    def _feel(self, device: Device, reading: Reading) -> None:
        plan = device.series[reading.quantity]
        value = plan.value(reading)
        if reading.quantity in _TEMPERATURES:
            self.checkup.heat(plan.series.key, value)
        elif self._is_battery(device, reading.quantity) and _within(value, plan.series.plausible):
            self._volts(value)

    def _volts(self, volts: float) -> None:
        siren, power = self._pipeline.siren, self.power
        sounding = siren is not None and siren.level > Level.CLEAR
        before = power.state
        if power.take(volts, self._clock.monotonic_s(), sounding=sounding):
            said = say("power_state", state=power.state.said, before=before.said, volts=volts)
            self._recorder.add(Event("", 0, self._pipeline.now_ms(), EventKind.POWER, said.en,
                                     reason=power.state.word, zh=said.zh))
        self._health.power = power.state.word
        self._end(may=power.state is PowerState.OFF and not self._recorder.urgent and not sounding and self._can_ask())

    def _end(self, *, may: bool) -> None:
        """The link is woken first, so that the hub hears of the end; no longer than to the next reading but one."""
        now_s, link = self._clock.monotonic_s(), self.checkup.link
        if not may:
            self._ending_s = None
        elif self._ending_s is None:
            self._ending_s = now_s
        if self._ending_s is not None and (now_s - self._ending_s >= END_S or (link is not None and link.connected)):
            self.over.set()

    def _is_battery(self, device: Device, quantity: str) -> bool:
        return self._battery is not None and self._battery[0] is device and self._battery[1] == quantity

    def _can_ask(self) -> bool:
        """What speaks by itself cannot be asked while the station rests: then it goes on until its power is cut."""
        return self._battery is not None and isinstance(self._battery[0].driver, PolledDriver)

    def _most(self, device: Device) -> int:
        """Polls further apart than that would make its own series stale."""
        state, columns = self._pipeline.decider.live, self._pipeline.decider.columns
        keys = [plan.series.key for plan in device.series.values()]
        stale_ms = [int(state.tables.series.stale[columns[key]]) for key in keys if key in columns]
        return max(1, int((min(stale_ms, default=0) - 1) // (1000 * device.table.every_s)))

    def _stalled(self, what: Said) -> None:
        self._pipeline.now_ms()
        self._pipeline.told(EventKind.FAULT, say("watchdog", what=what))


def battery_of(station: Station) -> tuple[Device, str] | None:
    """The device and quantity that [power] goes by: the one it names, or the first battery_v there is."""
    for device in station.devices:
        for quantity, plan in device.series.items():
            if plan.series.key == station.file.power.series or (
                not station.file.power.series and plan.series.quantity == "battery_v"
            ):
                return device, quantity
    return None


def power_of(station: Station) -> Power:
    """Of the battery that is read as seldom as its device is asked."""
    found = battery_of(station)
    return Power(station.file.power, found[0].table.every_s if found else 0.0)


def rounds_s(station: Station) -> dict[str, float]:
    """For each bus, how long it may take until its turn has come to each device, where none of them answers in time."""
    rounds = dict.fromkeys(station.buses, 0.0)
    for device in station.devices:
        if isinstance(device.driver, PolledDriver):
            rounds[device.table.bus] += (len(device.driver.requests) + 1) * device.table.deadline_s  # and a probe
    return rounds


async def rest(station: Station, clock: Clock, notify: Notify) -> None:
    """Runs `off_command`, then asks nothing but the battery until it has recovered, or cannot be read for an hour."""
    found = battery_of(station)
    assert found is not None  # noqa: S101 - nobody rests without one
    device, quantity = found
    assert isinstance(device.driver, PolledDriver)  # noqa: S101 - nor without one that can be asked
    power, bus = power_of(station), Bus(station.buses[device.table.bus])
    power.state = PowerState.OFF
    known_s = clock.monotonic_s()
    helpers = [asyncio.create_task(bus.run()), asyncio.create_task(notify.keep_alive())]
    try:
        await command(station.file.power.off_command)  # beside the pings: it may take as long as systemd's patience
        while power.state is PowerState.OFF and clock.monotonic_s() - known_s < REST_BLIND_S:
            for item in await _within_a_minute(_poll_once(device, device.driver, bus)):
                if isinstance(item, Reading) and item.quantity == quantity:
                    plan = device.series[quantity]
                    volts = plan.value(item)
                    if _within(volts, plan.series.plausible):
                        known_s = clock.monotonic_s()
                        power.take(volts, known_s)
            if power.state is PowerState.OFF:
                await clock.sleep_until(clock.monotonic_s() + REST_EVERY_S)
    finally:
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)


async def _poll_once(device: Device, driver: PolledDriver, bus: Bus) -> Sequence[Reading | Rejection]:
    table = device.table
    try:
        return driver.decode([await bus.exchange(table.unit, ask, table.deadline_s) for ask in driver.requests])
    except RejectedError:
        return []


async def _within_a_minute(polling: Awaitable[Sequence[Reading | Rejection]]) -> Sequence[Reading | Rejection]:
    """Nothing where it takes longer: nobody here begins a bus again that failed."""
    try:
        async with asyncio.timeout(60.0):
            return await polling
    except TimeoutError:
        return []


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] <= value <= bounds[1]
