"""Every panel's query and the variable's, run on a real InfluxDB as Grafana would run them."""

import re
from typing import Any

import pytest

from dashboards import influxql, station
from hub.influx import line_of
from hub.store import AnyPoint, EventPoint, LevelPoint, Point
from tests.services import InfluxDb
from tocsin.levels import Hazard, Level
from tocsin.messages import RuleCard, StationCard
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality

DATABASE = "dashboards"
STATION = "lin-an-01"
NEIGHBOUR = "lin-an-011"  # its name begins with the other's
MINUTE_MS = 60_000
START_MS = 1_723_101_600_000  # 2024-08-08T07:20:00Z
MINUTES = 180
END_MS = START_MS + MINUTES * MINUTE_MS
TIP_MM = 0.2  # a tip a minute: 12 mm/h
RESET_AT = 90  # the minute at which the rain counter restarts from zero
GAP = range(100, 130)  # minutes without a stage
SENTINEL_M = 65.535

CARD = StationCard(
    name="Lin'an 1", name_zh="临安一号", area="330112001001", latitude=30.2, longitude=119.7, series=[],
    rules=[RuleCard("river", "gauge/stage_m", "stage_m", Hazard.FLOOD, {"yellow": 1.4, "red": 2.4})], rules_hash="",
)


def stage_m(minute: int) -> float:
    return 1.0 + 0.01 * minute


def rain_total_mm(minute: int) -> float:
    return TIP_MM * (minute if minute < RESET_AT else minute - RESET_AT)


def inside(quantity: str, part: float) -> float:
    """From the middle of what is plausible up; `part` is 0 to 1 of a unit, or of a quarter of a narrow range."""
    low, high = QUANTITIES[quantity].plausible
    return (low + high) / 2 + part * min(1.0, (high - low) / 4)


def readings_of(where: str, minute: int) -> list[AnyPoint]:
    values = {(name, name): inside(name, minute / MINUTES) for name in QUANTITIES}
    del values["rain_total_mm", "rain_total_mm"], values["rain_mm", "rain_mm"], values["stage_m", "stage_m"]
    values |= {("rain", "rain_total_mm"): rain_total_mm(minute), ("drum", "rain_mm"): TIP_MM}
    if minute not in GAP:
        values["gauge", "stage_m"] = stage_m(minute)
    t_ms = START_MS + minute * MINUTE_MS
    return [Point(where, device, quantity, t_ms, value, 0) for (device, quantity), value in values.items()]


def storm(where: str) -> list[AnyPoint]:
    points = [point for minute in range(MINUTES) for point in readings_of(where, minute)]
    later_ms = START_MS + MINUTE_MS
    return [
        *points,
        Point(where, "gauge", "stage_m", START_MS + 30_000, SENTINEL_M, Quality.RANGE.value),
        LevelPoint(where, "gauge/stage_m", "river", START_MS + 41 * MINUTE_MS, 2, 1.41, 1.4, "e1", 1),
        LevelPoint(where, "gauge/stage_m", "river", START_MS + 141 * MINUTE_MS, 4, 2.41, 2.4, "e1", 2),
        LevelPoint(where, "rain/rain_total_mm", "rain", START_MS, 1, 30.0, 30.0, "e2", 1),
        EventPoint(where, START_MS, "start", "", "tocsin 0.1.0"),
        EventPoint(where, later_ms, "refused", "gauge", "silent: 0.5 s"),
    ]


def write(store: InfluxDb, database: str, points: list[AnyPoint]) -> None:
    store.create(database)
    store.write(database, "\n".join(line_of(point) for point in points))


@pytest.fixture(scope="module")
def store(influxdb: InfluxDb) -> InfluxDb:
    write(influxdb, DATABASE, storm(STATION) + storm(NEIGHBOUR) + [
        LevelPoint(NEIGHBOUR, "rain/rain_total_mm", "rain", END_MS, 4, 90.0, 90.0, "e3", 1)])
    return influxdb


def filled_in(query: str, minutes: int = 5, where: str = STATION) -> str:
    """The query as Grafana sends it: the page's variables first, then the data source's own."""
    words = {
        "${__to}": str(END_MS), "$station": where, "$timeFilter": f"time >= {START_MS}ms and time <= {END_MS}ms",
        "$__interval_ms": str(minutes * MINUTE_MS), "$__interval": f"{minutes}m",
    }
    for word, value in words.items():
        query = query.replace(word, value)
    assert not re.search(r"\$(?![/)])", query), query
    # the records of the test are years old; on a real page `now()` is the page's own time
    return query.replace(f"now() - {influxql.SILENT_UP_TO}", f"{END_MS}ms - {influxql.SILENT_UP_TO}")


