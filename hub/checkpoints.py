"""The pages of hub.sqlite's WAL go back into the file beside the commits, not in one of them.

SQLite does it inside the commit that fills the WAL: some thousand pages, while every station waits for its answer.
Here a connection of its own writes them back, which holds up nobody; the few that came meanwhile follow in the
database's own thread, so that the WAL begins anew and stays small. Where this does not run, SQLite does as ever.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from hub.database import Database
from tocsin.clock import Clock

EVERY_S = 2.0
_PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)"

log = logging.getLogger(__name__)


class Checkpoints:
    """`run` beside who writes. `counts`: failed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._clock = clock
        self._changes = -1

    async def run(self) -> None:
        """Until cancelled."""
        # not the threads that others share: a disk can take its time
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint") as thread:
            while True:
                try:
                    await self.step(thread)
                except sqlite3.Error as err:
                    self.counts["failed"] += 1
                    log.warning("%s: its log cannot be written back: %s", self._database.path, err)
                await self._clock.sleep_until(self._clock.monotonic_s() + EVERY_S)

    async def step(self, thread: ThreadPoolExecutor) -> bool:
        """False where nothing was written since the last time. Raises sqlite3.Error."""
        if (changes := self._database.connection.total_changes) == self._changes:
            return False
        await asyncio.get_running_loop().run_in_executor(thread, self._write_back)
        await self._database.run(self._finish)
        self._changes = changes
        return True

    def _write_back(self) -> None:
        connection = sqlite3.connect(self._database.path, isolation_level=None)
        try:
            connection.execute(_PASSIVE).fetchall()
        finally:
            connection.close()

    def _finish(self) -> None:
        self._database.connection.execute(_PASSIVE).fetchall()
