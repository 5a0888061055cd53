"""Points as lines of line protocol. A 204 does not prove that every line was kept by whatever speaks this protocol
(VictoriaMetrics drops bad lines with a 204), so no line is made that a server could misread: names are checked and
escaped, numbers finite and typed, and a line holds no line feed."""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import isfinite

from hub.store import (
    LATEST_MS,
    OLDEST_MS,
    AnyPoint,
    EventPoint,
    LabelPoint,
    LevelPoint,
    Point,
    SummaryPoint,
    problem_of,
)

LARGEST_BODY = 4 << 20      # bytes of lines in one request, but for a single long line; servers take 10 MB and more
_SERIES = 1 << 16           # series whose head is remembered
_INT64 = 1 << 63

Line = tuple[AnyPoint | str, str]   # a point, or text that was a line before, and its line


def rendered(points: Sequence[AnyPoint]) -> tuple[list[Line], list[tuple[AnyPoint, str]]]:
    """The lines of those that a store can keep, and the others with their problems."""
    lines: list[Line] = []
    bad: list[tuple[AnyPoint, str]] = []
    for point in points:
        if isinstance(point, Point) and (line := _reading(point)):
            lines.append((point, line))
        elif problem := problem_of(point):
            bad.append((point, problem))
        else:
            lines.append((point, line_of(point)))
    return lines, bad


def bodies(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    """Cut where a request would grow too large."""
    first, size = 0, 0
    for index, (_, line) in enumerate(lines):
        length = 4 * len(line) + 1 if not line.isascii() else len(line) + 1
        if size + length > LARGEST_BODY and index > first:
            yield lines[first:index]
            first, size = index, 0
        size += length
    if first < len(lines):
        yield lines[first:]


def body_of(lines: Iterable[str], *, packs: bool) -> bytes:
    """A request's body; `packs`: for `Content-Encoding: gzip`."""
    plain = "\n".join(lines).encode()
    return gzip.compress(plain, compresslevel=1, mtime=0) if packs else plain


def line_of(point: AnyPoint) -> str:
    """One line of the line protocol, for a point that `problem_of` has nothing to say about."""
    match point:
        case Point():
            head = _readings_head(point.station, point.device, point.quantity)
            return f"{head}{_float(point.value)},quality={point.quality}i {point.t_ms}"
        case SummaryPoint():
            fields = (
                f"since={point.since_ms}i,count={point.count}i,min={_float(point.low)},max={_float(point.high)},"
                f"mean={_float(point.mean)}"
            )
            return f"summaries,{series_tags(point.station, point.device, point.quantity)} {fields} {point.t_ms}"
        case LevelPoint():
            tags = f"rule={_tag(point.rule)},series={_tag(point.series)},station={_tag(point.station)}"
            fields = (
                f"level={point.level}i,value={_float(point.value)},threshold={_float(point.threshold)},"
                f"episode={_text(point.episode)},revision={point.revision}i"
            )
            return f"detections,{tags} {fields} {point.t_ms}"
        case EventPoint():
            # an empty tag cannot be written: a series without it is the station itself
            device = f"device={_tag(point.device)}," if point.device else ""
            tags = f"{device}station={_tag(point.station)},what={_tag(point.what)}"
            return f"events,{tags} detail={_text(point.detail)} {point.t_ms}"
        case LabelPoint():
            return (f"labels,{series_tags(point.station, point.device, point.quantity)} text={_text(point.text)}"
                    f" {point.t_ms}")


def series_tags(station: str, device: str, quantity: str) -> str:
    """The tags of a series, in the order that servers keep."""
    return f"device={_tag(device)},quantity={_tag(quantity)},station={_tag(station)}"


def _reading(point: Point) -> str:
    """The line of a reading at the speed of a stream; "" where `problem_of` has something to say."""
    t_ms, value, quality = point.t_ms, point.value, point.quality
    if OLDEST_MS <= t_ms < LATEST_MS and isfinite(value) and -_INT64 <= quality < _INT64:
        begin = head(point.station, point.device, point.quantity)
        return f"{begin}{float(value)!r},quality={quality}i {t_ms}" if begin else ""
    return ""


@lru_cache(maxsize=_SERIES)
def head(station: str, device: str, quantity: str) -> str:
    """A reading's line up to its value; "" for names that cannot be written."""
    if problem_of(Point(station, device, quantity, OLDEST_MS, 0.0, 0)):
        return ""
    return _readings_head(station, device, quantity)


def _readings_head(station: str, device: str, quantity: str) -> str:
    return f"readings,{series_tags(station, device, quantity)} value="


def _tag(name: str) -> str:
    return name.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _text(words: str) -> str:
    """Line feeds become blanks: some servers cut lines before they look for quotes."""
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ") + '"'


def _float(value: float) -> str:
    """The shortest digits that read back as the same bits; always with a point or an exponent, so never an integer."""
    return repr(float(value))
