"""The forwarder: what has landed goes to the store, in order, each point once.

It keeps a cursor of its own, moved after the store has taken a batch. A crash between the two writes the same points
again at the same times, which changes nothing. While the store is away, landing holds everything.
"""

import asyncio
import itertools
import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import msgspec

from hub import landing
from hub.checks import Refusal, Refused
from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.store import AnyPoint, Store, points_of
from tocsin.clock import Clock
from tocsin.messages import encode, record_of

READER = "forwarder"
READERS = (READER, "desk")
BATCH = 20_000             # points of one write: a store that takes a second an answer still keeps up
KEPT_MS = 7 * 86_400_000   # landed records of that age go, once every reader is done with them
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
PRUNE_EVERY_S = 600.0
JITTER = 0.25              # of a wait: hubs that lost one store together do not come back together
_ROWS = 2_000              # records read at once
_GROUP_BYTES = 1 << 20     # of them opened at once: about 30,000 readings
_PRUNED = 1_000            # records deleted in one transaction

log = logging.getLogger(__name__)


class Forwarder:
    """Sends landed records on to the store."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, chance: Callable[[], float] = random.random
    ) -> None:
        """`chance` gives 0 to 1, for the jitter."""
        self.counts: Counter[str] = Counter()
        self.on_forwarded: list[Callable[[sqlite3.Connection, Sequence[AnyPoint]], None]] = []  # as the cursor moves
        self._chance = chance
        self._database = database
        self._store = store
        self._clock = clock
        self._more = asyncio.Event()
        self._wait_s = FIRST_WAIT_S
        self._prune_at_s = clock.monotonic_s()

    def wake(self) -> None:
        """Something has landed; goes into `Intake.on_landed`."""
        self._more.set()

    async def run(self) -> None:
        """Until cancelled. A store that is away is tried again for ever, after 1 s to 30 s."""
        while True:
            self._more.clear()
            try:
                while await self.step():
                    self._wait_s = FIRST_WAIT_S
                if self._clock.monotonic_s() >= self._prune_at_s:
                    self._prune_at_s = self._clock.monotonic_s() + PRUNE_EVERY_S
                    await self.prune()
            except (TransientError, sqlite3.Error) as err:
                await self._back_off(err)
            else:
                await self._more.wait()

    async def step(self) -> bool:
        """Sends some records on and moves the cursor; False if none was there. Raises TransientError, sqlite3.Error."""
        cursor, rows = await self._database.run(self._read)
        for group in _groups(rows):
            if not await self._forward(cursor, group):
                break
            cursor = group[-1].id
        return bool(rows)

    async def prune(self) -> int:
        """Deletes landed records that every reader is done with and that are old; returns how many."""
        pruned = 0
        while some := await self._database.run(self._prune, self._clock.now_ms() - KEPT_MS):
            pruned += some
        return pruned

    async def refill(self, since_ms: int) -> None:
        """After the store lost data: sends on again all that landed at `since_ms` or later and is still held."""
        await self._database.run(self._rewind, since_ms)
        self.wake()

    async def _back_off(self, err: Exception) -> None:
        self.counts["failed"] += 1
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        wait_s *= 1 - JITTER * self._chance()
        log.warning("store: %s; next try in %.1f s", err, wait_s)
        await self._clock.sleep_until(self._clock.monotonic_s() + wait_s)

    def _tell_expired(self, points: int) -> None:
        """They stay in landing as long as everything there; the store keeps none of that age."""
        if points:
            self.counts["beyond retention"] += points
            log.warning("store: %d points are older than it keeps any; they were left out", points)

    async def _forward(self, before: int, rows: Sequence[landing.Row]) -> bool:
        """False where a refill was asked for meanwhile: the cursor is elsewhere."""
        # in a thread, and not in the database's: neither warnings nor landing wait for it
        points, refused = await asyncio.to_thread(_opened, rows)
        for batch in _batches(points):
            try:
                await self._store.write(batch)
            except PermanentError as err:
                refused += [_refused(point, reason) for point, reason in err.bad]
                self._tell_expired(err.expired)
        if not await self._database.run(self._move, before, rows[-1].id, points, refused):
            return False
        self.counts["forwarded"] += len(points)
        self.counts["refused"] += len(refused)
        return True

    def _read(self) -> tuple[int, list[landing.Row]]:
        """The cursor, and what lies behind it."""
        connection = self._database.connection
        cursor = landing.cursor_of(connection, READER)
        return cursor, landing.read(connection, cursor, _ROWS)

    def _move(self, before: int, last_id: int, points: Sequence[AnyPoint], refused: Sequence[Refused]) -> bool:
        """False where somebody asked for a refill meanwhile: the cursor stays where that has put it."""
        with self._database.transaction() as connection:
            if landing.cursor_of(connection, READER) != before:
                return False
            for one in refused:
                landing.quarantine(connection, one, self._clock.now_ms())
            for note in self.on_forwarded:
                note(connection, points)
            landing.move_cursor(connection, READER, last_id)
            return True

    def _rewind(self, since_ms: int) -> None:
        with self._database.transaction() as connection:
            (before,) = connection.execute(
                "SELECT coalesce(min(id) - 1, ?) FROM landing WHERE arrived >= ?",
                (landing.cursor_of(connection, READER), since_ms),
            ).fetchone()
            landing.move_cursor(connection, READER, min(before, landing.cursor_of(connection, READER)))

    def _prune(self, before_ms: int) -> int:
        with self._database.transaction() as connection:
            (least,) = connection.execute("SELECT min(id) FROM cursors").fetchone()  # whoever else reads
            done = min(least or 0, *(landing.cursor_of(connection, reader) for reader in READERS))
            oldest = connection.execute(
                "SELECT id, arrived FROM landing WHERE id <= ? ORDER BY id LIMIT ?", (done, _PRUNED)
            ).fetchall()
            old = list(itertools.takewhile(lambda row: row[1] < before_ms, oldest))
            if old:
                connection.execute("DELETE FROM landing WHERE id <= ?", (old[-1][0],))
            return len(old)


def _groups(rows: Sequence[landing.Row]) -> Iterator[Sequence[landing.Row]]:
    """Cut by size: what is open at one time stays small."""
    first, size = 0, 0
    for index, row in enumerate(rows):
        size += len(row.raw)
        if size > _GROUP_BYTES:
            yield rows[first : index + 1]
            first, size = index + 1, 0
    if first < len(rows):
        yield rows[first:]


def _opened(rows: Sequence[landing.Row]) -> tuple[list[AnyPoint], list[Refused]]:
    """The points of landed records, and what cannot be read: it was landed by a newer hub."""
    points: list[AnyPoint] = []
    refused: list[Refused] = []
    for row in rows:
        try:
            points += points_of(row.station, record_of(row.raw), row.times)
        except msgspec.DecodeError as err:
            refused.append(Refused(f"landing {row.id}", Refusal.FORMAT, str(err), row.raw, whole=False))
    return points, refused


def _batches(points: list[AnyPoint]) -> Iterator[list[AnyPoint]]:
    for start in range(0, len(points), BATCH):
        yield points[start : start + BATCH]


def _refused(point: object, reason: str) -> Refused:
    return Refused("store", Refusal.STORE, reason, encode(point), whole=False)
