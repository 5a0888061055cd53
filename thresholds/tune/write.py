"""The rules file with the chosen level in it and its evidence in comments; the loader has read it once more."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thresholds.rules import rules_of
from thresholds.tune.sweep import Candidate, Target, patched
from tocsin.config import ConfigError


def rules_file(target: Target, chosen: Candidate, evidence: Sequence[str]) -> str:
    """TOML; comments of the old file are gone. Raises ConfigError where the whole file is refused with this level."""
    tables = dict(target.tables)
    tables["rule"] = [patched(one, target.level, chosen.given) if one["name"] == target.rule.name else one
                      for one in tables["rule"]]
    rules = rules_of(tables, target.place)
    written = next(rule for rule in rules.rules if rule.name == target.rule.name)
    if written != chosen.rule:
        raise ConfigError([f'{target.place}: rule "{target.rule.name}" cannot be written as it was tried'])
    lines: list[str] = []
    for rule in tables["rule"]:
        if rule["name"] == target.rule.name:
            lines += [f"# {_printable(line)}".rstrip() for line in evidence]
        lines += [*_table("[[rule]]", rule), ""]
    for check in tables.get("check", []):
        lines += [*_table("[[check]]", check), ""]
    return "\n".join(lines)


def _table(head: str, table: Mapping[str, Any]) -> Iterator[str]:
    """Levels stand inside, as inline tables; stage, authority and weights are tables of their own behind."""
    behind = {key: value for key, value in table.items() if isinstance(value, Mapping) and "on" not in value}
    yield head
    for key, value in table.items():
        if key not in behind:
            yield f"{_key(key)} = {_value(value)}"
    name = head.strip("[]")
    for key, value in behind.items():
        yield ""
        yield f"[{name}.{key}]"
        yield from (f"{_key(inner)} = {_value(one)}" for inner, one in value.items())


def _key(name: str) -> str:
    return name if name.isascii() and name.replace("_", "").replace("-", "").isalnum() else json.dumps(name)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{_key(key)} = {_value(inner)}" for key, inner in value.items()) + " }"
        case _:
            return json.dumps(str(value), ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
