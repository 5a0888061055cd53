"""Rules and checks against the series of a station: what fits, what it becomes, and what is refused."""

from dataclasses import replace
from typing import Any

import pytest

from tests.rule_tables import BOTH, GAS, GAUGES, LEAK, RAINY, RISING, SOON, STAGE, plan_of, problems, unfit
from thresholds.binding import fitting_checks
from thresholds.bounds import FULL, slot_ms, time_unit_ms
from thresholds.rule import HOUR_MS, Check
from thresholds.rules import bind, cards, rules_of
from thresholds.series import Series
from tocsin.config import ConfigError


@pytest.mark.parametrize(("series", "rules", "problem"), [
    ([STAGE], [{**RISING, "over_min": 3, "blue": 1}],
     "over_min: 3 is shorter than 4 periods of radar/stage_m; use at least 4"),
    ([STAGE], [{**RISING, "feature": "rate", "over_min": 1, "blue": 1}],
     "over_min: 1 is shorter than 2 periods of radar/stage_m; use at least 2"),
    ([STAGE], [{**SOON, "target": 9.5, "blue": 30}],
     "target: 9.5 can never be read: radar/stage_m is plausible from 0 to 9"),
    ([STAGE], [{**SOON, "floor": -1, "blue": 30}],
     "floor: -1 can never be read: radar/stage_m is plausible from 0 to 9"),
    ([STAGE], [{**RISING, "feature": "rate", "blue": 36.001}],
     "blue: on 36.001 an hour can never be reached in 30 min: radar/stage_m is plausible from 0 to 9"),
    ([STAGE], [{"name": "a", "quantity": "stage_m", "blue": {"on": 1, "off": 0}}],
     "blue: off 0 can never be passed, so that the level never falls: radar/stage_m is plausible from 0 to 9"),
    ([STAGE], [{"name": "a", "quantity": "stage_m", "direction": "low", "blue": {"on": 8, "off": 9}}],
     "blue: off 9 can never be passed, so that the level never falls: radar/stage_m is plausible from 0 to 9"),
    ([STAGE], [{**SOON, "over_min": 1440, "blue": 30}],
     "over_min: 1440 min of radar/stage_m can overflow; use a shorter window, a longer period, or a plausible range "
     "narrower than 0 to 9"),
    ([GAUGES[0]], [{**RAINY, "name": "a", "orange": 12_200.001}],
     "orange: on 12200 can never be reached: gauge-a/rain_mm is plausible from 0 to 100 in one reading, "
     "12200 in 60 min"),
    ([GAS], [{**LEAK, "allowance": 100, "blue": 3}],
     "allowance: 100 is never passed: nose/ch4_pct_lel is plausible from 0 to 100"),
    ([replace(GAS, period_ms=1_500_000)], [{**LEAK, "blue": 3}],
     "reference: is missing; nose/ch4_pct_lel is read every 25 min, and a reference of its own takes 60 readings a "
     "day: give a number"),
    ([GAS], [{**LEAK, "reference": 101, "blue": 3}],
     "reference: 101 can never be read: nose/ch4_pct_lel is plausible from 0 to 100"),
    ([GAS], [{**LEAK, "reference": 98, "blue": 3}],
     "allowance: 2 beyond the reference 98 is never passed: nose/ch4_pct_lel is plausible from 0 to 100"),
    ([GAS], [{**LEAK, "reference": 2, "direction": "low", "blue": 3}],
     "allowance: 2 beyond the reference 2 is never passed: nose/ch4_pct_lel is plausible from 0 to 100"),
    (GAUGES[:1], [RAINY, {**BOTH, "orange": 2}],
     'of: rule "rain" judges 1 series here; a coincidence needs at least 2'),
    (GAUGES, [RAINY, {**BOTH, "orange": 3.5}],
     "orange: on 3.5 can never be reached: all members together weigh 3"),
    (GAUGES, [RAINY, {**BOTH, "orange": 3, "weights": {"gauge-d": 2}}],
     'weights: "gauge-d" is not a member of this group; use gauge-a, gauge-b, gauge-c'),
    ([GAUGES[0], Series("gauge-a/rain_total_mm", "rain_total_mm", 60_000, (0.0, 1e6))], [RAINY, {**BOTH, "orange": 2}],
     'of: rule "rain" judges two series of "gauge-a", which would count twice; give that rule a device for each place, '
     "or take one of them out of the station"),
])
def test_rules_that_do_not_fit_the_station_are_refused(
    series: list[Series], rules: list[dict[str, Any]], problem: str
) -> None:
    assert unfit(series, *rules) == [f'r.toml: rule "a": {problem}']


