"""What is tried: values from the command line and from a file, and rules made of them by the loader itself."""

from pathlib import Path
from typing import Any

import pytest

from thresholds.rules import rules_of
from thresholds.tune.grid import sweep_file, values_of
from thresholds.tune.sweep import Target, candidates, patched, setting_of, target_of
from tocsin.config import ConfigError
from tocsin.levels import Level

STAGE: dict[str, Any] = {"name": "stage", "quantity": "stage_m", "yellow": 1.5, "red": {"on": 2.0, "off": 1.9},
                         "off_below": 0.1}
GAS: dict[str, Any] = {"name": "oxygen", "quantity": "o2_pct_vol", "direction": "low", "yellow": 19.5, "off_above": 0.5}
SLOPE: dict[str, Any] = {"name": "rise", "quantity": "stage_m", "feature": "time_to", "target": 2.0, "over_min": 30,
                         "yellow": 60}


def target(table: dict[str, Any], level: str = "yellow") -> Target:
    tables = {"rule": [table]}
    return target_of(tables, rules_of(tables, "rules.toml"), "", level)


def test_ranges_are_exact_and_hold_both_ends() -> None:
    assert values_of("on", "1.0:2.5:0.1") == (1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0, 2.1, 2.2, 2.3,
                                              2.4, 2.5)
    assert values_of("over_min", "30,60,30") == (30.0, 60.0)
    assert values_of("n_of_m", "1/1, 2/3") == ("1/1", "2/3")
    assert values_of("robust", "true,false") == (True, False)
    assert values_of("n_min", "3:5:1") == (3, 4, 5)


@pytest.mark.parametrize(("key", "text", "says"), [
    ("on", "1:2", "is not a range; use LOW:HIGH:STEP"),
    ("on", "2:1:0.1", "use LOW:HIGH:STEP with a step above 0"),
    ("on", "1:2:0", "use LOW:HIGH:STEP with a step above 0"),
    ("on", "0:1:0.0001", "10001 values are too many"),
    ("on", "high", '--on: "high" is not a number'),
    ("on", "nan", "use finite numbers"),
    ("n_of_m", "2of3", '--n-of-m: "2of3" is not N/M'),
    ("robust", "yes", '--robust: "yes" is not allowed; use true, false or both'),
    ("n_min", "3.5", "n_min: 3.5 is not a whole number"),
])
def test_a_wrong_range_is_refused_with_its_key_and_what_is_allowed(key: str, text: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        values_of(key, text)
    assert says in str(refused.value)


def test_a_sweep_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text('[sweep]\non = { from = 1, to = 2, step = 0.5 }\nn_of_m = ["1/1", "3/5"]\nrobust = [true]\n')
    assert sweep_file(path) == {"on": (1.0, 1.5, 2.0), "n_of_m": ("1/1", "3/5"), "robust": (True,)}


@pytest.mark.parametrize(("text", "says"), [
    ("[sweep]\nonn = [1]\n", '"onn" is not a key; use on, off'),
    ("[sweep]\non = 1\n", "on: give a list of values, or { from = , to = , step = }"),
    ("[sweep]\non = []\n", "on: give a list of values"),
    ("[sweep]\non = { from = 1, to = 2 }\n", "on: give from, to and step, or a list"),
    ("[[rule]]\nname = 1\n", "must hold one table, [sweep], and nothing else"),
])
def test_a_wrong_sweep_file_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as refused:
        sweep_file(path)
    assert says in str(refused.value)


def test_the_first_candidate_is_the_file_itself_and_none_is_there_twice() -> None:
    found, refused = candidates(
        target(STAGE), {"on": (1.4, 1.5, 1.6), "off_below": (0.1, 0.2), "n_of_m": ("1/1", "2/3")})
    assert not refused
    assert found[0].given == {}
    own = [one.setting for one in found]
    assert (own[0].on, own[0].off, own[0].n, own[0].m, own[0].top) == (1500, 1400, 2, 3, 2000)
    assert len(own) == len(set(own)) == 12    # the file's own is one of the 12 combinations
    assert {(one.on, one.off) for one in own} == {(on, on - below) for on in (1400, 1500, 1600) for below in (100, 200)}


def test_several_ways_to_say_off_are_each_tried_alone() -> None:
    found, _ = candidates(target(STAGE), {"on": (1.5,), "off": (1.3,), "off_below": (0.2,), "off_fraction": (0.6,)})
    assert [one.setting.off for one in found] == [1400, 1300, 900]    # 1.3 is said in two ways


def test_what_the_loader_refuses_is_left_out_with_its_reason() -> None:
    found, refused = candidates(target(STAGE), {"on": (1.5, 2.5), "n_of_m": ("1/3", "2/3")})
    assert {(one.setting.on, one.setting.n) for one in found} == {(1500, 2)}
    assert len(refused) == 3
    assert "n 1 of m 3 is not allowed" in refused[0]
    assert any("is not above yellow's 2.5" in why for why in refused)


def test_a_low_rule_and_a_time_to_go_turn_their_signs() -> None:
    low, _ = candidates(target(GAS), {"on": (19.0,), "off_above": (0.3,)})
    assert (low[1].setting.on, low[1].setting.off) == (-19000, -19300)
    to, _ = candidates(target(SLOPE), {"on": (30,), "over_min": (60,)})
    assert (to[1].setting.on, to[1].setting.off, to[1].rule.over_ms) == (-1_800_000, -2_700_000, 3_600_000)
    assert to[0].compared != to[1].compared


def test_too_many_combinations_are_refused_before_any_is_made() -> None:
    with pytest.raises(ConfigError, match="the sweep has 250000 combinations; use at most 200000"):
        candidates(target(STAGE), {"on": tuple(range(1, 501)), "off_below": tuple(range(1, 501))})


def test_rule_and_level_must_be_said_where_there_are_several() -> None:
    tables = {"rule": [STAGE, GAS]}
    rules = rules_of(tables, "rules.toml")
    for name, level, says in (
        ("", "", 'holds 2 rules; say which one with --rule: "stage", "oxygen"'),
        ("stag", "", '"stag" is not a rule of this file; use "stage", "oxygen"'),
        ("stage", "", 'rule "stage" has 2 levels; say which one with --level: yellow, red'),
        ("oxygen", "red", 'rule "oxygen" has no level "red"; use yellow'),
    ):
        with pytest.raises(ConfigError) as refused:
            target_of(tables, rules, name, level)
        assert says in str(refused.value)
    assert target_of(tables, rules, "oxygen", "").level is Level.YELLOW


def test_a_patched_rule_keeps_what_was_not_tried() -> None:
    table = patched(STAGE, Level.RED, {"on": 2.2, "off_below": 0.3, "n_of_m": "3/5", "over_min": 30.0})
    assert table == {**STAGE, "red": {"on": 2.2, "off_below": 0.3, "n": 3, "m": 5}, "over_min": 30.0}
    assert STAGE["red"] == {"on": 2.0, "off": 1.9}


def test_a_setting_asks_for_a_level_that_is_there() -> None:
    with pytest.raises(ValueError, match='rule "oxygen" has no level blue'):
        setting_of(target(GAS).rule, Level.BLUE)
