"""The dashboards as JSON and as files: whole, deterministic, bilingual, and readable by Grafana's own rules."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from dashboards import influxql, provision, station
from dashboards.command import run
from dashboards.provision import ProvisionError, Source
from tests.shared_data import REPOSITORY
from tocsin.levels import Hazard, Level
from tocsin.messages import RuleCard, SeriesCard, StationCard, encode
from tocsin.quantities import QUANTITIES

UNITLESS = {"Warning level now 当前预警级别", "Rules 规则", "Last reading 最近读数", "Technical events 技术事件"}


RIVER = RuleCard("river", "radar/stage_m", "stage_m", Hazard.FLOOD, {"yellow": 2.0, "red": 3.5})
RISE_1_H = RuleCard("rise 1 h", "radar/stage_m", "stage_m", Hazard.FLOOD, {"orange": 0.5}, over_s=3600)
FUMES = RuleCard("fumes", "fence/co_ppm", "co_ppm", Hazard.GAS, {"yellow": 50.0})


def card(*rules: RuleCard) -> StationCard:
    return StationCard(
        name="Lin'an 1", name_zh="临安一号", area="330112001001", latitude=30.2, longitude=119.7, rules=list(rules),
        series=[SeriesCard("radar/stage_m", "stage_m", 60.0, (0.0, 10.0))], rules_hash="0" * 16,
    )


def panels(dashboard: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {panel["title"]: panel for panel in dashboard["panels"]}


@pytest.fixture(scope="module")
def dashboard() -> dict[str, Any]:
    return station.build()[station.UID]


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (json.dumps(station.build({"lin-an-01": card(RIVER)})) for _ in range(2))
    assert first == second


def test_every_panel_has_title_note_unit_source_and_queries(dashboard: dict[str, Any]) -> None:
    assert len(panels(dashboard)) == len(dashboard["panels"]) == 35
    assert [panel["id"] for panel in dashboard["panels"]] == list(range(1, 36))
    for title, panel in panels(dashboard).items():
        assert panel["datasource"] == {"type": "influxdb", "uid": "tocsin-influxdb"}, title
        for words in (title, panel["description"]):
            assert re.search("[A-Za-z]", words), words
            assert re.search("[一-鿿]", words), words
        unit = panel["fieldConfig"]["defaults"]["unit"]
        assert unit == "none" if title in UNITLESS else unit.startswith("suffix:"), title
        assert panel["targets"], title
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]), title
        assert all(target["rawQuery"] and target["query"].startswith("SELECT ") for target in panel["targets"]), title


def test_panels_do_not_overlap_and_stay_on_the_grid(dashboard: dict[str, Any]) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_units_are_those_of_the_quantities_and_never_scale(dashboard: dict[str, Any]) -> None:
    for chart in station.CHARTS:
        (unit,) = {QUANTITIES[name].unit for name in chart.quantities}
        assert panels(dashboard)[chart.title]["fieldConfig"]["defaults"]["unit"] == f"suffix:{unit}"


def test_every_quantity_is_on_a_panel() -> None:
    assert {name for chart in station.CHARTS for name in chart.quantities} | set(station.RAIN) == set(QUANTITIES)


def test_the_page_follows_the_reader_and_the_clock(dashboard: dict[str, Any]) -> None:
    assert dashboard["timezone"] == "browser"
    assert dashboard["refresh"] == "30s"
    (variable,) = dashboard["templating"]["list"]
    assert (variable["name"], variable["type"], variable["query"]) == ("station", "query", influxql.STATIONS)
    assert variable["datasource"]["uid"] == "tocsin-influxdb"


def test_each_chart_keeps_the_side_that_harms(dashboard: dict[str, Any]) -> None:
    kept = {
        title: set(re.findall(r"SELECT (max|min)\(", " ".join(target["query"] for target in panel["targets"])))
        for title, panel in panels(dashboard).items() if title in {chart.title for chart in station.CHARTS}
    }
    assert {title for title, sides in kept.items() if sides == {"min"}} == {
        "Oxygen 氧气", "Supply voltage 供电电压", "Battery voltage 蓄电池电压", "Battery charge 蓄电池电量",
        "Phreatic line 浸润线埋深"}
    assert {title for title, sides in kept.items() if len(sides) == 2} == {
        "Tank level 罐液位", "Tank pressure 罐压力", "Pipe pressure 管道压力", "Pipe flow 管道流量",
        "Small pipe flow 管道小流量", "Slope displacement 坡体位移", "Tilt 倾角", "Ground water 地下水位",
        "Battery and cabinet 蓄电池和机柜温度"}


def test_a_station_s_own_page_has_the_charts_of_what_it_measures_and_judges() -> None:
    own = panels(station.build({"a": card(RIVER, FUMES)})[station.uid_of("a")])
    assert {chart.title for chart in station.CHARTS} & set(own) == {"Stage 水位", "Toxic gas 有毒气体"}
    assert {"Warning level now 当前预警级别", "Rain intensity 雨强", "Last reading 最近读数"} <= set(own)


def test_gaps_stay_open_and_rain_is_bars_from_zero(dashboard: dict[str, Any]) -> None:
    for chart in station.CHARTS:
        assert panels(dashboard)[chart.title]["fieldConfig"]["defaults"]["custom"]["spanNulls"] == 15 * 60_000
    rain = panels(dashboard)["Rain intensity 雨强"]["fieldConfig"]["defaults"]
    assert (rain["custom"]["drawStyle"], rain["min"]) == ("bars", 0)


def test_levels_have_words_in_both_languages_and_no_data_is_not_clear(dashboard: dict[str, Any]) -> None:
    level = panels(dashboard)["Warning level now 当前预警级别"]["fieldConfig"]["defaults"]
    (mapping,) = level["mappings"]
    assert {int(value): shown["text"] for value, shown in mapping["options"].items()} == {
        level.value: f"{level.word} {level.zh}" for level in Level
    }
    assert mapping["options"]["4"]["color"] == "red"
    assert "clear" not in level["noValue"]
    assert panels(dashboard)["Rain 1 h 1小时雨量"]["fieldConfig"]["defaults"]["noValue"] == "no reading 无读数"


def test_a_card_gives_its_station_a_page_with_the_levels_of_its_rules() -> None:
    made = station.build({"lin-an-01": card(RIVER, RISE_1_H, FUMES)}, source="theirs")
    assert list(made) == ["tocsin-station", "tocsin-station-lin-an-01"]
    own = made["tocsin-station-lin-an-01"]
    assert own["title"] == "tocsin · 临安一号 (lin-an-01)"
    (variable,) = own["templating"]["list"]
    assert (variable["type"], variable["query"], variable["current"]["value"]) == ("custom", "lin-an-01", "lin-an-01")
    stage = panels(own)["Stage 水位"]
    assert [target["alias"] for target in stage["targets"]] == [
        "$tag_device", "river yellow 黄色 2 m", "river red 红色 3.5 m"]
    colours = {
        override["matcher"]["options"]: value["value"]["fixedColor"]
        for override in stage["fieldConfig"]["overrides"] for value in override["properties"] if value["id"] == "color"
    }
    assert colours == {"B": "yellow", "C": "red"}
    assert all(panel["datasource"]["uid"] == "theirs" for made_one in made.values() for panel in made_one["panels"])
    marked = {title for title, panel in panels(own).items()
              if any("50 ppm" in target.get("alias", "") for target in panel["targets"])}
    assert marked == {"Toxic gas 有毒气体"}


def test_many_levels_have_names_of_their_own() -> None:
    rules = [RuleCard(f"r{i}", "radar/stage_m", "stage_m", Hazard.FLOOD, {level.word: float(level) for level in Level})
             for i in range(8)]
    targets = panels(station.build({"a": card(*rules)})["tocsin-station-a"])["Stage 水位"]["targets"]
    assert len({target["refId"] for target in targets}) == len(targets) == 41


def test_a_long_station_id_still_gives_a_uid_that_grafana_takes() -> None:
    uids = {station.uid_of("a" * 61 + end) for end in ("01", "02")}
    assert len(uids) == 2
    assert all(len(uid) <= 40 for uid in uids)


def test_build_writes_what_a_provisioned_grafana_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stations = tmp_path / "stations.json"
    known = [{"id": "lin-an-01", "card": card(), "heard_at": 1}, {"id": "new-02", "card": None}]
    stations.write_bytes(encode({"stations": known, "next": None}))
    out = tmp_path / "out"
    arguments = ["build", str(out), "--stations", str(stations), "--user", "reader", "--database", 'a"b$c #']
    assert run(arguments) == 0
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert files == {
        "dashboards/tocsin-station.json", "dashboards/tocsin-station-lin-an-01.json",
        "provisioning/datasources/tocsin.yaml", "provisioning/dashboards/tocsin.yaml",
    }
    assert set(capsys.readouterr().out.split()) == {str(out / name) for name in files}
    for path in (out / "dashboards").iterdir():
        assert json.loads(path.read_text())["uid"] == path.stem
    (source,) = yaml.safe_load((out / "provisioning/datasources/tocsin.yaml").read_text())["datasources"]
    assert (source["uid"], source["type"], source["user"]) == ("tocsin-influxdb", "influxdb", "reader")
    assert source["jsonData"] == {"version": "InfluxQL", "httpMode": "POST", "dbName": 'a"b$$c #'}
    assert source["secureJsonData"] == {"password": "$TOCSIN_INFLUXDB_PASSWORD"}
    (provider,) = yaml.safe_load((out / "provisioning/dashboards/tocsin.yaml").read_text())["providers"]
    assert provider["options"]["path"] == str(out / "dashboards")
    assert run(arguments) == 0, "again, over what is there"
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == files


def test_without_a_user_no_password_is_asked_for() -> None:
    (source,) = yaml.safe_load(provision.source_yaml(Source("uid")))["datasources"]
    assert "user" not in source
    assert "secureJsonData" not in source


@pytest.mark.parametrize(("content", "words"), [
    (b"{", "truncated"),
    (b"[]", "Expected `object`"),
    (b'{"id": "a"}', "missing required field `stations`"),
    (b'{"stations": [{"card": null}]}', "missing required field `id`"),
    (b'{"stations": [{"id": "a"}]}', "missing required field `card`"),
    (b'{"stations": [{"id": "a", "card": {"name": 5}}]}', "$.stations[0].card"),
    (b'{"stations": [], "next": "a"}', 'next: "a": the hub has more stations than this file'),
])
def test_a_bad_stations_file_is_refused_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "stations.json"
    path.write_bytes(content)
    with pytest.raises(ProvisionError) as caught:
        provision.read_stations(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["build", str(tmp_path / "out"), "--stations", str(tmp_path / "none.json")]) == 1
    assert "none.json: cannot be read: No such file" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert run(["build", str(tmp_path / "file")]) == 1
    assert "cannot be written: " in capsys.readouterr().err


def test_the_page_of_words_names_every_panel(dashboard: dict[str, Any]) -> None:
    page = (REPOSITORY / "docs" / "dashboards.md").read_text()
    for title in panels(dashboard):
        assert f"**{title}**" in page, title
