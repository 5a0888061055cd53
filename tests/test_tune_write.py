"""The rules file that tuning writes: what its owner wrote, with one level changed and the evidence above the rule."""

import tomllib

from thresholds.rules import rules_of
from thresholds.tune.grid import Value
from thresholds.tune.sweep import Target, candidates, target_of
from thresholds.tune.write import rules_file

OWN = """\
# Bridge of Lin'an. Ask the water office before you change this.

[[rule]]    # the gauge
name = "stage"    # "stage" as on the board, not # 2
quantity = "stage_m"
  yellow = 1.2    # bank full
off_below = 0.1

# Rain comes first.
[[rule]]
name = "rain # 3"
quantity = "rain_mm"
over_min = 60    # an hour
orange = { on = 20, off_fraction = 0.8 }   # heavy
"""


def target(text: str, rule: str) -> Target:
    tables = tomllib.loads(text)
    found = target_of(tables, rules_of(tables, "rules"), rule, "")
    return Target(tables, "rules", found.rule, found.level, text)


def written(text: str, rule: str, **given: Value) -> str:
    own = target(text, rule)
    tried, refused = candidates(own, {key: (value,) for key, value in given.items()})
    assert not refused
    return rules_file(own, tried[-1], ["because", "of this"])


def test_one_number_changes_and_all_else_stays() -> None:
    assert written(OWN, "stage", on=1.5) == OWN.replace("yellow = 1.2", "yellow = 1.5").replace(
        "[[rule]]    # the gauge", "# because\n# of this\n[[rule]]    # the gauge")


def test_keys_of_the_rule_and_of_the_level_change_in_their_lines() -> None:
    found = written(OWN, "rain # 3", on=25.0, over_min=180, n_of_m="2/3")
    assert found.startswith(OWN[:OWN.index('[[rule]]\nname = "rain')])
    assert "over_min = 180    # an hour\n" in found
    assert "orange = { on = 25, off_fraction = 0.8, n = 2, m = 3 }   # heavy\n" in found
    assert found.count('# because\n# of this\n[[rule]]\nname = "rain # 3"\n') == 1


def test_a_key_that_was_not_there_stands_behind_the_others() -> None:
    text = """[[rule]]
name = "rise"
quantity = "stage_m"
feature = "slope"
over_min = 30
yellow = 0.4    # m/h

# The end.
"""
    assert written(text, "rise", n_min=5) == "# because\n# of this\n" + text.replace("m/h\n", "m/h\nn_min = 5\n")


def test_what_cannot_be_changed_in_place_is_written_anew() -> None:
    """A number must never be lost for the sake of a comment."""
    text = OWN.replace("  yellow = 1.2    # bank full\noff_below = 0.1", "off_below = 0.1\n[rule.yellow]\non = 1.2")
    assert text != OWN
    found = written(text, "stage", on=1.5)
    assert tomllib.loads(found)["rule"][0]["yellow"] == 1.5
    assert "Bridge" not in found
    assert found.startswith("# because\n# of this\n[[rule]]\n")
