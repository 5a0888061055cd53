"""The embedded store by itself: rollups, what is deleted by age, old files, damaged files."""

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import ageing, embedded, landing, store_rows
from hub.care import EVERY_S, FIRST_LOOK_S, LOOK_EVERY_S, StoreCare
from hub.checks import inspect
from hub.config_store import StoreTable
from hub.database import Database, DatabaseError, SqliteFile
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


def sql(store: SqliteStore, text: str, *values: object) -> list[Any]:
    """In the open file, beside the store."""
    assert store._file is not None
    return store._file.connection.execute(text, values).fetchall()


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
    sql(store, "DELETE FROM readings WHERE t_ms % 600000 = 1 AND t_ms > ?", later)
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
    now = MIDNIGHT_MS + 40 * DAY_MS
    await store.write([*rows, label, window, replace(STAGE, device="other", t_ms=now)])
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


async def test_a_clock_of_the_hub_that_ran_years_ahead_deletes_nothing(store: SqliteStore) -> None:
    rows = [point(MIDNIGHT_MS + n * DAY_MS, float(n)) for n in range(10)]
    assert await store.prune(MIDNIGHT_MS, dict.fromkeys(ALL, 5)) == 0    # nothing is there
    await store.write(rows)
    assert await store.prune(MIDNIGHT_MS + 40 * 365 * DAY_MS, dict.fromkeys(ALL, 20)) == 0
    assert len(await store.readings(STAGE, 0, 1 << 50, 99)) == 10
    assert await store.prune(MIDNIGHT_MS + 40 * 365 * DAY_MS, {RAW: 5}) == 4


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
    await store.write([replace(STAGE, device="other", t_ms=MIDNIGHT_MS + 30 * DAY_MS)])
    ((before,),) = sql(store, "PRAGMA page_count")
    await store.prune(MIDNIGHT_MS + 30 * DAY_MS, dict.fromkeys(ALL, 1))
    ((after,),) = sql(store, "PRAGMA page_count")
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
            assert sql(store, "SELECT count(*) FROM summaries") == [(int(with_summaries),)]


def test_a_file_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 3")
    with pytest.raises(DatabaseError, match=r"format is version 3, made by a newer program; this one knows version 2"):
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
        assert await store.wants_refill()
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


async def test_a_damaged_file_that_cannot_be_set_aside_is_tried_again_and_then_filled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk takes no rename for a while; what landed waits, and the store goes on by itself."""
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    await damaged(path)
    mending = Mending(clock, asyncio.Event())
    async with opened(path, mending) as store:
        forwarder = Forwarder(database, store, clock)
        care = StoreCare(store, StoreTable(), mending, forwarder, clock)
        land(database, range(1, 10))
        with monkeypatch.context() as patch:
            patch.setattr(Path, "rename", refuse)
            with pytest.raises(TransientError, match="malformed"):
                await forwarder.step()
            assert mending.replaced.is_set()
            for again in (forwarder.step, care.step, store.latest_all):
                with pytest.raises(TransientError, match=r"cannot be set aside: .*No space"):
                    await again()
        await care.step()
        while await forwarder.step():
            pass
        assert len(await store.readings(STAGE, 0, 1 << 50, 100)) == 9
        assert len(set_aside(tmp_path)) == 1
    database.close()


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_hub_starts_beside_a_store_that_cannot_be_opened_now_and_goes_on_with_it_later(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.mkdir()    # no file can be opened there
    async with opened(path, Mending(WoundClock(NOON_MS), asyncio.Event())) as store:
        for _ in range(2):
            with pytest.raises(TransientError, match="cannot be opened"):
                await store.write([STAGE])
        path.rmdir()
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]
    assert set_aside(tmp_path) == []


async def test_an_old_file_that_takes_long_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    may_end = threading.Event()
    open_it = embedded.open_file

    def slowly(path: Path) -> SqliteFile:
        may_end.wait()
        return open_it(path)

    monkeypatch.setattr(embedded, "open_file", slowly)
    monkeypatch.setattr(embedded, "_PATIENCE_S", 0.0)
    async with opened(tmp_path / "store.sqlite", Mending(WoundClock(NOON_MS), asyncio.Event())) as store:
        try:
            for _ in range(2):
                with pytest.raises(TransientError, match="is being opened"):
                    await store.latest_all()
        finally:
            may_end.set()
        assert store._opening is not None
        await store._opening
        await store.write([STAGE])
        assert await store.latest_all() == [STAGE]


async def test_a_store_file_that_is_gone_or_was_never_there_is_filled_with_what_landing_holds(tmp_path: Path) -> None:
    """Also after a crash between setting a damaged one aside and making the new one."""
    clock = WoundClock(NOON_MS)
    database = Database(tmp_path / "hub.sqlite")
    path = tmp_path / "store.sqlite"
    land(database, range(1, 10))
    for _ in range(2):
        mending = Mending(clock, asyncio.Event())
        async with opened(path, mending) as store:
            forwarder = Forwarder(database, store, clock)
            await StoreCare(store, StoreTable(), mending, forwarder, clock).step()
            while await forwarder.step():
                pass
            assert len(await store.readings(STAGE, 0, 1 << 50, 100)) == 9
            assert not await store.wants_refill()
        path.unlink()
    database.close()


async def test_the_loop_goes_on_while_a_large_batch_is_looked_through(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_in: set[str] = set()

    def look(_: object) -> str:
        looked_in.add(threading.current_thread().name)
        return ""

    monkeypatch.setattr(store_rows, "problem_of", look)
    await store.write([STAGE])
    assert len(looked_in) == 1
    assert threading.current_thread().name not in looked_in


async def test_two_that_make_the_file_at_once_make_one(tmp_path: Path) -> None:
    """The hub and an import."""
    path = tmp_path / "store.sqlite"
    made = await asyncio.gather(*(asyncio.to_thread(SqliteStore, path) for _ in range(6)))
    for n, store in enumerate(made):
        await store.write([point(MIDNIGHT_MS + n, float(n))])
    assert len(await made[0].readings(STAGE, 0, 1 << 50, 99)) == 6
    for store in made:
        await store.close()


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
        for count, wait_s in enumerate((FIRST_LOOK_S, LOOK_EVERY_S), 1):
            clock.wind_to(clock.now_ms() + round(wait_s * 1000))
            care._prune_at_s = clock.monotonic_s() + EVERY_S
            await care.step()
            assert store.counts["damaged"] == count
        assert "is damaged: " in caplog.text
        assert not mending.replaced.is_set()
    database.close()


async def test_care_deletes_each_hour_what_the_file_says(tmp_path: Path) -> None:
    clock = WoundClock(MIDNIGHT_MS + 400 * DAY_MS)
    database = Database(tmp_path / "hub.sqlite")
    mending = Mending(clock, asyncio.Event())
    async with opened(tmp_path / "store.sqlite", mending) as store:
        await store.write([STAGE, replace(STAGE, device="other", t_ms=clock.now_ms())])
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
