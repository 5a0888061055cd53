"""Episodes and marks as tables for a terminal."""

from collections.abc import Sequence
from datetime import tzinfo

from rich import box
from rich.table import Table
from rich.text import Text

from thresholds.replay.episodes import Episode
from thresholds.replay.tally import Tally
from thresholds.replay.words import amount, bare, duration, level_words, moment, peak_words, window, zone_name
from tocsin.levels import Level
from tocsin.readings import Quality

STYLES = {Level.CLEAR: "", Level.BLUE: "bold blue", Level.YELLOW: "bold yellow", Level.ORANGE: "bold dark_orange",
          Level.RED: "bold red"}
MARKS = {Quality.RANGE: "range", Quality.SPIKE_HELD: "held", Quality.STUCK: "stuck", Quality.LATE: "late",
         Quality.CLOCK: "clock", Quality.SERVICE: "service"}


def episode_table(episodes: Sequence[Episode], zone: tzinfo) -> Table:
    """One row an episode. `first` is its first qualifying reading."""
    stations = {one.station for one in episodes}
    of = "" if len(stations) > 1 else f" {min(stations, default='')}"
    table = Table(box=box.SIMPLE, title=f"Episodes 预警过程{of} ({zone_name(zone)})", title_justify="left")
    if not of:
        table.add_column("station", overflow="fold")
    table.add_column("rule", overflow="fold")
    table.add_column("series", overflow="fold")
    for head in ("level", "first", "raised", "cleared"):
        table.add_column(head, no_wrap=True)
    for head in ("lasted", "peak"):
        table.add_column(head, no_wrap=True, justify="right")
    table.add_column("why", overflow="fold")
    for one in episodes:
        table.add_row(
            *([] if of else [one.station]), one.rule, one.series, Text(level_words(one.level), STYLES[one.level]),
            moment(one.since_ms, zone), moment(one.raised_ms, zone), _cleared(one, zone), _lasted(one), peak_words(one),
            why(one))
    return table


def why(one: Episode) -> str:
    """The evidence of the highest level: value, threshold, window."""
    top, over = one.evidence, window(one.over_s)[0]
    sign = "≥" if top.value >= top.threshold else "≤"
    return f"{bare(top.value, one.unit)} {sign} {amount(top.threshold, one.unit)}" + (f" over {over}" if over else "")


def quality_table(of_stations: Sequence[tuple[str, Sequence[Tally]]]) -> Table:
    """One row a series. `missing`: readings that its period leads one to expect in its gaps."""
    table = Table(box=box.SIMPLE, title="Readings 读数", title_justify="left")
    table.add_column("station", overflow="fold")
    table.add_column("series", overflow="fold")
    for head in ("every", "readings", "missing", *MARKS.values(), "stale", "gaps", "longest"):
        table.add_column(head, justify="right")
    for station, tallies in of_stations:
        for one in tallies:
            table.add_row(
                station, one.series.key, duration(one.series.period_ms)[0], str(one.readings), str(one.missing),
                *(str(one.marked[mark]) for mark in MARKS), str(one.stale), str(one.gap_count),
                duration(one.longest_ms)[0] if one.gap_count else "")
    return table


def _cleared(one: Episode, zone: tzinfo) -> str:
    return "lasts 未解除" if one.cleared_ms is None else moment(one.cleared_ms, zone)


def _lasted(one: Episode) -> str:
    return "" if one.cleared_ms is None else duration(one.cleared_ms - one.raised_ms)[0]
