"""A wrong setting is refused with place, value and what is allowed."""

from typing import Any

import pytest

import drivers
from tocsin import config, plugins

NAN, INF = float("nan"), float("inf")
LEVEL = {"measures": "level", "span_m": [0, 10]}
LEL = "ch4_span_pct_lel"
SPAN = "use [low, high], two finite numbers, low below high"


@pytest.mark.parametrize(("name", "settings", "says"), [
    ("rain_counter", {}, 'key "mm_per_tip" is missing'),
    ("rain_counter", {"mm_per_tip": 0}, "mm_per_tip: 0 is not allowed; use a number above 0.0 and up to 10.0"),
    ("rain_counter", {"mm_per_tip": -0.2}, "mm_per_tip: -0.2 is not allowed"),
    ("rain_counter", {"mm_per_tip": 200}, "mm_per_tip: 200 is not allowed"),
    ("rain_counter", {"mm_per_tip": NAN}, "mm_per_tip: nan is not allowed"),
    ("rain_counter", {"mm_per_tip": 0.2, "address": -1}, "address: -1 is not allowed"),
    ("radar_level", {}, 'key "measures" is missing; give distance, level'),
    ("radar_level", {"measures": "depth"}, 'measures: "depth" is not allowed; use distance, level'),
    ("radar_level", {"measures": "level", "span_m": [5, 1]}, f"span_m: [5.0, 1.0] is not allowed; {SPAN}"),
    ("radar_level", {"measures": "level", "span_m": [1]}, "span_m: [1] is not allowed; use a list of 2"),
    ("pressure_level", {}, 'key "span_m" is missing'),
    ("pressure_level", {"span_m": [0, INF]}, "span_m: [0.0, inf] is not allowed"),
    ("pressure_level", {"span_m": [-INF, 1]}, "span_m: [-inf, 1.0] is not allowed"),
    ("pressure_level", {"span_m": [NAN, 1]}, "span_m: [nan, 1.0] is not allowed"),
    ("pressure_level", {"span_m": [1, 1]}, "span_m: [1.0, 1.0] is not allowed"),
    ("gas_detector", {"gases": []}, "gases: [] is not allowed; use one or more of ch4, h2s, co, o2, each once"),
    ("gas_detector", {"gases": ["co", "co"]}, "gases: [co, co] is not allowed"),
    ("gas_detector", {"gases": ["radon"]}, '"radon" is not allowed; use ch4, h2s, co, o2'),
    ("gas_detector", {LEL: [100, 0]}, f"{LEL}: [100.0, 0.0] is not allowed; {SPAN}"),
    ("gas_detector", {"h2s_span_ppm": [0, NAN]}, "h2s_span_ppm: [0.0, nan] is not allowed"),
    ("gas_detector", {"co_span_ppm": [0, 0]}, "co_span_ppm: [0.0, 0.0] is not allowed"),
    ("gas_detector", {"o2_span_pct_vol": [25, 0]}, "o2_span_pct_vol: [25.0, 0.0] is not allowed"),
    ("epever_charger", {"span_v": [72, 8]}, f"span_v: [72.0, 8.0] is not allowed; {SPAN}"),
    ("tank_gauge", {}, 'key "span_m" is missing'),
    ("tank_gauge", {"span_m": [12, 0]}, "span_m: [12.0, 0.0] is not allowed"),
    ("relay_output", {"coil": -1}, "coil: -1 is not allowed"),
    ("relay_output", {"feedback_input": -2}, "feedback_input: -2 is not allowed"),
    ("ascii_level", {"measures": "level"}, 'key "span_m" is missing'),
    ("ascii_level", {**LEVEL, "span_m": [3, 2]}, "span_m: [3.0, 2.0] is not allowed"),
    ("ascii_level", {**LEVEL, "address": "1"}, 'address: "1" is not allowed; use text: two digits, such as "01"'),
    ("ascii_level", {**LEVEL, "address": "01\n"}, "is not allowed; use text: two digits"),
    ("ascii_level", {**LEVEL, "address": "٠١"}, "is not allowed; use text: two digits"),
    ("ascii_level", {**LEVEL, "address": 1}, "address: 1 is not allowed"),
])
def test_a_wrong_setting_is_named_with_what_is_allowed(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(config.ConfigError) as caught:
        config.convert(settings, plugins.load(drivers, name).Settings, 'station.toml: device "d"')
    (problem,) = caught.value.problems
    assert problem.startswith('station.toml: device "d"')
    assert says in problem
