"""Rules: from the file to whole numbers, and from rules and series to a plan that the kernel runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thresholds.binding import bind, cards, fitting_checks
from thresholds.check_reader import read_checks
from thresholds.plan import Plan, Track
from thresholds.rule import Check, Feature, LevelRule, Rule, Rules
from thresholds.rule_reader import RuleReader
from thresholds.rulefile import RulesTable
from tocsin.config import ConfigError, convert, read_toml

__all__ = ["Check", "Feature", "LevelRule", "Plan", "Rule", "Rules", "Track", "bind", "cards", "fitting_checks",
           "load_rules", "rules_of"]


def load_rules(path: Path) -> Rules:
    """The rules of a file. Raises ConfigError with every problem: rule, key, value, and what is allowed."""
    return rules_of(read_toml(path), str(path))


def rules_of(value: Mapping[str, Any], place: str) -> Rules:
    """The rules and checks of a table already read; `place` starts every problem. Raises ConfigError."""
    table = convert(value, RulesTable, place)
    problems: list[str] = []
    rules: list[Rule] = []
    others = {written.name: written for written in table.rule}
    names: set[str] = set()
    for written in table.rule:
        reader = RuleReader(written, place, others)
        if written.name in names:
            reader.refuse("name", f'"{written.name}" is already taken; use another')
        names.add(written.name)
        rule = reader.rule()
        problems += reader.problems
        if rule is not None:
            rules.append(rule)
    checks, wrong = read_checks(table.check, place)
    problems += wrong
    if problems:
        raise ConfigError(problems)
    return Rules(tuple(rules), checks, place)
