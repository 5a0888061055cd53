"""The embedded store: one SQLite file, for first steps, small counties and tests. WAL, synchronous=FULL.

Beside the readings stand rollups (`hub.rollups`), so that a chart of a year costs no more than one of a day, and the
newest reading of each series. What is older than asked for is deleted, in small transactions (`hub.care`).
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hub import ageing, embedded_tables, rollups, store_rows
from hub.database import DatabaseError, SqliteFile
from hub.errors import PermanentError, TransientError
from hub.rollups import Rollup
from hub.store import AnyPoint, LabelPoint, Point, Row
from hub.store_file import is_broken, open_file, problem_in, refuse_newer, set_aside
from hub.store_rows import find, newest
from hub.tables import Table, TableRow
from hub.thinning import thinned
from tocsin.clock import Clock

P = ParamSpec("P")
T = TypeVar("T")

_COLUMNS = """
s.station, s.device, s.quantity, n.t_ms, n.value, n.quality FROM series s JOIN newest n ON n.series_id = s.id
"""
_LATEST = f"SELECT {_COLUMNS} WHERE s.station = ? ORDER BY s.device, s.quantity"
_LATEST_ALL = f"SELECT {_COLUMNS} ORDER BY s.station, s.device, s.quantity"
_ROWS = """
SELECT t_ms, value, quality FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms LIMIT ?
"""
_PATIENCE_S = 2.0    # for who asks while the file is being opened

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mending:
    """For the one process that owns the file: a file that is damaged may be set aside for a new one. `replaced` is set
    when one is about to be."""

    clock: Clock
    replaced: asyncio.Event


class SqliteStore:
    """A hub.store.Store in one file. `counts` tells what was deleted by age and set aside.

    With `mending` the file is opened when it is first asked for, and again while it cannot be: a hub starts and warns
    whatever is wrong with its charts.
    """

    def __init__(self, path: Path, mending: Mending | None = None) -> None:
        """Without `mending` opens or creates. Raises DatabaseError: with `mending` for a newer program's file alone."""
        self.path = path
        self.counts: Counter[str] = Counter()
        self._mending = mending
        self._file: SqliteFile | None = None
        self._opening: asyncio.Task[SqliteFile] | None = None
        self._broken: tuple[SqliteFile, Exception] | None = None    # to be set aside
        if mending is None:
            self._file = open_file(path)
        else:
            refuse_newer(path)

    async def write(self, points: Sequence[AnyPoint]) -> None:
        file = await self._ready()
        try:
            problems = await self._ask(file, store_rows.write, file, points)
        except BrokenFileError as err:
            if self._mending is not None and file is self._file:
                self._file, self._broken = None, (file, err)
                self._mending.replaced.set()
            raise
        if problems:
            raise PermanentError(f"{len(problems)} points cannot be kept: {problems[0][1]}", problems)

    async def latest(self, station: str) -> list[Point]:
        return await self._read(newest, _LATEST, (station,))

    async def latest_all(self) -> list[Point]:
        return await self._read(newest, _LATEST_ALL, ())

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        def look(connection: sqlite3.Connection) -> list[tuple[int, float]]:
            found = find(connection, (station, device, quantity))
            if found is None or end_ms <= start_ms:
                return []
            return thinned(connection, found, start_ms, end_ms, most)

        return await self._read(look)

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        def look(connection: sqlite3.Connection) -> list[Row]:
            found = find(connection, (point.station, point.device, point.quantity))
            return connection.execute(_ROWS, (found, start_ms, end_ms, most)).fetchall()

        return await self._read(look)

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        rows = await self._read(embedded_tables.labels, station, start_ms, end_ms, most)
        return [LabelPoint(station, device, quantity, t_ms, text) for t_ms, device, quantity, text in rows]

    async def stations(self) -> list[str]:
        """Every station that the store has anything of."""
        return await self._read(lambda connection: [name for (name,) in connection.execute(embedded_tables.STATIONS)])

    async def table(self, table: Table, station: str, start_ms: int, end_ms: int, most: int) -> list[TableRow]:
        """Rows of a station from the first at start <= time < end on, in order of time: about `most`, all of each time.
        The next page begins behind the last one's time. Raises TransientError."""
        return await self._read(embedded_tables.page, table, station, start_ms, end_ms, most)

    async def rollups(self, point: Point, step_ms: int, start_ms: int, end_ms: int) -> list[Rollup]:
        """Lowest, highest, mean, sum and count of the point's series, for each stretch that begins at start <= time <
        end; `step_ms` is one of hub.rollups.STEPS_MS. All readings count, also marked ones. Raises TransientError."""
        def look(connection: sqlite3.Connection) -> list[Rollup]:
            found = find(connection, (point.station, point.device, point.quantity))
            return [] if found is None else rollups.read(connection, found, step_ms, start_ms, end_ms)

        return await self._read(look)

    async def prune(self, now_ms: int, keep_days: Mapping[int, int]) -> int:
        """Deletes what is older than that, by step (hub.rollups.RAW and STEPS_MS; 0 days is for ever), a few thousand
        rows at once, so that writing goes on in between. Returns how many rows. Raises TransientError.

        Age is counted from the newest reading where that is older: a hub's clock that ran ahead deletes nothing."""
        deleted = 0
        now_ms = min(now_ms, await self._read(ageing.newest_ms))
        for step, before_ms in ageing.horizons(now_ms, keep_days):
            await self._change(ageing.close, step, before_ms)
            for series_id in await self._read(ageing.series_ids):
                while some := await self._change(ageing.delete, step, series_id, before_ms):
                    deleted += some
            if step == rollups.RAW:
                while some := await self._change(ageing.delete_labels, before_ms):
                    deleted += some
        while await self._read(ageing.give_back):
            pass
        self.counts["deleted by age"] += deleted
        return deleted

    async def problem(self) -> str:
        """Looks through the whole file, beside all that goes on; "" if it is sound."""
        return await asyncio.to_thread(problem_in, self.path)

    async def wants_refill(self) -> bool:
        """Whether this file is new, and nobody has said `refilled` yet."""
        return await self._read(lambda connection: bool(connection.execute("SELECT 1 FROM refill").fetchone()))

    async def refilled(self) -> None:
        """What is still held elsewhere is on its way here."""
        await self._read(lambda connection: connection.execute("DELETE FROM refill"))

    async def close(self) -> None:
        if self._opening is not None:
            await asyncio.wait({self._opening})
        if self._file is not None:
            await asyncio.to_thread(self._file.close)
        if self._broken is not None:
            await asyncio.to_thread(self._broken[0].close)

    async def _ready(self) -> SqliteFile:
        """The open file. Raises TransientError while it cannot be opened, and while that takes long."""
        if self._file is not None:
            return self._file
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
        opening = self._opening
        done, _ = await asyncio.wait({opening}, timeout=_PATIENCE_S)
        if not done:
            raise TransientError(f"{self.path}: is being opened; an older file can take minutes")
        try:
            return opening.result()
        except DatabaseError as err:
            raise TransientError(str(err)) from err

    async def _open(self) -> SqliteFile:
        try:
            self._file = await asyncio.to_thread(self._opened)
            return self._file
        finally:
            self._opening = None

    def _opened(self) -> SqliteFile:
        """A damaged file is set aside first. Raises DatabaseError."""
        if self._broken is not None:
            file, err = self._broken
            file.close()    # before it is renamed: SQLite removes files beside it by their names
            self._set_aside(err)
            self._broken = None
        try:
            return open_file(self.path)
        except DatabaseError as found:
            if not is_broken(found.__cause__):
                raise
            self._set_aside(found)
            return open_file(self.path)

    def _set_aside(self, err: Exception) -> None:
        """Raises DatabaseError."""
        if self._mending is None:
            raise DatabaseError(f"{self.path}: damaged: {err}") from err
        try:
            aside = set_aside(self.path, self._mending.clock.now_ms())
        except OSError as second:
            raise DatabaseError(f"{self.path}: damaged ({err}), and cannot be set aside: {second}") from second
        self.counts["set aside"] += 1
        log.error("%s is damaged (%s) and set aside as %s; a new one is filled with what the hub still holds",
                  self.path, err, aside.name)

    async def _read(self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args,
                    **kwargs: P.kwargs) -> T:
        file = await self._ready()
        return await self._ask(file, function, file.connection, *args, **kwargs)

    async def _change(self, function: Callable[..., T], *args: object) -> T:
        """In a transaction."""
        file = await self._ready()

        def change() -> T:
            with file.transaction() as connection:
                return function(connection, *args)

        return await self._ask(file, change)

    async def _ask(self, file: SqliteFile, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await file.run(function, *args, **kwargs)
        except sqlite3.Error as err:
            raise (BrokenFileError if is_broken(err) else TransientError)(f"{self.path}: {err}") from err


class BrokenFileError(TransientError):
    """The file itself is damaged. What it held may be lost to readers; the hub still holds the newest."""
