"""What a rules file means, and what is refused with which words."""

from pathlib import Path
from typing import Any

import pytest

from tests.rule_tables import one, problems
from thresholds.check import check
from thresholds.rules import Rules, bind, cards, load_rules, rules_of
from thresholds.series import Series
from tocsin.config import ConfigError
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.messages import RuleCard
from tocsin.quantities import QUANTITIES

STAGE = Series("radar/stage_m", "stage_m", 60_000, (0.0, 9.0))
RAIN = Series("gauge/rain_total_mm", "rain_total_mm", 60_000, (0.0, 100_000.0))
TRAY = Series("tray/rain_mm", "rain_mm", 60_000, (0.0, 100.0))
RAINY = {"name": "a", "quantity": "rain_mm", "over_min": 60}
STAGED = {"name": "a", "quantity": "stage_m", "off_below": 0.1}
GASSY = {"name": "a", "quantity": "h2s_ppm"}
AIRY = {"name": "a", "quantity": "o2_pct_vol", "direction": "low", "red": 18.0}


def test_the_defaults_of_rain() -> None:
    rule = one(**RAINY, blue=35.0, red=80)
    blue, red = rule.levels
    assert (rule.over_ms, rule.over_s, rule.low, rule.hazard) == (3_600_000, 3600, False, Hazard.FLOOD)
    assert (blue.on, blue.off, blue.n, blue.m, blue.on_delay_ms, blue.off_delay_ms, blue.min_valid) == (
        35_000, 28_000, 1, 1, 0, 1_800_000, 800)
    assert [(level.stage, level.authority) for level in (blue, red)] == [
        (Stage.WATCH, Authority.AUTO), (Stage.PREPARE, Authority.AUTO)]


def test_the_defaults_of_stage_gas_and_tank() -> None:
    for rule, n, m, off, minutes in (
        (one(**STAGED, yellow=2.0, red=3.0), 2, 3, 1900, 15),
        (one(**GASSY, yellow=10.0, red=20.0), 3, 5, 8000, 10),
        (one(name="a", quantity="tank_level_m", off_below=0.1, yellow=9.0, red=9.5), 2, 3, 8900, 5),
    ):
        yellow, red = rule.levels
        assert (yellow.n, yellow.m, yellow.off, yellow.min_valid) == (n, m, off, 0)
        assert yellow.off_delay_ms == minutes * 60_000
        assert (yellow.stage, red.stage) == (Stage.WATCH, Stage.MOVE)
    orange, = one(**STAGED, orange=2.0).levels
    assert orange.stage is Stage.PREPARE


def test_a_level_s_own_table_wins_over_the_rule_and_the_rule_over_the_default() -> None:
    rule = one(**STAGED, n=3, m=4, off_delay_min=1, on_delay_s=30, yellow=2.0,
               red={"on": 3.0, "off": 2.5, "n": 1, "m": 1, "off_delay_min": 0, "on_delay_s": 0.5},
               stage={"yellow": "prepare"}, authority={"red": "confirm"})
    yellow, red = rule.levels
    assert (yellow.n, yellow.m, yellow.off_delay_ms, yellow.on_delay_ms, yellow.off) == (3, 4, 60_000, 30_000, 1900)
    assert (red.n, red.m, red.off_delay_ms, red.on_delay_ms, red.off) == (1, 1, 0, 500, 2500)
    assert (yellow.stage, yellow.authority, red.stage, red.authority) == (
        Stage.PREPARE, Authority.AUTO, Stage.MOVE, Authority.CONFIRM)
    assert rule.at_level(Level.RED) == red
    assert rule.at_level(Level.BLUE) is None


def test_off_in_every_way() -> None:
    assert [level.off for level in one(**RAINY, off_fraction=0.5, blue=35, red={"on": 80, "off_below": 5}).levels] == [
        17_500, 75_000]
    assert one(**AIRY, off_above=0.5).levels[0].off == 18_500
    assert one(**RAINY, blue=0.005, off_fraction=0.5).levels[0].off == 2       # half to even
    assert one(**RAINY, blue=35, off_fraction=1).levels[0].off == 35_000


