"""The embedded store by itself: rollups, what is deleted by age, old files, damaged files."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import ageing, landing
from hub.care import EVERY_S, LOOK_EVERY_S, StoreCare
from hub.checks import inspect
from hub.config_store import StoreTable
from hub.database import Database, DatabaseError
from hub.embedded import Mending, SqliteStore
from hub.errors import TransientError
from hub.forward import Forwarder
from hub.rollups import DAY_MS, RAW, STEPS_MS, Rollup
from hub.store import LabelPoint, Point, SummaryPoint
from hub.store_file import FIRST
from tests.hub_messages import NOON_MS, readings, upload
from tocsin.clock import WoundClock
from tocsin.topics import up

MINUTE_MS = 60_000
MIDNIGHT_MS = NOON_MS // DAY_MS * DAY_MS
STAGE = Point("bridge", "gauge", "stage_m", MIDNIGHT_MS, 2.5, 0)
ALL = (RAW, *STEPS_MS)


def point(t_ms: int, value: float) -> Point:
    return replace(STAGE, t_ms=t_ms, value=value)


def land(database: Database, seqs: range) -> None:
    """A record of one reading each, a second apart."""
    payload = upload("bridge", *(readings(seq, [float(seq)], at=NOON_MS + seq * 1_000) for seq in seqs))
    with database.transaction() as connection:
        landing.land(connection, [inspect(up("bridge", "readings"), payload, {"bridge"})], NOON_MS)


@asynccontextmanager
async def opened(path: Path, mending: Mending | None = None) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, mending)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "store.sqlite") as made:
        yield made


def plain(readings: dict[int, float], step: int) -> list[tuple[int, float, float, float, int]]:
    """Rollups by a plain loop: (begin, lowest, highest, sum, number)."""
    cells: dict[int, list[float]] = {}
    for t, value in readings.items():
        cells.setdefault(t - t % step, []).append(value)
    return [(t, min(values), max(values), sum(values), len(values)) for t, values in sorted(cells.items())]


async def rolled(store: SqliteStore, step: int) -> list[Any]:
    """As `plain`, to rounding."""
    found: list[Rollup] = await store.rollups(STAGE, step, 0, 1 << 50)
    assert [one.mean for one in found] == pytest.approx([(one.sum or 0) / one.number for one in found])
    return [(one.t_ms, one.low, one.high, pytest.approx(one.sum, abs=1e-6), one.number) for one in found]


writes = st.lists(
    st.lists(st.tuples(st.integers(0, 3 * 1440), st.floats(-50, 50, width=32)), min_size=1, max_size=30),
    min_size=1, max_size=8,
)


@settings(max_examples=40)
@given(batches=writes)
def test_rollups_are_those_of_a_plain_loop_whatever_comes_late_twice_or_with_another_value(
    batches: list[list[tuple[int, float]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def both() -> None:
        async with opened(tmp_path_factory.mktemp("rollups") / "store.sqlite") as store:
            held: dict[int, float] = {}
            for batch in [*batches, batches[0]]:
                await store.write([point(MIDNIGHT_MS + minute * MINUTE_MS, value) for minute, value in batch])
                held |= {MIDNIGHT_MS + minute * MINUTE_MS: value for minute, value in batch}
            for step in STEPS_MS:
                assert await rolled(store, step) == plain(held, step)
            (newest,) = await store.latest("bridge")
            assert (newest.t_ms, newest.value) == max(held.items())

    asyncio.run(both())


@settings(max_examples=60)
@given(
    seed=st.lists(st.floats(-50, 50, width=32), min_size=5, max_size=40),
    most=st.integers(2, 300), start=st.integers(-50_000, 40 * DAY_MS), span=st.integers(1, 40 * DAY_MS),
)
def test_a_chart_from_rollups_keeps_real_points_and_the_extremes_of_each_stretch(
    seed: list[float], most: int, start: int, span: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """40 days of a reading every 37 min; a stretch is told by its extremes, so the chart's are the span's."""
    readings = {MIDNIGHT_MS + n * 37 * MINUTE_MS: seed[n * n % len(seed)] + n / 1e4 for n in range(1_550)}
    begin, end = MIDNIGHT_MS + start, MIDNIGHT_MS + start + span
    inside = {t: value for t, value in readings.items() if begin <= t < end}

    async def thinned() -> list[tuple[int, float]]:
        async with opened(tmp_path_factory.mktemp("chart") / "store.sqlite") as store:
            await store.write([point(t, value) for t, value in readings.items()])
            return await store.series("bridge", "gauge", "stage_m", begin, end, most)

    found = asyncio.run(thinned())
    assert found == sorted(found)
    assert set(found) <= set(inside.items())
    assert len(found) <= most
    if len(inside) <= most:
        assert found == list(inside.items())
    elif inside:
        assert min(found, key=lambda one: one[1])[1] == min(inside.values())
        assert max(found, key=lambda one: one[1])[1] == max(inside.values())


async def test_a_year_is_read_from_rollups_and_a_flood_of_one_minute_stands_at_its_own_time(store: SqliteStore) -> None:
    year = [point(MIDNIGHT_MS + n * 10 * MINUTE_MS + 1, 1.0 + n % 7 / 100) for n in range(52_560)]
    peak = point(year[30_000].t_ms + MINUTE_MS, 7.75)
    await store.write([*year, peak])
    # who looked through the readings would not find it now
    later = MIDNIGHT_MS + 10 * DAY_MS
    store._file.connection.execute("DELETE FROM readings WHERE t_ms % 600000 = 1 AND t_ms > ?", (later,))
    found = await store.series("bridge", "gauge", "stage_m", MIDNIGHT_MS, MIDNIGHT_MS + 365 * DAY_MS, 600)
    assert 500 <= len(found) <= 600
    assert (peak.t_ms, 7.75) in found
    assert min(value for _, value in found) == 1.0


async def test_the_newest_of_all_stations_in_one_question(store: SqliteStore) -> None:
    other = Point("alder", "bucket", "rain_total_mm", MIDNIGHT_MS, 0.0, 16)
    await store.write([point(MIDNIGHT_MS + 2, 2.0), point(MIDNIGHT_MS + 1, 1.0), other])
    assert await store.latest_all() == [other, point(MIDNIGHT_MS + 2, 2.0)]
    await store.write([replace(STAGE, t_ms=MIDNIGHT_MS + 2, value=3.0, quality=4)])
    assert (await store.latest_all())[1] == replace(STAGE, t_ms=MIDNIGHT_MS + 2, value=3.0, quality=4)


async def test_what_is_old_goes_step_by_step_and_charts_go_on_from_what_is_left(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ageing, "AT_ONCE", 100)
    rows = [point(MIDNIGHT_MS + n * 30 * MINUTE_MS, float(n)) for n in range(48 * 40)]
    label = LabelPoint("bridge", "gauge", "flag", MIDNIGHT_MS, "G")
    window = SummaryPoint("bridge", "gauge", "stage_m", MIDNIGHT_MS, MIDNIGHT_MS - 1, 1, 0.0, 0.0, 0.0)
    await store.write([*rows, label, window])
    now = MIDNIGHT_MS + 40 * DAY_MS
    assert await store.prune(now, dict(zip(ALL, (0, 0, 0, 0), strict=True))) == 0
    deleted = await store.prune(now, dict(zip(ALL, (5, 10, 20, 0), strict=True)))
    assert deleted == 35 * 48 + 30 * 48 + 20 * 24 + 2
    assert next(row[0] for row in await store.readings(STAGE, 0, now, 10)) == MIDNIGHT_MS + 35 * DAY_MS
    found = await store.series("bridge", "gauge", "stage_m", MIDNIGHT_MS, now, 100_000)
    by_day = [[value for t, value in found if t // DAY_MS == MIDNIGHT_MS // DAY_MS + day] for day in range(40)]
    assert by_day[0] == [0.0, 47.0]
    assert by_day[19] == [19 * 48.0, 19 * 48 + 47.0]
    assert by_day[25] == [25 * 48.0 + n for n in range(48)]    # an hour has two readings: its extremes
    assert by_day[39] == [39 * 48.0 + n for n in range(48)]
    assert len(await store.series("bridge", "gauge", "stage_m", MIDNIGHT_MS, now, 50)) <= 50
    assert (await store.latest("bridge"))[0].value == float(len(rows) - 1)
    assert await store.labels("bridge", 0, now, 10) == []


async def test_a_reading_that_comes_after_its_time_was_deleted_counts_once(store: SqliteStore) -> None:
    await store.write([point(MIDNIGHT_MS, 1.0), point(MIDNIGHT_MS + 30 * DAY_MS, 1.0)])
    await store.prune(MIDNIGHT_MS + 30 * DAY_MS, {RAW: 5})
    late = [point(MIDNIGHT_MS + MINUTE_MS, 4.0)]
    for _ in range(2):
        await store.write(late)
        assert (await rolled(store, DAY_MS))[0] == (MIDNIGHT_MS, 1.0, 4.0, 5.0, 2)
    await store.write([point(MIDNIGHT_MS + MINUTE_MS, 3.0)])
    assert (await rolled(store, DAY_MS))[0] == (MIDNIGHT_MS, 1.0, 4.0, 4.0, 2)


async def test_numbers_near_the_end_of_floats_do_not_stop_the_store(store: SqliteStore) -> None:
    huge = [point(MIDNIGHT_MS + n, 1.7e308 * (1 if n < 4 else -1)) for n in range(8)]
    for one in [*huge, *huge]:
        await store.write([one])
    assert [row[1] for row in await store.readings(STAGE, 0, 1 << 50, 100)] == [one.value for one in huge]
    assert [one.number for one in await store.rollups(STAGE, DAY_MS, 0, 1 << 50)] == [8]


async def test_pages_of_what_was_deleted_go_back_to_the_disk(
    tmp_path: Path, store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ageing, "LEAST_PAGES", 10)
    await store.write([point(MIDNIGHT_MS + n * 1_000, float(n)) for n in range(50_000)])
    (before,) = store._file.connection.execute("PRAGMA page_count").fetchone()
    await store.prune(MIDNIGHT_MS + 30 * DAY_MS, dict.fromkeys(ALL, 1))
    (after,) = store._file.connection.execute("PRAGMA page_count").fetchone()
    assert after < before / 4


@pytest.mark.parametrize("with_summaries", [False, True])
async def test_a_file_of_version_1_is_opened_with_all_that_it_holds(tmp_path: Path, with_summaries: bool) -> None:
    path = tmp_path / "store.sqlite"
    rows = {MIDNIGHT_MS + n * 7 * MINUTE_MS: n % 13 / 4 for n in range(1_000)}
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(FIRST)
        if with_summaries:
            connection.execute("CREATE TABLE summaries (series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, since_ms"
                               " INTEGER NOT NULL, count INTEGER NOT NULL, low REAL NOT NULL, high REAL NOT NULL, mean"
                               " REAL NOT NULL, PRIMARY KEY (series_id, t_ms)) WITHOUT ROWID")
            connection.execute("INSERT INTO summaries VALUES (1, 5, 4, 3, 2.0, 2.0, 2.0)")
        connection.execute("INSERT INTO series VALUES (1, 'bridge', 'gauge', 'stage_m'), (2, 'bridge', 'a', 'b')")
        connection.executemany("INSERT INTO readings VALUES (1, ?, ?, 0)", rows.items())
        connection.execute("PRAGMA user_version = 1")
    for _ in range(2):
        async with opened(path) as store:
            assert [row[:2] for row in await store.readings(STAGE, 0, 1 << 50, 9_999)] == list(rows.items())
            for step in STEPS_MS:
                assert await rolled(store, step) == plain(rows, step)
            assert [(one.t_ms, one.value) for one in await store.latest("bridge")] == [max(rows.items())]
            count = store._file.connection.execute("SELECT count(*) FROM summaries").fetchone()
            assert count == (int(with_summaries),)


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(DatabaseError, match="its format is version 3; this program knows version 2"):
        SqliteStore(tmp_path / "store.sqlite", Mending(WoundClock(NOON_MS), asyncio.Event()))
    assert set_aside(tmp_path) == []


def spoil(path: Path, whole: int) -> None:
    """All but the first pages is rubbish."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(whole * 4096)
        file.write(b"\xff" * (size - whole * 4096))


