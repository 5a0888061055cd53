"""The embedded store: one SQLite file, for first steps, small counties and tests. WAL, synchronous=FULL.

Beside the readings stand rollups (`hub.rollups`), so that a chart of a year costs no more than one of a day, and the
newest reading of each series. What is older than asked for is deleted, in small transactions (`hub.care`).
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from hub import ageing, rollups
from hub.database import DatabaseError, SqliteFile
from hub.errors import PermanentError, TransientError
from hub.rollups import Rollup
from hub.store import AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, Row, SummaryPoint, problem_of
from hub.store_file import VERSION, is_broken, prepare, problem_in, set_aside
from hub.thinning import thinned
from tocsin.clock import Clock

P = ParamSpec("P")
T = TypeVar("T")
Name = tuple[str, str, str]

_COLUMNS = """
s.station, s.device, s.quantity, n.t_ms, n.value, n.quality FROM series s JOIN newest n ON n.series_id = s.id
"""
_LATEST = f"SELECT {_COLUMNS} WHERE s.station = ? ORDER BY s.device, s.quantity"
_LATEST_ALL = f"SELECT {_COLUMNS} ORDER BY s.station, s.device, s.quantity"
_SERIES = "SELECT id FROM series WHERE station = ? AND device = ? AND quantity = ?"
_ROWS = """
SELECT t_ms, value, quality FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms LIMIT ?
"""
_LABELS = """
SELECT station, device, quantity, t_ms, text FROM labels WHERE station = ? AND t_ms >= ? AND t_ms < ?
ORDER BY t_ms, device, quantity LIMIT ?
"""
_KEEP_NEWEST = """
INSERT INTO newest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET t_ms = excluded.t_ms, value = excluded.value, quality = excluded.quality WHERE excluded.t_ms >= newest.t_ms
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mending:
    """For the one process that owns the file: a file that is damaged may be set aside for a new one."""

    clock: Clock
    replaced: asyncio.Event


class SqliteStore:
    """A hub.store.Store in one file. `counts` tells what was deleted by age and set aside."""

    def __init__(self, path: Path, mending: Mending | None = None) -> None:
        """Opens or creates. A damaged file is set aside with `mending`, and refused without. Raises DatabaseError."""
        self.path = path
        self.counts: Counter[str] = Counter()
        self._mending = mending
        self._replacing = False
        self._file = self._open()

    async def write(self, points: Sequence[AnyPoint]) -> None:
        problems = [(point, problem) for point in points if (problem := problem_of(point))]
        refused = {id(point) for point, _ in problems}
        file = self._file
        try:
            await self._run(self._write, [point for point in points if id(point) not in refused])
        except BrokenFileError as err:
            await self._replace(file, err)
            raise
        if problems:
            raise PermanentError(f"{len(problems)} points cannot be kept: {problems[0][1]}", problems)

    async def latest(self, station: str) -> list[Point]:
        return await self._run(self._newest, _LATEST, (station,))

    async def latest_all(self) -> list[Point]:
        return await self._run(self._newest, _LATEST_ALL, ())

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        def look() -> list[tuple[int, float]]:
            found = self._find((station, device, quantity))
            if found is None or end_ms <= start_ms:
                return []
            return thinned(self._file.connection, found, start_ms, end_ms, most)

        return await self._run(look)

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        def look() -> list[Row]:
            found = self._find((point.station, point.device, point.quantity))
            return self._file.connection.execute(_ROWS, (found, start_ms, end_ms, most)).fetchall()

        return await self._run(look)

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        def look() -> list[LabelPoint]:
            asked = (station, start_ms, end_ms, most)
            return [LabelPoint(*row) for row in self._file.connection.execute(_LABELS, asked)]

        return await self._run(look)

    async def rollups(self, point: Point, step_ms: int, start_ms: int, end_ms: int) -> list[Rollup]:
        """Lowest, highest, mean, sum and count of the point's series, for each stretch that begins at start <= time <
        end; `step_ms` is one of hub.rollups.STEPS_MS. All readings count, also marked ones. Raises TransientError."""
        def look() -> list[Rollup]:
            found = self._find((point.station, point.device, point.quantity))
            return [] if found is None else rollups.read(self._file.connection, found, step_ms, start_ms, end_ms)

        return await self._run(look)

    async def prune(self, now_ms: int, keep_days: Mapping[int, int]) -> int:
        """Deletes what is older than that, by step (hub.rollups.RAW and STEPS_MS; 0 days is for ever), a few thousand
        rows at once, so that writing goes on in between. Returns how many rows. Raises TransientError."""
        deleted = 0
        for step, before_ms in ageing.horizons(now_ms, keep_days):
            await self._run(self._in_one, ageing.close, step, before_ms)
            for series_id in await self._run(self._in_one, ageing.series_ids):
                while some := await self._run(self._in_one, ageing.delete, step, series_id, before_ms):
                    deleted += some
            if step == rollups.RAW:
                while some := await self._run(self._in_one, ageing.delete_labels, before_ms):
                    deleted += some
        while await self._run(lambda: ageing.give_back(self._file.connection)):
            pass
        self.counts["deleted by age"] += deleted
        return deleted

    async def problem(self) -> str:
        """Looks through the whole file, beside all that goes on; "" if it is sound."""
        return await asyncio.to_thread(problem_in, self.path)

    async def wants_refill(self) -> bool:
        """Whether this file stands in for a damaged one, and nobody has said `refilled` yet."""
        return bool(await self._run(lambda: self._file.connection.execute("SELECT 1 FROM refill").fetchone()))

    async def refilled(self) -> None:
        """What is still held elsewhere is on its way here."""
        await self._run(lambda: self._file.connection.execute("DELETE FROM refill"))

    async def close(self) -> None:
        await asyncio.to_thread(self._file.close)

    def _open(self) -> SqliteFile:
        try:
            prepare(self.path)
        except sqlite3.Error as err:
            if self._mending is None or not is_broken(err):
                raise DatabaseError(f"{self.path}: not a usable database: {err}") from err
            self._set_aside(self._mending, err)
        return SqliteFile(self.path, "", VERSION)

    async def _replace(self, file: SqliteFile, err: Exception) -> None:
        """The file cannot be written any more."""
        if self._mending is None or self._replacing or file is not self._file:
            return
        self._replacing = True
        try:
            await asyncio.to_thread(file.close)    # before it is renamed: SQLite removes files beside it by their names
            self._set_aside(self._mending, err)
            self._file = self._open()
        finally:
            self._replacing = False

    def _set_aside(self, mending: Mending, err: Exception) -> None:
        """Raises DatabaseError."""
        try:
            aside = set_aside(self.path, mending.clock.now_ms())
        except (OSError, sqlite3.Error) as second:
            raise DatabaseError(f"{self.path}: damaged ({err}), and cannot be set aside: {second}") from second
        self.counts["set aside"] += 1
        log.error("%s is damaged (%s) and set aside as %s; a new one is filled with what the hub still holds",
                  self.path, err, aside.name)
        mending.replaced.set()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._replacing:
            raise TransientError(f"{self.path}: a new file takes the place of a damaged one")
        try:
            return await self._file.run(function, *args, **kwargs)
        except sqlite3.Error as err:
            raise (BrokenFileError if is_broken(err) else TransientError)(f"{self.path}: {err}") from err

    def _in_one(self, function: Callable[..., T], *args: object) -> T:
        with self._file.transaction() as connection:
            return function(connection, *args)

    def _write(self, points: list[AnyPoint]) -> None:
        with self._file.transaction() as connection:
            ids = {
                name: _series_id(connection, *name)
                for name in {(p.station, p.device, p.quantity) for p in points if isinstance(p, Point | SummaryPoint)}
            }
            _write_readings(connection, ids, (p for p in points if isinstance(p, Point)))
            connection.executemany(
                "INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (ids[p.station, p.device, p.quantity], p.t_ms, p.since_ms, p.count, p.low, p.high, p.mean)
                    for p in points
                    if isinstance(p, SummaryPoint)
                ],
            )
            _write_words(connection, points)

    def _newest(self, sql: str, names: tuple[str, ...]) -> list[Point]:
        return [Point(*row) for row in self._file.connection.execute(sql, names)]

    def _find(self, name: Name) -> int | None:
        found = self._file.connection.execute(_SERIES, name).fetchone()
        return int(found[0]) if found else None


