"""The forwarder: what has landed goes to the store, in order, each point once.

It keeps a cursor of its own, moved after the store has taken a batch. A crash between the two writes the same points
again at the same times, which changes nothing. While the store is away, landing holds everything.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from hub import landing
from hub.checks import Refusal, Refused
from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.lines import TakesLines, text_of
from hub.store import AnyPoint, Store, points_of
from tocsin.clock import Clock
from tocsin.messages import Readings, encode, record_of

READER = "forwarder"
READERS = (READER, "desk")
BATCH = 5_000              # points of one write
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
_ROWS = 500                # records read at once

log = logging.getLogger(__name__)


class Forwarder:
    """Sends landed records on to the store."""

    def __init__(self, database: Database, store: Store, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._store = store
        self._clock = clock
        self._more = asyncio.Event()
        self._wait_s = FIRST_WAIT_S

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
            except (TransientError, sqlite3.Error) as err:
                await self._back_off(err)
            else:
                await self._more.wait()

    async def step(self) -> bool:
        """Sends one batch on and moves the cursor; False if nothing was there. Raises TransientError, sqlite3.Error."""
        rows = await self._database.run(self._read)
        if not rows:
            return False
        refused: list[Refused] = []
        forwarded = 0
        for batch in self._batches(rows, refused):
            try:
                await self._write(batch)
            except PermanentError as err:
                refused += [_refused(point, reason) for point, reason in err.bad]
            forwarded += batch.size
        await self._database.run(self._move, rows[-1].id, refused)
        self.counts["forwarded"] += forwarded
        self.counts["refused"] += len(refused)
        return True

    async def refill(self, since_ms: int) -> None:
        """After the store lost data: sends on again all that landed at `since_ms` or later and is still held."""
        await self._database.run(self._rewind, since_ms)
        self.wake()

    async def _back_off(self, err: Exception) -> None:
        self.counts["failed"] += 1
        log.warning("store: %s; next try in %g s", err, self._wait_s)
        wait_s, self._wait_s = self._wait_s, min(2 * self._wait_s, LONGEST_WAIT_S)
        await self._clock.sleep_until(self._clock.monotonic_s() + wait_s)

    def _read(self) -> list[landing.Row]:
        connection = self._database.connection
        return landing.read(connection, landing.cursor_of(connection, READER), _ROWS)

    async def _write(self, batch: "_Batch") -> None:
        if isinstance(self._store, TakesLines):
            await self._store.write_lines(batch.texts, batch.points)
        else:
            await self._store.write(batch.points)

    def _batches(self, rows: Sequence[landing.Row], refused: list[Refused]) -> Iterator["_Batch"]:
        """Made one by one: what is written is not kept beside what comes next."""
        batch = _Batch()
        by_lines = isinstance(self._store, TakesLines)
        for row in rows:
            try:
                record = record_of(row.raw)
            except msgspec.DecodeError as err:  # landed by a newer hub
                refused.append(Refused(f"landing {row.id}", Refusal.FORMAT, str(err), row.raw, whole=False))
                continue
            if by_lines and type(record) is Readings and (text := text_of(row.station, record, row.times)) is not None:
                batch.texts.append(text)
                batch.size += len(record.t)
            else:
                points = points_of(row.station, record, row.times)
                for start in range(0, len(points), BATCH):
                    batch.points += points[start : start + BATCH]
                    batch.size += len(points[start : start + BATCH])
                    if batch.size >= BATCH:
                        yield batch
                        batch = _Batch()
            if batch.size >= BATCH:
                yield batch
                batch = _Batch()
        if batch.size:
            yield batch

    def _move(self, last_id: int, refused: Sequence[Refused]) -> None:
        with self._database.transaction() as connection:
            for one in refused:
                landing.quarantine(connection, one, self._clock.now_ms())
            landing.move_cursor(connection, READER, last_id)

    def _rewind(self, since_ms: int) -> None:
        with self._database.transaction() as connection:
            (before,) = connection.execute(
                "SELECT coalesce(min(id) - 1, ?) FROM landing WHERE arrived >= ?",
                (landing.cursor_of(connection, READER), since_ms),
            ).fetchone()
            landing.move_cursor(connection, READER, min(before, landing.cursor_of(connection, READER)))


@dataclass(slots=True)
class _Batch:
    """What one write takes: lines of whole records where the store takes lines, else points. `size` in points."""

    texts: list[str] = field(default_factory=list)
    points: list[AnyPoint] = field(default_factory=list)
    size: int = 0


def _refused(point: object, reason: str) -> Refused:
    payload = point.encode() if isinstance(point, str) else encode(point)
    return Refused("store", Refusal.STORE, reason, payload, whole=False)
