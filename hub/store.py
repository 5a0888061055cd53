"""What a store of measurements is: points in, newest values and series out. Two stores pass one suite of tests.

A point is known by its series and its time: writing it again changes nothing, another value at that time replaces it.
Landing makes times unique per series, so that no reading replaces another.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tocsin.levels import Level
from tocsin.messages import Detection, Event, Readings, Record, Siren, Start, Summary
from tocsin.times import iso

EARLIEST_MS = 946_684_800_000  # 2000-01-01: no station spoke before
OLDEST_MS = 86_400_000         # 1970-01-02: records older than any station are imported; a clock at zero has no time
LATEST_MS = 4_102_444_800_000  # 2100-01-01
LONGEST_NAME = 200
LONGEST_TEXT = 60_000  # bytes; an InfluxDB string field ends at 64 KiB
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")
_INT64 = range(-(1 << 63), 1 << 63)


@dataclass(frozen=True, slots=True)
class Point:
    """One reading. `value` in the unit of the quantity's name, `quality` bits of tocsin.readings.Quality."""

    station: str
    device: str
    quantity: str
    t_ms: int
    value: float
    quality: int


@dataclass(frozen=True, slots=True)
class LevelPoint:
    """One change of one rule's state; `value` and `threshold` in the unit of the series' quantity."""

    station: str
    series: str
    rule: str
    t_ms: int
    level: int
    value: float
    threshold: float
    episode: str
    revision: int


@dataclass(frozen=True, slots=True)
class EventPoint:
    """Something technical happened at a station. `device` is a device or series, or empty for the station itself."""

    station: str
    t_ms: int
    what: str
    device: str
    detail: str


@dataclass(frozen=True, slots=True)
class SummaryPoint:
    """One window of one series at a station with a data budget: what its `count` good readings were, in the unit of the
    quantity's name. `t_ms` is the time of the last one, `since_ms` the window's begin."""

    station: str
    device: str
    quantity: str
    t_ms: int
    since_ms: int
    count: int
    low: float
    high: float
    mean: float


@dataclass(frozen=True, slots=True)
class LabelPoint:
    """A word beside the readings of an imported record: a provider's flag, the name of an experiment. `quantity` is its
    column. An empty text stands for a row or a column of the record that has no value at all."""

    station: str
    device: str
    quantity: str
    t_ms: int
    text: str


AnyPoint = Point | SummaryPoint | LevelPoint | EventPoint | LabelPoint
Row = tuple[int, float, int]    # time in ms UTC, value, quality bits


class Store(Protocol):
    """Where readings, levels and events are kept for charts and dashboards. Reading raises TransientError."""

    async def write(self, points: Sequence[AnyPoint]) -> None:
        """Returns when all is kept. Raises TransientError (write all again later) or PermanentError (`bad` is
        refused for ever, the rest is kept)."""

    async def latest(self, station: str) -> list[Point]:
        """The newest point of each series, ordered by device and quantity."""

    async def latest_all(self) -> list[Point]:
        """The newest point of every series, ordered by station, device and quantity."""

    async def series(
        self, station: str, device: str, quantity: str, start_ms: int, end_ms: int, most: int
    ) -> list[tuple[int, float]]:
        """(time, value) with start <= time < end, in order of time.

        More than `most` are thinned out: the span is cut into at most `most // 2` equal buckets and of each the
        smallest and the largest point are kept, at their own times. `most` is at least 2.
        """

    async def readings(self, point: Point, start_ms: int, end_ms: int, most: int) -> list[Row]:
        """The first `most` readings of the point's series with start <= time < end, in order of time, as they were
        received. The next page begins behind the last one's time."""

    async def labels(self, station: str, start_ms: int, end_ms: int, most: int) -> list[LabelPoint]:
        """Labels of a station from the first at start <= time < end on, in order of time: about `most`, all of each
        time. The next page begins behind the last one's time."""

    async def close(self) -> None:
        """Lets go of files and connections."""


@runtime_checkable
class TakesLines(Protocol):
    """A store that can be given text of the line protocol beside points."""

    async def write_lines(self, texts: Sequence[str], points: Sequence[AnyPoint]) -> None:
        """As `Store.write`. Each text is one or more lines; a refused line stands in `bad` as text."""


