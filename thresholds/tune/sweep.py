"""What is tried: the rules file once more for each combination of values, and read by the rules loader itself.

A combination that the loader refuses is left out with its reason, so nothing is tried that could not be used.
"""

import copy
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from thresholds.rule import SCALE, Feature, Rule, Rules
from thresholds.rulefile import OFF_KEYS
from thresholds.rules import rules_of
from thresholds.tune.grid import LEVEL_KEYS, N_OF_M, Value, Values
from thresholds.tune.sheet import Setting
from tocsin.config import ConfigError
from tocsin.levels import Level

MOST = 200_000


@dataclass(frozen=True, slots=True)
class Target:
    """Which level of which rule is tuned; `tables` is the whole rules file as read from TOML, `text` the file."""

    tables: Mapping[str, Any]
    place: str
    rule: Rule
    level: Level
    text: str = ""

    @property
    def table(self) -> dict[str, Any]:
        """The rule as written."""
        found: dict[str, Any] = next(one for one in self.tables["rule"] if one["name"] == self.rule.name)
        return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """One combination: what it says, the rule it makes, and its level as the kernel compares it."""

    given: Mapping[str, Value]
    rule: Rule
    setting: Setting

    @property
    def compared(self) -> Rule:
        """What the rule compares, without its levels: candidates that agree in this share their features."""
        levels: tuple[Any, ...] = ()
        if self.rule.feature is Feature.CUSUM:    # its cap is twice the highest threshold
            levels = (replace(self.rule.levels[-1], off=0, n=1, m=1, on_delay_ms=0, off_delay_ms=0),)
        return replace(self.rule, levels=levels, robust=False)


def target_of(tables: Mapping[str, Any], rules: Rules, name: str, level: str) -> Target:
    """The rule and level to tune; "" where there is only one. Raises ConfigError."""
    names = [rule.name for rule in rules.rules]
    if not name and len(names) > 1:
        raise ConfigError([f"{rules.place}: holds {len(names)} rules; say which one with --rule: {_listed(names)}"])
    if name and name not in names:
        raise ConfigError([f'{rules.place}: "{name}" is not a rule of this file; use {_listed(names)}'])
    rule = next(rule for rule in rules.rules if name in {"", rule.name})
    words = [own.level.word for own in rule.levels]
    if not level and len(words) > 1:
        raise ConfigError([f'{rules.place}: rule "{rule.name}" has {len(words)} levels; '
                           f"say which one with --level: {', '.join(words)}"])
    if level and level not in words:
        raise ConfigError([f'{rules.place}: rule "{rule.name}" has no level "{level}"; use {", ".join(words)}'])
    return Target(tables, rules.place, rule, Level.of(level or words[0]))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def candidates(target: Target, values: Values) -> tuple[list[Candidate], list[str]]:
    """Every combination that the loader takes, the file's own first; why others were refused. Raises ConfigError."""
    ways = [key for key in OFF_KEYS if key in values]
    others = [key for key in values if key not in ways]
    count = max(1, sum(len(values[key]) for key in ways))
    for key in others:
        count *= len(values[key])
    if count > MOST:
        raise ConfigError([f"the sweep has {count} combinations; use at most {MOST}: fewer values a key"])
    found = [_candidate(target, {})]
    seen = {(found[0].rule, found[0].setting)}
    refused: list[str] = []
    for given in _combinations(values, ways, others):
        try:
            one = _candidate(target, given)
        except ConfigError as err:
            refused.append(err.problems[0])
            continue
        if (one.rule, one.setting) not in seen:
            seen.add((one.rule, one.setting))
            found.append(one)
    return found, refused


def _combinations(values: Values, ways: list[str], others: list[str]) -> "itertools.chain[dict[str, Value]]":
    """Each value of each way to say `off`, with all combinations of the rest."""
    rest = [dict(zip(others, one, strict=True)) for one in itertools.product(*(values[key] for key in others))]
    offs: list[dict[str, Value]] = [{key: value} for key in ways for value in values[key]] or [{}]
    return itertools.chain({**one, **off} for one in rest for off in offs)


def _candidate(target: Target, given: Mapping[str, Value]) -> Candidate:
    """Raises ConfigError where the loader does."""
    needed = {target.rule.name, target.rule.of}
    tables = [one for one in target.tables["rule"] if one["name"] in needed]
    tables = [patched(one, target.level, given) if one["name"] == target.rule.name else one for one in tables]
    rules = rules_of({"rule": tables}, target.place)
    rule = next(rule for rule in rules.rules if rule.name == target.rule.name)
    return Candidate(given, rule, setting_of(rule, target.level))


def setting_of(rule: Rule, level: Level) -> Setting:
    """A level of a rule as the kernel compares it."""
    own = rule.at_level(level)
    if own is None:
        raise ValueError(f'rule "{rule.name}" has no level {level.word}')
    sign = rule.threshold_sign
    return Setting(
        on=sign * own.on, off=sign * own.off, n=own.n, m=own.m, on_delay_ms=own.on_delay_ms,
        off_delay_ms=own.off_delay_ms, min_valid=own.min_valid if rule.feature is Feature.SUM else SCALE,
        top=sign * rule.levels[-1].on)


def patched(table: Mapping[str, Any], level: Level, given: Mapping[str, Value]) -> dict[str, Any]:
    """A rule as written, with these values; those of a level go into the level's own table."""
    new = copy.deepcopy(dict(table))
    own = new[level.word]
    own = dict(own) if isinstance(own, Mapping) else {"on": own}
    for key, value in given.items():
        if key == N_OF_M:
            n, _, m = str(value).partition("/")
            own["n"], own["m"] = int(n), int(m)
        elif key in OFF_KEYS:
            own = {name: old for name, old in own.items() if name not in OFF_KEYS} | {key: value}
        elif key in LEVEL_KEYS:
            own[key] = value
        else:
            new[key] = value
    new[level.word] = own if len(own) > 1 else own["on"]
    return new