def rows(store: InfluxDb, query: str, minutes: int = 5, where: str = STATION) -> list[dict[str, Any]]:
    return store.query(DATABASE, filled_in(query, minutes, where))


def all_queries() -> list[tuple[str, str]]:
    return [
        (f"{uid} {panel['title']} {target['refId']}", target["query"])
        for uid, dashboard in station.build({STATION: CARD}).items()
        for panel in dashboard["panels"] for target in panel["targets"]
    ]


def panel_query(title: str, ref: str = "A") -> str:
    return next(query for name, query in all_queries() if name == f"{station.UID} {title} {ref}")


# A station whose rules on these quantities never raised has no crossed thresholds to show
QUIET = re.compile(r'FROM "detections".*=~ /\\/\((?!stage_m)')


@pytest.mark.parametrize(("name", "query"), all_queries(), ids=[name for name, _ in all_queries()])
@pytest.mark.parametrize("where", [STATION, STATION.replace("-", r"\-")], ids=["plain", "escaped"])
def test_every_query_of_every_panel_is_answered(store: InfluxDb, name: str, query: str, where: str) -> None:
    found = rows(store, query, where=where)
    assert bool(found) is not bool(QUIET.search(query)), name


def test_the_variable_lists_the_stations(store: InfluxDb) -> None:
    assert [row["value"] for row in store.query(DATABASE, influxql.STATIONS)] == [STATION, NEIGHBOUR]


@pytest.mark.parametrize("chart", station.CHARTS, ids=lambda chart: chart.title)
def test_charts_show_values_of_each_quantity_inside_what_is_plausible(
    store: InfluxDb, chart: station.Chart
) -> None:
    for number, (name, pick) in enumerate((name, pick) for name in chart.quantities for pick in chart.pick):
        found = [row[pick] for row in rows(store, panel_query(chart.title, "ABCDEF"[number])) if row[pick] is not None]
        low, high = QUANTITIES[name].plausible
        assert len(found) >= 30
        assert all(low < value < high for value in found)
    assert len({row["device"] for row in rows(store, panel_query(chart.title))}) == 1


def test_stage_keeps_the_peak_shows_the_gap_and_leaves_the_sentinel_out(store: InfluxDb) -> None:
    found = {row["time"]: row["max"] for row in rows(store, panel_query("Stage 水位"))}
    assert found[START_MS] == pytest.approx(stage_m(4))
    silent = [t for t, value in found.items() if value is None and t < END_MS]
    assert silent == [START_MS + minute * MINUTE_MS for minute in range(GAP.start, GAP.stop, 5)]
    assert max(value for value in found.values() if value is not None) == pytest.approx(stage_m(MINUTES - 1))


def test_level_lines_stand_at_the_levels_of_the_card(store: InfluxDb) -> None:
    own = station.build({STATION: CARD})[station.uid_of(STATION)]
    stage = next(panel for panel in own["panels"] if panel["title"] == "Stage 水位")
    heights = {target["alias"]: {row["max"] for row in rows(store, target["query"])} for target in stage["targets"][1:]}
    assert heights == {"river yellow 黄色 1.4 m": {1.4}, "river red 红色 2.4 m": {2.4}}
    assert rows(store, influxql.line("another", "stage_m", 3)) == []


def test_without_a_card_crossed_thresholds_are_marked(store: InfluxDb) -> None:
    assert [(row["rule"], row["threshold"]) for row in rows(store, panel_query("Stage 水位", "B"))] == [
        ("river", 1.4), ("river", 2.4)]


def test_the_level_now_is_the_highest_of_the_newest_of_this_station(store: InfluxDb) -> None:
    (row,) = rows(store, panel_query("Warning level now 当前预警级别"))
    assert row["level"] == Level.RED
    levels = {row["rule"]: (row["series"], row["level"], row["value"], row["threshold"])
              for row in rows(store, panel_query("Rules 规则"))}
    assert levels == {"river": ("gauge/stage_m", 4, 2.41, 2.4), "rain": ("rain/rain_total_mm", 1, 30.0, 30.0)}


