"""The file of group rules: what it says, what is refused with which cure, and the page and starters that show it."""

import re
from pathlib import Path

import pytest

from hub.groups_file import load_groups
from hub.groups_rules import GroupKind
from hub.groups_tables import KEYS, GroupTable, StepTable
from tests.hub_groups import AREA, CHAIN, COINCIDENCE, SILENCE, groups
from tests.shared_data import REPOSITORY
from thresholds.starter_command import GROUPS, starters
from tocsin.__main__ import main
from tocsin.config import ConfigError
from tocsin.levels import Authority, Level, Stage

PAGE = (REPOSITORY / "docs" / "groups.md").read_text(encoding="utf-8")


def refused(text: str) -> list[str]:
    with pytest.raises(ConfigError) as wrong:
        groups(text)
    return wrong.value.problems


def test_what_a_coincidence_says_where_the_file_says_nothing() -> None:
    (group,) = groups(COINCIDENCE)
    (pick,) = group.picks
    assert (pick.at, pick.until, pick.to_ms, pick.hazard) == (Level.YELLOW, Level.YELLOW, 30 * 60_000, "flood")
    assert [(one.level, one.on, one.off, one.stage, one.authority) for one in group.levels] == [
        (2, 2000, 2000, Stage.WATCH, Authority.CONFIRM), (4, 3000, 3000, Stage.MOVE, Authority.CONFIRM)]
    assert (group.place, group.place_zh, group.off_delay_ms) == ("rain net", "rain net", 10 * 60_000)


@pytest.mark.parametrize(("text", "old", "new", "problem"), [
    (COINCIDENCE, "yellow = 2\n", "ornage = 2\n", '"ornage" is not a key; did you mean "orange"?'),
    (COINCIDENCE, "yellow = 2\n", "silent_min = 2.0\n", '"silent_min" is not a key of a coincidence; use area, at, '),
    (COINCIDENCE, "red = 3", "red = 4", "red: 4 can never be reached; all stations together weigh 3"),
    (COINCIDENCE, "red = 3", "red = 2", "red: 2 is not above the level before it; use more than 2"),
    (COINCIDENCE, "red = 3", "red = { on = 2.5, off = 3 }", "red: off 3 is above on 2.5; use up to 2.5"),
    (COINCIDENCE, "yellow = 2\nred = 3\n", "", "no level is given; give a weight for blue, yellow, orange or red"),
    (COINCIDENCE, '"a", "b"', '"a", "a"', 'stations: "a" stands twice; name it once'),
    (COINCIDENCE, '"a", "b"', '"a", "B"', '"B" is not allowed; use text: a station\'s id, or "group:" and a name'),
    (COINCIDENCE, "over_min = 30", 'over_min = 30\nuntil = "red"', 'until: "red" is above at "yellow"; use that level'),
    (COINCIDENCE, "over_min = 30", 'over_min = 30\nquantity = "rain"',
     'quantity: "rain" is not a quantity; use one of'),
    (COINCIDENCE, "off_delay_min = 10", "[group.weights]\nd = 2",
     'weights: "d" is not among the stations; use a, b, c'),
    (COINCIDENCE, "off_delay_min = 10", '[group.stage]\nblue = "move"',
     "stage: blue: this group never gives that level"),
    (COINCIDENCE, "off_delay_min = 10", '[group.authority]\nred = "after"',
     'key "hold_s" is missing: authority of red'),
    (COINCIDENCE, "off_delay_min = 10", "hold_s = 60", 'hold_s is for authority "after" alone; leave it out'),
    (COINCIDENCE, '"a", "b"', '"group:later", "b"', '"group:later" is not a group that stands before this one'),
    (CHAIN, "[10, 60]", "[60, 10]", "step 1: travel_min: [60, 10] is not allowed; give the shortest time, then"),
    (CHAIN, 'level = "orange"', 'level = "blue"\nuntil = "red"', 'until: "red" is above at "yellow"'),
    (CHAIN.replace('level = "blue"', 'level = "red"'), "", "",
     'step 2: level: "orange" is below that of the step before'),
    (CHAIN.partition("[[group.step]]")[0], "", "", "table [[group.step]] is missing; give at least one"),
    (SILENCE, '["a", "b", "c"]', '["a"]', 'stations: "a" has no neighbour but itself; give neighbours'),
    (SILENCE, "silent_min = 10", 'text_en = "x"', '"text_en" is not a key of a silence'),
    (SILENCE + SILENCE, "", "", 'group "who is silent" stands twice; use another name'),
    (SILENCE + COINCIDENCE, '"a", "b", "c"]\nat', '"group:who is silent", "b", "c"]\nat',
     "tells of silence, not of danger"),
    (COINCIDENCE + "shadow = true\n" + CHAIN, 'stations = ["c"]', 'stations = ["group:rain net"]', "is a shadow rule"),
])  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_its_cure(text: str, old: str, new: str, problem: str) -> None:
    assert old in text
    problems = refused(text.replace(old, new, 1))
    assert any(problem in one for one in problems), problems
    assert all(one.startswith("groups.toml: group ") for one in problems)


def test_check_knows_the_file_alone_and_named_in_a_hub_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules, hub = tmp_path / "groups.toml", tmp_path / "hub.toml"
    rules.write_text(COINCIDENCE, encoding="utf-8")
    hub.write_text(f'[hub]\nname = "h"\nbroker = "embedded:1883"\nprivate_key = "{"12" * 32}"\n[cap]\nsender = "h"\n'
                   '[groups]\nrules = "groups.toml"\n', encoding="utf-8")
    assert main(["check", str(rules), str(hub)]) == 0
    rules.write_text(COINCIDENCE.replace("red = 3", "red = 9"), encoding="utf-8")
    capsys.readouterr()
    assert main(["check", str(hub)]) == 1
    assert capsys.readouterr().out.startswith(f'{rules}: group "rain net": red: 9 can never be reached')
    rules.unlink()
    assert main(["check", str(hub)]) == 1
    assert "is not there; name a file beside this one, or its whole path" in capsys.readouterr().out


@pytest.mark.parametrize("name", starters(GROUPS))
def test_a_starter_set_is_good_and_is_shown(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "groups.toml"
    path.write_text(starters(GROUPS)[name].text, encoding="utf-8")
    assert len(load_groups(path)) >= 1
    assert main(["rules", "show", name]) == 0
    assert "Sources:" in capsys.readouterr().out
    assert name not in starters()


def test_the_basin_shows_every_key_and_the_page_has_a_row_for_each() -> None:
    text = starters(GROUPS)["basin"].text
    shown = set(re.findall(r"^(?:# )?(\w+) = ", text, re.MULTILINE))
    shown |= set(re.findall(r"^\[+group\.(\w+)\]+", text, re.MULTILINE))
    keys = {*GroupTable.__struct_fields__, *StepTable.__struct_fields__}
    assert keys - {"blue"} <= shown
    part, _, steps = PAGE.partition("## Keys of `[[group]]`")[2].partition("## Keys of `[[group.step]]`")
    rows = {name for row in re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert rows == set(GroupTable.__struct_fields__)
    assert set(re.findall(r"^\| `(\w+)` \|", steps, re.MULTILINE)) == set(StepTable.__struct_fields__)
    assert {key for keys_of in KEYS.values() for key in keys_of} == set(GroupTable.__struct_fields__)
    for kind in GroupKind:
        assert f"| `{kind}` |" in PAGE
    assert AREA
