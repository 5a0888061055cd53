"""Any table of rules loads, or is refused with a sentence that names rule and key; what loads binds, or likewise."""

import re
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from thresholds.kernel import start
from thresholds.plan import Plan
from thresholds.rule import Feature, LevelRule
from thresholds.rulefile import CheckTable, LevelTable, RuleTable
from thresholds.rules import Rules, bind, rules_of
from thresholds.series import Series
from tocsin.config import ConfigError
from tocsin.levels import WARNING_LEVELS
from tocsin.quantities import QUANTITIES

WORDS = [level.word for level in WARNING_LEVELS]
NUMBER = st.one_of(
    st.sampled_from([0, 0.5, 1, 2, 3.0, 5, 30, 60, 90.5, 1440, -1, -0.5, 0.0001, 1e13, float("nan"), float("inf")]),
    st.floats(-100, 100).map(lambda value: round(value, 3)),
)
WRONG = st.sampled_from([True, "much", [], {}, "blue"])
QUANTITY = st.sampled_from(["rain_mm", "stage_m", "ch4_pct_lel", "o2_pct_vol", "rain_total_mm", "rian"])
AUTHORITY = st.sampled_from(["auto", "after", "confirm"])
STAGE = st.sampled_from(["watch", "prepare", "move"])


def some(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


COUNT = st.sampled_from([1, 2, 3, 5, 16, 17])
OWN: dict[str, st.SearchStrategy[Any]] = {
    "off": NUMBER, "off_fraction": NUMBER, "off_below": NUMBER, "off_above": NUMBER, "n": COUNT, "m": COUNT,
    "on_delay_s": NUMBER, "off_delay_min": NUMBER, "min_valid": NUMBER, "latch": st.booleans(), "hold_s": NUMBER,
}
LEVEL = st.one_of(NUMBER, NUMBER, WRONG, st.builds(lambda on, own: {"on": on, **own}, NUMBER, some(OWN)))
RULE: dict[str, st.SearchStrategy[Any]] = {
    "feature": st.sampled_from([*Feature, "speed"]), "device": st.sampled_from(["", "a", "b", "c"]),
    "datum": st.sampled_from(["", "sea"]), "over_min": NUMBER, "direction": st.sampled_from(["high", "low", "up"]),
    **dict.fromkeys(WORDS, LEVEL), **{key: value for key, value in OWN.items() if key != "off"},
    "n_min": COUNT, "robust": st.booleans(), "target": NUMBER, "floor": NUMBER, "reference": NUMBER,
    "allowance": NUMBER, "quantity": QUANTITY,
    "of": st.sampled_from(["one", "two", "x"]), "at": st.sampled_from([*WORDS, "pink"]),
    "weights": st.dictionaries(st.sampled_from(["a", "b"]), NUMBER, max_size=2),
    "stage": some(dict.fromkeys(WORDS, STAGE)), "authority": some(dict.fromkeys(WORDS, AUTHORITY)),
}
# most tables are near to good ones, so that what lies behind the first refusals is tried too
NEAR: list[dict[str, Any]] = [
    {"quantity": "rain_mm", "over_min": 60, "blue": 35, "red": 80},
    {"quantity": "stage_m", "blue": 2, "red": 3, "off_below": 0.1},
    {"quantity": "stage_m", "feature": "slope", "over_min": 30, "yellow": 0.5},
    {"quantity": "stage_m", "feature": "rate", "over_min": 30, "direction": "low", "yellow": -0.5},
    {"quantity": "stage_m", "feature": "time_to", "over_min": 30, "target": 3, "blue": 60, "yellow": 30},
    {"quantity": "ch4_pct_lel", "feature": "cusum", "allowance": 2, "yellow": 30, "red": 60},
    {"feature": "coincidence", "of": "one", "over_min": 30, "yellow": 2},
]
CHECK: dict[str, st.SearchStrategy[Any]] = {
    "device": st.sampled_from(["", "a", "c"]), "max_rate_per_min": NUMBER, "spike_floor": NUMBER,
    "stuck_after_h": NUMBER, "blocked_mm": NUMBER, "stale_after_min": NUMBER,
}
SERIES = [
    Series(f"{device}/{quantity}", quantity, period, plausible)
    for device, period in (("a", 60_000), ("b", 300_000))
    for quantity, plausible in (("rain_mm", (0.0, 50.0)), ("stage_m", (-1.0, 9.0)), ("ch4_pct_lel", (-5.0, 100.0)),
                                ("o2_pct_vol", (0.0, 30.0)))
]


@st.composite
def files(draw: st.DrawFn) -> dict[str, Any]:
    """Two rules and up to two checks, each good but for two keys at most, or made of anything."""
    rules = []
    for name in ("one", "two"):
        near = draw(st.sampled_from([*NEAR, *NEAR, {}]))
        changes = changed(draw, RULE) if near else draw(some(RULE))
        rules.append({"name": name, **near, **changes})
    checks = [{"quantity": draw(QUANTITY) if draw(st.booleans()) else "stage_m", **changed(draw, CHECK)}
              for _ in range(draw(st.sampled_from([0, 0, 1, 2])))]
    return {"rule": rules, "check": checks}


def changed(draw: st.DrawFn, keys: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    chosen = draw(st.sampled_from([0, 0, 1, 1, 2]))
    return {key: draw(keys[key]) for key in draw(st.permutations(sorted(keys)))[:chosen]}


def keys_known() -> set[str]:
    return {field for table in (RuleTable, LevelTable, CheckTable) for field in table.__struct_fields__} | {"levels"}


def assert_sentence(problem: str) -> None:
    """`r.toml: rule "one": key: why; cure`."""
    found = re.match(r'r\.toml: (?:rule "(?:one|two)"|check (?:\d|of \w+(?: of \w+)?)): (.+?): ', problem, re.DOTALL)
    missing = re.match(r'r\.toml: (?:rule "(?:one|two)"|check \d): key "\w+" is missing; give ', problem)
    assert missing or (found and found[1].split(":")[0] in keys_known()), problem
    assert len(problem) > len("r.toml: ") + 20


@settings(max_examples=300)
@given(files())
def test_any_file_loads_or_is_refused_with_a_sentence(file: dict[str, Any]) -> None:
    try:
        rules = rules_of(file, "r.toml")
    except ConfigError as err:
        event("refused")
        for problem in err.problems:
            assert_sentence(problem)
        return
    event("loaded")
    assert_sound(rules)
    assert rules.hash == rules_of(file, "elsewhere").hash


@settings(max_examples=300)
@given(files())
def test_rules_that_load_bind_and_run_or_are_refused_with_a_sentence(file: dict[str, Any]) -> None:
    try:
        plan = bind(rules_of(file, "r.toml"), SERIES)
    except ConfigError as err:
        for problem in err.problems:
            assert_sentence(problem)
        return
    event("bound")
    assert isinstance(plan, Plan)
    assert {track.rule.name for track in plan.tracks} == {"one", "two"}
    assert start(plan, "s").plan is plan


def assert_sound(rules: Rules) -> None:
    """What the kernel takes for granted."""
    for rule in rules.rules:
        assert rule.levels
        assert rule.quantity in QUANTITIES
        falls = rule.feature is Feature.TIME_TO or (rule.low and rule.feature is not Feature.CUSUM)
        ons = [level.on for level in rule.levels]
        assert ons == sorted(set(ons), reverse=falls)
        for level in rule.levels:
            assert_level(level, falls)


def assert_level(level: LevelRule, falls: bool) -> None:
    assert (level.off >= level.on) if falls else (level.off <= level.on)
    assert level.m / 2 < level.n <= level.m <= 16
    assert (level.hold_ms > 0) == (level.authority == "after")
    assert 0 <= level.min_valid <= 1000
