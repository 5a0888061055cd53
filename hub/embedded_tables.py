"""Tables of the embedded store, page by page, for `tocsin export`."""

import sqlite3
from typing import Any

from hub.rollups import STEPS_MS
from hub.tables import Table, TableRow, whole_times

STATIONS = """
SELECT station FROM series UNION SELECT station FROM labels UNION SELECT station FROM detections
UNION SELECT station FROM events ORDER BY station
"""
_DETECTIONS = """
SELECT t_ms, series, rule, level, value, threshold, episode, revision FROM detections
WHERE station = :station AND t_ms >= :start AND t_ms < :end ORDER BY t_ms, series, rule LIMIT :most
"""
_EVENTS = """
SELECT t_ms, what, device, detail FROM events
WHERE station = :station AND t_ms >= :start AND t_ms < :end ORDER BY t_ms, what, device LIMIT :most
"""
_LABELS = """
SELECT t_ms, device, quantity, text FROM labels
WHERE station = :station AND t_ms >= :start AND t_ms < :end ORDER BY t_ms, device, quantity LIMIT :most
"""
_SUMMARIES = """
SELECT t_ms, device, quantity, since_ms, count, low, high, mean FROM series s JOIN summaries ON series_id = s.id
WHERE station = :station AND t_ms >= :start AND t_ms < :end ORDER BY t_ms, device, quantity LIMIT :most
"""
_ROLLUPS = """
SELECT t_ms, device, quantity, low, sum / count, high, sum, count FROM series s JOIN rollups ON series_id = s.id
WHERE station = :station AND step_ms = :step AND t_ms >= :start AND t_ms < :end ORDER BY t_ms, device, quantity
"""
_FIRST = """
SELECT min((SELECT min(t_ms) FROM rollups WHERE series_id = s.id AND step_ms = :step AND t_ms >= :start))
FROM series s WHERE station = :station
"""
_STEPS = dict(zip((Table.BY_10_MIN, Table.BY_HOUR, Table.BY_DAY), STEPS_MS, strict=True))
_SQL = {Table.DETECTIONS: _DETECTIONS, Table.EVENTS: _EVENTS, Table.SUMMARIES: _SUMMARIES}
_CELLS_AT_ONCE = 1_000    # of each series: all of a station's rollups are never sorted for one page
_ALL = -1


def page(
    connection: sqlite3.Connection, table: Table, station: str, start_ms: int, end_ms: int, most: int
) -> list[TableRow]:
    """See hub.embedded.SqliteStore.table."""
    asked: dict[str, str | int] = {"station": station, "start": start_ms, "end": end_ms, "most": most}
    if table in _STEPS:
        return _rollups(connection, asked, _STEPS[table])
    return _whole(connection, _SQL[table], asked, most)


def labels(
    connection: sqlite3.Connection, station: str, start_ms: int, end_ms: int, most: int
) -> list[tuple[int, str, str, str]]:
    """Time, device, quantity and text: see hub.store.Store.labels."""
    return _whole(connection, _LABELS, {"station": station, "start": start_ms, "end": end_ms, "most": most}, most)


def _whole(connection: sqlite3.Connection, sql: str, asked: dict[str, str | int], most: int) -> list[Any]:
    rows = connection.execute(sql, asked).fetchall()
    found = whole_times(rows, most)
    if rows and not found:
        found = connection.execute(sql, asked | {"end": rows[0][0] + 1, "most": _ALL}).fetchall()
    return found


def _rollups(connection: sqlite3.Connection, asked: dict[str, str | int], step_ms: int) -> list[TableRow]:
    asked |= {"step": step_ms}
    (first,) = connection.execute(_FIRST, asked).fetchone()
    if first is None:
        return []
    end = min(int(asked["end"]), first + _CELLS_AT_ONCE * step_ms)
    return connection.execute(_ROLLUPS, asked | {"start": first, "end": end}).fetchall()
