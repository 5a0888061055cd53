"""What of the embedded store is deleted by age, some thousand rows in one transaction. Days are those of UTC."""

import sqlite3
from collections.abc import Iterator, Mapping

from hub.rollups import RAW
from tocsin.times import DAY_MS

AT_ONCE = 5_000
LEAST_PAGES = 1_000      # fewer free pages are left for what comes
PAGES_AT_ONCE = 500
_INCREMENTAL = 2


def horizons(now_ms: int, keep_days: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """(step, time before which it goes) of each step that is not kept for ever."""
    for step, days in keep_days.items():
        if days:
            yield step, max(0, (now_ms // DAY_MS - days) * DAY_MS)


def close(connection: sqlite3.Connection, step_ms: int, before_ms: int) -> None:
    """From now on nothing of before that time counts as held; it never moves back."""
    connection.execute(
        "INSERT INTO deleted VALUES (?, ?) ON CONFLICT DO UPDATE SET before_ms = max(before_ms, excluded.before_ms)",
        (step_ms, before_ms))


def newest_ms(connection: sqlite3.Connection) -> int:
    """The time of the newest reading of all; 0 where there is none."""
    (found,) = connection.execute("SELECT coalesce(max(t_ms), 0) FROM newest").fetchone()
    return int(found)


def series_ids(connection: sqlite3.Connection) -> list[int]:
    return [row[0] for row in connection.execute("SELECT id FROM series ORDER BY id")]


def delete(connection: sqlite3.Connection, step_ms: int, series_id: int, before_ms: int) -> int:
    """Up to AT_ONCE of the series' oldest rows; of RAW its summaries too. Returns how many."""
    if step_ms == RAW:
        return sum(_oldest(connection, table, "series_id = ?", (series_id,), before_ms)
                   for table in ("readings", "summaries"))
    return _oldest(connection, "rollups", "series_id = ? AND step_ms = ?", (series_id, step_ms), before_ms)


def delete_labels(connection: sqlite3.Connection, before_ms: int) -> int:
    """Up to AT_ONCE of each station's oldest labels. Returns how many."""
    stations = connection.execute("SELECT DISTINCT station FROM labels").fetchall()
    return sum(_oldest(connection, "labels", "station = ?", station, before_ms) for station in stations)


def give_back(connection: sqlite3.Connection) -> bool:
    """Gives some free pages back to the disk, where there are many; whether there is more to do.

    A file made by version 1 cannot: its free pages are used for what comes, until somebody says VACUUM.
    """
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (mode,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if mode != _INCREMENTAL or free < LEAST_PAGES or free < pages // 5:
        return False
    connection.execute(f"PRAGMA incremental_vacuum({PAGES_AT_ONCE})").fetchall()
    return True


def _oldest(
    connection: sqlite3.Connection, table: str, where: str, names: tuple[int | str, ...], before_ms: int
) -> int:
    row = connection.execute(
        f"SELECT t_ms FROM {table} WHERE {where} AND t_ms < ? ORDER BY t_ms LIMIT 1 OFFSET ?",  # noqa: S608
        (*names, before_ms, AT_ONCE)).fetchone()
    bound = row[0] if row else before_ms
    return connection.execute(f"DELETE FROM {table} WHERE {where} AND t_ms < ?", (*names, bound)).rowcount  # noqa: S608
