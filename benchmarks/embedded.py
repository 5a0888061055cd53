"""The embedded store against plain SQLite: a month, the newest of all, a chart of a year

The store holds 50 series (10 stations of 5) at a reading a minute for 30 days, and one series for a year; a chart has
600 points, those of the console's pages. Times are those of one question, asked and answered in the hub's own way (a
thread beside the event loop), from a file that the system has in memory. *Plain SELECT* reads the same rows through
`sqlite3` alone, in one call; where the store reads rollups, the floor reads the readings that the chart is about, and
beside it the rollups that the store reads.
"""

import asyncio
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from benchmarks._rows import BenchError, Row, medians_of_awaited, repeats_of
from hub.embedded import SqliteStore
from hub.rollups import STEPS_MS
from hub.store import Point

START_MS = 1_704_067_200_000    # 2024-01-01
MINUTE_MS = 60_000
DAY_MS = 86_400_000
STATIONS, SERIES = 10, 5
MOST = 600
MONTH_BAR_MS, NEWEST_BAR_MS, YEAR_BAR_MS = 30.0, 10.0, 200.0
BUSY = "the plain SELECT of these rows takes as long: the machine was busy"
_AT_ONCE = 50_000
_ROWS = "SELECT t_ms, value, quality FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ? ORDER BY t_ms"
_CELLS = "SELECT low_ms, low, high_ms, high FROM rollups WHERE series_id = ? AND step_ms = ? AND t_ms >= ? AND t_ms < ?"
_NEWEST = ("SELECT s.station, s.device, s.quantity, n.t_ms, n.value, n.quality FROM series s"
           " JOIN newest n ON n.series_id = s.id ORDER BY s.station, s.device, s.quantity")


