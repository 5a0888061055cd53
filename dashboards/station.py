"""The dashboard of a station, built as code.

Without a card one dashboard serves every station, chosen in its variable; it can only mark the thresholds that
detections report. With a station's card its own dashboard is made, where the levels of its rules are lines.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import BigValueColorMode, TimeZoneBrowser
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    Panel,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from dashboards import influxql, panels
from dashboards.influxql import Query
from dashboards.panels import Frame
from tocsin.levels import Level
from tocsin.messages import RuleCard, StationCard, digest
from tocsin.quantities import quantity

SOURCE = "tocsin-influxdb"
UID = "tocsin-station"
UID_MOST = 40  # Grafana refuses a longer one
TAG = "tocsin"
REFRESH = "30s"
RAIN = ("rain_total_mm", "rain_mm")


@dataclass(frozen=True, slots=True)
class Chart:
    """Quantities of one unit on one panel; `pick` is what is kept of an interval: the dangerous side."""

    title: str
    quantities: tuple[str, ...]
    pick: tuple[str, ...] = ("max",)
    width: int = 8


CHARTS = (
    Chart("Stage 水位", ("stage_m",), width=24),
    Chart("Methane 甲烷", ("ch4_pct_lel",)),
    Chart("Toxic gas 有毒气体", ("h2s_ppm", "co_ppm", "nh3_ppm", "cl2_ppm", "so2_ppm", "hcl_ppm")),
    Chart("Oxygen 氧气", ("o2_pct_vol",), pick=("min",)),
    Chart("Tank level 罐液位", ("tank_level_m",), pick=("max", "min")),
    Chart("Tank pressure 罐压力", ("tank_pressure_kpa",), pick=("max", "min")),
    Chart("Tank temperature 罐温度", ("tank_temp_c",)),
    Chart("Distance and depth 空高和水深", ("distance_m", "depth_m"), width=12),
    Chart("Supply voltage 供电电压", ("supply_v",), pick=("min",), width=12),
    Chart("Battery voltage 蓄电池电压", ("battery_v",), pick=("min",)),
    Chart("Battery charge 蓄电池电量", ("battery_pct",), pick=("min",)),
    Chart("Battery and cabinet 蓄电池和机柜温度", ("battery_temp_c", "cabinet_temp_c"), pick=("max", "min")),
    Chart("Reservoir level 库水位", ("level_m",)),
    Chart("Flow 流量", ("flow_m3s",)),
    Chart("Flow over the catchment 径流深", ("flow_mm_h",)),
    Chart("Methane in the air 空气中甲烷", ("ch4_ppm",)),
    Chart("Carbon monoxide by mass 一氧化碳质量浓度", ("co_mg_m3",)),
    Chart("Motor current 电机电流", ("current_a",)),
    Chart("Pipe pressure 管道压力", ("pressure_kpa",), pick=("max", "min")),
    Chart("Pipe flow 管道流量", ("flow_l_s",), pick=("max", "min")),
    Chart("Small pipe flow 管道小流量", ("flow_l_min",), pick=("max", "min")),
    Chart("Slope displacement 坡体位移", ("displacement_mm",), pick=("max", "min")),
    Chart("Tilt 倾角", ("tilt_deg",), pick=("max", "min")),
    Chart("Water in the soil 土壤含水量", ("soil_water_m3m3",)),
    Chart("Pore water pressure 孔隙水压力", ("pore_pressure_kpa",)),
    Chart("Ground water 地下水位", ("groundwater_m",), pick=("max", "min")),
    Chart("Phreatic line 浸润线埋深", ("phreatic_depth_m",), pick=("min",)),
)
_KEPT = {
    ("max",): "The highest value of each interval. 每个时段的最高值。",
    ("min",): "The lowest value of each interval. 每个时段的最低值。",
    ("max", "min"): "The highest and the lowest value of each interval. 每个时段的最高值和最低值。",
}


def build(cards: Mapping[str, StationCard] | None = None, source: str = SOURCE) -> dict[str, dict[str, Any]]:
    """Dashboards as JSON objects by uid: the one with the variable, and one for each station (id to card) given.

    `source` is the uid of Grafana's InfluxDB data source. The same input gives the same output.
    """
    made = [_dashboard("", None, source)]
    made += [_dashboard(station, card, source) for station, card in sorted((cards or {}).items())]
    return {dashboard["uid"]: dashboard for dashboard in made}


def uid_of(station: str) -> str:
    """The uid of one station's own dashboard, at most 40 characters."""
    uid = f"{UID}-{station}"
    return uid if len(uid) <= UID_MOST else f"{UID}-{digest(station.encode())}"


