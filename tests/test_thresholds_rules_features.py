"""Rules of trends, CUSUM and coincidence, latches and authority: what they mean, and what is refused."""

from typing import Any

import pytest

from tests.rule_tables import BOTH, LEAK, RAINY, RISING, SOON, one, problems, read
from thresholds.rules import Feature, LevelRule
from tocsin.levels import Authority, Level, Stage


def test_a_slope_is_in_thousandths_an_hour_and_falls_at_half() -> None:
    rule = one(**RISING, blue=0.3, yellow={"on": 0.6, "off": 0.5})
    blue, yellow = rule.levels
    assert (rule.feature, rule.over_ms, rule.n_min, rule.robust, rule.sign) == (Feature.SLOPE, 1_800_000, 4, False, 1)
    assert (blue.on, blue.off, blue.n, blue.m, blue.off_delay_ms, yellow.off) == (300, 150, 2, 3, 900_000, 500)


def test_a_fall_is_negative() -> None:
    rule = one(name="a", quantity="tank_level_m", feature="rate", over_min=10, direction="low",
               blue=-0.5, yellow={"on": -1.0, "off_above": 0.2}, red={"on": -2.0, "off_fraction": 0.6})
    assert (rule.sign, rule.n_min) == (-1, 0)
    assert [(level.on, level.off) for level in rule.levels] == [(-500, -250), (-1000, -800), (-2000, -1200)]


def test_a_time_to_go_is_in_ms_and_falls_at_half_as_much_again() -> None:
    rule = one(**SOON, floor=1.4, robust=True, n_min=6, blue=60, yellow={"on": 30, "off": 40}, off_above=15)
    assert [(level.on, level.off) for level in rule.levels] == [(3_600_000, 4_500_000), (1_800_000, 2_400_000)]
    assert (rule.target, rule.floor, rule.robust, rule.n_min) == (3000, 1400, True, 6)
    assert one(**SOON, yellow=30.001).levels[0] == LevelRule(
        Level.YELLOW, 1_800_060, 2_700_090, 2, 3, 0, 900_000, 0, Stage.WATCH, Authority.AUTO)
    assert one(**SOON, yellow=30).floor is None


def test_a_cusum_has_sizes_whichever_side_is_bad() -> None:
    rule = one(**LEAK, reference=1.5, yellow=30, red=60)
    assert (rule.allowance, rule.reference, rule.over_ms) == (2000, 1500, 0)
    assert [(level.on, level.off, level.n, level.m) for level in rule.levels] == [
        (30_000, 15_000, 1, 1), (60_000, 30_000, 1, 1)]
    low = one(name="a", quantity="o2_pct_vol", feature="cusum", allowance=0.2, direction="low", yellow=5, red=9)
    assert (low.low, low.reference, [level.on for level in low.levels]) == (True, None, [5000, 9000])


def test_a_coincidence_takes_its_quantity_from_its_members() -> None:
    both = dict(BOTH, at="orange", yellow=1.5, weights={"gauge-b": 0.5, "gauge-a": 2})
    rule = read(both, RAINY)[0]
    assert (rule.quantity, rule.feature, rule.of, rule.at, rule.over_ms) == (
        "rain_mm", Feature.COINCIDENCE, "rain", Level.ORANGE, 1_800_000)
    assert rule.weights == (("gauge-a", 2000), ("gauge-b", 500))
    level, = rule.levels
    assert (level.on, level.off, level.n, level.m, level.off_delay_ms, level.stage) == (
        1500, 1500, 1, 1, 1_800_000, Stage.WATCH)
    assert read(RAINY, {**BOTH, "quantity": "rain_mm", "red": 2})[1].at is Level.YELLOW


