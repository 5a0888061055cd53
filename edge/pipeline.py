"""From what a device said to readings, detections, siren and log: one path, in the order processed.

Everything here is synchronous: nothing can come between a reading and what follows from it. The siren is commanded
before the log is written; neither waits for the other.
"""

import asyncio
import math
import time
from collections.abc import Sequence

import numpy as np

from edge.config import Device, Station
from edge.health import Health
from edge.recorder import Recorder
from edge.siren import Siren
from edge.timekeeper import Timekeeper
from thresholds.kernel import Block, Change, Freshness, Outcome, State, last_t, levels, quantize, step
from thresholds.rules import Track
from tocsin.levels import Authority, Level
from tocsin.messages import Detection, Event, EventKind, Readings, Tick
from tocsin.quantities import quantity
from tocsin.readings import Quality, Reading, Reason, Rejection


class Pipeline:
    """Owns the kernel's state. `siren` is set where the station has one."""

    def __init__(self, station: Station, state: State, recorder: Recorder, keeper: Timekeeper, health: Health) -> None:
        self.state = state
        self.siren: Siren | None = None
        self.handled = 0
        self._plan = station.plan
        self._index = {series.key: number for number, series in enumerate(station.series)}
        self._recorder = recorder
        self._keeper = keeper
        self._health = health
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._ticked = False

    def heard(self, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> None:
        """One poll or frame of a device; `read_s` is the monotonic second at which its bytes were complete."""
        t_ms = self._now_ms()
        readings = [item for item in items if isinstance(item, Reading) and _fault_of(device, item) is None]
        if readings:
            self._evaluate(device, readings, t_ms, read_s)
        for item in items:
            fault = item if isinstance(item, Rejection) else _fault_of(device, item)
            if fault is not None:
                self._refuse(device.table.name, fault, t_ms)
        self.handled += 1
        self._waiters = [waiter for waiter in self._waiters if not self._release(*waiter)]

    def tick(self) -> None:
        """The clock has moved on, whether or not anything was read. Logged where something followed from it."""
        now_ms = self._now_ms()
        block = Block.blank(1, len(self._plan.series))
        block.now_ms[0] = now_ms
        outcome = step(self.state, block)
        if outcome.freshness or outcome.changes or not self._ticked:
            self._recorder.add(Tick("", 0, now_ms))
            self._ticked = True
        if outcome.changes:
            self.sound(_reason(outcome.changes[-1]), time.monotonic())
        self._follow(outcome)

    def sound(self, why: str, decided_s: float) -> None:
        """Commands the siren to what the levels ask for now."""
        self._recorder.urgent = bool(levels(self.state).max(initial=0) > Level.CLEAR)
        if self.siren is not None:
            self.siren.command(self._siren_level(), why, decided_s)

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

    def _now_ms(self) -> int:
        now_ms = self._keeper.now_ms()
        if self._keeper.step_ms:
            detail = f"the clock stepped by {self._keeper.step_ms / 1000:+.1f} s"
            self._recorder.add(Event("", 0, now_ms, EventKind.CLOCK, detail))
        return now_ms

    def _evaluate(self, device: Device, readings: list[Reading], t_ms: int, read_s: float) -> None:
        plans = [device.series[reading.quantity] for reading in readings]
        values = [plan.value(reading) for plan, reading in zip(plans, readings, strict=True)]
        columns = [self._index[plan.series.key] for plan in plans]
        # two frames that came in one lump, or a clock that was set back a little: both readings count, in their order
        t_ms = max(t_ms, int(last_t(self.state)[columns].max()) + 1)
        block = Block.blank(1, len(self._plan.series))
        fill(block, 0, columns, t_ms, values, Quality.CLOCK if self._keeper.doubtful else Quality.GOOD)
        outcome = step(self.state, block)
        if outcome.changes:
            self.sound(_reason(outcome.changes[-1]), read_s)
        keys = [plan.series.key for plan in plans]
        quality = outcome.quality[0, columns].tolist()
        self._recorder.add(Readings("", 0, [t_ms] * len(keys), keys, values, quality))
        for reading, value, bits in zip(readings, values, quality, strict=True):
            self._judge(device, reading.quantity, value, Quality(bits), t_ms)
        self._follow(outcome)

    def _judge(self, device: Device, name: str, value: float, quality: Quality, t_ms: int) -> None:
        """What the reading says of the health of its device."""
        plan = device.series[name]
        if quality & Quality.RANGE:
            low, high = plan.series.plausible
            detail = f"{plan.series.quantity} {value:g} is outside the plausible {low:g} to {high:g}"
            self._refuse(device.table.name, Rejection(Reason.IMPLAUSIBLE, detail, name), t_ms)
            return
        if quality & Quality.LATE:
            detail = "its time is not after the last reading's; stored, not evaluated"
            self._recorder.add(Event("", 0, t_ms, EventKind.LATE, detail, series=plan.series.key))
        for fault in self._health.good(device.table.name, name, t_ms):
            self._recorder.add(Event("", 0, t_ms, EventKind.BACK, f"was {fault}", device=device.table.name))

    def _refuse(self, device: str, why: Rejection, t_ms: int) -> None:
        if self._health.refused(device, why.quantity, why.reason, why.detail):
            event = Event("", 0, t_ms, EventKind.REFUSED, why.detail, device=device, reason=why.reason)
            self._recorder.add(event)

    def _follow(self, outcome: Outcome) -> None:
        for fresh in outcome.freshness:
            self._recorder.add(_freshness(fresh))
        for change in outcome.changes:
            self._recorder.add(detection(change))

    def _siren_level(self) -> Level:
        """The highest level reached that may sound by itself; one above it that a person must confirm adds nothing."""
        now = zip(self._plan.tracks, levels(self.state).tolist(), strict=True)
        return max((_sounds_alone(track, Level(level)) for track, level in now), default=Level.CLEAR)


def _fault_of(device: Device, reading: Reading) -> Rejection | None:
    """What a driver must not give: the log, the wire and the kernel have no place for it."""
    if reading.quantity not in device.series:
        return Rejection(Reason.FORMAT, f"{reading.quantity} is not what this driver says it gives")
    if not math.isfinite(device.series[reading.quantity].value(reading)):
        return Rejection(Reason.FORMAT, f"{reading.value} is not a number", reading.quantity)
    return None


def fill(block: Block, row: int, columns: list[int], t_ms: int, values: list[float], quality: Quality) -> None:
    """Puts readings of one instant into a row; a value that is no number stays missing."""
    raw, good = quantize(np.array(values, np.float64))
    block.t_ms[row, columns] = t_ms
    block.raw[row, columns] = raw
    block.quality[row, columns] = np.where(good, int(quality), int(Quality.MISSING))


def detection(change: Change) -> Detection:
    """A change of level as it is logged and published."""
    rule = change.track.rule
    return Detection(
        boot="",
        seq=0,
        t=change.t_ms,
        series=change.track.series.key,
        rule=rule.name,
        hazard=rule.hazard,
        level=int(change.level),
        previous=int(change.previous),
        revision=change.revision,
        episode=change.episode,
        since=change.since_ms,
        stage=change.stage,
        authority=change.authority,
        value=change.value,
        threshold=change.threshold,
        over_s=rule.over_s,
    )


def _freshness(fresh: Freshness) -> Event:
    what = EventKind.STALE if fresh.stale else EventKind.FRESH
    detail = "no good reading for three periods" if fresh.stale else "good readings again"
    return Event("", 0, fresh.t_ms, what, detail, series=fresh.series.key)


def _reason(change: Change) -> str:
    rule = change.track.rule
    unit = quantity(rule.quantity).unit
    over = f" in {rule.over_s // 60} min" if rule.over_s else ""
    word = "below" if (change.level < change.previous) != rule.low else "at or above"
    return f"{rule.name}: {change.value:g} {unit}{over} is {word} {change.threshold:g}"


def _sounds_alone(track: Track, level: Level) -> Level:
    alone = (at.level for at in track.rule.levels if at.level <= level and at.authority is Authority.AUTO)
    return max(alone, default=Level.CLEAR)
