"""Care of the embedded store while the hub runs: what is old is deleted, the file is looked through, and a new file,
which may stand in the place of a damaged or lost one, is filled with what landing still holds.

A file that is damaged where nobody writes is only told: ten years of readings are not set aside for one bad page. One
that cannot be written any more is set aside by the store itself.
"""

import asyncio
import logging

from hub.config_store import StoreTable
from hub.embedded import Mending, SqliteStore
from hub.errors import TransientError
from hub.forward import Forwarder
from hub.rollups import RAW, STEPS_MS
from tocsin.clock import Clock

EVERY_S = 3_600.0
LOOK_EVERY_S = 7 * 86_400.0
FIRST_LOOK_S = 6 * 3_600.0    # also a hub that is started anew each night looks
_RETRY_S = 5.0

log = logging.getLogger(__name__)


class StoreCare:
    """`run` until cancelled."""

    def __init__(
        self, store: SqliteStore, table: StoreTable, mending: Mending, forwarder: Forwarder, clock: Clock
    ) -> None:
        self._store = store
        days = (table.keep_days, table.keep_10min_days, table.keep_1h_days, table.keep_1d_days)
        self._keep_days = dict(zip((RAW, *STEPS_MS), days, strict=True))
        self._mending = mending
        self._forwarder = forwarder
        self._clock = clock
        self._prune_at_s = clock.monotonic_s() + EVERY_S    # what a crash left unfinished is written again before
        self._look_at_s = clock.monotonic_s() + FIRST_LOOK_S

    async def run(self) -> None:
        """A store that cannot be used now is tried again."""
        while True:
            self._mending.replaced.clear()
            try:
                await self.step()
                due_s = min(self._prune_at_s, self._look_at_s)
            except TransientError as err:
                log.warning("store: %s; next try in %g s", err, _RETRY_S)
                due_s = self._clock.monotonic_s() + _RETRY_S
            await self._wait(due_s)

    async def step(self) -> None:
        """What is due now. Raises TransientError."""
        if await self._store.wants_refill():
            await self._forwarder.refill(0)
            await self._store.refilled()
        now_s = self._clock.monotonic_s()
        if now_s >= self._prune_at_s:
            self._prune_at_s = now_s + EVERY_S    # also where a damaged page cannot be deleted: not again at once
            await self._store.prune(self._clock.now_ms(), self._keep_days)
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + LOOK_EVERY_S
            if problem := await self._store.problem():
                self._store.counts["damaged"] += 1
                log.error("%s is damaged: %s; see docs/store.md", self._store.path, problem)

    async def _wait(self, due_s: float) -> None:
        """Until that time, or a damaged file was replaced."""
        waiters = [asyncio.create_task(self._clock.sleep_until(due_s)),
                   asyncio.create_task(self._mending.replaced.wait())]
        try:
            await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiter in waiters:
                waiter.cancel()
            await asyncio.gather(*waiters, return_exceptions=True)