def test_two_gauges_may_move_people_and_one_that_weighs_enough_may_not() -> None:
    red, = read(RAINY, {**BOTH, "red": 1.001})[1].levels
    assert (red.stage, red.authority) == (Stage.MOVE, Authority.AUTO)
    why = '"move" on authority "auto" is not allowed; use an on above {}, or authority red = "confirm"'
    assert problems(RAINY, {**BOTH, "red": 1}) == [
        f'r.toml: rule "a": red: on 1 is the weight of one gauge: {why.format(1)}']
    assert problems(RAINY, {**BOTH, "red": 2, "weights": {"gauge-a": 2.5}}) == [
        f'r.toml: rule "a": red: on 2 is the weight of one gauge: {why.format(2.5)}']
    assert read(RAINY, {**BOTH, "red": 1, "authority": {"red": "confirm"}})
    assert read(RAINY, {**BOTH, "red": 1, "stage": {"red": "prepare"}})


def test_gas_at_red_waits_for_a_person_unless_the_file_says_otherwise() -> None:
    def latched(**keys: Any) -> list[bool]:
        return [level.latch for level in one(**keys).levels]

    gas = {"name": "a", "quantity": "h2s_ppm"}
    assert latched(**gas, yellow=7, orange=10, red=14) == [False, False, True]
    assert latched(**LEAK, orange=30, red=60) == [False, True]
    assert latched(**gas, feature="rate", over_min=5, red=14) == [False]
    assert latched(name="a", quantity="stage_m", off_below=0.1, red=3) == [False]
    assert latched(**gas, latch=False, yellow={"on": 7, "latch": True}, red=14) == [True, False]
    assert latched(**gas, latch=True, yellow=7, red={"on": 14, "latch": False}) == [True, False]


def test_after_needs_the_time_in_which_a_person_may_object() -> None:
    stage = {"name": "a", "quantity": "stage_m", "off_below": 0.1, "orange": 2, "red": 3}
    rule = one(**stage, hold_s=300, authority={"red": "after"})
    assert [(level.authority, level.hold_ms) for level in rule.levels] == [
        (Authority.AUTO, 0), (Authority.AFTER, 300_000)]
    own = one(**{**stage, "red": {"on": 3, "hold_s": 60.5}}, authority={"red": "after"})
    assert own.levels[1].hold_ms == 60_500
    assert problems({**stage, "authority": {"red": "after"}}) == [
        'r.toml: rule "a": red: hold_s: is missing: authority "after" needs it; '
        "give the seconds in which a person may object"]
    assert problems({**stage, "hold_s": 5}) == [
        'r.toml: rule "a": hold_s: 5 is not allowed: no level has authority "after"']
    assert problems({**stage, "red": {"on": 3, "hold_s": 5}}) == [
        'r.toml: rule "a": red: hold_s: 5 is not allowed: it belongs to authority "after"; '
        'use authority red = "after", or leave it out']
    assert problems({**stage, "hold_s": 0, "authority": {"red": "after"}}) == [
        'r.toml: rule "a": hold_s: 0 is not allowed; use a number above 0 and up to 86400']


def test_a_trend_of_water_alone_gives_at_most_yellow() -> None:
    for keys, red in ((RISING, 2.0), (SOON, 10.0), ({**RISING, "feature": "rate", "quantity": "flow_m3s"}, 50.0)):
        assert problems({**keys, "red": red}) == [
            f'r.toml: rule "a": authority: red: "auto" is not allowed: a trend of {keys["quantity"]} alone gives at '
            'most yellow; use red = "confirm" or "after", or leave the level out']
        assert one(**keys, red=red, authority={"red": "confirm"}).levels[0].authority is Authority.CONFIRM
        assert one(**keys, red=red, hold_s=60, authority={"red": "after"}).levels[0].hold_ms == 60_000
    assert len(problems({**RISING, "orange": 1.0, "red": 2.0})) == 2
    assert one(name="a", quantity="displacement_mm", feature="slope", over_min=60, red=5).levels


def test_the_rain_of_one_gauge_does_not_move_people_after_a_time_either() -> None:
    rule = {**RAINY, "red": 80, "stage": {"red": "move"}, "authority": {"red": "after"}, "hold_s": 60}
    assert problems(rule) == [
        'r.toml: rule "rain": stage: red: "move" on authority "after" is not allowed for the rain of one gauge; '
        'use "prepare", or authority red = "confirm"']