def test_the_level_falls_with_the_newest_detection_whatever_the_range_shows(influxdb: InfluxDb) -> None:
    for day, level in enumerate((4, 0)):
        t_ms = START_MS - (9 - day) * 86_400_000
        write(influxdb, "falls", [LevelPoint(STATION, "gauge/stage_m", "river", t_ms, level, 2.0, 2.1, "e", day + 1)])
        (row,) = influxdb.query("falls", filled_in(influxql.LEVEL_NOW))
        assert row["level"] == level


@pytest.mark.parametrize("minutes", [5, 20])
def test_rain_intensity_does_not_depend_on_the_zoom_and_survives_a_counter_reset(
    store: InfluxDb, minutes: int
) -> None:
    for ref in "AB":
        found = [row["sum"] for row in rows(store, panel_query("Rain intensity 雨强", ref), minutes)]
        assert len(found) == MINUTES // minutes
        # the first interval lacks the tip before it, the one with the reset the tip that the reset swallowed
        assert found == pytest.approx([60 * TIP_MM] * len(found), abs=60 * TIP_MM / minutes + 0.01)
        assert min(found) > 0
        assert sorted(found)[len(found) // 2] == pytest.approx(60 * TIP_MM)


def test_rain_sums_are_those_of_the_hours_before_the_right_edge(store: InfluxDb) -> None:
    hour, day = ([rows(store, panel_query(title, ref)) for ref in "AB"]
                 for title in ("Rain 1 h 1小时雨量", "Rain 24 h 24小时雨量"))
    # 59 readings lie inside the hour, which is open on its left; the first is the base of the counter
    assert [found["sum"] for (found,) in hour] == pytest.approx([58 * TIP_MM, 59 * TIP_MM])
    assert [found["sum"] for (found,) in day] == pytest.approx([(MINUTES - 2) * TIP_MM, MINUTES * TIP_MM])
    assert [found["device"] for (found,) in hour] == ["rain", "drum"]


def test_no_rain_is_zero_and_not_nothing(influxdb: InfluxDb) -> None:
    write(influxdb, "dry", [
        Point(STATION, "rain", "rain_total_mm", END_MS - minute * MINUTE_MS, 7.0, 0) for minute in range(3)])
    (row,) = influxdb.query("dry", filled_in(influxql.rain_sum("rain_total_mm", 1)))
    assert row["sum"] == 0


def test_last_readings_name_each_series_with_its_newest_time(store: InfluxDb) -> None:
    found = rows(store, panel_query("Last reading 最近读数"))
    newest = START_MS + (MINUTES - 1) * MINUTE_MS
    assert {row["quantity"] for row in found} == set(QUANTITIES)
    assert {row["time"] for row in found} == {newest}
    stage = next(row for row in found if row["quantity"] == "stage_m")
    assert (stage["device"], stage["value"], stage["quality"]) == ("gauge", pytest.approx(stage_m(MINUTES - 1)), 0)


def test_events_are_newest_first_with_or_without_a_device(store: InfluxDb) -> None:
    found = rows(store, panel_query("Technical events 技术事件"))
    assert [(row["what"], row["device"], row["detail"]) for row in found] == [
        ("refused", "gauge", "silent: 0.5 s"), ("start", None, "tocsin 0.1.0")]


@pytest.mark.parametrize("minutes", [1, 10])
def test_readings_per_minute_do_not_depend_on_the_zoom_and_count_the_implausible(
    store: InfluxDb, minutes: int
) -> None:
    title = "Readings per minute 每分钟读数"
    found = {row["time"]: row["count"] for row in rows(store, panel_query(title), minutes)}
    assert found[START_MS] == pytest.approx(len(QUANTITIES) + 1 / minutes)
    assert found[START_MS + 60 * MINUTE_MS] == len(QUANTITIES)
    refused = {row["time"]: row["count"] for row in rows(store, panel_query(title, "B"), minutes)}
    assert {t: count for t, count in refused.items() if count} == {START_MS: pytest.approx(1 / minutes)}


def test_names_with_quotes_stay_inside_their_literal(influxdb: InfluxDb) -> None:
    name = "it's, or 1=1"
    write(influxdb, "quotes", [Point(STATION, name, "stage_m", START_MS, 1.0, 0)])
    found = influxdb.query("quotes", filled_in(influxql.line(name, "stage_m", 3)))
    assert [row["max"] for row in found] == [3.0]
