"""The rules file with the chosen level in it and its evidence in comments; the loader has read it once more."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thresholds.rules import rules_of
from thresholds.tune.edited import edited
from thresholds.tune.sweep import Candidate, Target, patched
from thresholds.tune.toml import key_text, value_text
from tocsin.config import ConfigError


def rules_file(target: Target, chosen: Candidate, evidence: Sequence[str]) -> str:
    """TOML: the file's own text with the rule's keys changed, where that says what was tried; else all tables anew,
    without the old comments. Raises ConfigError where the whole file is refused with this level.
    """
    tables = dict(target.tables)
    tables["rule"] = [patched(one, target.level, chosen.given) if one["name"] == target.rule.name else one
                      for one in tables["rule"]]
    rules = rules_of(tables, target.place)
    written = next(rule for rule in rules.rules if rule.name == target.rule.name)
    if written != chosen.rule:
        raise ConfigError([f'{target.place}: rule "{target.rule.name}" cannot be written as it was tried'])
    comments = [f"# {_printable(line)}".rstrip() for line in evidence]
    number = next(at for at, one in enumerate(tables["rule"]) if one["name"] == target.rule.name)
    new, old = tables["rule"][number], target.table
    kept = edited(target.text, number, {key: value for key, value in new.items() if old.get(key) != value}, comments)
    return kept if _says(kept, tables) else _anew(tables, target.rule.name, comments)


def _says(text: str, tables: Mapping[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == tables
    except tomllib.TOMLDecodeError:
        return False


def _anew(tables: Mapping[str, Any], name: str, comments: Sequence[str]) -> str:
    lines: list[str] = []
    for rule in tables["rule"]:
        if rule["name"] == name:
            lines += comments
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
            yield f"{key_text(key)} = {value_text(value)}"
    name = head.strip("[]")
    for key, value in behind.items():
        yield ""
        yield f"[{name}.{key}]"
        yield from (f"{key_text(inner)} = {value_text(one)}" for inner, one in value.items())


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