def problem_of(point: AnyPoint) -> str:
    """What no store can keep about this point, in words; "" if nothing.

    Tags of InfluxDB know no way to write a backslash before a comma, and no control characters.
    """
    names, numbers, whole = _parts(point)
    for name in names:
        if len(name) > LONGEST_NAME or _UNWRITABLE.search(name):
            return f"name {name[:LONGEST_NAME]!r}: use 1 to {LONGEST_NAME} characters, no backslash and no controls"
    if not OLDEST_MS <= point.t_ms < LATEST_MS:
        return f"time {point.t_ms} ms is not between {iso(OLDEST_MS)} and {iso(LATEST_MS)}"
    if not all(map(math.isfinite, numbers)):
        return f"values {numbers} are not all finite"
    if not all(number in _INT64 for number in whole):
        return f"whole numbers {whole} do not all fit into 64 bits"
    if isinstance(point, EventPoint):
        return _text_problem(point.detail)
    if isinstance(point, LabelPoint):
        return _text_problem(point.text)
    return _text_problem(point.episode) if isinstance(point, LevelPoint) else ""


def _parts(point: AnyPoint) -> tuple[tuple[str, ...], tuple[float, ...], tuple[int, ...]]:
    """(names, numbers, whole numbers). A name that may be empty is left out when it is."""
    match point:
        case Point():
            return _filled(point.station, point.device, point.quantity), (point.value,), (point.quality,)
        case SummaryPoint():
            names = _filled(point.station, point.device, point.quantity)
            return names, (point.low, point.high, point.mean), (point.since_ms, point.count)
        case LevelPoint():
            names = _filled(point.station, point.series, point.rule)
            return names, (point.value, point.threshold), (point.level, point.revision)
        case EventPoint():
            return (*_filled(point.station, point.what), point.device), (), ()
        case LabelPoint():
            return _filled(point.station, point.device, point.quantity), (), ()


def _filled(*names: str) -> tuple[str, ...]:
    """The names, an empty one as a blank line, which no name may hold."""
    return tuple(name or "\n" for name in names)


def _text_problem(text: str) -> str:
    if "\0" in text:
        return "text holds a zero byte"
    size = len(text.encode("utf-8", "surrogatepass"))
    return "" if size <= LONGEST_TEXT else f"text of {size} bytes; at most {LONGEST_TEXT}"


def points_of(station: str, record: Record, times: dict[int, int]) -> list[AnyPoint]:
    """The points of a record, in order; `times` gives those their time whose own time was taken at landing."""
    match record:
        case Readings():
            return [
                Point(station, *_split(series), times.get(index, t), value, quality)
                for index, (t, series, value, quality) in enumerate(
                    zip(record.t, record.series, record.value, record.quality, strict=True)
                )
            ]
        case Summary():
            return _of_summary(station, record, times)
        case Detection():
            d = record
            t_ms = times.get(0, d.t)
            return [
                LevelPoint(station, d.series, d.rule, t_ms, d.level, d.value, d.threshold, d.episode, d.revision)
            ]
        case Event():
            detail = f"{record.reason}: {record.detail}" if record.reason else record.detail
            detail = f"{detail} {record.zh}".rstrip()
            return [EventPoint(station, times.get(0, record.t), record.what, record.device or record.series, detail)]
        case Siren():
            detail = f"{Level(record.level).word}: {record.why} ({record.took_ms:g} ms)"
            return [EventPoint(station, times.get(0, record.t), "siren", record.device, detail)]
        case Start():
            detail = f"tocsin {record.version}, rules {record.card.rules_hash}"
            return [EventPoint(station, times.get(0, record.t), "start", "", detail)]
        case _:
            return []


def _of_summary(station: str, record: Summary, times: dict[int, int]) -> list[AnyPoint]:
    """Two for each series: the window, and its last reading, which is the reading itself: where that was sent too, or
    comes later because somebody asked for it, it is the same point once more, and no rain falls twice."""
    found: list[AnyPoint] = []
    for i, (own, series) in enumerate(zip(record.t, record.series, strict=True)):
        device, quantity = _split(series)
        t = times.get(i, own)
        found.append(Point(station, device, quantity, t, record.last[i], record.quality[i]))
        if record.count[i]:
            found.append(SummaryPoint(station, device, quantity, t, record.since, record.count[i],
                                      record.min[i], record.max[i], record.mean[i]))
    return found


def keyed_times(record: Record) -> list[tuple[str, int]]:
    """(series, time) of each of the record's points, in the order of `points_of`; one such pair is one place."""
    match record:
        case Readings():
            return list(zip(record.series, record.t, strict=True))
        case Summary():
            return [(f"summary\n{series}", t) for series, t in zip(record.series, record.t, strict=True)]
        case Detection():
            return [(f"detection\n{record.series}\n{record.rule}", record.t)]
        case Event():
            return [(f"event\n{record.what}\n{record.device or record.series}", record.t)]
        case Siren():
            return [(f"event\nsiren\n{record.device}", record.t)]
        case Start():
            return [("event\nstart\n", record.t)]
        case _:
            return []


def _split(series: str) -> tuple[str, str]:
    device, _, quantity = series.rpartition("/")
    return device, quantity
