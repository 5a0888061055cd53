"""A chart's points from the embedded store: the extremes of equal stretches of time, from readings or from rollups.

Where many readings are asked for, the extremes come from the coarsest rollups that are at most half a stretch long:
they hold the lowest and the highest reading at their own times, so that no peak is lost. The ends of the span, which
no whole rollup covers, come from the readings. Times whose readings are deleted by age come from the finest rollups
that are still held.
"""

import sqlite3
from typing import NamedTuple

from hub.rollups import RAW, STEPS_MS, deleted_before

Points = list[tuple[int, float]]

_SPAN = "FROM readings WHERE series_id = ? AND t_ms >= ? AND t_ms < ?"
_CELLS = "FROM rollups WHERE series_id = ? AND t_ms >= ? AND t_ms < ? AND step_ms = ?"
# beside a lone min() or max() SQLite gives the other columns of that very row
_OF_READINGS = [f"SELECT (t_ms - ?) / ?, t_ms, {pick}(value) {_SPAN} GROUP BY 1" for pick in ("min", "max")]
_OF_ROLLUPS = [
    f"SELECT (t_ms - ?) / ?, {name}_ms, {pick}({name}) {_CELLS} GROUP BY 1"
    for name, pick in (("low", "min"), ("high", "max"))
]


class Part(NamedTuple):
    """A part of the span, and the step of what is read there; RAW is the readings themselves."""

    step_ms: int
    start_ms: int
    end_ms: int


def thinned(connection: sqlite3.Connection, series_id: int, start_ms: int, end_ms: int, most: int) -> Points:
    """See hub.store.Store.series."""
    gone = deleted_before(connection)
    if start_ms >= gone[RAW]:
        few: Points = connection.execute(
            f"SELECT t_ms, value {_SPAN} ORDER BY t_ms LIMIT ?", (series_id, start_ms, end_ms, most + 1)
        ).fetchall()
        if len(few) <= most:
            return few
    count = max(1, most // 2)
    step = max(step for step in (RAW, *STEPS_MS) if 2 * step * count <= end_ms - start_ms)
    origin = start_ms // step * step if step else start_ms
    width = -(-(end_ms - origin) // count)
    if step:
        width = -(-width // step) * step
    lows: dict[int, tuple[float, int]] = {}
    highs: dict[int, tuple[float, int]] = {}
    for part in parts(start_ms, end_ms, step, gone):
        asked: tuple[int, ...] = (origin, width, series_id, part.start_ms, part.end_ms)
        asked += (part.step_ms,) if part.step_ms else ()
        lowest, highest = _OF_ROLLUPS if part.step_ms else _OF_READINGS
        for bucket, t, value in connection.execute(lowest, asked):
            if start_ms <= t < end_ms:
                lows[bucket] = min((value, t), lows.get(bucket, (value, t)))
        for bucket, t, value in connection.execute(highest, asked):
            if start_ms <= t < end_ms:
                highs[bucket] = max((value, t), highs.get(bucket, (value, t)))
    return sorted({(t, value) for found in (lows, highs) for value, t in found.values()})


def parts(start_ms: int, end_ms: int, step_ms: int, gone: dict[int, int]) -> list[Part]:
    """What is read where: `step_ms`, coarser where that is deleted, and the readings at ends that cut a stretch."""
    found: list[Part] = []
    until = end_ms
    for step in (step for step in (RAW, *STEPS_MS) if step >= step_ms):
        begin = max(start_ms, gone[step])
        if begin < until:
            found += _whole(Part(step, begin, until), gone[RAW])
            until = begin
    return found


def _whole(part: Part, held_from_ms: int) -> list[Part]:
    """The part cut at whole rollups; its ends from the readings, or from a rollup more where those are deleted."""
    step, start, end = part
    if step == RAW:
        return [part]
    first, last = -(-start // step) * step, end // step * step
    if start < held_from_ms and start < first:
        first -= step
    if last < held_from_ms and last < end:
        last += step
    if first > last:    # within one rollup, of which the readings are held
        return [Part(RAW, start, end)]
    edges = [Part(RAW, start, first), Part(RAW, last, end)]
    return [one for one in (Part(step, first, last), *edges) if one.start_ms < one.end_ms]
