"""What has landed goes once every reader is done with it: when it is old, and before that where there is too much.

What a reader has still to do is never deleted, however old or large: if it fills the disk, stations keep theirs.
"""

import asyncio
import itertools
import logging
import sqlite3
from collections import Counter

from hub import landing, orders
from hub.config_landing import LandingTable
from hub.database import Database
from hub.forward import READERS
from tocsin.clock import Clock

EVERY_S = 60.0
_AT_ONCE = 500  # records of one transaction: warnings wait no longer than for that

log = logging.getLogger(__name__)


class Pruner:
    """`run` beside the readers of landing. `counts`: pruned by age, pruned by size, failed."""

    def __init__(self, database: Database, table: LandingTable, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._table = table
        self._clock = clock

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                await self.prune()
            except sqlite3.Error as err:
                self.counts["failed"] += 1
                log.warning("%s: landing cannot be pruned: %s", self._database.path, err)
            await self._clock.sleep_until(self._clock.monotonic_s() + EVERY_S)

    async def prune(self) -> int:
        """Returns how many records went. Raises sqlite3.Error."""
        total = 0
        while some := await self._database.run(self._some):
            total += some
            await asyncio.sleep(0)
        return total

    def _some(self) -> int:
        with self._database.transaction() as connection:
            (least,) = connection.execute("SELECT min(id) FROM cursors").fetchone()  # whoever else reads
            done = min(least or 0, *(landing.cursor_of(connection, reader) for reader in READERS))
            oldest = connection.execute(
                "SELECT id, arrived FROM landing WHERE id <= ? ORDER BY id LIMIT ?", (done, _AT_ONCE)
            ).fetchall()
            before_ms = self._clock.now_ms() - self._table.keep_ms
            old = list(itertools.takewhile(lambda row: row[1] < before_ms, oldest))
            why, going = ("age", old) if old else ("size", oldest)
            if not going or (not old and used_bytes(connection) <= self._table.most_bytes):
                return 0
            orders.keep_heights(connection, going[-1][0])
            connection.execute("DELETE FROM landing WHERE id <= ?", (going[-1][0],))
            self.counts[f"pruned by {why}"] += len(going)
            return len(going)


def used_bytes(connection: sqlite3.Connection) -> int:
    """Of the file, without pages that are free for what lands next: the file itself never shrinks."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - free) * size)
