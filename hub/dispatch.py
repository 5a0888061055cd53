"""Dispatch: sends what lies in the outbox, each channel on its own, an area's bulletins in their order.

A channel says whether trying again can help. If so it is tried again, from 1 s up to every 30 s, for ever; if not,
dispatch gives up out loud: the row is marked, the journal says so, and it is counted.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping

from hub import journal, outbox, warnings_kept
from hub.broadcast._channel import AnyChannel
from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.journal import GaveUp
from hub.model import Warning as HubWarning
from hub.model import Why
from hub.outbox import Pending
from tocsin.clock import Clock
from tocsin.messages import Bulletin, BulletinKind

FIRST_WAIT_MS = 1_000
LONGEST_WAIT_MS = 30_000
CLOSING_KEPT_MS = 7 * 86_400_000

log = logging.getLogger(__name__)


class Dispatch:
    """`run` sends and is woken by `wake`; `republish` is called whenever the broker is connected again."""

    def __init__(self, database: Database, channels: Mapping[str, AnyChannel], clock: Clock) -> None:
        self._database = database
        self._channels = dict(channels)
        self._clock = clock
        self._woken = {name: asyncio.Event() for name in channels}
        self._locks = {name: asyncio.Lock() for name in channels}
        self._in_hand: dict[str, Pending] = {}
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> dict[str, int]:
        """Since the start, by channel: `sent`, `retried`, `failed`, `republished` and `restarts`, as in `cap sent`."""
        return dict(self._counts)

    def wake(self) -> None:
        """There is something new in the outbox."""
        for event in self._woken.values():
            event.set()

    async def run(self) -> None:
        """Until cancelled: a slow channel keeps none of the others waiting."""
        async with asyncio.TaskGroup() as tasks:
            for name in self._channels:
                tasks.create_task(self._follow(name), name=f"dispatch {name}")

    async def send_due(self, name: str, *, eager: bool = False) -> int | None:
        """One round of a channel: what is due now, `eager` also what waits for a retry.

        Returns when the next row is due (ms UTC), None if nothing is left.
        """
        waiting: dict[str, int] = {}
        async with self._locks[name]:
            for row in await self._database.run(outbox.pending, self._database.connection, name):
                now_ms = self._clock.now_ms()
                area = row.bulletin.area
                if area in waiting:  # an older bulletin must not overtake a newer one on an area's topic
                    continue
                if not eager and now_ms < row.next_at <= now_ms + LONGEST_WAIT_MS:  # beyond it the clock was set back
                    waiting[area] = row.next_at
                elif (next_at := await self._send(name, row)) is not None:
                    waiting[area] = next_at
        return min(waiting.values(), default=None)

    async def republish(self) -> None:
        """Sends the newest bulletin of each area again where the broker keeps it; closing ones for seven days."""
        for name, channel in self._channels.items():
            if not channel.retained or await self.send_due(name, eager=True) is not None:
                continue  # what still waits for the broker says the newest itself
            async with self._locks[name]:
                for bulletin in await self._database.run(outbox.newest, self._database.connection):
                    if self._still_said(bulletin) and not await self._again(name, channel, bulletin):
                        break

    async def _follow(self, name: str) -> None:
        while True:
            try:
                await self._set_aside(name)
                self._woken[name].clear()
                await self._sleep(name, await self.send_due(name))
            except Exception:
                self._counts[f"{name} restarts"] += 1
                log.exception("dispatch: channel %s", name)
                await self._clock.sleep_until(self._clock.monotonic_s() + FIRST_WAIT_MS / 1000)

    async def _sleep(self, name: str, until_ms: int | None) -> None:
        """Until woken or, if there is something to try again, until then."""
        if until_ms is None:
            await self._woken[name].wait()
            return
        wait_s = max(0, until_ms - self._clock.now_ms()) / 1000
        sleeper = asyncio.create_task(self._clock.sleep_until(self._clock.monotonic_s() + wait_s))
        waker = asyncio.create_task(self._woken[name].wait())
        try:
            await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()

    async def _send(self, name: str, row: Pending) -> int | None:
        """When to try again, None if this row is done with."""
        self._in_hand[name] = row
        next_at: int | None = None
        try:
            receipt = await self._channels[name].send(row.bulletin, await self._warning_of(row.bulletin))
        except TransientError as err:
            self._counts[f"{name} retried"] += 1
            next_at = await self._postpone(row, str(err))
        except PermanentError as err:
            self._counts[f"{name} failed"] += 1
            log.error("dispatch: channel %s gives up %s: %s", name, row.bulletin.id, err)
            await self._database.run(self._give_up, row, str(err))
        except asyncio.CancelledError:
            del self._in_hand[name]
            raise
        else:
            self._counts[f"{name} sent"] += 1
            await self._database.run(self._mark_sent, row, receipt)
        del self._in_hand[name]
        return next_at

    async def _again(self, name: str, channel: AnyChannel, bulletin: Bulletin) -> bool:
        try:
            await channel.send(bulletin, await self._warning_of(bulletin))
        except (TransientError, PermanentError) as err:
            log.warning("dispatch: channel %s: %s not sent again: %s", name, bulletin.id, err)
            return False
        self._counts[f"{name} republished"] += 1
        return True

    def _still_said(self, bulletin: Bulletin) -> bool:
        return bulletin.kind is not BulletinKind.CLOSE or self._clock.now_ms() - bulletin.sent <= CLOSING_KEPT_MS

    async def _set_aside(self, name: str) -> None:
        """A bulletin on which a channel broke must not keep the ones of other areas waiting."""
        async with self._locks[name]:  # so that nothing is being sent: what is in hand was left there
            if name in self._in_hand:
                await self._postpone(self._in_hand[name], "the channel broke; the hub's log says how")
                del self._in_hand[name]

    async def _postpone(self, row: Pending, reason: str) -> int:
        wait_ms = min(FIRST_WAIT_MS << min(row.attempts, 10), LONGEST_WAIT_MS)
        next_at = self._clock.now_ms() + wait_ms
        await self._database.run(self._write_postponed, row, next_at, reason)
        return next_at

    async def _warning_of(self, bulletin: Bulletin) -> HubWarning:
        return await self._database.run(self._load, bulletin.warning)

    def _load(self, warning_id: str) -> HubWarning:
        warning = warnings_kept.load(self._database.connection, warning_id)
        assert warning is not None  # noqa: S101 - its bulletin came in the same transaction
        return warning

    def _write_postponed(self, row: Pending, next_at: int, reason: str) -> None:
        with self._database.transaction() as connection:
            outbox.postpone(connection, row, next_at, reason)

    def _mark_sent(self, row: Pending, receipt: str) -> None:
        with self._database.transaction() as connection:
            outbox.mark_sent(connection, row, receipt)

    def _give_up(self, row: Pending, reason: str) -> None:
        entry = GaveUp(row.channel, row.bulletin.id, reason)
        with self._database.transaction() as connection:
            outbox.mark_failed(connection, row, reason)
            journal.write(connection, self._clock.now_ms(), row.bulletin.warning, Why.FAILED, entry)
