"""From what a device said to readings, detections, siren and log: one path, in the order processed.

Everything here is synchronous: nothing can come between a reading and what follows from it. The siren is commanded
before the log is written; neither waits for the other.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from edge.decider import Decided, Decider, Input
from edge.device import Device
from edge.findings import detection, freshness, implausible, reason_of, shadow
from edge.health import Health
from edge.recorder import Recorder
from edge.rows import Recent
from edge.sayings import say
from edge.series import SeriesPlan
from edge.siren import Siren
from edge.sounding import Sound
from edge.timekeeper import Timekeeper
from thresholds.kernel import levels
from thresholds.plan import Track
from thresholds.tables import NEVER
from tocsin.inputs import ClockStep, Service, Tick
from tocsin.levels import Level
from tocsin.messages import Event, EventKind, Readings
from tocsin.readings import Quality, Reading, Reason, Rejection
from tocsin.said import Said

_TIME_CAME = "a level's time to sound came, or ended, or a person did something"
_RANGE, _LATE, _SPIKE_HELD = int(Quality.RANGE), int(Quality.LATE), int(Quality.SPIKE_HELD)


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll or frame of a device gave. `plans` and `values` are those of `readings`; `faults` all else."""

    device: Device
    readings: list[Reading]
    plans: list[SeriesPlan]
    values: list[float]
    faults: list[Rejection]
    read_s: float

    @classmethod
    def of(cls, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> "Poll":
        """What a driver must not give is a fault: the log, the wire and the kernel have no place for it."""
        poll = cls(device, [], [], [], [], read_s)
        for item in items:
            fault = poll._take(item) if isinstance(item, Reading) else item
            if fault is not None:
                poll.faults.append(fault)
        return poll

    def _take(self, reading: Reading) -> Rejection | None:
        plan = self.device.series.get(reading.quantity)
        if plan is None:
            return Rejection(Reason.FORMAT, f"{reading.quantity} is not what this driver says it gives")
        value = plan.value(reading)
        if not math.isfinite(value):
            return Rejection(Reason.FORMAT, f"{reading.value} is not a number", reading.quantity)
        self.readings.append(reading)
        self.plans.append(plan)
        self.values.append(value)
        return None


class Pipeline:
    """Owns what decides. `siren` is set where the station has one. `latest` has the newest record of each series."""

    def __init__(self, decider: Decider, recorder: Recorder, keeper: Timekeeper, health: Health) -> None:
        self.decider = decider
        self.siren: Siren | None = None
        self.handled = 0
        self.latest: dict[str, Readings] = {}
        self.retired_may_go = False
        self.on_tick: Callable[[], None] = lambda: None
        self._recorder = recorder
        self._keeper = keeper
        self.health = health
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._ticked = False
        self._asked: list[Sound] = []
        self._now_ms = decider.now_ms

    def heard(self, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> bool:
        """One poll or frame of a device; `read_s` is the monotonic second at which its bytes were complete.

        True where a reading is held as a possible spike and the device should be asked again at once.
        """
        return self.heard_together([Poll.of(device, items, read_s)])[0]

    def heard_together(self, polls: Sequence[Poll]) -> list[bool]:
        """As `heard`, for polls of different devices that came at nearly the same time: one row, one record."""
        t_ms = self.now_ms()
        read = [poll for poll in polls if poll.readings]
        again = self._evaluate(read, t_ms) if read else set()
        for poll in polls:
            for fault in poll.faults:
                self._refuse(poll.device.table.name, fault, t_ms)
        self.handled += len(polls)
        self._waiters = [waiter for waiter in self._waiters if not self._release(*waiter)]
        return [poll.device.table.name in again for poll in polls]

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
        self.on_tick()

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
                self.told(EventKind.FAULT, say("not_remembered", why=err))

    def told(self, what: EventKind, detail: Said, *, device: str = "", series: str = "") -> None:
        """Something technical happened now."""
        self._recorder.add(
            Event("", 0, self._now_ms, what, detail.en, device=device, series=series, zh=detail.own_zh))

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

    def shelved(self) -> list[tuple[Track, int]]:
        """The tracks that a person has shelved, each with the end of that (ms UTC)."""
        state = self.decider.live
        return [(track, until) for track, until in zip(state.plan.tracks, state.memory.shelved.tolist(), strict=True)
                if until > self._now_ms]

    def now_ms(self) -> int:
        """The agent's time; a step of the clock is an input of its own, and comes before what is done now."""
        self._now_ms = self._keeper.now_ms()
        if self._keeper.step_ms:
            step = ClockStep("", 0, self._now_ms, self._keeper.step_ms, self._keeper.epoch)
            self.told(EventKind.CLOCK, _clock_words(step))
            self.decide(step)
        return self._now_ms

    def _end_service(self, now_ms: int) -> None:
        for name in [name for name, until in self.decider.service.items() if until <= now_ms]:
            device, of_series, _ = name.partition("/")
            series = name if of_series else ""
            self.decide(Service("", 0, now_ms, device, 0, "", series, anew=True))
            self.told(EventKind.SERVICE, say("service_over"), device="" if series else device, series=series)

    def _evaluate(self, polls: Sequence[Poll], t_ms: int) -> set[str]:
        """Returns the devices to be asked again."""
        plans = [plan for poll in polls for plan in poll.plans]
        keys = [plan.series.key for plan in plans]
        values = [value for poll in polls for value in poll.values]
        columns = [self.decider.columns[key] for key in keys]
        t_ms = self._after_last(columns, t_ms)
        self._end_service(t_ms)
        record = Readings("", 0, [t_ms] * len(keys), keys, values, self._given(keys, t_ms))
        waiting = self._held(columns)
        decided = self.decider.take(record)
        self._sound_for(decided, min(poll.read_s for poll in polls))
        logged = msgspec.structs.replace(record, quality=decided.quality)
        self._recorder.add(logged)
        self.latest.update(dict.fromkeys(keys, logged))
        devices = [poll.device for poll in polls for _ in poll.plans]
        for i, held in waiting.items():
            self._count_held(devices[i], columns[i], held, t_ms)
        at = 0
        for poll in polls:
            self._judge(poll, decided.quality[at:at + len(poll.plans)], t_ms)
            at += len(poll.plans)
        self._follow(decided)
        return {device.table.name for device, plan, bits in zip(devices, plans, decided.quality, strict=True)
                if bits & _SPIKE_HELD and (not plan.series.summed or plan.series.counter)}

    def _given(self, keys: list[str], t_ms: int) -> list[int]:
        """What the readings of these series bring along."""
        given = int(Quality.CLOCK if self._keeper.doubtful else Quality.GOOD)
        if not self.decider.service:
            return [given] * len(keys)
        return [given | int(Quality.SERVICE) if self.decider.in_service(key, t_ms) else given for key in keys]

    def _after_last(self, columns: list[int], t_ms: int) -> int:
        """Two frames that came in one lump, or a clock that was set back a little: both count, in their order."""
        return max(t_ms, int(self.decider.live.memory.last_t[columns].max()) + 1)

    def _held(self, columns: list[int]) -> dict[int, tuple[int, int]]:
        """Time and value of the readings that wait as possible spikes, by the place of their series in `columns`."""
        memory = self.decider.live.memory
        held_t = memory.held_t[columns]
        return {i: (int(held_t[i]), int(memory.held_raw[columns[i]])) for i in (held_t != NEVER).nonzero()[0].tolist()}

    def _count_held(self, device: Device, column: int, before: tuple[int, int], t_ms: int) -> None:
        """What became of a reading that was held: one that the next one confirmed stands behind it now."""
        memory, (held_t, held_raw) = self.decider.live.memory, before
        if held_t != int(memory.held_t[column]):
            confirmed = int(memory.good_t[column]) == t_ms and int(memory.past_raw[column, 1]) == held_raw
            self.health.held(device.table.name, confirmed=confirmed)

    def _judge(self, poll: Poll, quality: list[int], t_ms: int) -> None:
        """What its readings say of the health of a device."""
        name = poll.device.table.name
        if not any(bits & (_RANGE | _LATE) for bits in quality) and self.health.all_good(name, len(quality), t_ms):
            return
        for reading, plan, value, bits in zip(poll.readings, poll.plans, poll.values, quality, strict=True):
            if bits & _RANGE:
                self._refuse(name, implausible(poll.device, reading, value), t_ms)
                continue
            if bits & _LATE:
                detail = "its time is not after the last reading's; stored, not evaluated"
                self._recorder.add(Event("", 0, t_ms, EventKind.LATE, detail, series=plan.series.key))
            for fault in self.health.good(name, reading.quantity, t_ms):
                self._recorder.add(Event("", 0, t_ms, EventKind.BACK, f"was {fault}", device=name))

    def _refuse(self, device: str, why: Rejection, t_ms: int) -> None:
        if self.health.refused(device, why.quantity, why.reason, why.detail, t_ms):
            event = Event("", 0, t_ms, EventKind.REFUSED, why.detail, device=device, reason=why.reason)
            self._recorder.add(event)

    def _sound_for(self, decided: Decided, decided_s: float) -> None:
        if decided.changes:
            self.sound(reason_of(decided.changes[-1]), decided_s)

    def _follow(self, decided: Decided) -> None:
        state = self.decider.live
        for key in decided.stuck:
            self.told(EventKind.STUCK, say("stuck"), series=key)
        for key in decided.moving:
            self.told(EventKind.STUCK, say("moving"), series=key)
        for fresh in decided.freshness:
            stale_ms = int(state.tables.series.stale[self.decider.columns[fresh.series.key]])
            busy = self.decider.in_service(fresh.series.key, fresh.t_ms)
            self._recorder.add(freshness(fresh, stale_ms, in_service=busy))
        for change in decided.changes:
            self._recorder.add(detection(change))
            self.retired_may_go |= change.level is Level.CLEAR
        for change in decided.shadow:
            self._recorder.add(shadow(change))


def _clock_words(step: ClockStep) -> Said:
    return say("new_epoch" if step.epoch else "clock_step", seconds=step.step_ms / 1000)
