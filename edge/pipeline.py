"""From what a device said to readings, detections, siren and log: one path, in the order processed.

Everything here is synchronous: nothing can come between a reading and what follows from it. The siren is commanded
before the log is written; neither waits for the other.
"""

import asyncio
import math
import time
from collections.abc import Sequence

import msgspec

from edge.config import Device, Station
from edge.decider import Decided, Decider, Input
from edge.findings import detection, freshness, implausible, reason_of, shadow
from edge.health import Health
from edge.recorder import Recorder
from edge.rows import Recent
from edge.siren import Siren
from edge.sounding import Sound
from edge.timekeeper import Timekeeper
from thresholds.kernel import last_t, levels
from thresholds.tables import NEVER
from tocsin.inputs import ClockStep, Service, Tick
from tocsin.levels import Level
from tocsin.messages import Event, EventKind, Readings
from tocsin.readings import Quality, Reading, Reason, Rejection

_TIME_CAME = "a level's time to sound came, or ended, or a person did something"


class Pipeline:
    """Owns what decides. `siren` is set where the station has one."""

    def __init__(
        self, station: Station, decider: Decider, recorder: Recorder, keeper: Timekeeper, health: Health
    ) -> None:
        self.decider = decider
        self.siren: Siren | None = None
        self.handled = 0
        self.retired_may_go = False
        self._devices = {plan.series.key: device.table.name for device in station.devices
                         for plan in device.series.values()}
        self._recorder = recorder
        self._keeper = keeper
        self._health = health
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._ticked = False
        self._asked: list[Sound] = []
        self._now_ms = decider.now_ms

    def heard(self, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> bool:
        """One poll or frame of a device; `read_s` is the monotonic second at which its bytes were complete.

        True where a reading is held as a possible spike and the device should be asked again at once.
        """
        t_ms = self.now_ms()
        readings = [item for item in items if isinstance(item, Reading) and _fault_of(device, item) is None]
        again = bool(readings) and self._evaluate(device, readings, t_ms, read_s)
        for item in items:
            fault = item if isinstance(item, Rejection) else _fault_of(device, item)
            if fault is not None:
                self._refuse(device.table.name, fault, t_ms)
        self.handled += 1
        self._waiters = [waiter for waiter in self._waiters if not self._release(*waiter)]
        return again

    def tick(self) -> None:
        """The clock has moved on, whether or not anything was read. Logged where something followed from it."""
        now_ms = self.now_ms()
        self._end_service(now_ms)
        record = Tick("", 0, now_ms)
        decided = self.decider.take(record)
        self._sound_for(decided, time.monotonic())
        if decided.freshness or decided.changes or decided.noted or not self._ticked:
            self._recorder.add(record)
            self._ticked = True
        self._follow(decided)
        self._sound_in_time()

    def decide(self, record: Input, history: Recent | None = None) -> Decided:
        """Takes an input that is no reading and no tick, logs it, and follows. Raises one of decider.REFUSED."""
        decided = self.decider.take(record, history)
        self._sound_for(decided, time.monotonic())
        self._recorder.add(record)
        self._follow(decided)
        self._sound_in_time()
        return decided

    def remember(self, *, after_ms: int = 0) -> None:
        """Writes all that is remembered into the log, so that a reader can begin there; at most every `after_ms`."""
        if self._now_ms - self.decider.begun_ms >= after_ms:
            try:
                self._recorder.add(self.decider.remembered(self._now_ms))
            except ValueError as err:  # long windows over many fast series: the checkpoint has it all the same
                self.told(EventKind.FAULT, f"what is remembered is not in the log: {err}")

    def told(self, what: EventKind, detail: str, *, device: str = "", series: str = "") -> None:
        """Something technical happened now."""
        self._recorder.add(Event("", 0, self._now_ms, what, detail, device=device, series=series))

    def sound(self, why: str, decided_s: float) -> None:
        """Commands the siren to what the levels ask for now."""
        self._recorder.urgent = bool(levels(self.decider.live).max(initial=0) > Level.CLEAR)
        self._asked = self.sounds()
        if self.siren is not None:
            self.siren.command(self._asked, why, decided_s)

    def sounds(self) -> list[Sound]:
        """What asks the siren to sound now, from any level on."""
        return self.decider.sounding.sounds(self.decider.live, self._now_ms)

    @property
    def calm(self) -> bool:
        """Nothing is above clear, and nothing on its way there: no reading qualifies, none is held as a spike."""
        memory = self.decider.live.memory
        return not (memory.level.any() or memory.on_bits.any() or (memory.held_t != NEVER).any())

    def _sound_in_time(self) -> None:
        """Time alone makes a level sound that nobody objected to, and ends shelving and silence."""
        if self.sounds() != self._asked:
            self.sound(_TIME_CAME, time.monotonic())

    async def wait_handled(self, count: int) -> None:
        """Returns when `count` polls and frames have gone through."""
        if self.handled < count:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((count, waiter))
            await waiter

    def _release(self, count: int, waiter: "asyncio.Future[None]") -> bool:
        if count <= self.handled and not waiter.done():
            waiter.set_result(None)
        return waiter.done()

    def now_ms(self) -> int:
        """The agent's time; a step of the clock is an input of its own, and comes before what is done now."""
        self._now_ms = self._keeper.now_ms()
        if self._keeper.step_ms:
            step = ClockStep("", 0, self._now_ms, self._keeper.step_ms, self._keeper.epoch)
            self.told(EventKind.CLOCK, _clock_words(step))
            self.decide(step)
        return self._now_ms

    def _end_service(self, now_ms: int) -> None:
        for device in [device for device, until in self.decider.service.items() if until <= now_ms]:
            self.decide(Service("", 0, now_ms, device, 0, ""))
            self.told(EventKind.SERVICE, "service mode ended by itself: its time was over", device=device)

    def _evaluate(self, device: Device, readings: list[Reading], t_ms: int, read_s: float) -> bool:
        plans = [device.series[reading.quantity] for reading in readings]
        values = [plan.value(reading) for plan, reading in zip(plans, readings, strict=True)]
        keys = [plan.series.key for plan in plans]
        t_ms = self._after_last(keys, t_ms)
        given = Quality.CLOCK if self._keeper.doubtful else Quality.GOOD
        if self.decider.in_service(device.table.name, t_ms):
            given |= Quality.SERVICE
        record = Readings("", 0, [t_ms] * len(keys), keys, values, [int(given)] * len(keys))
        waiting = self._held(keys)
        decided = self.decider.take(record)
        self._sound_for(decided, read_s)
        self._recorder.add(msgspec.structs.replace(record, quality=decided.quality))
        self._count_held(device, keys, waiting, t_ms)
        for reading, value, bits in zip(readings, values, decided.quality, strict=True):
            self._judge(device, reading, value, Quality(bits), t_ms)
        self._follow(decided)
        return any(bits & Quality.SPIKE_HELD and (not plan.series.summed or plan.series.counter)
                   for bits, plan in zip(decided.quality, plans, strict=True))

    def _after_last(self, keys: list[str], t_ms: int) -> int:
        """Two frames that came in one lump, or a clock that was set back a little: both count, in their order."""
        columns = [self.decider.columns[key] for key in keys]
        return max(t_ms, int(last_t(self.decider.live)[columns].max()) + 1)

    def _held(self, keys: list[str]) -> list[tuple[int, int]]:
        memory = self.decider.live.memory
        return [(int(memory.held_t[i]), int(memory.held_raw[i])) for i in map(self.decider.columns.__getitem__, keys)]

    def _count_held(self, device: Device, keys: list[str], before: list[tuple[int, int]], t_ms: int) -> None:
        """What became of readings that were held: those that the next one confirmed stand behind it now."""
        memory = self.decider.live.memory
        for key, (held_t, held_raw) in zip(keys, before, strict=True):
            i = self.decider.columns[key]
            if held_t not in {NEVER, int(memory.held_t[i])}:
                confirmed = int(memory.good_t[i]) == t_ms and int(memory.past_raw[i, 1]) == held_raw
                self._health.held(device.table.name, confirmed=confirmed)

    def _judge(self, device: Device, reading: Reading, value: float, quality: Quality, t_ms: int) -> None:
        """What the reading says of the health of its device."""
        name = device.table.name
        if quality & Quality.RANGE:
            self._refuse(name, implausible(device, reading, value), t_ms)
            return
        if quality & Quality.LATE:
            detail = "its time is not after the last reading's; stored, not evaluated"
            key = device.series[reading.quantity].series.key
            self._recorder.add(Event("", 0, t_ms, EventKind.LATE, detail, series=key))
        for fault in self._health.good(name, reading.quantity, t_ms):
            self._recorder.add(Event("", 0, t_ms, EventKind.BACK, f"was {fault}", device=name))

    def _refuse(self, device: str, why: Rejection, t_ms: int) -> None:
        if self._health.refused(device, why.quantity, why.reason, why.detail):
            event = Event("", 0, t_ms, EventKind.REFUSED, why.detail, device=device, reason=why.reason)
            self._recorder.add(event)

    def _sound_for(self, decided: Decided, decided_s: float) -> None:
        if decided.changes:
            self.sound(reason_of(decided.changes[-1]), decided_s)

    def _follow(self, decided: Decided) -> None:
        state = self.decider.live
        for key in decided.stuck:
            self.told(EventKind.STUCK, "its value does not move as it should: look after it", series=key)
        for key in decided.moving:
            self.told(EventKind.STUCK, "its value moves again", series=key)
        for fresh in decided.freshness:
            stale_ms = int(state.tables.series.stale[self.decider.columns[fresh.series.key]])
            busy = self.decider.in_service(self._devices.get(fresh.series.key, ""), fresh.t_ms)
            self._recorder.add(freshness(fresh, stale_ms, in_service=busy))
        for change in decided.changes:
            self._recorder.add(detection(change))
            self.retired_may_go |= change.level is Level.CLEAR
        for change in decided.shadow:
            self._recorder.add(shadow(change))


def _clock_words(step: ClockStep) -> str:
    said = f"the clock stepped by {step.step_ms / 1000:+.1f} s"
    return f"{said}; the time before was wrong and counts no more" if step.epoch else said


def _fault_of(device: Device, reading: Reading) -> Rejection | None:
    """What a driver must not give: the log, the wire and the kernel have no place for it."""
    if reading.quantity not in device.series:
        return Rejection(Reason.FORMAT, f"{reading.quantity} is not what this driver says it gives")
    if not math.isfinite(device.series[reading.quantity].value(reading)):
        return Rejection(Reason.FORMAT, f"{reading.value} is not a number", reading.quantity)
    return None
