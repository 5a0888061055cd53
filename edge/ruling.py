"""Rules in the log: a record of which rules are in force, and back from it."""

import msgspec

from thresholds.binding import bind
from thresholds.plan import Plan
from thresholds.rule import Check, Rule, Rules
from thresholds.series import Series
from tocsin.inputs import Config, RuleSet


def config_of(plan: Plan, candidate: Plan | None, station: str, t_ms: int) -> Config:
    """The record that says which rules are in force from here on."""
    return Config(
        "", 0, t_ms, station, _hash(plan, candidate),
        series=[msgspec.Raw(msgspec.json.encode(one, order="sorted")) for one in plan.series],
        rules=_set_of(plan.rules), shadow=_set_of(candidate.rules) if candidate else None,
    )  # fmt: skip


def plan_of(config: Config) -> Plan:
    """Raises ConfigError where the record's rules do not fit its series, and msgspec.ValidationError."""
    return bind(_rules_of(config.rules), series_of(config))


def candidate_of(config: Config) -> Plan | None:
    """The same of the candidate."""
    return bind(_rules_of(config.shadow), series_of(config)) if config.shadow else None


def _hash(plan: Plan, candidate: Plan | None) -> str:
    return plan.hash + (candidate.hash if candidate else "")


def series_of(config: Config) -> tuple[Series, ...]:
    """Raises msgspec.ValidationError."""
    return tuple(msgspec.json.decode(one, type=Series) for one in config.series)


def _set_of(rules: Rules) -> RuleSet:
    return RuleSet([msgspec.Raw(rule.canonical) for rule in rules.rules],
                   [msgspec.Raw(check.canonical) for check in rules.checks])


def _rules_of(rules: RuleSet) -> Rules:
    return Rules(tuple(msgspec.json.decode(one, type=Rule) for one in rules.rules),
                 tuple(msgspec.json.decode(one, type=Check) for one in rules.checks), place="the log")
