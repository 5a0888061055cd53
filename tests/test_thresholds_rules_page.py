"""docs/rules.md: its example is good, and it names every key, feature, default and quantity as they are."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.rule_tables import one, problems
from tests.shared_data import REPOSITORY
from thresholds.check import check
from thresholds.rulefile import EITHER_WAY, AuthorityTable, CheckTable, LevelTable, RuleTable, StageTable
from thresholds.rules import Feature, load_rules
from tocsin.levels import WARNING_LEVELS
from tocsin.quantities import QUANTITIES

PAGE = (REPOSITORY / "docs" / "rules.md").read_text(encoding="utf-8")


@pytest.mark.docs
def test_the_example_of_the_page_is_a_good_file(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(PAGE.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")
    assert check(path) == []
    assert [len(rule.levels) for rule in load_rules(path).rules] == [4, 3, 1, 2]


@pytest.mark.docs
def test_every_key_stands_in_the_page() -> None:
    rows = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    levels = {level.word for level in WARNING_LEVELS}
    keys = {field.encode_name for field in msgspec.structs.fields(RuleTable)}
    assert [key for key in keys if f"`{key}`" not in rows and f"`[rule.{key}]`" not in rows] == []
    checks = PAGE.partition("## Checks")[2].partition("## What is refused")[0]
    assert [field.encode_name for field in msgspec.structs.fields(CheckTable)
            if f"| `{field.encode_name}` |" not in checks] == []
    features = PAGE.partition("## Features")[2].partition("## Defaults")[0]
    assert [feature for feature in Feature if f"| `{feature}` |" not in features] == []
    own = PAGE.partition("A level's own table")[2].partition("## Defaults")[0]
    assert {field.encode_name for field in msgspec.structs.fields(LevelTable)} <= set(re.findall(r"`(\w+)`", own))
    for table in (StageTable, AuthorityTable):
        assert {field.encode_name for field in msgspec.structs.fields(table)} == levels


@pytest.mark.docs
def test_the_defaults_of_the_page_are_those_of_the_loader() -> None:
    table = PAGE.partition("## Defaults by kind")[2]
    for kind, quantity in (("rain", "rain_mm"), ("stage", "stage_m"), ("gas", "co_ppm"), ("tank", "tank_level_m")):
        keys: dict[str, Any] = {"over_min": 60} if kind == "rain" else {}
        row = next(line.split("|") for line in table.splitlines() if line.startswith(f"| {kind}"))
        if "must be given" in row[3] and "off_fraction" not in row[3]:
            keys["off_below"] = 1
            assert any("off: is not given" in one for one in problems({"name": "a", "quantity": quantity, "blue": 9}))
        level, = one(name="a", quantity=quantity, blue=10, **keys).levels
        assert row[2].strip() == f"{level.n} of {level.m}"
        assert int(row[4]) * 60_000 == level.off_delay_ms
        assert not keys.keys() & {"off_below"} or level.off == 9000
        assert "off_below" in keys or (level.off == 8000 and "`off_fraction = 0.8`" in row[3])


@pytest.mark.docs
def test_the_list_of_quantities_of_the_page_is_the_real_one() -> None:
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in PAGE.partition("## Quantities")[2].splitlines() if line.startswith("| `")]
    assert rows == [
        [f"`{one.name}`", one.zh, one.unit, "{:g} to {:g}".format(*one.plausible), f"{one.en}; {one.hazard.en}"]
        for one in QUANTITIES.values()]


@pytest.mark.docs
def test_the_page_names_the_quantities_whose_bad_side_must_be_said() -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith("| `direction`"))
    assert set(re.findall(r"`(\w+)`", row.split("|")[3])) & set(QUANTITIES) == EITHER_WAY
