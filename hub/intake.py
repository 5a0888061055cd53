"""Intake: what stations say is checked, put on the disk, and only then answered.

Messages that arrive while a commit runs are landed together in the next one, so a slow disk makes larger commits, not
a longer queue.
"""

import asyncio
import logging
import sqlite3
from collections import Counter, deque
from collections.abc import Callable, Mapping

from hub.aside import Aside, of_disk, parts_of
from hub.checks import Delivery, Revoked, inspect
from hub.committed import Answers
from hub.database import Database
from hub.landing import Landed, land
from hub.places import Memory
from hub.publish import Publish
from hub.room import Room
from tocsin.clock import Clock

MOST_PENDING = 64 << 20  # bytes in memory; beyond it the link is not read, and what it drops is sent again
MOST_COMMITTED = 4 << 20  # bytes of one commit: answers must come before stations ask again
NO_ROOM = "not landed: no room"
DEFECT = "not landed: a defect"
_RETRY_S = 1.0
_RESERVE_S = 60.0

log = logging.getLogger(__name__)


class Intake:
    """`run` must run beside `on_message`. `on_landed` are called after every commit, to wake who reads landing."""

    def __init__(
        self, database: Database, keys: Mapping[str, str], clock: Clock, publish: Publish,
        revoked: Revoked = frozenset(), room: Room | None = None,
    ) -> None:  # fmt: skip
        """`keys` maps a station to the key that seals its answers: 64 hex digits. `trouble` says why nothing lands,
        "" while all is well."""
        self.trouble = ""
        self.room = room or Room(database.path.parent, 0, clock)
        self.on_landed: list[Callable[[], None]] = []
        self._database = database
        self._keys = keys
        self._revoked = revoked
        self._clock = clock
        self._answers = Answers(database.hub_id, keys, publish, clock.now_ms)
        self._counts: Counter[str] = Counter()
        self._memory = Memory()
        self._aside = Aside(database)
        self._tried_again = False
        self._pending: deque[Delivery] = deque()
        self._pending_bytes = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: landed, repeated, clone, `quarantined: <reason>`, failed commits, messages that there was no
        room for or that landing failed on, answers not sent; `disk short` is 1 while readings wait for room."""
        return {**self._counts, "not answered": self._answers.dropped, "disk short": int(self.room.short)}

    @property
    def aside(self) -> int:
        """Records that lie in quarantine since landing fails on them."""
        return self._aside.kept

    async def on_message(self, topic: str, payload: bytes) -> None:
        """Takes a message; what is wrong with it is counted and kept. Waits only while too much waits for the disk.

        While the disk is nearly full readings are let go of: nobody answers for them, so that their station sends them
        again. Warnings and answers land.
        """
        delivery = inspect(topic, payload, self._keys, self._revoked)
        if delivery.history and self.room.look():
            self._counts[NO_ROOM] += 1
            return
        while self._pending_bytes > MOST_PENDING:
            self._room.clear()
            await self._room.wait()
        self._pending.append(delivery)
        self._pending_bytes += delivery.size
        self._arrived.set()

    async def run(self) -> None:
        """Until cancelled: lands what arrives and answers for it."""
        self._arrived.set()  # what was left when it ran before: the link may wait for that to land
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._try_again(), name="intake: what was set aside")
            tasks.create_task(self._land_all(), name="intake: landing")
            tasks.create_task(self._answers.run(), name="intake: answers")
            tasks.create_task(self._keep_reserve(), name="intake: reserve")

    async def _try_again(self) -> None:
        if self._tried_again:
            return
        try:
            for one in await self._database.run(self._aside.look):    # warnings that arrive go in between
                counts = await self._database.run(self._aside.try_again, one, self._clock.now_ms(), self._memory)
                self._counts.update(counts)
                if counts:
                    self._wake()
        except sqlite3.Error as err:
            log.error("%s: what was set aside waits for the next start: %s", self._database.path, err)
            return
        self._tried_again = True

    async def _keep_reserve(self) -> None:
        while True:
            await asyncio.to_thread(self.room.keep_reserve)
            await self._clock.sleep_until(self._clock.monotonic_s() + _RESERVE_S)

    async def _land_all(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                deliveries, landed = await self._land(self._take())
                self._counts.update(landed.counts)
                self._wake()
                for delivery, clone in zip(deliveries, landed.clones, strict=True):
                    if delivery.answer:
                        self._answers.add(delivery.station, delivery.answer, clone=clone)

    def _wake(self) -> None:
        for wake in self.on_landed:
            wake()

    def _take(self) -> list[Delivery]:
        deliveries: list[Delivery] = []
        size = 0
        while self._pending and size < MOST_COMMITTED:
            deliveries.append(self._pending.popleft())
            size += deliveries[-1].size
        self._pending_bytes -= size
        self._room.set()
        return deliveries

    async def _land(self, deliveries: list[Delivery]) -> tuple[list[Delivery], Landed]:
        """Returns what is on the disk now. A disk that is full or broken is tried again until it is not."""
        while True:
            try:
                deliveries, landed = await self._database.run(self._commit, deliveries, self._clock.now_ms())
            except sqlite3.Error as err:
                self._counts["failed commits"] += 1
                self.trouble = str(err)
                log.error("%s: nothing can be landed: %s; next try in %g s", self._database.path, err, _RETRY_S)
            else:
                self.trouble = ""
                return deliveries, landed
            if self.room.look(now=True):
                deliveries = self._without_history(deliveries)
                if self.room.give_reserve():
                    log.error("%s: the disk is full; its reserve is given to warnings", self._database.path)
                    continue
            await self._clock.sleep_until(self._clock.monotonic_s() + _RETRY_S)

    def _without_history(self, deliveries: list[Delivery]) -> list[Delivery]:
        """What must not wait for room, of these and of what waits behind them."""
        kept = [one for one in deliveries if not one.history]
        waiting = [one for one in self._pending if not one.history]
        self._counts[NO_ROOM] += len(deliveries) - len(kept) + len(self._pending) - len(waiting)
        self._pending = deque(waiting)
        self._pending_bytes = sum(one.size for one in waiting)
        self._room.set()
        return kept

    def _commit(self, deliveries: list[Delivery], now_ms: int) -> tuple[list[Delivery], Landed]:
        """Returns what is on the disk now. A record that landing fails on, not for the disk, must not keep the others
        from it: it is left out, and its station, which has no answer for it, sends it again until it is set aside."""
        try:
            with self._database.transaction() as connection:
                return deliveries, land(connection, deliveries, now_ms, self._memory)
        except BaseException as err:
            self._memory.forget()
            if not isinstance(err, Exception) or of_disk(err):
                raise
            if len(deliveries) == 1 and len(parts := parts_of(deliveries[0])) > 1:
                deliveries = parts
            half = len(deliveries) // 2
            if half == 0:
                return self._failed(deliveries[0], err, now_ms)
        first, of_first = self._commit(deliveries[:half], now_ms)
        second, of_second = self._commit(deliveries[half:], now_ms)
        return first + second, Landed(of_first.counts + of_second.counts, of_first.clones + of_second.clones)

    def _failed(self, delivery: Delivery, err: Exception, now_ms: int) -> tuple[list[Delivery], Landed]:
        log.error("%s: it could not be landed, by a defect of the hub", delivery.topic, exc_info=err)
        found = Landed(Counter({DEFECT: 1}))
        if (refused := self._aside.instead(delivery, err)) is None:
            return [], found
        done, landed = self._commit([refused], now_ms)
        for one in done:
            self._aside.put(one)
        return done, Landed(found.counts + landed.counts, landed.clones)
