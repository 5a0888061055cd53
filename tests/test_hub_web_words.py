"""Words, times and freshness: what the pages say, and that they can say it in both languages."""

import ast
import inspect
import re
import string
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.power import PowerState
from edge.siren_parts import AT_THE_SITE
from hub import health, nightly, troubles
from hub.model import Tier, Why
from hub.store import Point
from hub.web import words as words_module
from hub.web.freshness import LEAST_S, Freshness, of_age, of_station
from hub.web.moments import clock_time, duration, time_tag
from hub.web.view import HOW_OFFICER, HOW_PAGE
from hub.web.words import LANGS, Words, number, preferred
from hub.web.words_table import TABLE
from tests.hub_web_view import GAS_RULES, HOUR, METHANE, MINUTE, NOW, OXYGEN, card, station
from tocsin.faults import Fault
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import BulletinKind, DeviceHealth
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality, Reason

WEB = Path(words_module.__file__).parent
ZONE = ZoneInfo("Asia/Shanghai")


def sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in [*WEB.glob("*.py"), *WEB.glob("templates/*.html")])


def test_every_word_that_a_page_asks_for_is_there_and_none_is_left_over() -> None:
    asked = set(re.findall(r"""\b(?:say|self|request\))\(["'](\w+)["']""", sources()))
    asked |= {"exercise", "test", *(freshness.word for freshness in Freshness)}
    assert asked - set(TABLE) == set()
    assert set(TABLE) - asked == set()


def test_both_languages_fill_in_the_same_values() -> None:
    def holes(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert {key: holes(english) for key, (english, _) in TABLE.items()} == {
        key: holes(chinese) for key, (_, chinese) in TABLE.items()
    }
    assert [key for key, (english, chinese) in TABLE.items() if not english or not chinese] == []


def test_everything_that_the_hub_names_has_a_chinese_word() -> None:
    zh = Words("zh")
    spoken = [
        *map(zh.level, Level), *map(zh.hazard, Hazard), *map(zh.stage, Stage), *map(zh.why, Why), *map(zh.tier, Tier),
        *map(zh.kind, BulletinKind), *map(zh.fault, Reason), *map(zh.quantity, QUANTITIES), zh.how(HOW_PAGE),
        zh.how(HOW_OFFICER), *map(zh.ill, Fault), *(zh.power(state.word) for state in PowerState),
        *(zh.quality(bit) for bit in Quality),
    ]  # fmt: skip
    assert [word for word in spoken if re.fullmatch(r"[\x00-\x7f]*", word)] == []


@given(st.integers(0, 511))
def test_any_quality_bits_can_be_said(bits: int) -> None:
    for lang in LANGS:
        assert Words(lang).quality(bits)


def test_who_pressed_the_button_at_the_site_is_said_as_the_station_says_it() -> None:
    assert [Words(lang).how(str(AT_THE_SITE)) for lang in LANGS] == [AT_THE_SITE.in_(lang) for lang in LANGS]


def test_what_is_not_known_is_said_as_it_came() -> None:
    zh = Words("zh")
    assert (zh.quantity("snow_mm"), zh.fault("fuse blown"), zh.how("radio")) == ("snow_mm", "fuse blown", "radio")


@given(st.text(max_size=60))
def test_any_wish_for_a_language_is_answered(header: str) -> None:
    assert preferred(header) in LANGS


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(4.2849, "m", "4.28"), (82.44, "mm", "82.4"), (-0.5, "m", "-0.50"), (0.0, "mm", "0.0"), (12345.6, "mm", "12346"),
     (1e300, "m", "1e+300")],
)  # fmt: skip
def test_numbers_are_as_fine_as_they_are_meant(value: float, unit: str, text: str) -> None:
    assert number(value, unit) == text


def test_a_time_of_another_day_has_its_date() -> None:
    assert clock_time(NOW, ZONE, NOW) == "15:20:00"
    assert clock_time(NOW - 15 * HOUR, ZONE, NOW) == "00:20:00"
    assert clock_time(NOW - 16 * HOUR, ZONE, NOW) == "2024-08-07 23:20:00"
    assert str(time_tag(NOW, ZONE, NOW)) == (
        '<time datetime="2024-08-08T07:20:00Z" title="2024-08-08 07:20:00 UTC">15:20:00</time>'
    )


@pytest.mark.parametrize(
    ("ms", "en", "zh"),
    [(-5, "0 s", "0 秒"), (59_999, "59 s", "59 秒"), (90_000, "1 min", "1 分钟"), (HOUR, "1 h", "1 小时"),
     (2 * HOUR + 10 * MINUTE, "2 h 10 min", "2 小时 10 分钟"), (51 * HOUR, "2 d 3 h", "2 天 3 小时")],
)  # fmt: skip
def test_a_length_of_time_is_read_at_a_glance(ms: int, en: str, zh: str) -> None:
    assert (duration(ms, "en"), duration(ms, "zh")) == (en, zh)


