"""InfluxQL, the one query language of InfluxDB 1, 2 (with a DBRP mapping) and 3, as queries of Grafana panels.

Grafana fills in `$timeFilter`, `$__interval`, `$__interval_ms`, `${__to}` and the dashboard's own `$station`.
"""
# ruff: noqa: S608 - every value from outside goes through `text` or is a number

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery

from tocsin.readings import Quality

# Some versions of Grafana escape a variable's "-" as in a regular expression, some do not: this form takes both
AT_STATION = '"station" =~ /^$station$/'
# Values outside the plausible range (a sentinel as 65.535) would squash every chart; they are counted, not drawn
DRAWN = f'("quality" & {Quality.RANGE.value}) = 0'
REFUSED = f'("quality" & {Quality.RANGE.value}) = {Quality.RANGE.value}'

STATIONS = 'SHOW TAG VALUES FROM "readings" WITH KEY = "station"'

# The newest state, whatever range the page shows: a level that has stood for days must not fall off its left edge
RULES_NOW = (
    'SELECT last("level") AS "level", "value", "threshold" FROM "detections" '
    f'WHERE {AT_STATION} GROUP BY "series", "rule"'
)
LEVEL_NOW = f'SELECT max("level") AS "level" FROM ({RULES_NOW})'
# Tags as columns of an outer query: Grafana's own tag columns come in no fixed order
RULES_TABLE = f'SELECT "rule", "series", "level", "value", "threshold" FROM ({RULES_NOW})'

SILENT_UP_TO = "30d"
LAST_READINGS = (
    'SELECT "device", "quantity", "value", "quality" FROM ('
    'SELECT last("value") AS "value", "quality" FROM "readings" '
    f'WHERE {AT_STATION} AND time > now() - {SILENT_UP_TO} GROUP BY "device", "quantity")'
)

EVENTS_SHOWN = 200
EVENTS = (
    f'SELECT "what", "device", "detail" FROM "events" WHERE {AT_STATION} AND $timeFilter '
    f"ORDER BY time DESC LIMIT {EVENTS_SHOWN}"
)

PER_MINUTE = (
    'SELECT count("value") * 60000 / $__interval_ms FROM "readings" '
    f"WHERE {AT_STATION} AND $timeFilter GROUP BY time($__interval) fill(0)"
)
REFUSED_PER_MINUTE = PER_MINUTE.replace("AND $timeFilter", f"AND {REFUSED} AND $timeFilter")


@dataclass(frozen=True)
class Query(Dataquery, Builder[Dataquery]):
    """A raw InfluxQL query of a panel; `alias` names its series and may hold `$tag_device`, `table` asks for rows."""

    text: str
    ref: str = "A"
    alias: str = ""
    table: bool = False

    def build(self) -> "Query":
        return self

    def to_json(self) -> dict[str, object]:
        """As Grafana's InfluxDB data source reads it."""
        payload: dict[str, object] = {
            "refId": self.ref,
            "query": self.text,
            "rawQuery": True,
            "resultFormat": "table" if self.table else "time_series",
        }
        return payload | ({"alias": self.alias} if self.alias else {})


def values(quantity: str, pick: str = "max") -> str:
    """One value an interval and device; `pick` is max or min: a mean would hide the peak that people run from."""
    return (
        f'SELECT {pick}("value") FROM "readings" WHERE {AT_STATION} AND "quantity" = {text(quantity)} '
        f'AND {DRAWN} AND $timeFilter GROUP BY time($__interval), "device" fill(null)'
    )


def line(device: str, quantity: str, height: float) -> str:
    """A level line at `height`, in the quantity's unit, drawn as far as the device has readings."""
    return (
        f'SELECT max("value") * 0 + {float(height)!r} FROM "readings" WHERE {AT_STATION} '
        f'AND "device" = {text(device)} AND "quantity" = {text(quantity)} AND {DRAWN} AND $timeFilter '
        "GROUP BY time($__interval) fill(none)"
    )


def crossed(quantities: Sequence[str]) -> str:
    """The thresholds that detections on single values were compared with, at the moments of the change."""
    series = "|".join(quantities)
    return (
        f'SELECT "threshold" FROM "detections" WHERE {AT_STATION} AND "series" =~ /\\/({series})$/ '
        'AND $timeFilter GROUP BY "rule"'
    )


def rain_rate(quantity: str) -> str:
    """Rain in each interval, as mm an hour. `quantity` is a running total or the rain itself."""
    return (
        f'SELECT sum("mm") * 3600000 / $__interval_ms FROM ({_rain(quantity, "$timeFilter")}) '
        'WHERE $timeFilter GROUP BY time($__interval), "device" fill(none)'
    )


def rain_sum(quantity: str, hours: int) -> str:
    """mm in the last hours before the right edge of the page's range. A counter that restarts at 0 adds nothing."""
    window = f"time > ${{__to}}ms - {hours}h AND time <= ${{__to}}ms"
    return f'SELECT sum("mm") FROM ({_rain(quantity, window)}) GROUP BY "device"'


def _rain(quantity: str, when: str) -> str:
    feature = 'non_negative_difference("value")' if quantity == "rain_total_mm" else '"value"'
    return (
        f'SELECT {feature} AS "mm" FROM "readings" WHERE {AT_STATION} AND "quantity" = {text(quantity)} '
        f'AND {DRAWN} AND {when} GROUP BY "device"'
    )


def text(value: str) -> str:
    """A string literal of InfluxQL."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