def test_a_coincidence_is_bound_to_the_tracks_of_its_members_and_stands_behind_them() -> None:
    plan = plan_of([STAGE, *GAUGES], {**BOTH, "orange": 2, "weights": {"gauge-b": 1.5}}, RAINY,
                   {"name": "stage", "quantity": "stage_m", "off_below": 0.1, "red": 3})
    group, = plan.groups
    assert [(plan.tracks[index].series.key, weight) for index, weight in group.members] == [
        ("gauge-a/rain_mm", 1000), ("gauge-b/rain_mm", 1500), ("gauge-c/rain_mm", 1000)]
    assert [track.rule.name for track in plan.tracks] == ["rain", "rain", "rain", "stage", "a"]
    assert plan.tracks[-1].series == plan.all_series[plan.tracks[-1].series_index] == group.series
    assert (group.series.key, group.series.plausible, group.series.period_ms) == ("coincidence/a", (0.0, 3.5), 60_000)


def test_a_time_to_go_needs_shorter_windows_than_a_slope() -> None:
    assert plan_of([STAGE], {**RISING, "over_min": 720, "blue": 1}).tracks
    found, = unfit([STAGE], {**SOON, "over_min": 720, "blue": 30})
    assert found.startswith('r.toml: rule "a": over_min: 720 min of radar/stage_m can overflow; ')


