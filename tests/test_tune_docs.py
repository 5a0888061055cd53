"""docs/tuning.md names what there is, and its files are read by those who read them."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.shared_data import REPOSITORY
from thresholds.rules import rules_of
from thresholds.tune import choose, command, grid
from tocsin.levels import Level

DOCS = REPOSITORY / "docs" / "tuning.md"
OWN_PAGE = frozenset({"--column", "--period", "--plausible", "--datum", "--help"})    # docs/replay.md explains them

pytestmark = pytest.mark.docs


def blocks() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_every_option_and_every_key_of_a_sweep_is_explained() -> None:
    text = DOCS.read_text(encoding="utf-8")
    options = {option for action in command.parser_of()._actions for option in action.option_strings
               if option.startswith("--") and not action.dest.startswith("try_")}
    assert [option for option in sorted(options - OWN_PAGE) if option not in text] == []
    assert [key for key in grid.KEYS if f"`{key}`" not in text] == []
    assert set(grid.HELP) == set(grid.KEYS)


def test_the_numbers_of_the_choice_are_those_of_the_code() -> None:
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    for words in (f"fewer than {choose.FEW_EVENTS} events", f"wider than {choose.WIDE:g}",
                  f"{choose.ROUNDS:,} resampled", f"beyond {choose.MANAGEABLE:g} alarms",
                  f"{grid.STEPS} values of the feature"):
        assert words in text, words


def test_the_sweep_file_is_read(tmp_path: Path) -> None:
    sweep = [block for block in blocks() if block.startswith("[sweep]")]
    (tmp_path / "sweep.toml").write_text(sweep[0])
    assert len(grid.sweep_file(tmp_path / "sweep.toml")["on"]) == 16


def test_the_rules_behind_the_answers_are_read_and_each_command_names_one_of_them() -> None:
    text = DOCS.read_text(encoding="utf-8")
    table = next(block for block in blocks() if block.startswith("[[rule]]"))
    rules = {rule.name: rule for rule in rules_of(tomllib.loads(table), "docs").rules}
    commands = re.findall(r'^T ([^\n]*)--rule "([^"]+)"', text, re.MULTILINE)
    assert len(commands) > 20
    assert {rule for _, rule in commands} <= set(rules)
    # each rule but the member of a group stands in a command, with one level only
    said = {rule for _, rule in commands}
    assert set(rules) - said == {rule.of for rule in rules.values() if rule.of}
    assert all(len(rule.levels) == 1 and rule.levels[0].level > Level.CLEAR for rule in rules.values())
