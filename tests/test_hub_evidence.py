"""Every feature of a rule in words: in bulletins that are read to people, and on the pages."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.checks import inspect
from hub.web.cards import warning_card
from hub.web.panels import _rules_of
from hub.web.words import Words
from tests.hub_web_view import RULES, STAGE, card
from tests.test_hub_warnings_bulletin import spoken, warned
from tests.village import changed, config, detection
from tocsin import topics
from tocsin.levels import Authority, Hazard, Level
from tocsin.messages import VERSION, Detection, RuleCard, Upload, encode

NEVER_MIN = 10_080.0    # what a station tells where the mark will never be reached


def found(
    feature: str, value: float, threshold: float, *, quantity: str = "radar/stage_m", target: float | None = None,
    hazard: Hazard = Hazard.FLOOD,
) -> Detection:  # fmt: skip
    over_s = 1800 if feature in {"rate", "slope", "time_to", "coincidence"} else 0
    return detection(Level.YELLOW, "14:05", 1, series=quantity, value=value, threshold=threshold, over_s=over_s,
                     feature=feature, target=target, hazard=hazard)  # fmt: skip


@pytest.mark.parametrize(
    ("detection", "english", "chinese", "page"),
    [
        (found("slope", 0.8, 0.5), "Water stage rising 0.8 m/h, threshold 0.5 m/h",
         "水位上升0.8米/小时，阈值0.5米/小时",
         "water stage rising 0.80 m/h, threshold 0.50 m/h"),
        (found("rate", -0.8, -0.5, quantity="gauge/tank_level_m"), "Tank level falling 0.8 m/h, threshold 0.5 m/h",
         "罐液位下降0.8米/小时，阈值0.5米/小时", "tank level falling 0.80 m/h, threshold 0.50 m/h"),
        (found("rate", -0.1, 0.5), "Water stage falling 0.1 m/h, threshold -0.5 m/h",
         "水位下降0.1米/小时，阈值-0.5米/小时",
         "water stage falling 0.10 m/h, threshold -0.50 m/h"),
        (found("time_to", 25.0, 30.0, target=3.0), "Water stage would reach 3 m in 25 min, threshold 30 min",
         "水位预计到达3米还需25分钟，阈值30分钟", "water stage would reach 3.00 m in 25 min, threshold 30 min"),
        (found("time_to", 2.46, 30.0, target=0.0), "Water stage would reach 0 m in 2.5 min",
         "水位预计到达0米还需2.5分钟",
         "water stage would reach 0.00 m in 2.5 min"),
        (found("time_to", NEVER_MIN, 30.0, target=3.0),
         "Water stage would reach 3 m in a week or more, threshold 30 min",
         "水位预计到达3米还需一周以上，阈值30分钟",
         "water stage would reach 3.00 m in a week or more, threshold 30 min"),
        (found("time_to", 25.0, 30.0), "Water stage would reach its mark in 25 min", "水位预计到达目标值还需25分钟",
         "water stage would reach its mark in 25 min"),
        (found("cusum", 12.5, 10.0, quantity="fence/ch4_pct_lel", hazard=Hazard.GAS),
         "Methane summed beyond its usual value 12.5 % LEL, threshold 10 % LEL",
         "甲烷累计偏离常值12.5% LEL，阈值10% LEL",
         "methane summed beyond its usual value 12.5 % LEL, threshold 10.0 % LEL"),
        (found("coincidence", 2.0, 2.0, quantity="coincidence/rain group", target=3.0),
         "Gauges that warn 2 of 3, threshold 2", "达到预警的监测点2处（共3处），阈值2处",
         "gauges that warn 2 of 3, threshold 2"),
        (found("coincidence", 2.5, 2.0, quantity="coincidence/fence", hazard=Hazard.GAS),
         "Sensors that warn 2.5, threshold 2", "达到预警的监测点2.5处，阈值2处", "sensors that warn 2.5, threshold 2"),
        (found("wavelet", 1.5, 1.0), "Water stage 1.5 m, threshold 1 m", "水位1.5米，阈值1米", "water stage 1.50 m"),
    ],
)  # fmt: skip
def test_every_feature_is_told_in_words(detection: Detection, english: str, chinese: str, page: str) -> None:
    warning = warned(changed(detection))
    bulletin = spoken(warning)
    assert f". {english}" in bulletin.text_en
    assert f"。{chinese}" in bulletin.text_zh
    (line,) = warning_card(warning, {}, Words("en")).episodes
    assert f"{line.what} {line.value}, threshold {line.threshold}".startswith(page)
    assert line.window == ""


def test_a_sum_names_its_window_on_the_page() -> None:
    rain = detection(Level.RED, "14:05", 1, series="gauge/rain_total_mm", over_s=10800, feature="sum", value=62.4)
    (line,) = warning_card(warned(changed(rain)), {}, Words("zh")).episodes
    assert (line.what, line.window, line.value) == ("雨量", "3 小时内", "62.4 mm")


@given(
    st.text(max_size=8) | st.sampled_from(["sum", "rate", "slope", "time_to", "cusum", "coincidence"]),
    st.floats(allow_nan=False, allow_infinity=False), st.none() | st.floats(allow_nan=False, allow_infinity=False),
)  # fmt: skip
def test_no_finding_breaks_a_text(feature: str, value: float, target: float | None) -> None:
    warning = warned(changed(found(feature, value, -value, target=target)))
    assert "threshold" in spoken(warning).text_en
    assert warning_card(warning, {}, Words("zh")).episodes[0].value


@pytest.mark.parametrize("wrong", [{"hold_s": -1.0}, {"hold_s": 1e300}, {"hold_s": 86_401.0}])
def test_a_time_to_hold_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    good = detection(Level.RED, "14:05", 1, authority=Authority.AFTER, hold_s=86_400.0)
    for one, refused in ((good, False), (msgspec.structs.replace(good, **wrong), True)):
        upload = encode(Upload(VERSION, "upper-bridge", [msgspec.Raw(encode(one))]))
        delivery = inspect(topics.up("upper-bridge", topics.DETECTIONS), upload, config().keys)
        assert [found.detail.split()[0] for found in delivery.refused] == (["hold_s"] if refused else [])


def test_thresholds_of_a_rate_are_not_drawn_on_the_values() -> None:
    rate = RuleCard("fast", STAGE.key, "stage_m", Hazard.FLOOD, {"red": 0.5}, over_s=1800, feature="slope")
    summed = RuleCard("cusum", STAGE.key, "stage_m", Hazard.FLOOD, {"red": 9.0}, feature="cusum")
    shown = _rules_of(card("x", "x", [STAGE], [*RULES, rate, summed]), STAGE)
    assert [rule.name for rule in shown] == ["stage"]


def test_messages_of_before_are_read_as_plain_values() -> None:
    """A station with an older agent says nothing of features and of holding."""
    plain = msgspec.to_builtins(detection(Level.RED, "14:05", 1))
    for key in ("hold_s", "feature", "target"):
        del plain[key]
    read = msgspec.convert(plain, Detection)
    assert (read.hold_s, read.feature, read.target) == (0.0, "value", None)
