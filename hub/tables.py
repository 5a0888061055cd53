"""What a store keeps beside readings, as tables for `tocsin export`: detections, events, summaries, rollups."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

Cell = float | str | int | None
TableRow = tuple[int, *tuple[Cell, ...]]    # the time in ms UTC, then a cell a column

T = TypeVar("T", bound=TableRow)


class Table(StrEnum):
    """The last three are 10 minutes, hours and days of UTC."""

    DETECTIONS = "detections"
    EVENTS = "events"
    SUMMARIES = "summaries"
    BY_10_MIN = "10m"
    BY_HOUR = "1h"
    BY_DAY = "1d"


_ROLLUP: Mapping[str, type] = {"device": str, "quantity": str, "min": float, "mean": float, "max": float,
                               "sum": float, "count": int}
# as docs/store.md names tags and fields; `since` is a time in ms
COLUMNS: Mapping[Table, Mapping[str, type]] = {
    Table.DETECTIONS: {"series": str, "rule": str, "level": int, "value": float, "threshold": float, "episode": str,
                       "revision": int},
    Table.EVENTS: {"what": str, "device": str, "detail": str},
    Table.SUMMARIES: {"device": str, "quantity": str, "since": int, "count": int, "min": float, "max": float,
                      "mean": float},
    Table.BY_10_MIN: _ROLLUP,
    Table.BY_HOUR: _ROLLUP,
    Table.BY_DAY: _ROLLUP,
}


def whole_times(rows: list[T], most: int) -> list[T]:
    """A page of `most` rows in order of time, the time first, without its last time, of which there may be more; none
    where all of them have one time."""
    if len(rows) < most:
        return rows
    last = rows[-1][0]
    return [row for row in rows if row[0] != last]
