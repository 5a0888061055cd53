"""10 min, 1 h and 1 day made by the hub, on a real InfluxDB, beside what Python makes of the same readings."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config_store import StoreTable
from hub.database import Database
from hub.errors import TransientError
from hub.forward import Forwarder
from hub.influx import LineStore, place_of
from hub.influx.downsample import DELAY_MS, PUT_OFF_MS, downsampler_of
from hub.influx.place import DOWNSAMPLED
from hub.influx.queries import Found
from hub.influx.rollups import WIDTHS_MS, select_into
from hub.influx.setup import Plan, prepare
from hub.store import Point
from tests import village
from tests.hub_downsampling import DAY_MS, Rig, at
from tests.hub_messages import NOON_MS
from tests.services import InfluxDb
from tocsin.clock import WoundClock


@pytest.fixture
def new_rig(tmp_path: Path, influxdb: InfluxDb) -> Callable[..., Rig]:
    return lambda **options: Rig(tmp_path, influxdb, **options)


async def test_a_window_is_made_some_time_after_its_end_and_made_anew_for_late_data(
    new_rig: Callable[..., Rig]
) -> None:
    rig = new_rig()
    await rig.send(at(NOON_MS, 1.0), at(NOON_MS + 1_000, 4.0))
    rig.clock.wind_to(NOON_MS + 600_000 + DELAY_MS - 1)
    await rig.work()
    assert rig.made() == {}
    rig.clock.wind_to(NOON_MS + 600_000 + DELAY_MS)
    await rig.work()
    assert rig.made() == {("10m", "gauge", "stage_m", NOON_MS): (1.0, 4.0, 5.0, 2)}
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    await rig.work()
    assert rig.made() == rig.right()
    await rig.send(at(NOON_MS + 500, 9.0), at(NOON_MS + 500, 9.0, device="second"))
    assert not await rig.downsampler.step()  # more may come
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS + DELAY_MS)
    await rig.work()
    assert rig.made() == rig.right()
    assert len(rig.made()) == 6
    await rig.close()


async def test_a_window_noted_again_while_it_is_made_is_made_again(
    new_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = new_rig()
    await rig.send(at(NOON_MS, 1.0))
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    plain = rig.store.write_downsampled

    async def meanwhile(lines: list[str]) -> None:
        monkeypatch.undo()
        await plain(lines)
        await rig.send(at(NOON_MS + 1, 7.0))

    monkeypatch.setattr(rig.store, "write_downsampled", meanwhile)
    await rig.work()
    rig.clock.wind_to(rig.clock.now_ms() + DELAY_MS)
    await rig.work()
    assert rig.made() == rig.right()
    await rig.close()


async def test_a_restart_goes_on_and_a_store_that_is_away_is_tried_again(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    await rig.send(at(NOON_MS, 1.0))
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    rig.server.query("", f'DROP RETENTION POLICY "{DOWNSAMPLED}" ON "{rig.table.database}"')
    with pytest.raises(TransientError, match="retention policy not found"):
        await rig.downsampler.step()
    prepare(rig.table, Plan(dry=False, say=lambda _: None))
    rig.downsampler = rig.again()
    rig.clock.wind_to(rig.clock.now_ms() + PUT_OFF_MS)
    await rig.work()
    assert rig.made() == rig.right()
    await rig.close()


async def test_windows_that_cannot_be_made_hold_up_no_others(
    new_rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = new_rig()
    await rig.send(Point("dead", "gauge", "stage_m", NOON_MS - 600_000, 1.0, 0), at(NOON_MS, 2.0))
    rig.clock.wind_to(NOON_MS + 600_000 + DELAY_MS)
    plain = rig.store.query

    async def some(influxql: str, *, patient: bool = False) -> Found:
        if "'dead'" in influxql:
            raise TransientError("too much")
        return await plain(influxql, patient=patient)

    with monkeypatch.context() as broken:
        broken.setattr(rig.store, "query", some)
        for _ in ("10m", "1h"):
            with pytest.raises(TransientError, match="too much"):
                await rig.work()
        await rig.work()
    assert set(rig.made()) == {("10m", "gauge", "stage_m", NOON_MS)}
    rig.clock.wind_to(rig.clock.now_ms() + PUT_OFF_MS)
    await rig.work()
    assert set(rig.made()) == {
        ("10m", "gauge", "stage_m", NOON_MS - 600_000), ("10m", "gauge", "stage_m", NOON_MS),
        ("1h", "gauge", "stage_m", NOON_MS - 3_600_000),
    }
    await rig.close()


async def test_one_question_is_about_a_day_at_most(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    await rig.send(*(at(NOON_MS - days * DAY_MS, float(days)) for days in range(40)))
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    asked: list[int] = []
    while found := await rig.database.run(rig.downsampler._due):
        asked.append(len(found[2]) * WIDTHS_MS[found[0]])
        assert await rig.downsampler.step()
    assert max(asked) == DAY_MS
    assert rig.made() == rig.right()
    await rig.close()


async def test_whatever_clock_is_wrong_the_windows_are_made(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    await rig.send(at(NOON_MS + 400 * DAY_MS, 1.0))     # the hub's clock is behind by a year, or the station's ahead
    rig.clock.wind_to(NOON_MS + DAY_MS + DELAY_MS)
    await rig.work()
    assert rig.made() == rig.right()
    later = WoundClock(NOON_MS + 800 * DAY_MS)
    rig.clock, before = later, rig.clock                # ahead by two years, and then right again
    rig.downsampler = rig.again()
    await rig.send(at(NOON_MS - DAY_MS, 2.0))
    assert not await rig.downsampler.step()
    rig.clock = before
    rig.downsampler = rig.again()
    await rig.work()
    assert rig.made() == rig.right()
    await rig.close()


async def test_beside_the_server_s_own_tasks_only_late_windows_are_the_hub_s(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig(late_only=True)
    await rig.send(at(NOON_MS, 1.0), at(NOON_MS - 3_600_000, 2.0))
    late = NOON_MS - 3 * DAY_MS
    await rig.send(at(late, 3.0), at(late + 1, 5.0))
    rig.clock.wind_to(NOON_MS + DAY_MS)
    await rig.work()
    assert {(width, value) for (width, *_), value in rig.made().items()} == {
        (width, (3.0, 5.0, 8.0, 2)) for width in WIDTHS_MS
    }
    for width in WIDTHS_MS:  # what the server's task would do
        rig.server.query(rig.table.database, select_into(rig.table.database, width))
    assert rig.made() == rig.right()
    await rig.close()


async def test_windows_whose_readings_are_gone_in_part_stay_as_they_are(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig(keep_days=30)
    await rig.send(at(NOON_MS - 31 * DAY_MS, 1.0))
    rig.clock.wind_to(NOON_MS + 2 * DAY_MS)
    assert not await rig.downsampler.step()
    await rig.close()


@settings(max_examples=5)
@given(
    sent=st.lists(
        st.lists(st.tuples(st.integers(-2 * DAY_MS, DAY_MS), st.integers(-800, 800)), max_size=20), max_size=4
    )
)
def test_whatever_order_data_comes_in_the_windows_end_right(
    influxdb: InfluxDb, tmp_path_factory: pytest.TempPathFactory, sent: list[list[tuple[int, int]]]
) -> None:
    async def all_of_it() -> None:
        rig = Rig(tmp_path_factory.mktemp("down"), influxdb)
        for batch in sent:
            if batch:
                await rig.send(*(at(NOON_MS + offset, value / 8) for offset, value in batch))
            rig.clock.wind_to(rig.clock.now_ms() + 3_600_000)
            await rig.work()
        rig.clock.wind_to(NOON_MS + 5 * DAY_MS)
        await rig.work()
        try:
            assert rig.made() == rig.right()
        finally:
            await rig.close()

    asyncio.run(all_of_it())


@pytest.mark.parametrize(
    ("kind", "downsample", "late_only"),
    [
        ("influxdb1", "auto", True), ("influxdb1", "hub", False), ("influxdb3", "auto", False),
        ("influxdb1", "off", None),
    ],
)
async def test_who_makes_what(kind: str, downsample: str, late_only: bool | None, tmp_path: Path) -> None:
    table = StoreTable(kind, "http://127.0.0.1:9", downsample=downsample)  # type: ignore[arg-type]
    config = msgspec.structs.replace(village.config(tmp_path), store=table)
    database = Database(tmp_path / "hub.sqlite")
    store = LineStore(place_of(table))
    made = downsampler_of(config, database, store, WoundClock(NOON_MS))
    assert (made._late_only if made else None) == late_only
    forwarder = Forwarder(database, store, WoundClock(NOON_MS))
    assert forwarder.on_forwarded == []
    await store.close()
    database.close()
