"""One suite for every store."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.embedded import SqliteStore
from hub.errors import PermanentError
from hub.influx import InfluxStore
from hub.store import LONGEST_TEXT, AnyPoint, EventPoint, LabelPoint, LevelPoint, Point, Store, problem_of
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb

WEEK_MS = 7 * 86_400_000
STAGE = Point("lin-an-01", "gauge", "stage_m", NOON_MS, 2.5, 0)
LEVEL = LevelPoint("lin-an-01", "gauge/stage_m", "stage", NOON_MS, 3, 3.25, 3.0, "episode-1", 1)
EVENT = EventPoint("lin-an-01", NOON_MS, "refused", "gauge", "silent: no answer")
LABEL = LabelPoint("lin-an-01", "record", "quality", NOON_MS, 'suspect, "ice" = yes')


def stages(*values: float, at: int = NOON_MS) -> list[AnyPoint]:
    return [replace(STAGE, t_ms=at + 1_000 * number, value=value) for number, value in enumerate(values)]


async def stage_series(store: Store, start_ms: int = NOON_MS, end_ms: int = NOON_MS + WEEK_MS) -> list[float]:
    found = await store.series("lin-an-01", "gauge", "stage_m", start_ms, end_ms, 1_000)
    return [value for _, value in found]


async def test_what_was_written_is_read_in_order_of_time(store: Store) -> None:
    await store.write(list(reversed(stages(1.5, 0.0, -2.25))))
    found = await store.series("lin-an-01", "gauge", "stage_m", NOON_MS, NOON_MS + 2_001, 10)
    assert found == [(NOON_MS, 1.5), (NOON_MS + 1_000, 0.0), (NOON_MS + 2_000, -2.25)]


async def test_the_start_belongs_to_a_span_and_the_end_does_not(store: Store) -> None:
    await store.write(stages(1.0, 2.0, 3.0))
    assert await stage_series(store, NOON_MS, NOON_MS + 2_000) == [1.0, 2.0]
    assert await stage_series(store, NOON_MS + 1, NOON_MS + 2_001) == [2.0, 3.0]
    assert await stage_series(store, NOON_MS, NOON_MS) == []


async def test_a_store_that_was_never_written_has_nothing(store: Store) -> None:
    assert await store.latest("lin-an-01") == []
    assert await store.latest_all() == []
    assert await stage_series(store) == []
    assert await store.readings(STAGE, 0, NOON_MS, 10) == []
    assert await store.labels("lin-an-01", 0, NOON_MS, 10) == []


async def test_writing_again_changes_nothing_and_another_value_replaces(store: Store) -> None:
    await store.write(stages(1.0, 2.0))
    await store.write(stages(1.0, 2.0))
    assert await stage_series(store) == [1.0, 2.0]
    await store.write(stages(5.0))
    assert await stage_series(store) == [5.0, 2.0]


async def test_series_do_not_mix(store: Store) -> None:
    await store.write(
        [
            STAGE,
            replace(STAGE, station="lin-an-02", value=7.0),
            replace(STAGE, device="gauge-2", value=8.0),
            replace(STAGE, quantity="depth_m", value=9.0),
        ]
    )
    assert await stage_series(store) == [2.5]


async def test_latest_is_the_newest_of_each_series(store: Store) -> None:
    rain = replace(STAGE, device="bucket", quantity="rain_total_mm", t_ms=NOON_MS + 500, value=0.0, quality=16)
    await store.write([rain, *stages(1.0, 2.0, 3.0), replace(STAGE, station="lin-an-02", value=9.0)])
    newest = replace(STAGE, t_ms=NOON_MS + 2_000, value=3.0)
    assert await store.latest("lin-an-01") == [rain, newest]


async def test_the_newest_of_all_stations_stands_in_order_of_their_names(store: Store) -> None:
    other = replace(STAGE, station="lin-an-02", t_ms=NOON_MS - 5_000, value=9.0, quality=4)
    await store.write([other, *stages(1.0, 2.0), replace(STAGE, device="a", value=0.0)])
    newest = replace(STAGE, t_ms=NOON_MS + 1_000, value=2.0)
    assert await store.latest_all() == [replace(STAGE, device="a", value=0.0), newest, other]


async def test_readings_come_page_by_page_as_they_were(store: Store) -> None:
    marked = [replace(one, quality=number) for number, one in enumerate(stages(0.1, -0.0, 1e300, 0.1 + 0.2))
              if isinstance(one, Point)]
    await store.write([*marked, replace(STAGE, device="gauge-2", value=8.0)])
    first = await store.readings(STAGE, NOON_MS, NOON_MS + 4_000, 3)
    assert first == [(one.t_ms, one.value, one.quality) for one in marked[:3]]
    assert await store.readings(STAGE, first[-1][0] + 1, NOON_MS + 4_000, 3) == [(NOON_MS + 3_000, 0.1 + 0.2, 3)]
    assert len(await store.readings(STAGE, NOON_MS, NOON_MS + 3_000, 10)) == 3
    assert await store.readings(replace(STAGE, quantity="depth_m"), NOON_MS, NOON_MS + 4_000, 3) == []


async def test_labels_are_kept_word_for_word_and_an_empty_one_too(store: Store) -> None:
    later = [replace(LABEL, t_ms=NOON_MS + n, text=text) for n, text in enumerate(["", "水 G", "a,b c=d"], 1)]
    await store.write([*later, LABEL, replace(LABEL, station="lin-an-02")])
    assert await store.labels("lin-an-01", NOON_MS, NOON_MS + 4, 10) == [LABEL, *later]
    assert await store.labels("lin-an-01", NOON_MS, NOON_MS + 4, 2) == [LABEL]
    same: list[AnyPoint] = [replace(LABEL, quantity=name) for name in ("a", "b", "c")]
    await store.write(same)
    for most in (1, 2, 3, 4):    # a time is never cut
        found = await store.labels("lin-an-01", NOON_MS, NOON_MS + 4, most)
        assert sorted(one.quantity for one in found) == ["a", "b", "c", "quality"]
    assert await store.labels("lin-an-01", NOON_MS + 1, NOON_MS + 4, 2) == later[:1]
    assert await store.labels("lin-an-01", NOON_MS + 2, NOON_MS + 3, 10) == [later[1]]


async def test_a_record_from_long_before_any_station_is_kept(store: Store) -> None:
    old = replace(STAGE, t_ms=536_500_800_000)    # 1987
    await store.write([old])
    assert await store.readings(STAGE, 0, NOON_MS, 10) == [(old.t_ms, old.value, old.quality)]


async def test_levels_and_events_stand_beside_readings(store: Store) -> None:
    await store.write([LEVEL, EVENT, STAGE, replace(EVENT, device="", what="start")])
    assert await stage_series(store) == [2.5]


BAD: dict[str, AnyPoint] = {
    "not a number": replace(STAGE, value=float("nan")),
    "infinite": replace(STAGE, value=float("-inf")),
    "no device": replace(STAGE, device=""),
    "line feed in a name": replace(STAGE, device="gau\nge"),
    "backslash in a name": replace(STAGE, station="lin\\an"),
    "long name": replace(STAGE, device="g" * 201),
    "before 1970": replace(STAGE, t_ms=0),
    "long label": replace(LABEL, text="水" * LONGEST_TEXT),
    "label of nothing": replace(LABEL, quantity=""),
    "after 2100": replace(STAGE, t_ms=1 << 60),
    "wide integer": replace(STAGE, quality=1 << 63),
    "infinite threshold": replace(LEVEL, threshold=float("inf")),
    "wide revision": replace(LEVEL, revision=1 << 64),
    "no rule": replace(LEVEL, rule=""),
    "zero byte": replace(EVENT, detail="a\0b"),
    "long detail": replace(EVENT, detail="水" * LONGEST_TEXT),
    "no word for what happened": replace(EVENT, what=""),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_point_is_named_and_the_others_are_kept(store: Store, name: str) -> None:
    first, last = stages(1.0, 2.0)
    with pytest.raises(PermanentError) as refusal:
        await store.write([first, BAD[name], last])
    ((point, reason),) = refusal.value.bad
    assert point is BAD[name]
    assert reason == problem_of(BAD[name]) != ""
    assert await stage_series(store) == [1.0, 2.0]


@asynccontextmanager
async def new_store(kind: str, server: InfluxDb) -> AsyncIterator[Store]:
    """A store of its own for one random example."""
    with tempfile.TemporaryDirectory() as folder:
        made: Store = SqliteStore(Path(folder) / "store.sqlite")
        if kind == "influxdb":
            await made.close()
            made = InfluxStore(server.url, f"stores_{uuid4().hex}")
        try:
            yield made
        finally:
            await made.close()


@pytest.mark.parametrize("kind", ["embedded", "influxdb"])
@settings(max_examples=15)
@given(
    values=st.lists(st.floats(-50, 50), min_size=1, max_size=120),
    most=st.integers(2, 60),
    start=st.integers(0, 10_000),
    spread=st.integers(1, 5_000),
)
def test_thinning_keeps_real_points_and_the_extremes(
    influxdb: InfluxDb, kind: str, values: list[float], most: int, start: int, spread: int
) -> None:
    points = [replace(STAGE, t_ms=NOON_MS + spread * number, value=v) for number, v in enumerate(values)]
    begin, end = NOON_MS + start, NOON_MS + spread * len(values)
    inside = [(p.t_ms, p.value) for p in points if begin <= p.t_ms < end]

    async def thinned() -> list[tuple[int, float]]:
        async with new_store(kind, influxdb) as store:
            await store.write(points)
            return await store.series("lin-an-01", "gauge", "stage_m", begin, end, most)

    found = asyncio.run(thinned())
    assert found == sorted(found)
    if len(inside) <= most:
        assert found == inside
        return
    assert set(found) <= set(inside)
    assert len(found) <= most
    heights = [value for _, value in inside]
    assert {min(heights), max(heights)} <= {value for _, value in found}


async def test_the_newest_of_all_stations_is_that_of_each(store: Store) -> None:
    assert await store.latest_all() == []
    points = [replace(STAGE, station=station, device=device, t_ms=NOON_MS + 1_000 * n, value=float(n), quality=n)
              for station in ("lin-an-02", "lin-an-01") for device in ("radar", "gauge") for n in range(3)]
    await store.write(points)
    found = await store.latest_all()
    assert [(p.station, p.device, p.t_ms, p.value, p.quality) for p in found] == [
        (station, device, NOON_MS + 2_000, 2.0, 2)
        for station in ("lin-an-01", "lin-an-02") for device in ("gauge", "radar")
    ]
    assert found == [*await store.latest("lin-an-01"), *await store.latest("lin-an-02")]


async def test_readings_come_page_by_page_as_they_were_received(store: Store) -> None:
    await store.write([replace(STAGE, t_ms=NOON_MS + n, value=n / 3, quality=n % 5) for n in range(10)])
    rows: list[tuple[int, float, int]] = []
    while page := await store.readings(STAGE, rows[-1][0] + 1 if rows else NOON_MS + 1, NOON_MS + 9, 3):
        rows += page
    assert rows == [(NOON_MS + n, n / 3, n % 5) for n in range(1, 9)]
    assert await store.readings(replace(STAGE, device="none"), NOON_MS, NOON_MS + WEEK_MS, 3) == []
