"""A rule's name stands in every message: what the hub could not take, the station must not accept."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.operate import Ask
from hub.checks import inspect
from hub.store import LevelPoint, problem_of
from tests.village import config, detection
from thresholds.rules import bind, rules_of
from thresholds.series import Series
from tocsin import topics
from tocsin.config import ConfigError
from tocsin.levels import Level
from tocsin.messages import VERSION, Upload, encode

GAUGES = [Series(f"{name}/stage_m", "stage_m", 60_000, (0.0, 9.0), "gauge zero") for name in ("upper", "lower")]


def coincidence(name: str) -> Series:
    """What a coincidence of that name is judged as. Raises ConfigError."""
    rules = [{"name": "stage", "quantity": "stage_m", "datum": "gauge zero", "off_below": 0.2, "yellow": 2.0},
             {"name": name, "feature": "coincidence", "of": "stage", "over_min": 10, "blue": 2.0}]
    return bind(rules_of({"rule": rules}, "rules.toml"), GAUGES).groups[0].series


@pytest.mark.parametrize("name", ["both/", "two\nlines", "back\\slash", "x" * 101, " ", "both ", "tab\t.", "\x7f"])
def test_a_name_that_no_hub_takes_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="use text: up to 100 characters"):
        coincidence(name)


@given(st.text(min_size=1, max_size=100) | st.sampled_from(["rain 1/2 h", "双站雨量", "a", "x" * 100]))
def test_a_name_that_is_taken_reaches_the_hub_its_store_and_who_operates(name: str) -> None:
    try:
        series = coincidence(name)
    except ConfigError:
        assert not name.isalnum() or name == "stage"
        return
    found = detection(Level.BLUE, "14:05", 1, series=series.key, rule=name)
    upload = encode(Upload(VERSION, "upper-bridge", [msgspec.Raw(encode(found))]))
    assert inspect(topics.up("upper-bridge", topics.DETECTIONS), upload, config().keys).refused == []
    assert problem_of(LevelPoint("upper-bridge", series.key, name, found.t, 1, 2.0, 2.0, "e", 1)) == ""
    Ask("ack", who="Li Wei", rule=name, series=series.key)