def _dashboard(station: str, card: StationCard | None, source: str) -> dict[str, Any]:
    name = f"{card.name_zh or card.name} ({station})" if card else "Station 站点"
    dashboard = (
        grafana.Dashboard(f"tocsin · {name}")
        .uid(uid_of(station) if card else UID)
        .tags([TAG])
        .timezone(TimeZoneBrowser)
        .time("now-6h", "now")
        .refresh(REFRESH)
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
        .with_variable(_fixed(station) if card else _choice(source))
        .link(grafana.DashboardLink("Stations 站点").type(DashboardLinkType.DASHBOARDS).tags([TAG])
              .as_dropdown(True).keep_time(True))
    )
    rules = [rule for rule in card.rules if rule.over_s == 0 and rule.feature == "value"] if card else []
    charts = _charts(rules, source, _known(card) if card else frozenset())
    for panel in panels.build([*_now(source), *_rain(source), *charts, *_health(source)]):
        dashboard.with_panel(panel)
    made: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(dashboard.build()))
    return made


def _choice(source: str) -> Builder[VariableModel]:
    return (
        grafana.QueryVariable("station")
        .label("Station 站点")
        .datasource(DataSourceRef(type_val=panels.PLUGIN, uid=source))
        .query(influxql.STATIONS)
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .sort(VariableSort.ALPHABETICAL_ASC)
    )


def _fixed(station: str) -> Builder[VariableModel]:
    option = VariableOption(selected=True, text=station, value=station)
    return grafana.CustomVariable("station").label("Station 站点").values(station).options([option]).current(option)


def _now(source: str) -> list[Builder[Panel]]:
    level = panels.number(
        Frame("Warning level now 当前预警级别",
              "The highest level of all rules, as last reported; it stands until the station reports another. "
              "A silent station keeps its level: see Last reading. "
              "各规则最近上报的最高级别；站点失联时保持不变，请看最近读数。",
              source, width=6, height=6),
        "none", [Query(influxql.LEVEL_NOW)], "never raised 从未触发",
    ).mappings(panels.level_words()).color_mode(BigValueColorMode.BACKGROUND)
    rules = panels.rows(
        Frame("Rules 规则",
              "Each rule that ever raised: its level, the value that decided and what it was compared with. "
              "曾触发的规则：级别、判定值和阈值。", source, width=10, height=6),
        "none", Query(influxql.RULES_TABLE, table=True), "never raised 从未触发",
    )
    for name, title in (("rule", "Rule 规则"), ("series", "Series 序列"),
                        ("value", "Value 数值"), ("threshold", "Threshold 阈值")):
        panels.column(rules, name, title)
    panels.column(rules, "Time", "Since 时间", unit="dateTimeAsIso")
    panels.column(rules, "level", "Level 级别", mappings=panels.level_words(),
                  **{"custom.cellOptions": {"type": "color-background"}})
    return [level, rules, *(_rain_sum(source, hours) for hours in (1, 24))]


def _rain_sum(source: str, hours: int) -> Builder[Panel]:
    frame = Frame(
        f"Rain {hours} h {hours}小时雨量",
        f"Rain of the {hours} h before the right edge of the page's range, from the first reading inside it. "
        f"页面时间范围终点前{hours}小时的雨量。", source, width=4, height=6)
    return panels.number(
        frame, panels.fixed_unit("mm"),
        [Query(influxql.rain_sum(name, hours), ref, "$tag_device") for ref, name in zip("AB", RAIN, strict=True)],
        "no reading 无读数",
    ).decimals(1)


def _rain(source: str) -> list[Builder[Panel]]:
    frame = Frame("Rain intensity 雨强",
                  "Rain of each interval as mm an hour. A counter that restarts at zero adds nothing. "
                  "The first and the newest bar are not complete. "
                  "每个时段的雨量，折算为每小时毫米；首尾时段不完整。", source, width=24)
    queries = [Query(influxql.rain_rate(name), ref, "$tag_device") for ref, name in zip("AB", RAIN, strict=True)]
    return [panels.bars(frame, "mm/h", queries, "5m")]


