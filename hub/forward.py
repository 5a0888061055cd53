"""The forwarder: what has landed goes to the store, in order, each point once.

It keeps a cursor of its own, moved after the store has taken a batch. A crash between the two writes the same points
again at the same times, which changes nothing. While the store is away, landing holds everything.

While the store takes one batch the next is read and rendered, where there is enough for one; where there is not, what
lands within a moment goes together: each request costs hub and store as much as some hundred readings.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import msgspec

from hub import landing, quarantine
from hub.checks import Refused
from hub.database import Database
from hub.errors import PermanentError, TransientError
from hub.influx.texts import text_of
from hub.refusal import Refusal
from hub.store import AnyPoint, Store, TakesLines, points_of
from tocsin.clock import Clock
from tocsin.messages import Readings, Record, Summary, encode, record_of

READER = "forwarder"
READERS = (READER, "desk")
BATCH = 20_000             # points of one write: a store that takes a second an answer still keeps up
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
JITTER = 0.25              # of a wait: hubs that lost one store together do not come back together
GATHER_S = 0.2             # between two looks into landing that found less than a batch
_ROWS = 2_000              # records opened at once
_GROUP_BYTES = 800_000     # of them: about BATCH readings
MOMENT_MS = 600_000

Moment = tuple[str, int]    # a station, and the begin of ten minutes of which it sent readings, ms UTC

log = logging.getLogger(__name__)
pause = asyncio.sleep


class Forwarder:
    """Sends landed records on to the store."""

    def __init__(
        self, database: Database, store: Store, clock: Clock, chance: Callable[[], float] = random.random
    ) -> None:
        """`chance` gives 0 to 1, for the jitter."""
        self.counts: Counter[str] = Counter()
        self.on_forwarded: list[Callable[[sqlite3.Connection, Collection[Moment]], None]] = []  # as the cursor moves
        self._chance = chance
        self._database = database
        self._store = store
        self._clock = clock
        self._more = asyncio.Event()
        self._wait_s = FIRST_WAIT_S
        self._refills = 0
        self._ahead: asyncio.Task[_Opened | None] | None = None

    def wake(self) -> None:
        """Something has landed; goes into `Intake.on_landed`."""
        self._more.set()

    async def run(self) -> None:
        """Until cancelled. A store that is away is tried again for ever, after 1 s to 30 s. What gathers does so in
        real time, whatever the clock: that is what requests cost in."""
        while True:
            self._more.clear()
            try:
                while await self.step():
                    self._wait_s = FIRST_WAIT_S
            except (TransientError, sqlite3.Error) as err:
                await self._back_off(err)
            else:
                looked_s = time.monotonic()
                await self._more.wait()
                if (rest_s := GATHER_S - (time.monotonic() - looked_s)) > 0:
                    await pause(rest_s)

    async def step(self) -> bool:
        """Sends some records on and moves the cursor; False if none was there. Raises TransientError, sqlite3.Error."""
        ahead, self._ahead = self._ahead, None
        opened = (await ahead if ahead else None) or await self._open(None)
        if opened is None:
            return False
        if opened.full:
            self._ahead = asyncio.create_task(self._open(opened), name="forwarder: ahead")
        try:
            await self._forward(opened)
        except BaseException:
            self._drop_ahead()
            raise
        return True

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

    async def _open(self, behind: "_Opened | None") -> "_Opened | None":
        """What comes next, `behind` what is on its way or the cursor; None where there is nothing."""
        refills, rows = await self._database.run(self._read, behind)
        if not rows:
            return None
        # in a thread, and not in the database's: neither warnings nor landing wait for it
        return await asyncio.to_thread(_opened, refills, rows, by_lines=isinstance(self._store, TakesLines))

    def _drop_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.cancel()
            self._ahead = None

    async def _forward(self, opened: "_Opened") -> None:
        for batch in opened.batches:
            try:
                await self._write(batch)
            except PermanentError as err:
                opened.refused += [_refused(point, reason) for point, reason in err.bad]
                self._tell_expired(err.expired)
        if await self._database.run(self._move, opened):
            self.counts["forwarded"] += sum(batch.size for batch in opened.batches)
            self.counts["refused"] += len(opened.refused)
        else:
            self._drop_ahead()

    async def _write(self, batch: "_Batch") -> None:
        if isinstance(self._store, TakesLines):
            await self._store.write_lines(batch.texts, batch.points)
        else:
            await self._store.write(batch.points)

    def _read(self, behind: "_Opened | None") -> tuple[int, list[landing.Row]]:
        """How many refills there were when the cursor was looked at, and what lies behind."""
        connection = self._database.connection
        refills, after = (self._refills, landing.cursor_of(connection, READER)) if behind is None else (
            behind.refills, behind.last_id)
        return refills, landing.read(connection, after, _ROWS, _GROUP_BYTES)

    def _move(self, opened: "_Opened") -> bool:
        """False where a refill was asked for since it was read: the store may have lost it again, and the cursor stays
        where that has put it."""
        if self._refills != opened.refills:
            return False
        with self._database.transaction() as connection:
            for one in opened.refused:
                quarantine.put(connection, one, self._clock.now_ms())
            if opened.refused:
                quarantine.make_room(connection, len(opened.refused))
            for note in self.on_forwarded:
                note(connection, opened.moments)
            landing.move_cursor(connection, READER, opened.last_id)
            return True

    def _rewind(self, since_ms: int) -> None:
        self._refills += 1
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


@dataclass(slots=True)
class _Opened:
    """What landed records up to `last_id` hold. `refused` cannot be read: it was landed by a newer hub. `full`: there
    may be more behind them."""

    refills: int
    last_id: int
    full: bool
    batches: list[_Batch] = field(default_factory=lambda: [_Batch()])
    refused: list[Refused] = field(default_factory=list)
    moments: set[Moment] = field(default_factory=set)


def _opened(refills: int, rows: Sequence[landing.Row], *, by_lines: bool) -> _Opened:
    full = len(rows) == _ROWS or sum(len(row.raw) for row in rows) > _GROUP_BYTES
    opened = _Opened(refills, rows[-1].id, full)
    batches = opened.batches
    for row in rows:
        try:
            record = record_of(row.raw)
        except msgspec.DecodeError as err:
            opened.refused.append(Refused(f"landing {row.id}", Refusal.FORMAT, str(err), row.raw, whole=False))
            continue
        opened.moments |= _moments(row, record)
        if by_lines and type(record) is Readings and (text := text_of(row.station, record, row.times)) is not None:
            _open(batches).texts.append(text)
            batches[-1].size += len(record.t)
            continue
        points = points_of(row.station, record, row.times)
        while points:
            batch = _open(batches)
            some, points = points[:BATCH - batch.size], points[BATCH - batch.size:]
            batch.points += some
            batch.size += len(some)
    opened.batches = [batch for batch in batches if batch.size]
    return opened


def _moments(row: landing.Row, record: Record) -> set[Moment]:
    if not isinstance(record, Readings | Summary):
        return set()
    times = [row.times.get(index, t) for index, t in enumerate(record.t)] if row.times else record.t
    first, last = (end(times, default=0) // MOMENT_MS for end in (min, max))
    # most records span seconds: two looks at the column, and none at each of its readings
    found = {first, last} if times and last - first <= 1 else {t // MOMENT_MS for t in times}
    return {(row.station, number * MOMENT_MS) for number in found}


def _open(batches: list[_Batch]) -> _Batch:
    """The last, or a new one where that is full."""
    if batches[-1].size >= BATCH:
        batches.append(_Batch())
    return batches[-1]


def _refused(point: object, reason: str) -> Refused:
    payload = point.encode() if isinstance(point, str) else encode(point)
    return Refused("store", Refusal.STORE, reason, payload, whole=False)
