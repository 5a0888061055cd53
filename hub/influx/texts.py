"""Landed readings as lines of the line protocol, a record at a time: the text that `hub.influx.lines.line_of` gives
point by point, at a tenth of the cost.

Names are looked at once a series, and numbers a column at a time. What is not readings, and a record of which anything
is odd, is left to the way by points, which names what is wrong.
"""

import math

import msgspec

from hub.influx.lines import head
from hub.store import LATEST_MS, OLDEST_MS
from tocsin.messages import Readings

_JSON = msgspec.json.Encoder()
_INT64 = 1 << 63
_PARTS = 4  # of a line: head, value, quality, time
_GOOD = ",quality=0i "


def text_of(station: str, record: Readings, times: dict[int, int]) -> str | None:
    """A line for each point, in order, with line feeds between; None where a point might not be written as it is.

    `times` as in `hub.store.points_of`.
    """
    t = [times.get(index, own) for index, own in enumerate(record.t)] if times else record.t
    if not t:
        return ""
    if not (min(t) >= OLDEST_MS and max(t) < LATEST_MS and all(map(math.isfinite, record.value))):
        return None
    heads = {}
    for series in set(record.series):
        device, _, quantity = series.rpartition("/")
        begin = head(station, device, quantity)
        if not begin:
            return None
        heads[series] = f"\n{begin}"
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