def set_aside(folder: Path) -> list[str]:
    return [one.name for one in folder.iterdir() if "damaged" in one.name]


async def test_a_file_that_is_no_database_is_set_aside_by_the_hub_and_by_nobody_else(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_bytes(b"these are not the readings you are looking for" * 100)
    with pytest.raises(DatabaseError, match="not a usable database"):
        SqliteStore(path)
    mending = Mending(WoundClock(NOON_MS), asyncio.Event())
    async with opened(path, mending) as store:
        assert (await store.wants_refill(), mending.replaced.is_set()) == (True, True)
        assert store.counts["set aside"] == 1
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]
        await store.refilled()
    assert (tmp_path / f"store.sqlite.damaged-{NOON_MS}").read_bytes().startswith(b"these are not")
    async with opened(path, mending) as store:
        assert not await store.wants_refill()


async def damaged(path: Path, whole: int = 1) -> None:
    """A store of some days, spoilt."""
    async with opened(path) as store:
        await store.write([point(MIDNIGHT_MS + n * MINUTE_MS, float(n)) for n in range(5_000)])
    spoil(path, whole)


async def test_a_page_found_damaged_in_writing_sets_the_file_aside_and_landing_fills_the_new_one(
    tmp_path: Path
) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    async with opened(path) as before:
        forwarder = Forwarder(database, before, clock)
        land(database, range(1, 40))
        assert await forwarder.step()
        held = await before.readings(STAGE, 0, 1 << 50, 100)
        assert len(held) == 39
    await damaged(path)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        forwarder = Forwarder(database, store, clock)
        care = StoreCare(store, StoreTable(), mending, forwarder, clock)
        land(database, range(40, 50))
        with pytest.raises(TransientError, match="malformed"):
            await forwarder.step()
        assert mending.replaced.is_set()
        await care.step()
        while await forwarder.step():
            pass
        now = await store.readings(STAGE, 0, 1 << 50, 100)
        assert now[:39] == held
        assert len(now) == 49
        assert not await store.wants_refill()
    database.close()


