"""The embedded store: one SQLite file, for first steps, small counties and tests. WAL, synchronous=FULL."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ParamSpec, TypeVar

from hub.database import SqliteFile
from hub.errors import PermanentError, TransientError
from hub.store import AnyPoint, EventPoint, LevelPoint, Point, Row, SummaryPoint, problem_of

P = ParamSpec("P")
T = TypeVar("T")

VERSION = 1

SCHEMA = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, device TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (station, device, quantity)
);
CREATE TABLE readings (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID;
CREATE TABLE detections (
    station TEXT NOT NULL, series TEXT NOT NULL, rule TEXT NOT NULL, t_ms INTEGER NOT NULL,
    level INTEGER NOT NULL, value REAL NOT NULL, threshold REAL NOT NULL,
    episode TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (station, series, rule, t_ms)
) WITHOUT ROWID;
CREATE TABLE events (
    station TEXT NOT NULL, what TEXT NOT NULL, device TEXT NOT NULL, t_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (station, what, device, t_ms)
) WITHOUT ROWID;
"""

# newer than the tables above: made where it is missing
_SUMMARIES = """
CREATE TABLE IF NOT EXISTS summaries (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL, mean REAL NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID
"""

_LATEST = """
SELECT s.station, s.device, s.quantity, r.t_ms, r.value, r.quality FROM series s JOIN readings r
ON r.series_id = s.id AND r.t_ms = (SELECT max(t_ms) FROM readings WHERE series_id = s.id)
WHERE s.station = ? ORDER BY s.device, s.quantity
"""
_LATEST_ALL = _LATEST.replace("WHERE s.station = ? ORDER BY", "ORDER BY s.station,")
_READINGS = """
SELECT r.t_ms, r.value, r.quality FROM readings r JOIN series s ON s.id = r.series_id
WHERE s.station = ? AND s.device = ? AND s.quantity = ? AND r.t_ms >= ? AND r.t_ms < ? ORDER BY r.t_ms LIMIT ?
"""
_SERIES = "SELECT id FROM series WHERE station = ? AND device = ? AND quantity = ?"
_SPAN = "FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ?"
# beside a lone min() or max() SQLite gives the other columns of that very row
_THIN = f"""
SELECT t_ms, value FROM (
    SELECT t_ms, min(value) AS value {_SPAN} GROUP BY (t_ms - ?) * ? / ?
    UNION SELECT t_ms, max(value) AS value {_SPAN} GROUP BY (t_ms - ?) * ? / ?
) ORDER BY t_ms
"""  # noqa: S608 - constants only


class SqliteStore:
    """A hub.store.Store in one file."""

    def __init__(self, path: Path) -> None:
        """Opens or creates. Raises DatabaseError."""
        self._file = SqliteFile(path, SCHEMA, VERSION)
        with self._file.transaction() as connection:
            connection.execute(_SUMMARIES)

    async def write(self, points: Sequence[AnyPoint]) -> None:
        problems = [(point, problem) for point in points if (problem := problem_of(point))]
        refused = {id(point) for point, _ in problems}
        await self._run(self._write, [point for point in points if id(point) not in refused])
        if problems:
            raise PermanentError(f"{len(problems)} points cannot be kept: {problems[0][1]}", problems)

    async def latest(self, station: str) -> list[Point]:
        rows = await self._run(lambda: self._file.connection.execute(_LATEST, (station,)).fetchall())
        return [Point(*row) for row in rows]

    async def latest_all(self) -> list[Point]:
        rows = await self._run(lambda: self._file.connection.execute(_LATEST_ALL).fetchall())
        return [Point(*row) for row in rows]

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        return await self._run(self._series, (station, device, quantity), start_ms, end_ms, most)

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        asked = (point.station, point.device, point.quantity, start_ms, end_ms, most)
        return await self._run(lambda: self._file.connection.execute(_READINGS, asked).fetchall())

    async def close(self) -> None:
        await asyncio.to_thread(self._file.close)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await self._file.run(function, *args, **kwargs)
        except sqlite3.Error as err:
            raise TransientError(f"{self._file.path}: {err}") from err

    def _write(self, points: list[AnyPoint]) -> None:
        with self._file.transaction() as connection:
            ids = {
                name: _series_id(connection, *name)
                for name in {(p.station, p.device, p.quantity) for p in points if isinstance(p, Point | SummaryPoint)}
            }
            connection.executemany(
                "INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)",
                [
                    (ids[p.station, p.device, p.quantity], p.t_ms, p.value, p.quality)
                    for p in points
                    if isinstance(p, Point)
                ],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (ids[p.station, p.device, p.quantity], p.t_ms, p.since_ms, p.count, p.low, p.high, p.mean)
                    for p in points
                    if isinstance(p, SummaryPoint)
                ],
            )
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

    def _series(self, name: tuple[str, str, str], start_ms: int, end_ms: int, most: int) -> list[tuple[int, float]]:
        found = self._file.connection.execute(_SERIES, name).fetchone()
        if found is None or end_ms <= start_ms:
            return []
        span = (found[0], start_ms, end_ms)
        (many,) = self._file.connection.execute(f"SELECT count(*) {_SPAN}", span).fetchone()
        if many <= most:
            rows = self._file.connection.execute(f"SELECT t_ms, value {_SPAN} ORDER BY t_ms", span)
            return rows.fetchall()
        cut = (start_ms, max(1, most // 2), end_ms - start_ms)
        return self._file.connection.execute(_THIN, (*span, *cut) * 2).fetchall()


def _series_id(connection: sqlite3.Connection, station: str, device: str, quantity: str) -> int:
    name = (station, device, quantity)
    found = connection.execute(_SERIES, name).fetchone()
    if found is None:
        connection.execute("INSERT INTO series (station, device, quantity) VALUES (?, ?, ?)", name)
        found = connection.execute(_SERIES, name).fetchone()
    return int(found[0])
