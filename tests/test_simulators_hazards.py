"""Synthetic hazards: in order, in mass, smooth, and the same every time."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.hazards import Filling, Gauge, Plume, Storm, rain_steps, sample

MINUTE = 60_000
HOUR = 60 * MINUTE
T0 = 1_723_075_200_000



@st.composite
def storms(draw: st.DrawFn) -> Storm:
    duration_s = draw(st.floats(600, 86_400))
    return Storm(
        T0, duration_s, total_mm=draw(st.floats(0.5, 500)), seed=draw(st.integers(0, 99)),
        block_s=duration_s / draw(st.integers(1, 24)), peak_at=draw(st.floats(0.05, 1.0)),
        storage_s=draw(st.floats(300, 10_800)))


def curve(storm: Storm, points: int = 500) -> tuple[float, list[float], list[float]]:
    """The step in hours, and the rates of rain and runoff at the middles of the steps, until the water has left."""
    step_h = (storm.duration_s + 25 * storm.storage_s) / 3600 / points
    moments = [T0 + round((i + 0.5) * step_h * HOUR) for i in range(points)]
    return step_h, [storm.rain_mm_per_h(t) for t in moments], [storm.runoff_mm_per_h(t) for t in moments]


@settings(max_examples=40)
@given(storms())
def test_the_rain_adds_up_and_stays_inside_the_storm(storm: Storm) -> None:
    end_ms = T0 + round(storm.duration_s * 1000)
    assert storm.rain_total_mm(T0) == 0
    assert storm.rain_total_mm(end_ms + HOUR) == pytest.approx(storm.total_mm)
    assert storm.rain_mm_per_h(T0 - 1) == 0 == storm.rain_mm_per_h(end_ms + 1)
    step_ms = (end_ms - T0) / 2000
    rates = [storm.rain_mm_per_h(T0 + round((i + 0.5) * step_ms)) for i in range(2000)]
    assert math.fsum(rates) * step_ms / HOUR == pytest.approx(storm.total_mm, rel=0.02)
    assert min(rates) >= 0


@settings(max_examples=25)
@given(storms())
def test_the_runoff_is_its_share_of_the_rain(storm: Storm) -> None:
    step_h, _, runoff = curve(storm)
    assert math.fsum(runoff) * step_h == pytest.approx(storm.runoff_fraction * storm.total_mm, rel=0.01)


@settings(max_examples=25)
@given(storms(), st.floats(0.1, 20), st.floats(0, 7200))
def test_one_rise_one_peak_one_fall(storm: Storm, rise_m: float, travel_s: float) -> None:
    gauge = Gauge(storm, base_m=1.0, peak_m=1.0 + rise_m, travel_s=travel_s)
    before = [gauge.stage_m(T0 + (gauge.peak_ms - T0) * i // 100) for i in range(101)]
    after = [gauge.stage_m(gauge.peak_ms + i * HOUR // 5) for i in range(100)]
    assert all(late - early >= -1e-9 for early, late in pairwise(before))
    assert all(late - early <= 1e-9 for early, late in pairwise(after))
    assert gauge.stage_m(gauge.peak_ms) == pytest.approx(1.0 + rise_m)
    assert before[0] == 1.0


@settings(max_examples=25)
@given(storms())
def test_rain_comes_first_by_the_cascades_own_lag(storm: Storm) -> None:
    # of a cascade of three linear reservoirs the centre of the outflow lags the centre of the inflow by 3 k
    step_h, rain, runoff = curve(storm)
    centres = [math.fsum(i * rate for i, rate in enumerate(rates)) / math.fsum(rates) for rates in (rain, runoff)]
    assert (centres[1] - centres[0]) * step_h * 3600 == pytest.approx(3 * storm.storage_s, rel=0.05, abs=step_h * 3600)
    assert T0 + rain.index(max(rain)) * step_h * HOUR < Gauge(storm, 0.0, 1.0).peak_ms


def test_downstream_sees_the_same_wave_later() -> None:
    storm = Storm(T0, duration_s=7200, total_mm=140)
    up, down = Gauge(storm, 0.6, 3.4), Gauge(storm, 0.6, 3.4, travel_s=2400)
    assert down.peak_ms == up.peak_ms + 2_400_000
    assert [down.stage_m(t + 2_400_000) for t in range(T0, T0 + 8 * HOUR, HOUR // 4)] == [
        up.stage_m(t) for t in range(T0, T0 + 8 * HOUR, HOUR // 4)]


def test_the_seed_decides_and_nothing_else() -> None:
    moments = [T0 + i * 7 * MINUTE for i in range(60)]
    storm = Storm(T0, 7200, 140, seed=5)
    forward = [storm.runoff_mm_per_h(t) for t in moments]
    again = Storm(T0, 7200, 140, seed=5)
    assert [again.runoff_mm_per_h(t) for t in reversed(moments)] == forward[::-1]
    assert [Storm(T0, 7200, 140, seed=6).runoff_mm_per_h(t) for t in moments] != forward


def test_unit_hydrograph_against_numbers_worked_by_hand() -> None:
    # one block so short that it is a pulse: u(t) = t^2 e^(-t/k) / (2 k^3); at t = 2k that is 2 e^-2 / k
    storm = Storm(T0, duration_s=1, total_mm=10, block_s=1, storage_s=3600, runoff_fraction=1)
    assert storm.runoff_mm_per_h(T0 + 2 * HOUR) == pytest.approx(10 * 2 * math.exp(-2), rel=1e-3)
    assert storm.peak_ms == pytest.approx(T0 + 2 * HOUR, abs=2000)


def test_first_and_last_trickle_are_smooth() -> None:
    slow = Storm(T0, 60, 10, block_s=60, storage_s=1_000_000)
    first = [slow.runoff_mm_per_h(T0 + second * 1000) for second in range(1, 60)]
    assert all(0 < early < late for early, late in pairwise(first))
    fast = Storm(T0, 60, 10, block_s=60, storage_s=60)
    last = [fast.runoff_mm_per_h(T0 + minute * MINUTE) for minute in range(10, 60)]
    assert all(early > late > 0 for early, late in pairwise(last))


def test_rain_steps_add_up_to_the_storm() -> None:
    storm = Storm(T0, 7200, 140)
    times = [T0 - HOUR + i * 5 * MINUTE for i in range(60)]
    steps = rain_steps(storm, times)
    assert math.fsum(step or 0.0 for step in steps) == pytest.approx(140)
    assert steps[:13] == [0.0] * 13
    late = rain_steps(storm, [T0 + HOUR, T0 + 2 * HOUR])
    assert late[0] == storm.rain_total_mm(T0 + HOUR)


def test_puff_passes_when_the_wind_brings_it() -> None:
    plume = Plume(T0, distance_m=120, wind_mps=1.5, spread_m=40, ch4_peak_pct_lel=40, h2s_peak_ppm=12, co_peak_ppm=5)
    passes = T0 + 80_000
    assert (plume.ch4_pct_lel(passes), plume.h2s_ppm(passes), plume.co_ppm(passes)) == (40, 12, 5)
    assert plume.o2_pct_vol(passes) == pytest.approx(20.9 * 0.98)
    assert plume.share(passes - 30_000) == pytest.approx(plume.share(passes + 30_000))
    assert plume.share(T0) == 0
    assert plume.share(T0 + HOUR) < 1e-9


def test_tank_overfills_to_the_brim_and_no_further() -> None:
    tank = Filling(T0, start_level_m=6, brim_m=10, area_m2=80, inflow_m3_per_h=120)
    assert [tank.tank_level_m(T0 + h * HOUR) for h in (-1, 0, 1, 2, 3)] == [6, 6, 7.5, 9, 10]
    assert [tank.tank_pressure_kpa(T0 + h * HOUR) for h in (-1, 1, 3)] == [0, 0.5, 0]
    assert tank.tank_temp_c(T0) == 18


def test_sampled_columns() -> None:
    storm = Storm(T0, 7200, 140)
    record = sample("x", [T0, T0 + HOUR], {"stage_m": Gauge(storm, 0.0, 1.0).stage_m})
    assert record.t_ms == [T0, T0 + HOUR]
    assert record.columns["stage_m"] == [0.0, Gauge(storm, 0.0, 1.0).stage_m(T0 + HOUR)]


@pytest.mark.parametrize(("make", "problem"), [
    (lambda: Storm(T0, 0, 10), "duration_s: 0 is not allowed"),
    (lambda: Storm(T0, 60, -1), "total_mm: -1"),
    (lambda: Storm(T0, 60, 1, peak_at=1.5), "peak_at: 1.5"),
    (lambda: Storm(T0, 60, 1, runoff_fraction=float("nan")), "runoff_fraction: nan"),
    (lambda: Gauge(Storm(T0, 60, 1), 2.0, 1.0), r"peak_m: 1.0 .* base_m = 2.0"),
    (lambda: Gauge(Storm(T0, 60, 1), 1.0, 2.0, travel_s=-1), "travel_s: -1"),
    (lambda: Plume(T0, wind_mps=0), "wind_mps: 0"),
    (lambda: Filling(T0, area_m2=0), "area_m2: 0"),
])
def test_parameters_out_of_bounds(make: type, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        make()
