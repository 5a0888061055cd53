"""The words of a bulletin: short, right in both languages, with the units and local times that people know."""

from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

import hub.broadcast
from hub.bulletin import compose
from hub.config import CallTable, CapTable
from hub.happened import EpisodeChanged
from hub.model import Warning as HubWarning
from hub.model import Why
from hub.warnings import said, step
from tests.village import POLICY, at, changed, detection
from tocsin import plugins
from tocsin.levels import Hazard, Level, Stage
from tocsin.messages import Bulletin, BulletinKind

DOCS = Path(__file__).resolve().parent.parent / "docs" / "warnings.md"


def warned(*events: EpisodeChanged) -> HubWarning:
    warning: HubWarning | None = None
    for event in events:
        warning, _ = step(warning, event, event.detection.t, POLICY)
    assert warning is not None
    return warning


def spoken(warning: HubWarning, kind: BulletinKind = BulletinKind.ALERT, zone: str = "Asia/Shanghai") -> Bulletin:
    return compose(warning, kind, version=1, now_ms=at("14:10"), expires_s=3600, zone=ZoneInfo(zone))


def test_what_where_what_to_do_and_since_when() -> None:
    bulletin = spoken(warned(changed(detection(Level.RED, "14:05", 1, since="14:03"))))
    assert bulletin.text_en == (
        "RED flood warning: Upper Bridge. Move now. Go to the shelter by the agreed path now. Do not cross the water. "
        "Water stage 2.35 m, threshold 2 m, since 14:03 on 8 Aug."
    )
    assert bulletin.text_zh == (
        "上桥山洪红色预警。立即转移。请立即沿预定路线前往安置点，不要涉水过河。水位2.35米，阈值2米，自8月8日14:03起。"
    )


def test_times_are_local() -> None:
    bulletin = spoken(warned(changed(detection(Level.RED, "02:05", 1))), zone="America/New_York")
    assert "since 14:05 on 7 Aug" in bulletin.text_en
    assert "自8月7日14:05起" in bulletin.text_zh


@pytest.mark.parametrize(
    ("series", "over_s", "value", "threshold", "english", "chinese"),
    [
        ("rain_total_mm", 10800, 62.4, 60.0, "Rain 62.4 mm in 3 h, threshold 60 mm", "3小时内雨量62.4毫米，阈值60毫米"),
        ("rain_total_mm", 900, 2.0, 1.5, "Rain 2 mm in 15 min, threshold 1.5 mm", "15分钟内雨量2毫米，阈值1.5毫米"),
        ("rain_mm", 90, 2.0, 1.0, "Rain 2 mm in 90 s, threshold 1 mm", "90秒内雨量2毫米，阈值1毫米"),
        ("ch4_pct_lel", 0, 25.0, 25.0, "Methane 25 % LEL, threshold 25 % LEL", "甲烷25% LEL，阈值25% LEL"),
        ("stage_m", 0, 1e6 + 0.1, 9.0, "Water stage 1000000.1 m, threshold 9 m", "水位1000000.1米，阈值9米"),
        ("tank_temp_c", 0, -0.0001, -5.25, "Tank temperature 0 °C, threshold -5.25 °C", "0摄氏度，阈值-5.25摄氏度"),
        ("wobble", 0, 1.23456, 1.0, "Wobble 1.235, threshold 1", "wobble1.235，阈值1"),
    ],
)
def test_values_carry_their_unit(
    series: str, over_s: int, value: float, threshold: float, english: str, chinese: str
) -> None:
    found = detection(
        Level.BLUE, "14:05", 1, series=f"device/{series}", over_s=over_s, value=value, threshold=threshold
    )
    bulletin = spoken(warned(changed(found)))
    assert f". {english}, since" in bulletin.text_en
    assert f"{chinese}，自" in bulletin.text_zh


@pytest.mark.parametrize("hazard", Hazard)
@pytest.mark.parametrize("stage", Stage)
def test_every_hazard_and_stage_says_what_to_do(hazard: Hazard, stage: Stage) -> None:
    bulletin = spoken(warned(changed(detection(Level.ORANGE, "14:05", 1, hazard=hazard, stage=stage))))
    assert f"{stage.en.capitalize()}. " in bulletin.text_en
    assert f"ORANGE {hazard.en} warning" in bulletin.text_en
    assert f"{stage.zh}。请" in bulletin.text_zh


def test_worst_place_is_named_first_and_many_are_counted() -> None:
    levels = {"one": Level.BLUE, "two": Level.RED, "three": Level.YELLOW, "four": Level.BLUE, "five": Level.BLUE}
    events = [
        msgspec.structs.replace(event, station=name, place=name.capitalize(), place_zh="")
        for n, (name, level) in enumerate(levels.items())
        for event in [changed(detection(level, f"14:0{n}", 1))]
    ]
    bulletin = spoken(warned(*events))
    assert bulletin.place == "Two, Three, One and 2 more"
    assert bulletin.place_zh == "Two、Three、One等5处"
    assert bulletin.text_en.count("threshold") == 3


def test_station_without_a_card_is_named_by_its_id() -> None:
    event = EpisodeChanged("upper-bridge", "0" * 12, detection(Level.RED, "14:05", 1), at("14:05"))
    bulletin = spoken(warned(event))
    assert (bulletin.place, bulletin.place_zh) == ("upper-bridge", "upper-bridge")


def test_close_names_what_was_raised_and_holds_an_hour() -> None:
    warning = warned(
        changed(detection(Level.RED, "14:05", 1)),
        changed(detection(Level.CLEAR, "14:09", 2, previous=Level.RED)),
    )
    bulletin = spoken(warning, BulletinKind.CLOSE)
    assert (bulletin.place, bulletin.level, bulletin.stage) == ("Upper Bridge", 0, Stage.WATCH)
    assert bulletin.text_en.startswith("Flood warning is over: Upper Bridge. The readings are back to normal.")
    assert bulletin.text_zh.startswith("上桥山洪预警解除。监测数值已恢复正常")
    assert bulletin.expires - bulletin.sent == 3_600_000


def test_update_refers_to_what_was_said_and_is_not_sent_before_it() -> None:
    warning = said(warned(changed(detection(Level.RED, "14:05", 1))), "330112100201-1", at("14:30"))
    bulletin = spoken(warning, BulletinKind.UPDATE)
    assert (bulletin.references, bulletin.sent) == (["330112100201-1"], at("14:30"))


def test_historic_episode_is_not_spoken_of_beside_a_live_one() -> None:
    warning = warned(
        changed(detection(Level.YELLOW, "14:05", 1)),
        changed(detection(Level.RED, "12:00", 1), "14:06", station="mill-creek"),
    )
    assert spoken(warning).place == "Upper Bridge"


def test_every_reason_channel_and_setting_stands_in_the_docs() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for why in Why:
        assert f"| {why.value} |" in text
    for channel in plugins.names(hub.broadcast):
        assert f"| `{channel}` |" in text
    for table, kind in (("call", CallTable), ("cap", CapTable)):
        for field in msgspec.structs.fields(kind):
            assert f"| `[{table}] {field.name}` |" in text
