"""The embedded store by itself: rollups, charts from them, what is deleted by age."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import ageing
from hub.care import EVERY_S, StoreCare
from hub.config_store import StoreTable
from hub.database import Database
from hub.embedded import Mending, SqliteStore
from hub.forward import Forwarder
from hub.rollups import RAW, STEPS_MS
from hub.store import LabelPoint, Point, SummaryPoint
from tests.hub_store import ALL, MIDNIGHT_MS, MINUTE_MS, STAGE, opened, plain, point, rolled, sql
from tocsin.clock import WoundClock
from tocsin.times import DAY_MS


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with opened(tmp_path / "store.sqlite") as made:
        yield made


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
