"""The agent looks after itself: ticks, checkpoints, heartbeats, and what was delivered long ago leaves the log."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from edge.budget import Budget
from edge.checkpoint import Checkpoints
from edge.fitting import fitted
from edge.health import Health
from edge.operations import Operations
from edge.pipeline import Pipeline
from edge.recorder import Recorder
from edge.tidy import Tidy
from edge.uplink import Uplink
from tocsin import topics
from tocsin.clock import Clock
from tocsin.link import Link, LinkDownError, TooLargeError, Will
from tocsin.log import Log
from tocsin.messages import VERSION, Heartbeat, encode
from tocsin.packing import pack

TICK_S = 10.0
CHECKPOINT_S = 60.0
KEPT_S = 3600.0  # on the disk: what a start after a power cut has to decide once more, and what a card has to take
NEWS_S = 60.0  # what changed is told before the next heartbeat in time, not oftener
KEEP_S = 7 * 86400.0  # what is delivered stays this long: a hub restored from a backup asks for it
REMEMBER_MS = 86_400_000  # the log can be replayed from the oldest such place in it
_SET_S = 3600.0  # a clock that was so far off has dated files that are dropped by their age
_GOODBYE_S = 2.0
_BEAT_S = 5.0   # a link that hangs must not hold up the rest
_DISK_S = 2.0   # nor a disk
_WILL_BYTES = 1024  # no broker has said yet what it takes, and one that finds a will too large lets nobody in
_AROUND_WILL = 512  # bytes of the packet that carries it: names, user and password
log = logging.getLogger(__name__)


class Watch:
    """`ticks` and `run` serve until cancelled. `link` and `tidy` are set once they are there; only heartbeats need
    them. `each_minute` is called in a thread, and may wait for the disk."""

    def __init__(
        self, station: str, mark: str, boot: str, folder: Path, clock: Clock,
        *, storage: Log, pipeline: Pipeline, operations: Operations, recorder: Recorder, uplink: Uplink, health: Health,
        budget: Budget,
    ) -> None:  # fmt: skip
        self.link: Link | None = None
        self.tidy: Tidy | None = None
        self.each_minute: Callable[[], None] = lambda: None
        self._station = station
        self._mark = mark
        self._boot = boot
        self._checkpoints = Checkpoints(folder)
        self._kept_s: float | None = None
        self._kept_seq = 0
        self._clock = clock
        self._looked = self._seconds()
        self._log = storage
        self._pipeline = pipeline
        self._operations = operations
        self._recorder = recorder
        self._uplink = uplink
        self._health = health
        self._budget = budget
        self._beaten: tuple[object, ...] = ()
        self._beside: dict[str, asyncio.Future[None]] = {}

    async def ticks(self) -> None:
        """By themselves, delayed by no disk or link: a level's time to sound comes with one, and a silence's end."""
        due_s = self._clock.monotonic_s()
        while True:
            self._pipeline.tick()
            due_s = await self._next(due_s)

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._go_on()
        finally:
            for task in self._beside.values():
                task.cancel()
            self._beside.clear()

    async def _go_on(self) -> None:
        due_s = self._clock.monotonic_s()
        checkpoint_s, heartbeat_s, news_s = due_s + CHECKPOINT_S, due_s, due_s
        while True:
            self._budget.tick(self._clock.now_ms(), self._recorder.add, self._pipeline.told)
            if self._pipeline.retired_may_go:
                self._begin("settle", self._operations.settle)
            if due_s >= checkpoint_s:
                checkpoint_s = due_s + CHECKPOINT_S
                self._begin("checkpoint", self._save)
            if due_s >= heartbeat_s or (due_s >= news_s and self._news() != self._beaten):
                heartbeat_s, news_s = due_s + self._budget.heartbeat_s, due_s + NEWS_S
                await self.beat()
            due_s = await self._next(due_s)

    async def _next(self, due_s: float) -> float:
        """Sleeps until the next turn; those that were missed are left out."""
        due_s += TICK_S * max(1, int((self._clock.monotonic_s() - due_s) // TICK_S))
        await self._clock.sleep_until(due_s)
        return due_s

    def _begin(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        """What waits for a disk runs beside the ticks, one of a kind at a time. Raises what the last one ended with."""
        last = self._beside.pop(name, None)
        if last is not None and last.done():
            last.result()
        self._beside[name] = asyncio.ensure_future(part()) if last is None or last.done() else last

    async def beat(self, *, online: bool = True) -> None:
        """One heartbeat now, where there is a link."""
        if self.link is not None:
            self._beaten = self._news()
            with suppress(LinkDownError, TimeoutError):
                async with asyncio.timeout(_BEAT_S):
                    await self._publish(self.link, online=online)

    async def _publish(self, link: Link, *, online: bool) -> None:
        payload = self._packed(link.room(self._topic), online=online)
        try:
            await link.publish(self._topic, payload, retain=True)
        except TooLargeError as err:
            log.error("the heartbeat cannot go out: %s", err)

    def report(self) -> Heartbeat:
        """The heartbeat as it would go out now."""
        return self._heartbeat(online=True)

    async def say_goodbye(self) -> None:
        """The last heartbeat of a clean stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await self.beat(online=False)

    def will(self) -> Will:
        """What the broker says for this station when the link is gone."""
        most = _WILL_BYTES if self.link is None else min(_WILL_BYTES, self.link.room(self._topic) - _AROUND_WILL)
        return Will(self._topic, self._packed(most, online=False))

    def _news(self) -> tuple[object, ...]:
        """What does not wait for the next heartbeat in time."""
        siren = self._pipeline.siren
        return (siren.level if siren else 0, self._budget.step, self._health.power,
                *((one.fault, one.what) for one in self._health.open), *(one.fault for one in self._health.report()))

    def _packed(self, most: int, *, online: bool) -> bytes:
        """In at most so many bytes."""
        return fitted(self._heartbeat(online=online), most, pack if self._budget.thinner else bytes)

    @property
    def _topic(self) -> str:
        return topics.up(self._station, topics.HEARTBEAT)

    async def _save(self) -> None:
        """Old segments away, and a checkpoint of the kernel. A disk that refuses is the recorder's to report."""
        now_ms = self._clock.now_ms()
        (before_s, from_s), (utc_s, count_s) = self._looked, self._seconds()
        self._looked = utc_s, count_s
        if abs(by_s := utc_s - before_s - (count_s - from_s)) > _SET_S:
            with suppress(OSError):
                await asyncio.to_thread(self._log.clock_was_set, by_s, before_s + by_s, utc_s + _SET_S)
        if self._clock.synchronized() is not False:  # by one days ahead nothing is old; the size has a limit
            with suppress(OSError):
                await asyncio.to_thread(self._log.drop, KEEP_S, now_ms / 1000)
        await asyncio.to_thread(self._budget.meter.save_due, now_ms)
        await asyncio.to_thread(self.each_minute)
        self._pipeline.remember(after_ms=REMEMBER_MS)
        seq, decider, now_s = self._recorder.last_seq, self._pipeline.decider, self._clock.monotonic_s()
        keep = self._kept_s is None or now_s - self._kept_s >= KEPT_S or self._has_holes()
        self._checkpoints.prepare(seq, encode(decider.config), decider.parts(), keep=keep)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_DISK_S):  # no checkpoint may know more than the log
                await (self._recorder.synced(seq) if keep else self._recorder.written(seq))
            await asyncio.to_thread(self._checkpoints.publish)
            if keep:
                await asyncio.to_thread(self._checkpoints.keep)
                self._kept_s, self._kept_seq = now_s, seq

    def _seconds(self) -> tuple[float, float]:
        """UTC, and of the monotonic count: they part where the clock is set."""
        return self._clock.now_ms() / 1000, self._clock.monotonic_s()

    def _has_holes(self) -> bool:
        """Behind what is on the disk readings were taken out of the log: after a power cut they would be missing."""
        return self.tidy is not None and self.tidy.removed_upto > self._kept_seq

    def _heartbeat(self, *, online: bool) -> Heartbeat:
        siren = self._pipeline.siren
        return Heartbeat(
            v=VERSION,
            station=self._station,
            t=self._clock.now_ms(),
            online=online,
            boot=self._boot,
            backlog=self._uplink.backlog,
            siren=int(siren.level) if siren else 0,
            devices=self._health.report(),
            siren_health=self._operations.proof.health() if self._operations.proof else None,
            every_s=self._budget.heartbeat_s,
            summary_s=self._budget.summary_s,
            today_bytes=self._budget.meter.today(self._clock.now_ms()),
            month_bytes=self._budget.meter.month(self._clock.now_ms()),
            budget_bytes=self._budget.month_bytes,
            thinning=self._budget.step,
            log=self.tidy.health if self.tidy else None,
            faults=self._health.open,
            power=self._health.power,
            next_s=self._health.next_s if online else 0.0,
            mark=self._mark,
        )