@pytest.mark.parametrize(("rule", "problem"), [
    # keys that are missing, or of another feature
    ({"name": "a", "blue": 1}, "quantity: is missing; use rain_mm, "),
    ({**RISING, "feature": "speed", "blue": 1},
     'feature: "speed" is not allowed; use value, sum, rate, slope, time_to, cusum, coincidence'),
    ({**RISING, "feature": "sum", "blue": 1},
     'feature: "sum" is not allowed: stage_m is judged as it is; use value, rate, slope, time_to, cusum, coincidence'),
    ({**RAINY, "name": "a", "feature": "slope"},
     'feature: "slope" is not allowed: rain_mm is judged as a sum; use sum, coincidence'),
    ({"name": "a", "quantity": "stage_m", "feature": "slope", "blue": 1},
     "over_min: is missing; give minutes: 30 is a good start for readings each minute, 60 for one in five minutes"),
    ({**SOON, "target": None, "blue": 60}, "target: is missing; give the value that is waited for"),
    ({**LEAK, "allowance": None, "blue": 60},
     "allowance: is missing; give how far above the reference readings may lie on quiet days"),
    ({**RISING, "target": 3.0, "blue": 1},
     'target: 3 is not allowed with feature "slope"; leave it out, or use feature time_to'),
    ({**RISING, "feature": "rate", "n_min": 5, "blue": 1},
     'n_min: 5 is not allowed with feature "rate"; leave it out, or use feature slope, time_to'),
    ({**RISING, "feature": "rate", "robust": True, "blue": 1},
     'robust: true is not allowed with feature "rate"; leave it out, or use feature slope, time_to'),
    ({**LEAK, "over_min": 5, "blue": 1},
     'over_min: 5 is not allowed with feature "cusum"; leave it out, or use feature rate, slope, time_to, coincidence'),
    ({**RISING, "of": "a", "blue": 1},
     'of: "a" is not allowed with feature "slope"; leave it out, or use feature coincidence'),
    ({**RISING, "weights": {"a": 1}, "blue": 1},
     'weights: is not allowed with feature "slope"; leave it out, or use feature coincidence'),
    # numbers
    ({**RISING, "over_min": 0.51, "blue": 1}, "over_min: 0.51 is not allowed; use a window of whole seconds"),
    ({**RISING, "n_min": 2, "blue": 1}, "n_min: 2 is not allowed; use a whole number of at least 3 and up to 1000"),
    ({**RISING, "blue": 0}, "blue: on: 0 is not allowed: nothing at all would reach it; use a number above 0"),
    ({**RISING, "blue": -1}, "blue: on: -1 is not allowed: nothing at all would reach it; use a number above 0"),
    ({**RISING, "direction": "low", "blue": 1},
     "blue: on: 1 is not allowed: nothing at all would reach it; use a number below 0: a fall is negative"),
    ({**RISING, "blue": {"on": 1, "off": 0}}, "blue: off: off 0 would never let the level fall; use a number above 0"),
    ({**RISING, "direction": "low", "blue": {"on": -1, "off": 0.5}},
     "blue: off: off 0.5 would never let the level fall; use a number below 0"),
    ({**RISING, "blue": 0.001}, "blue: off: off 0 would never let the level fall; use a number above 0"),
    ({**RISING, "blue": {"on": 1, "off": 1.5}}, "blue: off: off 1.5 is on the wrong side of on 1; use at most 1"),
    ({**RAINY, "name": "a", "yellow": 0},
     "yellow: on: 0 is not allowed: nothing at all would reach it; use a number above 0"),
    ({**RAINY, "name": "a", "off_below": 45},
     "yellow: off_below: off 0 would never let the level fall; use a number above 0"),
    ({**LEAK, "blue": -3}, "blue: on: -3 is not allowed: nothing at all would reach it; use a number above 0"),
    ({**LEAK, "allowance": 0, "blue": 3}, "allowance: 0 is not allowed; use a number above 0"),
    ({**LEAK, "allowance": 0.0001, "blue": 3},
     "allowance: 0.0001 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**SOON, "target": 1e13, "blue": 3},
     "target: 10000000000000.0 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    # time to go: horizons fall from blue to red, off lies beyond them, the floor before the target
    ({**SOON, "blue": 0}, "blue: on: 0 is not allowed: nothing at all would reach it; use minutes above 0"),
    ({**SOON, "blue": 10081}, "blue: on: 10081 is not allowed; use minutes above 0 and up to 10080"),
    ({**SOON, "blue": {"on": 30, "off": 100}, "yellow": 60},
     'yellow: on 60 is not below blue\'s 30; with feature "time_to" levels fall from blue to red'),
    ({**SOON, "blue": {"on": 30, "off": 20}}, "blue: off: off 20 is on the wrong side of on 30; use at least 30"),
    ({**SOON, "off_below": 5, "blue": 30}, 'blue: off_below: 5 is not allowed with feature "time_to"; use off_above'),
    ({**SOON, "off_fraction": 0.5, "blue": 30},
     'blue: off_fraction: 0.5 is not allowed with feature "time_to"; use off_above'),
    # sums on either side: a CUSUM of direction "low" still rises
    ({**LEAK, "direction": "low", "off_above": 1, "blue": 3},
     'blue: off_above: 1 is not allowed with feature "cusum"; use off_below'),
    ({**LEAK, "direction": "low", "blue": {"on": 3, "off": 1}, "yellow": {"on": 2, "off": 1}},
     'yellow: on 2 is not above blue\'s 3; with feature "cusum" levels rise from blue to red'),
    ({**SOON, "floor": 3.0, "blue": 30}, "floor: 3 is on the wrong side of target 3; use a number below it"),
    ({**SOON, "direction": "low", "floor": 2.0, "blue": 30},
     "floor: 2 is on the wrong side of target 3; use a number above it"),
])
def test_a_wrong_rule_is_refused(rule: dict[str, Any], problem: str) -> None:
    found = problems({key: value for key, value in rule.items() if value is not None})
    assert any(one.startswith(f'r.toml: rule "a": {problem}') for one in found), found
    assert len(found) == 1


@pytest.mark.parametrize(("rule", "problem"), [
    ({"of": None}, 'of: is missing; give the name of the rule whose devices count: use "rain"'),
    ({"of": "rian"}, 'of: "rian" is not a rule of this file; use "rain"'),
    ({"of": "a"}, 'of: "a" is a coincidence itself; use "rain"'),
    ({"quantity": "stage_m"}, 'quantity: "stage_m" is not that of rule "rain"; use "rain_mm", or leave it out'),
    ({"over_min": None}, "over_min: is missing; give minutes"),
    ({"at": "red"}, 'at: "red" is above every level of rule "rain"; use yellow, orange'),
    ({"at": "pink"}, 'at: "pink" is not allowed; use blue, yellow, orange, red'),
    ({"device": "gauge-a"}, 'device: "gauge-a" is not allowed: it belongs to rule "rain"'),
    ({"datum": "sea"}, 'datum: "sea" is not allowed: it belongs to rule "rain"'),
    ({"direction": "high"}, 'direction: "high" is not allowed: it belongs to rule "rain"'),
    ({"weights": {"gauge-a": 0}}, "weights: gauge-a: 0 is not allowed; use a number above 0 and up to 1000"),
    ({"weights": {"gauge-a": 0.0001}}, "weights: gauge-a: 0.0001 is not allowed; use a number with at most 3 decimals"),
    ({"orange": 0}, "orange: on: 0 is not allowed: nothing at all would reach it; use a number above 0"),
])
def test_a_wrong_coincidence_is_refused(rule: dict[str, Any], problem: str) -> None:
    whole = {**BOTH, "orange": 2, **rule}
    found = problems(RAINY, {key: value for key, value in whole.items() if value is not None})
    assert [line for line in found if line.startswith(f'r.toml: rule "a": {problem}')] == found
    assert len(found) == 1


def test_the_default_at_must_be_reachable_too() -> None:
    blue = {"name": "rain", "quantity": "rain_mm", "over_min": 60, "blue": 45.0}
    assert problems(blue, {**BOTH, "orange": 2}) == [
        'r.toml: rule "a": at: is not given, and the default "yellow" is above every level of rule "rain"; use blue']