def run(quick: bool) -> list[Row]:
    """Raises BenchError where both sides did not read the same."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-embedded-"))
    try:
        return asyncio.run(_measure(folder / "store.sqlite", quick))
    finally:
        shutil.rmtree(folder)


async def _measure(path: Path, quick: bool) -> list[Row]:
    days, year = (1, 3) if quick else (30, 365)
    store = SqliteStore(path)
    try:
        for number in range(STATIONS * SERIES):
            await _fill(store, _point(number), days)
        wide = Point("year", "gauge", "stage_m", 0, 0.0, 0)
        await _fill(store, wide, year)
        with closing(sqlite3.connect(path)) as plain:
            return await _compare(store, plain, wide, days, year, repeats_of(quick))
    finally:
        await store.close()


async def _compare(
    store: SqliteStore, plain: sqlite3.Connection, wide: Point, days: int, year: int, repeats: int
) -> list[Row]:
    end, year_end = START_MS + days * DAY_MS, START_MS + year * DAY_MS
    point = _point(17)
    ids = {(station, device): one for one, station, device in plain.execute("SELECT id, station, device FROM series")}
    one_id, wide_id = ids[point.station, point.device], ids[wide.station, wide.device]
    hours = (wide_id, STEPS_MS[1], START_MS, year_end)

    async def readings() -> object:
        return await store.readings(point, START_MS, end, 1 << 30)

    async def chart(of: Point, until: int) -> list[tuple[int, float]]:
        return await store.series(of.station, of.device, of.quantity, START_MS, until, MOST)

    if await readings() != plain.execute(_ROWS, (one_id, START_MS, end)).fetchall():
        raise BenchError("store and plain SELECT read different rows")
    _same_extremes(await chart(wide, year_end), plain.execute(_ROWS, (wide_id, START_MS, year_end)).fetchall())
    pairs: list[tuple[str, str, float | None, Callable[[], Awaitable[object]], Callable[[], object]]] = [
        (f"one series, {days} days", "plain SELECT of the rows", MONTH_BAR_MS, readings,
         lambda: plain.execute(_ROWS, (one_id, START_MS, end)).fetchall()),
        (f"newest of {STATIONS * SERIES + 1} series, all stations", "plain SELECT of the rows", NEWEST_BAR_MS,
         store.latest_all, lambda: plain.execute(_NEWEST).fetchall()),
        (f"chart of {days} days", "plain SELECT of the readings", None, lambda: chart(point, end),
         lambda: plain.execute(_ROWS, (one_id, START_MS, end)).fetchall()),
        (f"chart of {year} days", "plain SELECT of the readings", YEAR_BAR_MS, lambda: chart(wide, year_end),
         lambda: plain.execute(_ROWS, (wide_id, START_MS, year_end)).fetchall()),
        (f"chart of {year} days", "plain SELECT of rollups of an hour", YEAR_BAR_MS, lambda: chart(wide, year_end),
         lambda: plain.execute(_CELLS, hours).fetchall()),
    ]
    rows = []
    for what, name, bar, ours, floor in pairs:
        (our_ms,), (floor_ms,) = await medians_of_awaited(repeats, _timed(ours), _timed_plain(floor))
        rows.append(Row(what, our_ms, floor_ms, name, "ms", repeats, floor=True, bar=bar, why=BUSY))
    return [*rows, *await _write_rows(store, plain, days, repeats)]


async def _write_rows(store: SqliteStore, plain: sqlite3.Connection, days: int, repeats: int) -> list[Row]:
    """5,000 readings, 100 a series, behind all others: with rollups, and into one bare table of the same file."""
    plain.execute("CREATE TABLE bare (series_id INTEGER, t_ms INTEGER, value REAL, quality INTEGER,"
                  " PRIMARY KEY (series_id, t_ms)) WITHOUT ROWID")
    plain.execute("PRAGMA synchronous = FULL")
    begun = {"ours": START_MS + days * DAY_MS, "bare": START_MS}

    def batch(who: str) -> list[Point]:
        begun[who] += 100 * MINUTE_MS
        return [Point(one.station, one.device, one.quantity, begun[who] + n * MINUTE_MS, 1.0 + n / 8, 0)
                for one in map(_point, range(STATIONS * SERIES)) for n in range(100)]

    async def ours() -> list[float]:
        points = batch("ours")
        began_s = time.perf_counter()
        await store.write(points)
        return [len(points) / (time.perf_counter() - began_s)]

    async def bare() -> list[float]:
        points = batch("bare")
        began_s = time.perf_counter()
        with plain:
            plain.executemany("INSERT OR REPLACE INTO bare VALUES (?, ?, ?, ?)",
                              [(n // 100, p.t_ms, p.value, p.quality) for n, p in enumerate(points)])
        return [len(points) / (time.perf_counter() - began_s)]

    (our_rate,), (bare_rate,) = await medians_of_awaited(repeats, ours, bare)
    return [Row("written, 5,000 a commit", our_rate, bare_rate, "one table without rollups", "readings/s", repeats,
                more_is_better=True, floor=True)]


def _timed(action: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[list[float]]]:
    async def measure() -> list[float]:
        began_s = time.perf_counter()
        await action()
        return [(time.perf_counter() - began_s) * 1000]

    return measure


def _timed_plain(action: Callable[[], object]) -> Callable[[], Awaitable[list[float]]]:
    async def measure() -> list[float]:
        began_s = time.perf_counter()
        action()
        return [(time.perf_counter() - began_s) * 1000]

    return measure


def _same_extremes(chart: list[tuple[int, float]], rows: list[tuple[int, float, int]]) -> None:
    values, drawn = [row[1] for row in rows], [value for _, value in chart]
    if (min(values), max(values)) != (min(drawn), max(drawn)) or not {*chart} <= {(t, value) for t, value, _ in rows}:
        raise BenchError("the chart of a year and its readings have different extremes")


def _point(number: int) -> Point:
    return Point(f"station-{number // SERIES}", f"gauge-{number % SERIES}", "stage_m", 0, 0.0, 0)


async def _fill(store: SqliteStore, of: Point, days: int) -> None:
    """A reading a minute, a wave with a flood in it."""
    many = days * DAY_MS // MINUTE_MS
    for begin in range(0, many, _AT_ONCE):
        await store.write([
            Point(of.station, of.device, of.quantity, START_MS + n * MINUTE_MS,
                  2.0 + n % 1440 / 1000 + (5.0 if n == many // 3 else 0.0), 0)
            for n in range(begin, min(many, begin + _AT_ONCE))])