async def test_who_only_reads_sets_nothing_aside(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    await damaged(path)
    mending = Mending(WoundClock(NOON_MS), asyncio.Event())
    async with opened(path, mending) as store:
        with pytest.raises(TransientError, match="malformed"):
            await store.latest_all()
        assert not mending.replaced.is_set()
    async with opened(path) as store:
        with pytest.raises(TransientError, match="malformed"):
            await store.write([STAGE])
    assert set_aside(tmp_path) == []


async def test_damage_that_nobody_met_is_found_by_the_weekly_look_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    await damaged(path, whole=30)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        care = StoreCare(store, StoreTable(keep_days=0), mending, Forwarder(database, store, clock), clock)
        await care.step()
        clock.wind_to(clock.now_ms() + round(LOOK_EVERY_S * 1000))
        care._prune_at_s = clock.monotonic_s() + EVERY_S
        await care.step()
        assert store.counts["damaged"] == 1
        assert "is damaged: " in caplog.text
        assert not mending.replaced.is_set()
    database.close()


async def test_care_deletes_each_hour_what_the_file_says(tmp_path: Path) -> None:
    clock = WoundClock(MIDNIGHT_MS + 400 * DAY_MS)
    database = Database(tmp_path / "hub.sqlite")
    mending = Mending(clock, asyncio.Event())
    async with opened(tmp_path / "store.sqlite", mending) as store:
        await store.write([STAGE])
        table = StoreTable(keep_days=30, keep_10min_days=60, keep_1h_days=90)
        care = StoreCare(store, table, mending, Forwarder(database, store, clock), clock)
        await care.step()
        assert store.counts["deleted by age"] == 0
        clock.wind_to(clock.now_ms() + round(EVERY_S * 1000))
        await care.step()
        assert store.counts["deleted by age"] == 3
        assert [len(await store.rollups(STAGE, step, 0, 1 << 50)) for step in STEPS_MS] == [0, 0, 1]
    database.close()


async def test_a_refill_while_a_batch_is_on_its_way_is_not_undone(tmp_path: Path) -> None:
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    async with opened(tmp_path / "store.sqlite") as store:
        forwarder = Forwarder(database, store, clock)
        land(database, range(1, 10))
        await forwarder.step()
        land(database, range(10, 20))
        write: Callable[..., Any] = store.write

        async def refill_meanwhile(points: Any) -> None:
            await write(points)
            store.write = write    # type: ignore[method-assign]
            await forwarder.refill(0)

        store.write = refill_meanwhile    # type: ignore[method-assign]
        while await forwarder.step():
            pass
        assert forwarder.counts["forwarded"] == 9 + 19
    database.close()
