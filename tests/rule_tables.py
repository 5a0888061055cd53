"""Tables of rules for the tests of the loader, and short ways to load, bind and be refused."""

from typing import Any

import pytest

from thresholds.plan import Plan
from thresholds.rules import Rule, bind, rules_of
from thresholds.series import Series
from tocsin.config import ConfigError

STAGE = Series("radar/stage_m", "stage_m", 60_000, (0.0, 9.0))
GAS = Series("nose/ch4_pct_lel", "ch4_pct_lel", 5_000, (0.0, 100.0))
GAUGES = [Series(f"gauge-{name}/rain_mm", "rain_mm", 60_000, (0.0, 100.0)) for name in "abc"]

RISING = {"name": "a", "quantity": "stage_m", "feature": "slope", "over_min": 30}
SOON = {"name": "a", "quantity": "stage_m", "feature": "time_to", "over_min": 30, "target": 3.0}
LEAK = {"name": "a", "quantity": "ch4_pct_lel", "feature": "cusum", "allowance": 2.0}
RAINY = {"name": "rain", "quantity": "rain_mm", "over_min": 60, "yellow": 45.0, "orange": 60.0}
BOTH = {"name": "a", "feature": "coincidence", "of": "rain", "over_min": 30}


def read(*rules: dict[str, Any], **more: Any) -> tuple[Rule, ...]:
    return rules_of({"rule": list(rules), **more}, "r.toml").rules


def one(**keys: Any) -> Rule:
    rule, = read(keys)
    return rule


def problems(*rules: dict[str, Any], check: list[dict[str, Any]] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        rules_of({"rule": list(rules), "check": check or []}, "r.toml")
    return caught.value.problems


def plan_of(series: list[Series], *rules: dict[str, Any], check: list[dict[str, Any]] | None = None) -> Plan:
    return bind(rules_of({"rule": list(rules), "check": check or []}, "r.toml"), series)


def unfit(series: list[Series], *rules: dict[str, Any], check: list[dict[str, Any]] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        plan_of(series, *rules, check=check)
    return caught.value.problems