@pytest.mark.parametrize(
    ("age_s", "period_s", "freshness"),
    [(-3, 60, Freshness.FRESH), (180, 60, Freshness.FRESH), (181, 60, Freshness.LATE), (601, 60, Freshness.SILENT),
     (LEAST_S, 1, Freshness.FRESH), (LEAST_S + 1, 1, Freshness.LATE), (2 * LEAST_S + 1, 1, Freshness.SILENT)],
)  # fmt: skip
def test_freshness_is_counted_in_periods(age_s: float, period_s: float, freshness: Freshness) -> None:
    assert of_age(age_s, period_s) is freshness


GAS = card("Gas plant", "", [METHANE, OXYGEN], GAS_RULES)
FRESH = [Point("plant", "fence-2", name, NOW, 1.0, 0) for name in ("ch4_pct_lel", "o2_pct_vol")]


def test_a_station_is_as_fresh_as_its_worst_series() -> None:
    seen = replace(station("plant", GAS), latest=FRESH)
    assert of_station(seen, NOW).freshness is Freshness.FRESH
    state = of_station(replace(seen, latest=[FRESH[0], replace(FRESH[1], t_ms=NOW - 45_000)]), NOW)
    assert (state.freshness, [one.quantity for one in state.stale]) == (Freshness.LATE, ["o2_pct_vol"])
    assert of_station(replace(seen, latest=FRESH[:1]), NOW).freshness is Freshness.SILENT
    assert of_station(replace(seen, latest=None), NOW).freshness is Freshness.UNKNOWN


def test_a_station_that_says_good_bye_or_is_not_heard_is_silent() -> None:
    seen = replace(station("plant", GAS), latest=FRESH)
    assert seen.heartbeat is not None
    gone = replace(seen, heartbeat=msgspec.structs.replace(seen.heartbeat, online=False))
    assert (of_station(gone, NOW).freshness, of_station(gone, NOW).offline) == (Freshness.SILENT, True)
    assert of_station(replace(seen, heard_at=NOW - 3 * MINUTE), NOW).freshness is Freshness.FRESH
    assert of_station(replace(seen, heard_at=NOW - 3 * MINUTE - 1), NOW).freshness is Freshness.SILENT


def test_a_device_that_tells_its_fault_is_not_listed_twice() -> None:
    sick = replace(station("plant", GAS, devices=[DeviceHealth("fence-2", 1, 9, NOW, "checksum")]), latest=[])
    state = of_station(sick, NOW)
    assert [device.fault for device in state.faults] == ["checksum"]
    assert (state.stale, state.freshness) == ([], Freshness.SILENT)


def said_of_itself() -> set[str]:
    """Every sentence of the hub's health, with 7 for whatever it is filled with."""
    found = set[str]()
    for module in (health, nightly, troubles):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in {
                    "__init__", "look", "stalled", "health", "trouble", "of_landing"}:
                docs = ast.get_docstring(node, clean=False)
                texts = [one for one in ast.walk(node) if isinstance(one, ast.JoinedStr | ast.Constant)]
                inner = {id(part) for one in texts if isinstance(one, ast.JoinedStr) for part in ast.walk(one)} - {
                    id(one) for one in texts if isinstance(one, ast.JoinedStr)}
                found |= {filled(one) for one in texts if id(one) not in inner} - {docs}
    return {text for text in found if text.count(" ") > 1 and not text.startswith(("SELECT", " and"))}


def filled(node: ast.JoinedStr | ast.Constant) -> str:
    parts = node.values if isinstance(node, ast.JoinedStr) else [node]
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "7" for part in parts)


def test_what_the_hub_says_of_its_health_is_said_in_chinese_too() -> None:
    said = said_of_itself()
    assert {"the hub is starting", "the store is 7 s behind", "7 MB are free on the disk of 7"} <= said
    for sentence in said:
        chinese = Words("zh").health(sentence)
        assert re.search("[\u4e00-\u9fff]", chinese), sentence
        assert ("7" in chinese) == ("7" in sentence)
        assert Words("en").health(sentence) == sentence
    named = "group rules name what is not a station of this hub: a, b and 3 more"
    assert Words("zh").health(named) == "组合规则中有非本中心的监测站：a, b 等，另有 3 个"
    assert Words("zh").health("something new") == "something new"
    assert Words("zh").health("512 MB are free on the disk of /var/lib") == "/var/lib 所在磁盘仅剩 512 MB"
