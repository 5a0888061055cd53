"""The rows of the embedded store: points written with their rollups, series found by name."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence

from hub import rollups
from hub.database import SqliteFile
from hub.store import AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, SummaryPoint, problem_of

Name = tuple[str, str, str]    # station, device, quantity

_SERIES = "SELECT id FROM series WHERE station = ? AND device = ? AND quantity = ?"
_KEEP_NEWEST = """
INSERT INTO newest VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE
SET t_ms = excluded.t_ms, value = excluded.value, quality = excluded.quality WHERE excluded.t_ms >= newest.t_ms
"""


def write(file: SqliteFile, points: Sequence[AnyPoint]) -> list[tuple[object, str]]:
    """Returns what cannot be kept and why; all else is written."""
    problems: list[tuple[object, str]] = [(point, problem) for point in points if (problem := problem_of(point))]
    refused = {id(point) for point, _ in problems}
    kept = [point for point in points if id(point) not in refused] if refused else points
    with file.transaction() as connection:
        ids = {
            name: _series_id(connection, *name)
            for name in {(p.station, p.device, p.quantity) for p in kept if isinstance(p, Point | SummaryPoint)}
        }
        _write_readings(connection, ids, (p for p in kept if isinstance(p, Point)))
        connection.executemany(
            "INSERT OR REPLACE INTO summaries VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (ids[p.station, p.device, p.quantity], p.t_ms, p.since_ms, p.count, p.low, p.high, p.mean)
                for p in kept
                if isinstance(p, SummaryPoint)
            ],
        )
        _write_words(connection, kept)
    return problems


def newest(connection: sqlite3.Connection, sql: str, names: tuple[str, ...]) -> list[Point]:
    return [Point(*row) for row in connection.execute(sql, names)]


def find(connection: sqlite3.Connection, name: Name) -> int | None:
    found = connection.execute(_SERIES, name).fetchone()
    return int(found[0]) if found else None


def _write_readings(connection: sqlite3.Connection, ids: Mapping[Name, int], points: Iterable[Point]) -> None:
    """The readings, the newest of each series, and their rollups."""
    by_series: dict[int, dict[int, Point]] = {}
    for p in points:
        by_series.setdefault(ids[p.station, p.device, p.quantity], {})[p.t_ms] = p
    held_from_ms = rollups.deleted_before(connection)[rollups.RAW]
    for series_id, by_time in sorted(by_series.items()):
        rows = sorted((t, p.value, p.quality) for t, p in by_time.items())
        found = connection.execute("SELECT t_ms FROM newest WHERE series_id = ?", (series_id,)).fetchone()
        newest_ms = found[0] if found else -1
        fresh = [(t, value) for t, value, _ in rows if t > newest_ms]
        late = {t: value for t, value, _ in rows if t <= newest_ms}
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
