"""The panels' common shape: size, words, units, the warning colours, and how gaps are drawn."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.builders.common import LineStyle, ReduceDataOptions, VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    TooltipDisplayMode,
    VisibilityMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DynamicConfigValue,
    FieldColorModeId,
    Panel,
    Threshold,
    ValueMap,
    ValueMapping,
    ValueMappingResult,
)

from dashboards.influxql import Query
from tocsin.levels import WARNING_LEVELS, Level

PLUGIN = "influxdb"
COLOURS = {Level.CLEAR: "green"} | {level: level.word for level in WARNING_LEVELS}

# Readings further apart than this are not joined by a line: three of the slowest usual period, 5 min, as for `stale`
GAP_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Frame:
    """What every panel has. `title` and `note` are English, then Chinese; `width` is of 24, `height` in grid rows."""

    title: str
    note: str
    source: str
    width: int = 12
    height: int = 8

    @property
    def datasource(self) -> DataSourceRef:
        return DataSourceRef(type_val=PLUGIN, uid=self.source)


def fixed_unit(unit: str) -> str:
    """Grafana's own length and pressure units scale (a stage of 1,900 m would read 1.9 km); this one never does."""
    return f"suffix:{unit}"


def level_words() -> list[ValueMapping]:
    """0 to 4 as the colour's name in both languages, in that colour."""
    return [ValueMap({
        str(level.value): ValueMappingResult(level.both, COLOURS[level], index=level.value)
        for level in Level
    })]


def curves(frame: Frame, unit: str, queries: Sequence[Query]) -> timeseries.Panel:
    """Lines over time. A gap longer than GAP_MS stays open; a reading alone between gaps is a point."""
    return (
        timeseries.Panel()
        .title(frame.title)
        .description(frame.note)
        .datasource(frame.datasource)
        .span(frame.width)
        .height(frame.height)
        .unit(fixed_unit(unit))
        .interval("10s")
        .targets(_targets(queries))
        .draw_style(GraphDrawStyle.LINE)
        .line_width(1)
        .fill_opacity(0)
        .show_points(VisibilityMode.AUTO)
        .span_nulls(GAP_MS)
        .legend(VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST).placement(LegendPlacement.BOTTOM))
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI))
    )


def bars(frame: Frame, unit: str, queries: Sequence[Query], interval: str) -> timeseries.Panel:
    """Bars from zero, one an interval; `interval` is the shortest."""
    return (
        curves(frame, unit, queries)
        .draw_style(GraphDrawStyle.BARS)
        .fill_opacity(60)
        .show_points(VisibilityMode.NEVER)
        .min(0)
        .interval(interval)
    )


def level_line(panel: timeseries.Panel, ref: str, level: Level) -> None:
    """Draws the query `ref` of a panel as the dashed line of a level."""
    dashes = LineStyle().fill("dash").dash([8, 6]).build()
    panel.override_by_query(ref, [
        DynamicConfigValue("color", {"mode": FieldColorModeId.FIXED, "fixedColor": COLOURS[level]}),
        DynamicConfigValue("custom.lineStyle", dashes),
        DynamicConfigValue("custom.showPoints", VisibilityMode.NEVER),
        DynamicConfigValue("custom.spanNulls", True),
    ])


def points_only(panel: timeseries.Panel, ref: str) -> None:
    """Draws the query `ref` of a panel as points that nothing joins."""
    panel.override_by_query(ref, [
        DynamicConfigValue("custom.drawStyle", GraphDrawStyle.POINTS),
        DynamicConfigValue("custom.pointSize", 8),
    ])


def number(frame: Frame, unit: str, queries: Sequence[Query], nothing: str) -> stat.Panel:
    """One number a series, `nothing` where there is none: no data is never shown as zero or as clear."""
    return (
        stat.Panel()
        .title(frame.title)
        .description(frame.note)
        .datasource(frame.datasource)
        .span(frame.width)
        .height(frame.height)
        .unit(unit)
        .targets(_targets(queries))
        .no_value(nothing)
        .graph_mode(BigValueGraphMode.NONE)
        .color_mode(BigValueColorMode.VALUE)
        .thresholds(grafana.ThresholdsConfig().steps([Threshold(None, "text")]))
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    )


def rows(frame: Frame, unit: str, query: Query, nothing: str) -> table.Panel:
    """A table as the query's columns."""
    return (
        table.Panel()
        .title(frame.title)
        .description(frame.note)
        .datasource(frame.datasource)
        .span(frame.width)
        .height(frame.height)
        .unit(unit)
        .no_value(nothing)
        .targets(_targets([query]))
    )


def column(panel: table.Panel, name: str, title: str, **properties: object) -> None:
    """Gives a column its bilingual title, and field properties such as `unit` and `mappings`."""
    values = [DynamicConfigValue("displayName", title)]
    panel.override_by_name(name, values + [DynamicConfigValue(key, value) for key, value in properties.items()])


def build(panels: Iterable[Builder[Panel]]) -> list[Builder[Panel]]:
    """The panels numbered from 1 in their order: the same input gives the same JSON."""
    numbered = list(panels)
    for panel_id, panel in enumerate(numbered, 1):
        panel.build().id_val = panel_id
    return numbered


def _targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return list(queries)