class BrokenFileError(TransientError):
    """The file itself is damaged. What it held may be lost to readers; the hub still holds the newest."""


def _write_readings(connection: sqlite3.Connection, ids: Mapping[Name, int], points: Iterable[Point]) -> None:
    """The readings, the newest of each series, and their rollups."""
    by_series: dict[int, dict[int, Point]] = {}
    for p in points:
        by_series.setdefault(ids[p.station, p.device, p.quantity], {})[p.t_ms] = p
    held_from_ms = rollups.deleted_before(connection)[rollups.RAW]
    for series_id, by_time in sorted(by_series.items()):
        rows = sorted((t, p.value, p.quality) for t, p in by_time.items())
        found = connection.execute("SELECT t_ms FROM newest WHERE series_id = ?", (series_id,)).fetchone()
        newest = found[0] if found else -1
        fresh = [(t, value) for t, value, _ in rows if t > newest]
        late = {t: value for t, value, _ in rows if t <= newest}
        closed = rollups.late_cells(connection, series_id, {t: v for t, v in late.items() if t < held_from_ms})
        connection.executemany("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
                               [(series_id, *row) for row in rows])
        connection.execute(_KEEP_NEWEST, (series_id, *rows[-1]))
        rollups.add(connection, series_id, [*rollups.cells_of(fresh, rollups.STEPS_MS[0]), *closed])
        rollups.remake(connection, series_id, [t for t in late if t >= held_from_ms])


def _write_words(connection: sqlite3.Connection, points: Sequence[AnyPoint]) -> None:
    """Levels, events and labels."""
    connection.executemany(
        "INSERT OR REPLACE INTO detections VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (p.station, p.series, p.rule, p.t_ms, p.level, p.value, p.threshold, p.episode, p.revision)
            for p in points
            if isinstance(p, LevelPoint)
        ],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?)",
        [(p.station, p.what, p.device, p.t_ms, p.detail) for p in points if isinstance(p, EventPoint)],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO labels VALUES (?, ?, ?, ?, ?)",
        [(p.station, p.t_ms, p.device, p.quantity, p.text) for p in points if isinstance(p, LabelPoint)],
    )


def _series_id(connection: sqlite3.Connection, station: str, device: str, quantity: str) -> int:
    name = (station, device, quantity)
    found = connection.execute(_SERIES, name).fetchone()
    if found is None:
        connection.execute("INSERT INTO series (station, device, quantity) VALUES (?, ?, ?)", name)
        found = connection.execute(_SERIES, name).fetchone()
    return int(found[0])
