"""Landed readings as lines of the line protocol, a record at a time: the text that `hub.influx.line_of` gives point by
point, at a tenth of the cost.

Names are looked at once a series, and numbers a column at a time. What is not readings, and a record of which anything
is odd, is left to the way by points, which names what is wrong.
"""

import functools
import math
import re
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from hub.store import EARLIEST_MS, LATEST_MS, AnyPoint, Point, problem_of
from tocsin.messages import Readings

_JSON = msgspec.json.Encoder()
_HEADS = 1 << 16  # series of which the begin of a line is kept
_SPECIAL = re.compile(r"([,= ])")
_INT64 = 1 << 63
_PARTS = 4  # of a line: head, value, quality, time
_GOOD = ",quality=0i "


@runtime_checkable
class TakesLines(Protocol):
    """A store that can be given text beside points."""

    async def write_lines(self, texts: Sequence[str], points: Sequence[AnyPoint]) -> None:
        """As `Store.write`. Each text is one or more lines; a refused line stands in `bad` as text."""


def text_of(station: str, record: Readings, times: dict[int, int]) -> str | None:
    """A line for each point, in order, with line feeds between; None where a point might not be written as it is.

    `times` as in `hub.store.points_of`.
    """
    t = [times.get(index, own) for index, own in enumerate(record.t)] if times else record.t
    if not t:
        return ""
    if not (min(t) >= EARLIEST_MS and max(t) < LATEST_MS and all(map(math.isfinite, record.value))):
        return None
    heads = {series: _head(station, series) for series in set(record.series)}
    if not all(heads.values()):
        return None
    parts = [_GOOD] * (_PARTS * len(t))
    parts[0::_PARTS] = map(heads.__getitem__, record.series)
    # the encoder's digits are the shortest that read back as the same bits, at less than half of what repr() takes
    parts[1::_PARTS] = _JSON.encode(record.value)[1:-1].decode().split(",")
    parts[3::_PARTS] = _JSON.encode(t)[1:-1].decode().split(",")
    if any(record.quality):
        if not (min(record.quality) >= -_INT64 and max(record.quality) < _INT64):
            return None
        parts[2::_PARTS] = [f",quality={quality}i " for quality in record.quality]
    return "".join(parts)[1:]


@functools.lru_cache(maxsize=_HEADS)
def _head(station: str, series: str) -> str:
    """The end of the line before, and a line up to its value; "" for names that cannot be written."""
    device, _, quantity = series.rpartition("/")
    if problem_of(Point(station, device, quantity, EARLIEST_MS, 0.0, 0)):
        return ""
    return f"\nreadings,device={_tag(device)},quantity={_tag(quantity)},station={_tag(station)} value="


def _tag(name: str) -> str:
    return _SPECIAL.sub(r"\\\1", name)
