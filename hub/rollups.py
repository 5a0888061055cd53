"""Rollups of the embedded store: of each series and each 10 min, hour and day of UTC the lowest and the highest reading
at their own times, the sum and the count.

They are made in the transaction that writes the readings. A reading newer than all others of its series is added to the
three cells that it falls into. Any other (late, repeated, another value at a known time) makes its cells anew: the
smallest one from the readings, the larger ones from the smaller. Where readings are already deleted by age, one that
comes so late is added to what its cells hold.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS

STEPS_MS = (10 * MINUTE_MS, HOUR_MS, DAY_MS)
RAW = 0    # the step of the readings themselves

SCHEMA = """
CREATE TABLE rollups (
    series_id INTEGER NOT NULL, step_ms INTEGER NOT NULL, t_ms INTEGER NOT NULL,
    low REAL NOT NULL, low_ms INTEGER NOT NULL, high REAL NOT NULL, high_ms INTEGER NOT NULL,
    sum REAL, count INTEGER NOT NULL,
    PRIMARY KEY (series_id, step_ms, t_ms)
) WITHOUT ROWID;
-- readings (step 0) and rollups of times before this are deleted
CREATE TABLE deleted (step_ms INTEGER PRIMARY KEY, before_ms INTEGER NOT NULL);
"""

_ADD = """
INSERT INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
low_ms = CASE WHEN excluded.low < low THEN excluded.low_ms ELSE low_ms END, low = min(low, excluded.low),
high_ms = CASE WHEN excluded.high > high THEN excluded.high_ms ELSE high_ms END, high = max(high, excluded.high),
sum = sum + excluded.sum, count = count + excluded.count
"""
_SET = "INSERT OR REPLACE INTO rollups VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_OF_READINGS = "SELECT t_ms, value FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms"
_OF_CELLS = (
    "SELECT low, low_ms, high, high_ms, sum, count FROM rollups"
    " WHERE series_id = ? AND step_ms = ? AND t_ms >= ? AND t_ms < ?"
)

Values = Mapping[int, float]    # of one series, by time in ms


class Cell(NamedTuple):
    """What one stretch of one series holds. `sum` is None where it is no number that a float can hold."""

    low: float
    low_ms: int
    high: float
    high_ms: int
    sum: float | None
    number: int


class Rollup(NamedTuple):
    """One stretch of time from `t_ms` on, in the unit of the series' quantity."""

    t_ms: int
    low: float
    high: float
    mean: float | None
    sum: float | None
    number: int


def deleted_before(connection: sqlite3.Connection) -> dict[int, int]:
    """For each step (RAW too) the time before which nothing is held any more; 0 where nothing was ever deleted."""
    return dict.fromkeys((RAW, *STEPS_MS), 0) | dict(connection.execute("SELECT step_ms, before_ms FROM deleted"))


def late_cells(connection: sqlite3.Connection, series_id: int, values: Values) -> list[tuple[int, Cell]]:
    """Before they are written: what readings of deleted times add to their smallest cells, as (time, cell)."""
    found = []
    for t, value in values.items():
        row = connection.execute("SELECT value FROM readings WHERE series_id = ? AND t_ms = ?", (series_id, t))
        held = row.fetchone()
        if held is None:
            found.append((t, Cell(value, t, value, t, value, 1)))
        elif held[0] != value:
            found.append((t, Cell(value, t, value, t, value - held[0], 0)))
    return found


def add(connection: sqlite3.Connection, series_id: int, cells: Iterable[tuple[int, Cell]]) -> None:
    """Adds to the cells of every step; a time is any inside the smallest one."""
    rows: list[tuple[float | int | None, ...]] = []
    for step in STEPS_MS:
        by_step: dict[int, list[Cell]] = {}
        for t, cell in cells:
            by_step.setdefault(t // step * step, []).append(cell)
        cells = [(at, _joined(some)) for at, some in by_step.items()]
        rows += [(series_id, step, at, *cell) for at, cell in cells]
    connection.executemany(_ADD, rows)


def remake(connection: sqlite3.Connection, series_id: int, times: Iterable[int]) -> None:
    """Makes the cells of these times anew, from readings that are all held."""
    step = STEPS_MS[0]
    cells = sorted({t // step * step for t in times})
    fresh = [(at, cell) for at in cells
             for _, cell in cells_of(connection.execute(_OF_READINGS, (series_id, at, at + step)), step)]
    connection.executemany(_SET, [(series_id, step, at, *cell) for at, cell in fresh])
    for step, finer in zip(STEPS_MS[1:], STEPS_MS, strict=False):
        cells = sorted({at // step * step for at in cells})
        parts = ((at, connection.execute(_OF_CELLS, (series_id, finer, at, at + step)).fetchall()) for at in cells)
        connection.executemany(_SET, [(series_id, step, at, *_joined(found)) for at, found in parts if found])


def cells_of(rows: Iterable[tuple[int, float]], step_ms: int) -> Iterable[tuple[int, Cell]]:
    """Readings in order of time as cells, each with the begin of its stretch."""
    for at, group in groupby(rows, lambda row: row[0] // step_ms * step_ms):
        some = list(group)
        low, high = min(some, key=itemgetter(1)), max(some, key=itemgetter(1))
        yield at, Cell(low[1], low[0], high[1], high[0], sum(map(itemgetter(1), some)), len(some))


def build(connection: sqlite3.Connection) -> None:
    """All rollups, of a store that has none yet."""
    for (series_id,) in connection.execute("SELECT id FROM series").fetchall():
        step = STEPS_MS[0]
        rows = connection.execute("SELECT t_ms, value FROM readings WHERE series_id = ? ORDER BY t_ms", (series_id,))
        connection.executemany(_SET, ((series_id, step, at, *cell) for at, cell in cells_of(rows, step)))
        for step, finer in zip(STEPS_MS[1:], STEPS_MS, strict=False):
            held = connection.execute(
                "SELECT t_ms, low, low_ms, high, high_ms, sum, count FROM rollups"
                " WHERE series_id = ? AND step_ms = ? ORDER BY t_ms", (series_id, finer)).fetchall()
            by_step: dict[int, list[tuple[float, int, float, int, float | None, int]]] = {}
            for at, *cell in held:
                by_step.setdefault(at // step * step, []).append(tuple(cell))
            cells = [(at, _joined(some)) for at, some in by_step.items()]
            connection.executemany(_SET, [(series_id, step, at, *cell) for at, cell in cells])


def read(connection: sqlite3.Connection, series_id: int, step_ms: int, start_ms: int, end_ms: int) -> list[Rollup]:
    """The cells that begin at start <= time < end."""
    rows = connection.execute(
        "SELECT t_ms, low, high, sum / count, sum, count FROM rollups"
        " WHERE series_id = ? AND step_ms = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms",
        (series_id, step_ms, start_ms, end_ms))
    return [Rollup(*row) for row in rows]


def _joined(cells: Sequence[tuple[float, int, float, int, float | None, int]]) -> Cell:
    low, high = min(cells, key=itemgetter(0)), max(cells, key=itemgetter(2))
    sums = [cell[4] for cell in cells]
    known = [one for one in sums if one is not None]
    return Cell(low[0], low[1], high[2], high[3], sum(known) if len(known) == len(sums) else None,
                sum(cell[5] for cell in cells))
