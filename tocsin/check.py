"""`tocsin check FILE...`: what is wrong with a file, without connecting to anything."""

import argparse
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.config import ConfigError, read_toml
from tocsin.signing import EXAMPLE_KEY, EXAMPLE_KEY_WARNING

# the table that only this kind of file has, and who knows it
KINDS = {
    "station": "edge.config",
    "bus": "edge.config",
    "hub": "hub.config",
    "rule": "thresholds.check",
    "group": "hub.groups_file",
    "wire": "simulators.command",
    "watch": "hub.watch_config",
}
_WITH_EXAMPLES = ("hub", "watch")    # their modules say what is left of the sample file


def problems(path: Path) -> list[str]:
    """Full sentences, each starting with the file's name; none means all is well."""
    try:
        tables = read_toml(path)
    except ConfigError as err:
        return err.problems
    kind = _kind_of(tables)
    if not kind:
        names = ", ".join(f"[{name}]" for name in tables) or "nothing"
        return [f"{path}: holds {names}; a station file has [station], a hub file [hub], a rules file [[rule]], "
                "a file of group rules [[group]], a scenario [[wire]], a watch over the hub [watch]"]
    found: list[str] = importlib.import_module(KINDS[kind]).check(path)
    return found


def run(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="tocsin check", description="Say what is wrong with a file.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    wrong = 0
    for path in args.files:
        found = problems(path)
        wrong += bool(found)
        print("\n".join(found) if found else f"{path}: {_praise(path)}")
    return 1 if wrong else 0


def _kind_of(tables: Mapping[str, Any]) -> str:
    several = isinstance(tables.get("station"), list)  # only a hub knows several stations
    return "hub" if several else next((kind for kind in KINDS if kind in tables), "")


def _praise(path: Path) -> str:
    kind = _kind_of(read_toml(path))
    if kind in _WITH_EXAMPLES:
        left: list[str] = importlib.import_module(KINDS[kind]).examples(path)
        return "\n".join(["good, but it cannot run yet", *left]) if left else "good"
    if f'"{EXAMPLE_KEY}"' in path.read_text(encoding="utf-8"):
        return f"good, but it cannot run yet: its key {EXAMPLE_KEY_WARNING}"
    return "good"
