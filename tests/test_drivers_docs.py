"""docs/drivers.md names every driver, quantity and setting with its default, and nothing that is not there."""

import json
import re
from typing import Any

import msgspec
import pytest

import drivers
from tests.shared_data import REPOSITORY
from tests.test_drivers import quantities_of
from tocsin import plugins

PAGE = (REPOSITORY / "docs" / "drivers.md").read_text(encoding="utf-8")
NAMES = plugins.names(drivers)


def section(name: str) -> str:
    found = re.search(rf"^### {name}\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/drivers.md has no section {name}"
    return found[1]


def default_of(field: msgspec.structs.FieldInfo) -> str:
    """The default as a station file would have it."""
    if field.required:
        return "required"
    value: Any = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        value = field.default_factory()
    return "none" if value is None else f"`{json.dumps(value)}`"


def test_the_page_has_a_section_for_every_driver_and_for_nothing_else() -> None:
    assert sorted(re.findall(r"^### (\S+)$", PAGE, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_drivers_has_it_with_its_quantities(name: str) -> None:
    (row,) = re.findall(rf"^\| \[`{name}`\]\(#{name}\) \|.*\| ([^|]+) \|$", PAGE, re.MULTILINE)
    given = quantities_of(name)
    assert set(re.findall(r"`(\w+)`", row)) == given
    assert all(f"`{quantity}`" in section(name) for quantity in given)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_in_the_driver_s_table_with_its_default(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| [^|]{8,} \|$", section(name), re.MULTILINE)
    fields = msgspec.structs.fields(plugins.load(drivers, name).Settings)
    assert dict(rows) == {field.encode_name: default_of(field) for field in fields}


def test_the_default_spans_of_a_radar_are_those_of_the_page() -> None:
    spans = plugins.load(drivers, "radar_level").DEFAULT_SPAN_M
    for measures, span in spans.items():
        assert f"`{json.dumps(span)}` for a {measures}" in section("radar_level")