@pytest.mark.parametrize(("rule", "problem"), [
    ({**RAINY, "blue": 1, "ornage": 2}, '"ornage" is not a key; did you mean "orange"?'),
    ({**RAINY, "blue": {"on": 1, "of": 1}}, 'blue: "of" is not a key; did you mean "off"?'),
    ({**RAINY, "blue": {"off": 1}}, 'blue: key "on" is missing; give a number'),
    ({**RAINY, "blue": "35"}, 'blue: "35" is not allowed; use a number or a table'),
    ({**RAINY, "blue": True}, "blue: true is not allowed; use a number or a table"),
    ({**RAINY, "blue": float("nan")},
     "blue: on: nan is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**RAINY, "blue": float("inf")},
     "blue: on: inf is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**RAINY, "blue": 1e13},
     "blue: on: 10000000000000.0 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**RAINY, "blue": 0.1234},
     "blue: on: 0.1234 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**RAINY, "quantity": "rain", "blue": 1}, f'quantity: "rain" is not a quantity; use {", ".join(QUANTITIES)}'),
    ({**RAINY, "quantity": "rain_total_mm", "blue": 1},
     'quantity: "rain_total_mm" only ever rises; use "rain_mm" with over_min'),
    ({"name": "a", "quantity": "rain_mm", "blue": 1}, "over_min: is missing; rain_mm is judged as a sum, give minutes"),
    ({**STAGED, "over_min": 60, "blue": 1},
     'over_min: 60 is not allowed with feature "value"; '
     "leave it out, or use feature rate, slope, time_to, coincidence"),
    ({**RAINY, "over_min": 90.5, "blue": 1}, "over_min: 90.5 is not allowed; use whole minutes above 60"),
    ({**RAINY, "over_min": 0.51, "blue": 1}, "over_min: 0.51 is not allowed; use a window of whole seconds"),
    ({**RAINY, "over_min": 1441, "blue": 1}, "over_min: 1441 is not allowed; use a number above 0 and up to 1440"),
    ({**STAGED, "blue": 1, "min_valid": 0.5}, 'min_valid: 0.5 is not allowed with feature "value"; leave it out'),
    ({**STAGED, "blue": {"on": 1, "min_valid": 0.5}},
     'blue: min_valid: 0.5 is not allowed with feature "value"; leave it out'),
    ({**RAINY}, "levels: none is given; give at least one of blue, yellow, orange, red"),
    ({**RAINY, "direction": "low", "blue": {"on": 1, "off": 2}},
     'direction: "low" is not allowed for a sum; use "high"'),
    ({"name": "a", "quantity": "o2_pct_vol", "red": 18.0},
     'direction: is missing; say whether "high" or "low" o2_pct_vol is the bad side'),
    ({**STAGED, "direction": "up", "blue": 1}, 'direction: "up" is not allowed; use high, low'),
    ({**STAGED, "blue": 1, "n": 2, "m": 4}, "blue: n 2 of m 4 is not allowed; use an n of 3 to 4"),
    ({**STAGED, "blue": 1, "m": 5}, "blue: n 2 of m 5 is not allowed; use an n of 3 to 5"),
    ({**STAGED, "blue": 1, "n": 4}, "blue: n 4 of m 3 is not allowed; use an n of 2 to 3"),
    ({**STAGED, "blue": 1, "m": 17}, "m: 17 is not allowed; use a whole number of at least 1 and up to 16"),
    ({**STAGED, "blue": 1, "n": 1.5}, "n: 1.5 is not allowed; use a whole number of at least 1 and up to 16"),
    ({"name": "a", "quantity": "stage_m", "red": 3.0},
     "red: off: is not given; give one of off, off_below, off_fraction"),
    ({**AIRY}, "red: off: is not given; give one of off, off_above"),
    ({**STAGED, "off_fraction": 0.9, "red": 3.0},
     "red: off: off_fraction and off_below are given; give one of off, off_below, off_fraction"),
    ({**AIRY, "off_below": 0.5}, 'red: off_below: 0.5 is not allowed with direction "low"; use off_above'),
    ({**AIRY, "off_fraction": 0.5}, 'red: off_fraction: 0.5 is not allowed with direction "low"; use off_above'),
    ({**GASSY, "off_above": 1, "red": 3.0}, 'red: off_above: 1 is not allowed with direction "high"; use off_below'),
    ({**STAGED, "red": {"on": 3.0, "off": 3.5}}, "red: off: off 3.5 is on the wrong side of on 3; use at most 3"),
    ({**AIRY, "red": {"on": 18.0, "off": 17.5}}, "red: off: off 17.5 is on the wrong side of on 18; use at least 18"),
    ({"name": "a", "quantity": "tank_temp_c", "off_fraction": 0.8, "red": -10.0},
     "red: off_fraction: off -8 is on the wrong side of on -10; use at most -10"),
    ({**STAGED, "off_below": 0.0001, "red": 3.0},
     "red: off_below: 0.0001 is not allowed; use a number with at most 3 decimals, within ±9007199254740"),
    ({**STAGED, "yellow": 2.5, "orange": 2.0},
     'orange: on 2 is not above yellow\'s 2.5; with direction "high" levels rise from blue to red'),
    ({**STAGED, "yellow": 2.5, "red": 2.5},
     'red: on 2.5 is not above yellow\'s 2.5; with direction "high" levels rise from blue to red'),
    ({**STAGED, "yellow": 2.0, "orange": {"on": 2.5, "off": 1.0}},
     'orange: off 1 is not above yellow\'s 1.9; with direction "high" levels rise from blue to red'),
    ({**AIRY, "off_above": 0.5, "yellow": 17.0},
     'red: on 18 is not below yellow\'s 17; with direction "low" levels fall from blue to red'),
    ({**STAGED, "blue": 1, "stage": {"red": "move"}}, 'stage: red: "move" is not allowed: the rule has no red'),
    ({**STAGED, "blue": 1, "authority": {"red": "auto"}}, 'authority: red: "auto" is not allowed: the rule has no red'),
    ({**STAGED, "blue": 1, "stage": {"blue": "run"}}, 'stage: blue: "run" is not allowed; use watch, prepare, move'),
    ({**RAINY, "red": 80, "stage": {"red": "move"}},
     'stage: red: "move" on authority "auto" is not allowed for the rain of one gauge; '
     'use "prepare", or authority red = "confirm"'),
])
def test_a_wrong_rule_is_refused_with_key_value_and_what_is_allowed(rule: dict[str, Any], problem: str) -> None:
    assert f'r.toml: rule "a": {problem}' in problems(rule)


def test_every_problem_is_told_at_once() -> None:
    assert problems({**RAINY, "blue": 2, "red": 1, "stage": {"red": "move"}}, {**RAINY, "blue": 1}) == [
        'r.toml: rule "a": stage: red: "move" on authority "auto" is not allowed for the rain of one gauge; '
        'use "prepare", or authority red = "confirm"',
        'r.toml: rule "a": red: on 1 is not above blue\'s 2; with direction "high" levels rise from blue to red',
        'r.toml: rule "a": red: off 0.8 is not above blue\'s 1.6; with direction "high" levels rise from blue to red',
        'r.toml: rule "a": name: "a" is already taken; use another',
    ]


def test_rain_may_move_people_where_a_person_confirms() -> None:
    red, = one(**RAINY, red=80, stage={"red": "move"}, authority={"red": "confirm"}).levels
    assert (red.stage, red.authority) == (Stage.MOVE, Authority.CONFIRM)


def test_the_hash_is_of_what_the_rules_mean() -> None:
    def hashed(**keys: Any) -> str:
        return rules_of({"rule": [{**RAINY, "blue": 35, **keys}]}, "x").hash

    assert hashed() == hashed(blue=35.0, off_fraction=0.8, off_delay_min=30.0) == hashed(blue={"on": 35, "off": 28})
    assert len({hashed(), hashed(off_delay_min=31), hashed(blue=36), hashed(name="b"), hashed(device="d")}) == 5
    assert len(hashed()) == 32


def bound(rule: dict[str, Any], *series: Series) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        bind(rules_of({"rule": [rule]}, "r.toml"), series)
    return caught.value.problems


FAST = Series("gauge/rain_mm", "rain_mm", 1, (0.0, 9e11))
SLOW = Series("gauge/rain_total_mm", "rain_total_mm", 300_000, (0.0, 1e6))
ABOVE_SEA = Series("radar/stage_m", "stage_m", 60_000, (0.0, 9.0), "sea")


@pytest.mark.parametrize(("rule", "series", "problem"), [
    ({**RAINY, "blue": 1}, [STAGE], 'rule "a": quantity: no device here gives "rain_mm"; use stage_m'),
    ({**RAINY, "blue": 1}, [],
     'rule "a": quantity: no device here gives "rain_mm"; the station has no series'),
    ({**RAINY, "blue": 1, "device": "guage"}, [RAIN, TRAY],
     'rule "a": device: "guage" gives no rain_mm here; use gauge, tray'),
    ({**STAGED, "blue": 1}, [ABOVE_SEA], 'rule "a": datum: is missing for radar/stage_m; use "sea"'),
    ({**STAGED, "blue": 1, "datum": "gauge zero"}, [ABOVE_SEA],
     'rule "a": datum: "gauge zero" is not the datum of radar/stage_m; use "sea"'),
    ({**RAINY, "over_min": 2, "blue": 1}, [SLOW],
     'rule "a": over_min: 2 is shorter than the period of gauge/rain_total_mm; use at least 5'),
    ({**RAINY, "over_min": 1440, "blue": 1}, [FAST],
     'rule "a": over_min: 1440 min of gauge/rain_mm can overflow; use a shorter window, a longer period, '
     "or a plausible range narrower than 0 to 9e+11"),
    ({**STAGED, "blue": 9.5}, [STAGE],
     'rule "a": blue: on 9.5 can never be read: radar/stage_m is plausible from 0 to 9'),
    ({**STAGED, "blue": 1}, [STAGE, STAGE], "series radar/stage_m: is there twice; use one name a device"),
    ({**STAGED, "blue": 1}, [Series("x/y", "y", 1, (0, 1))],
     f'series x/y: "y" is not a quantity; use {", ".join(QUANTITIES)}'),
    ({**STAGED, "blue": 1}, [Series("x/stage_m", "stage_m", 0, (0, 1))],
     "series x/stage_m: period_ms 0 is not allowed; use a number above 0"),
    ({**STAGED, "blue": 1}, [Series("x/stage_m", "stage_m", 1, (2, 1))],
     "series x/stage_m: plausible 2 to 1 is not allowed; use low and high within ±9007199254740"),
    ({**STAGED, "blue": 1}, [Series("x/stage_m", "stage_m", 1, (0, float("nan")))],
     "series x/stage_m: plausible 0 to nan is not allowed; use low and high within ±9007199254740"),
])
def test_rules_that_do_not_fit_the_station_are_refused(
    rule: dict[str, Any], series: list[Series], problem: str
) -> None:
    assert bound(rule, *series) == [f"r.toml: {problem}"]


def test_a_rule_binds_to_gauges_and_counters_and_its_cards_say_so() -> None:
    rules = rules_of({"rule": [{**RAINY, "blue": 35, "red": 80}, {**STAGED, "name": "b", "red": 3.0}]}, "x")
    plan = bind(rules, [TRAY, STAGE, RAIN])
    assert [(track.rule.name, track.series_index, track.series.key) for track in plan.tracks] == [
        ("a", 0, "tray/rain_mm"), ("a", 2, "gauge/rain_total_mm"), ("b", 1, "radar/stage_m")]
    assert cards(plan)[1:] == [
        RuleCard("a", "gauge/rain_total_mm", "rain_mm", Hazard.FLOOD, {"blue": 35.0, "red": 80.0}, 3600,
                 feature="sum"),
        RuleCard("b", "radar/stage_m", "stage_m", Hazard.FLOOD, {"red": 3.0})]
    assert (RAIN.counter, TRAY.counter, STAGE.counter) == (True, False, False)
    only = bind(rules_of({"rule": [{**RAINY, "blue": 35, "device": "tray"}]}, "x"), [TRAY, STAGE, RAIN])
    assert [track.series.key for track in only.tracks] == ["tray/rain_mm"]
    assert plan.hash != bind(rules, [TRAY, STAGE, Series(RAIN.key, RAIN.quantity, 30_000, RAIN.plausible)]).hash


def test_a_file_is_read_and_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text('[[rule]]\nname = "a"\nquantity = "rain_mm"\nover_min = 60\nblue = 35\n', encoding="utf-8")
    bad.write_text('[[rule]]\nname = "a"\nquantity = "rain_mm"\nover_min = 60\nblue = "35"\n', encoding="utf-8")
    assert isinstance(load_rules(good), Rules)
    assert check(good) == []
    assert check(bad) == [f'{bad}: rule "a": blue: "35" is not allowed; use a number or a table']
    assert check(tmp_path / "none.toml") == [f"{tmp_path / 'none.toml'}: cannot be read: No such file or directory"]