def test_the_largest_numbers_of_a_slope_stay_inside_64_bits() -> None:
    """A window and range that the loader just lets pass, with the worst readings: half of them low, then half high."""
    wide = Series("radar/stage_m", "stage_m", 60_000, (0.0, 8.0))
    rule = plan_of([wide], {**SOON, "over_min": 360, "blue": 30}).rules.rules[0]
    with pytest.raises(ConfigError):
        plan_of([Series("radar/stage_m", "stage_m", 60_000, (0.0, 100_000.0))], {**SOON, "over_min": 360, "blue": 30})
    unit, slot = time_unit_ms(rule.over_ms), slot_ms(wide)
    times = [number * slot // unit for number in range(rule.over_ms // slot + 1)]
    values = [0 if number < len(times) / 2 else 8000 for number in range(len(times))]
    n = len(times)
    num = n * sum(u * x for u, x in zip(times, values, strict=True)) - sum(times) * sum(values)
    den = n * sum(u * u for u in times) - sum(times) ** 2
    assert 0 < num * (HOUR_MS // unit) < FULL
    assert 0 < 8000 * den < FULL


def test_the_cards_tell_minutes_to_go_and_the_target() -> None:
    card, = cards(plan_of([STAGE], {**SOON, "blue": 60, "yellow": 30}))
    assert (card.feature, card.target, card.over_s) == ("time_to", 3.0, 1800)
    assert card.levels == {"blue": 60.0, "yellow": 30.0}
    card, = cards(plan_of([GAS], {**LEAK, "red": 60}))
    assert (card.feature, card.target, card.levels) == ("cusum", None, {"red": 60.0})


# --- checks ---------------------------------------------------------------------------------------------------------

PLAIN = {"name": "stage", "quantity": "stage_m", "off_below": 0.1, "red": 3}


def checked(series: Series, *checks: dict[str, Any]) -> Check:
    rule = RAINY if series.summed else PLAIN
    check, = plan_of([series], rule, check=list(checks)).checks
    return check


def test_rain_is_checked_unless_it_is_turned_off_and_a_stage_only_where_the_site_gives_a_number() -> None:
    rain, five = GAUGES[0], Series("gauge-a/rain_total_mm", "rain_total_mm", 300_000, (0.0, 1e6))
    assert checked(rain) == Check("rain_mm", rate_per_min=10_000, floor=10_000)
    assert checked(five) == Check("rain_mm", rate_per_min=10_000, floor=50_000)
    assert checked(rain, {"quantity": "rain_mm", "blocked_mm": 20}) == Check(
        "rain_mm", rate_per_min=10_000, floor=10_000, blocked=20_000)
    assert checked(rain, {"quantity": "rain_mm", "max_rate_per_min": 4, "spike_floor": 6}) == Check(
        "rain_mm", rate_per_min=4000, floor=6000)
    off = checked(rain, {"quantity": "rain_mm", "max_rate_per_min": 0})
    assert (off.rate_per_min, off.floor) == (0, 0)
    assert checked(STAGE) == Check("stage_m")
    assert checked(STAGE, {"quantity": "stage_m", "max_rate_per_min": 0.1}) == Check("stage_m", rate_per_min=100)
    assert checked(STAGE, {"quantity": "stage_m", "spike_floor": 0.2, "stuck_after_h": 1.5, "stale_after_min": 10}) == (
        Check("stage_m", floor=200, stuck_ms=5_400_000, stale_ms=600_000))


def test_the_check_of_a_device_wins_and_a_check_needs_no_rule() -> None:
    own = {"quantity": "stage_m", "device": "radar", "max_rate_per_min": 0.1}
    every = {"quantity": "stage_m", "max_rate_per_min": 0.5}
    for order in ([own, every], [every, own]):
        plan = plan_of([STAGE, Series("weir/stage_m", "stage_m", 60_000, (0, 9)), GAS], PLAIN,
                       check=[*order, {"quantity": "ch4_pct_lel", "stuck_after_h": 24}, {"quantity": "co_ppm"}])
        assert [check.rate_per_min for check in plan.checks] == [100, 500, 0]
        assert plan.checks[2].stuck_ms == 86_400_000


def test_checks_are_part_of_what_the_rules_are() -> None:
    def hashed(*checks: dict[str, Any]) -> str:
        return rules_of({"rule": [RAINY], "check": list(checks)}, "x").hash

    assert hashed({"quantity": "rain_mm"}) == hashed({"quantity": "rain_mm", "max_rate_per_min": 10.0})
    assert len({hashed(), hashed({"quantity": "rain_mm"}), hashed({"quantity": "rain_mm", "max_rate_per_min": 9})}) == 3


@pytest.mark.parametrize(("checks", "problem"), [
    ([{"quantity": "rain"}], 'check 1: quantity: "rain" is not a quantity; use rain_mm, '),
    ([{"quantity": "rain_total_mm"}], 'check 1: quantity: "rain_total_mm" is checked as "rain_mm"; use that'),
    ([{"quantity": "stage_m"}, {"quantity": "stage_m", "device": ""}],
     'check 2: quantity: "stage_m" has a check already; keep one of them'),
    ([{"quantity": "stage_m", "device": "a"}, {"quantity": "stage_m"}, {"quantity": "stage_m", "device": "a"}],
     'check 3: quantity: "stage_m" of device "a" has a check already; keep one of them'),
    ([{"quantity": "stage_m", "blocked_mm": 20}], "check 1: blocked_mm: 20 is not allowed: it belongs to rain_mm"),
    ([{"quantity": "stage_m", "spike_floor": 0.0001}],
     "check 1: spike_floor: 0.0001 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ([{"quantity": "stage_m", "max_rate_per_min": 1e7}],
     "check 1: max_rate_per_min: 10000000.0 is not allowed; use a number of at least 0 and up to 1000000.0"),
    ([{"quantity": "stage_m", "stale_after_min": 0}],
     "check 1: stale_after_min: 0 is not allowed; use a number above 0 and up to 44640"),
    ([{"quantity": "stage_m", "max_rate": 1}], 'check 1: "max_rate" is not a key; did you mean "max_rate_per_min"?'),
])
def test_a_wrong_check_is_refused(checks: list[dict[str, Any]], problem: str) -> None:
    found, = problems(PLAIN, check=checks)
    assert found.startswith(f"r.toml: {problem}")


@pytest.mark.parametrize(("check", "problem"), [
    ({"device": "rader"}, 'of rader: device: "rader" gives no stage_m here; use radar'),
    ({"stale_after_min": 0.5}, ": stale_after_min: 0.5 is shorter than the period of radar/stage_m; use at least 1"),
])
def test_a_check_that_does_not_fit_is_refused_and_left_out_of_a_history(check: dict[str, Any], problem: str) -> None:
    keys = {"quantity": "stage_m", **check}
    assert unfit([STAGE], PLAIN, check=[keys]) == [f"r.toml: check of stage_m {problem}".replace(" :", ":")]
    good = {"quantity": "ch4_pct_lel", "spike_floor": 5}
    rules = rules_of({"rule": [PLAIN], "check": [keys, good]}, "r.toml")
    fitting, left_out = fitting_checks(rules, [STAGE, GAS])
    assert fitting.checks == (Check("ch4_pct_lel", floor=5000),)
    assert left_out == [f"r.toml: check of stage_m {problem}".replace(" :", ":")]
    assert bind(fitting, [STAGE, GAS]).checks[1].floor == 5000


def test_a_rate_that_allows_no_change_at_all_is_refused() -> None:
    fast = Series("radar/stage_m", "stage_m", 1000, (0.0, 9.0))
    assert unfit([fast], PLAIN, check=[{"quantity": "stage_m", "max_rate_per_min": 0.059}]) == [
        "r.toml: check of stage_m: max_rate_per_min: 0.059 allows radar/stage_m no change from reading to reading; "
        "give spike_floor"]
    assert checked(fast, {"quantity": "stage_m", "max_rate_per_min": 0.06}).rate_per_min == 60