def _known(card: StationCard) -> frozenset[str]:
    """The quantities that a station measures or judges; none where it does not tell."""
    measured = frozenset(one.quantity for one in card.series)
    return measured | {rule.quantity for rule in card.rules} if measured else measured


def _charts(rules: Sequence[RuleCard], source: str, known: frozenset[str]) -> list[Builder[Panel]]:
    """Those of the known quantities; all where none is known."""
    return [
        _chart(chart, [rule for rule in rules if rule.quantity in chart.quantities], source)
        for chart in CHARTS if not known or known & set(chart.quantities)
    ]


def _chart(chart: Chart, rules: Sequence[RuleCard], source: str) -> Builder[Panel]:
    queries = _curves(chart)
    lines = [(rule, Level.of(word), height) for rule in rules for word, height in rule.levels.items()]
    first_mark = len(queries)
    if lines:
        note = "Dashed: the levels of the rules. 虚线：各级阈值。"
        queries += [_line(*line, _ref(number)) for number, line in enumerate(lines, first_mark)]
    else:
        note = "Points: the threshold at each change of level. 圆点：级别变化时的阈值。"
        queries.append(Query(influxql.crossed(chart.quantities), _ref(first_mark), "$tag_rule threshold 阈值"))
    frame = Frame(chart.title, f"{_KEPT[chart.pick]} {note}", source, width=chart.width)
    panel = panels.curves(frame, quantity(chart.quantities[0]).unit, queries)
    for number, (_, level, _) in enumerate(lines, first_mark):
        panels.level_line(panel, _ref(number), level)
    if not lines:
        panels.points_only(panel, _ref(first_mark))
    return panel


def _curves(chart: Chart) -> list[Query]:
    kinds = [(quantity(name), pick) for name in chart.quantities for pick in chart.pick]
    queries = []
    for number, (kind, pick) in enumerate(kinds):
        alias = " ".join(["$tag_device"] + [kind.en, kind.zh] * (len(chart.quantities) > 1)
                         + [pick] * (len(chart.pick) > 1))
        queries.append(Query(influxql.values(kind.name, pick), _ref(number), alias))
    return queries


def _line(rule: RuleCard, level: Level, height: float, ref: str) -> Query:
    device = rule.series.rpartition("/")[0]
    name = f"{rule.name} {level.both} {height:g} {quantity(rule.quantity).unit}"
    return Query(influxql.line(device, rule.quantity, height), ref, name)


def _ref(number: int) -> str:
    """A to Z, then A1 to Z1 and so on: how a panel names its queries."""
    turn, letter = divmod(number, 26)
    return chr(ord("A") + letter) + (str(turn) if turn else "")


def _health(source: str) -> list[Builder[Panel]]:
    last = panels.rows(
        Frame("Last reading 最近读数",
              f"How long ago each series was last heard, of those heard in the last {influxql.SILENT_UP_TO}. "
              "Quality 0 is good. 各序列最近一次读数的时间；质量0为正常。", source),
        "none", Query(influxql.LAST_READINGS, table=True), "no reading 无读数",
    )
    panels.column(last, "Time", "Heard 时间", unit="dateTimeFromNow")
    for name, title in (("device", "Device 设备"), ("quantity", "Quantity 要素"),
                        ("value", "Value 数值"), ("quality", "Quality 质量")):
        panels.column(last, name, title)
    events = panels.rows(
        Frame("Technical events 技术事件",
              f"What happened to devices, clock, siren and log, newest first, {influxql.EVENTS_SHOWN} at most. "
              "设备、时钟、警报器和日志的事件，最新在前。", source),
        "none", Query(influxql.EVENTS, table=True), "no event 无事件",
    )
    for name, title in (("Time", "Time 时间"), ("what", "What 事件"), ("device", "Device 设备"),
                        ("detail", "Detail 详情")):
        panels.column(events, name, title)
    rate = panels.curves(
        Frame("Readings per minute 每分钟读数",
              "Readings stored, and those outside the plausible range, which the charts leave out. "
              "The newest interval is not complete yet. 入库读数及超出合理范围的读数；最新时段尚不完整。",
              source, width=24),
        "1/min",
        [Query(influxql.PER_MINUTE, "A", "all 全部"), Query(influxql.REFUSED_PER_MINUTE, "B", "implausible 超限")],
    ).interval("1m").min(0)
    return [last, events, rate]
