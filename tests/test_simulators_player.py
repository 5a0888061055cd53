"""The player: row by row, exactly, along any clock."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import AsciiLevel, GasDetector, PressureLevel, RadarLevel, RainCounter, Relay, TankGauge
from simulators.instruments import Instrument, Measures
from simulators.player import Feed, Player
from tests.lines import settle
from tests.shared_data import shared_path
from tocsin import records
from tocsin.clock import ScaledClock, WoundClock
from tocsin.records import Record
from tocsin.times import ms_of

MINUTE = 60_000


def record_of(**columns: Sequence[float | None]) -> Record:
    rows = len(next(iter(columns.values())))
    return Record("made up", [row * MINUTE for row in range(rows)], {k: list(v) for k, v in columns.items()}, {})


@given(st.lists(st.one_of(st.none(), st.integers(0, 400)), min_size=1, max_size=40),
       st.sampled_from([0.1, 0.2, 0.254, 0.5]), st.data())
def test_rain_becomes_whole_tips_and_the_rest_is_carried(
        tenths: list[int | None], mm_per_tip: float, data: st.DataObject) -> None:
    gauge = RainCounter(mm_per_tip)
    record = record_of(rain_mm=[None if t is None else t / 10 for t in tenths])
    player = Player(record, [Feed("rain_mm", gauge, "rain_mm")])
    for row in data.draw(st.lists(st.integers(0, len(tenths) - 1), max_size=6)):
        player.go_to(row)
        fallen = Decimal(sum(t or 0 for t in tenths[:row + 1])) / 10
        if tenths[row] is not None:
            assert gauge.pulses == int(fallen // Decimal(str(mm_per_tip)))
        assert gauge.blocked == (tenths[row] is None)


def test_rows_are_shown_one_by_one_on_every_instrument() -> None:
    radar, probe = RadarLevel(Measures.DISTANCE, zero_m=10), PressureLevel((0, 10))
    record = record_of(stage_m=[1.0, 2.5], level_m=[3.0, 4.0])
    player = Player(record, [Feed("stage_m", radar, "stage_m"), Feed("level_m", probe, "depth_m")])
    assert (len(player), player.row) == (2, -1)
    assert radar.read(4, 0, 3) == [0, 0, 1]
    assert player.go_to(0) == 0
    assert (radar.read(4, 0, 3), probe.raw) == ([0, 9000, 0], 3000)
    assert player.go_to(1) == MINUTE
    assert (radar.read(4, 0, 3), probe.raw) == ([0, 7500, 0], 4000)
    assert player.go_to(0) == 0
    assert (radar.read(4, 0, 3), probe.raw, player.row) == ([0, 9000, 0], 3000, 0)


@pytest.mark.parametrize(("device", "quantity", "function", "address", "word"), [
    (RainCounter(0.2), "rain_mm", 3, 2, 1),
    (RadarLevel(Measures.LEVEL), "stage_m", 4, 2, 1),
    (PressureLevel((0, 10)), "depth_m", 4, 0, 0xFFFF),
    (GasDetector(), "h2s_ppm", 3, 4, 3),
    (TankGauge(), "tank_pressure_kpa", 3, 100, 0b111),
])
def test_an_empty_cell_is_said_in_the_instruments_own_way(
        device: Instrument, quantity: str, function: int, address: int, word: int) -> None:
    assert isinstance(device, RainCounter | RadarLevel | PressureLevel | GasDetector | TankGauge)
    player = Player(record_of(x=[1.0, None]), [Feed("x", device, quantity)])
    player.go_to(0)
    assert device.read(function, address, 1) != [word]
    player.go_to(1)
    assert device.read(function, address, 1) == [word]


def test_an_empty_cell_is_e1_on_the_ascii_line() -> None:
    weir = AsciiLevel(Measures.LEVEL)
    player = Player(record_of(x=[1.0, None]), [Feed("x", weir, "depth_m")])
    player.go_to(0)
    assert b"+1.000" in weir.line()
    player.go_to(1)
    assert b",E1," in weir.line()


@pytest.mark.parametrize(("feed", "problem"), [
    (Feed("rain", RainCounter(0.2), "rain_mm"), '"rain" is not a column; use rain_mm'),
    (Feed("rain_mm", RadarLevel(Measures.LEVEL), "rain_mm"), 'RadarLevel has no "rain_mm"; use stage_m, depth_m'),
    (Feed("rain_mm", Relay(), "on"), 'Relay has no "on"; use nothing'),
])
def test_feeds_that_do_not_fit(feed: Feed, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Player(record_of(rain_mm=[0.0]), [feed])


def test_values_that_do_not_fit_name_row_and_time() -> None:
    with pytest.raises(ValueError, match=r"rain_mm: -0\.2 is not allowed"):
        Player(record_of(rain_mm=[0.0, -0.2]), [Feed("rain_mm", RainCounter(0.2), "rain_mm")])
    player = Player(record_of(x=[0.0, 1e9]), [Feed("x", TankGauge(), "tank_level_m")])
    player.go_to(0)
    with pytest.raises(ValueError, match=r"made up: row 1, 1970-01-01T00:01:00Z: tank_level_m: 1000000000\.0"):
        player.go_to(1)
    with pytest.raises(IndexError, match="row 2 is not in the record; use 0 to 1"):
        player.go_to(2)


async def test_plays_along_a_clock_and_waits_for_it() -> None:
    weir, clock = AsciiLevel(Measures.LEVEL), WoundClock(90 * MINUTE)
    player = Player(record_of(x=[0.0, 1.0, 2.0, 3.0, 4.0]), [Feed("x", weir, "depth_m")])
    playing = asyncio.create_task(player.run(clock, shift_ms=92 * MINUTE))
    seen = []
    for minute in range(90, 97):
        clock.wind_to(minute * MINUTE)
        await settle()
        seen.append(player.row)
    await playing
    assert seen == [-1, -1, 0, 1, 2, 3, 4]


async def test_rows_that_are_past_are_skipped_but_their_rain_is_not() -> None:
    rain, clock = RainCounter(1), WoundClock(998 * MINUTE + 1)
    player = Player(record_of(rain_mm=[1.0] * 1000), [Feed("rain_mm", rain, "rain_mm")])
    playing = asyncio.create_task(player.run(clock))
    await settle()
    assert (player.row, rain.pulses) == (998, 999)
    clock.wind_to(999 * MINUTE)
    await playing
    assert (player.row, rain.pulses) == (999, 1000)


async def test_a_chosen_speed() -> None:
    weir = AsciiLevel(Measures.LEVEL)
    player = Player(record_of(x=[0.0, 1.0, 2.0]), [Feed("x", weir, "depth_m")])
    async with asyncio.timeout(30):
        await player.run(ScaledClock(0, speed=60_000))
    assert player.row == 2


@pytest.mark.parametrize("mm_per_tip", ["0.254", "0.2"])
def test_a_measured_flood_gives_the_records_own_total(mm_per_tip: str) -> None:
    path = shared_path("data/records/us_walnut_creek_2024.csv.gz")
    record = records.read(path).window(ms_of("2024-08-07T00:00:00Z"), ms_of("2024-08-10T00:00:00Z"))
    gauge, radar = RainCounter(float(mm_per_tip)), RadarLevel(Measures.LEVEL)
    player = Player(record, [Feed("rain_mm", gauge, "rain_mm"), Feed("stage_m", radar, "stage_m")])
    total = Decimal(0)
    for row in range(len(player)):
        assert player.go_to(row) == record.t_ms[row]
        rain, stage = record.columns["rain_mm"][row], record.columns["stage_m"][row]
        total += Decimal(str(rain or 0.0))
        assert gauge.pulses == int(total // Decimal(mm_per_tip))
        if stage is not None:
            assert radar.read(4, 0, 3) == [0, round(stage * 1000), 0]
    assert total > 50
