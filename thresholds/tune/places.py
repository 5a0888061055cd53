"""Where in a block a feature reaches a value, and where it is not known: exactly, from bounds over short stretches."""

from collections.abc import Iterator

import numpy as np

from thresholds.batch.features import Feature, Moving, Plain, Total
from thresholds.batch.stream import Stream
from thresholds.rule import MINUTE_MS, SCALE
from thresholds.tables import I64, Bools

# Numbers of readings, ours: for what a bound is asked, and what about costs as much as one more piece.
STRETCH, NEAR = 64, 1024
NONE = np.zeros(0, dtype=np.int64)


def reaching(feature: Feature, size: int, least: int) -> tuple[I64, I64]:
    """Numbers of the readings at which the feature is known and at least so high, and its values there."""
    if isinstance(feature, Plain) and not isinstance(feature, Moving):
        return _high(feature, 0, size, least)
    edges = _edges(size)
    found = [_high(feature, begin, end, least) for begin, end in _runs(feature.may_reach(least, edges), edges)]
    if not found:
        return NONE, NONE
    return np.concatenate([numbers for numbers, _ in found]), np.concatenate([values for _, values in found])


def _high(feature: Feature, begin: int, end: int, least: int) -> tuple[I64, I64]:
    value = feature.values(begin, end)
    numbers = np.flatnonzero(value >= least)
    known = None if isinstance(feature, Total) else feature.known(NONE, begin, end)
    if known is not None and numbers.size:
        numbers = numbers[known[0, numbers]]
    return numbers + begin, value[numbers]


def unsure(feature: Feature, stream: Stream, min_valid: int) -> I64:
    """Numbers of the readings at which the feature is not known; `min_valid` is above 0."""
    if isinstance(feature, Total):
        return _uncovered(feature, stream, min_valid)
    if isinstance(feature, Moving) and _short_alone(feature):
        return _too_short(feature, stream)
    sure = feature.sure
    return NONE if sure is None else np.flatnonzero(~sure)


def _uncovered(feature: Total, stream: Stream, min_valid: int) -> I64:
    """Where less than that part of the window is covered: only behind gaps that take that much away."""
    edges = _edges(stream.t.size)
    # a window may begin up to a slot or a minute earlier than its length says
    longest = feature.window + stream.period + MINUTE_MS
    begins = stream.t[edges[:-1]] - longest
    gaps = stream.broken
    lost = np.append(0, np.cumsum(np.minimum(stream.since[gaps] - stream.period, longest)))
    before = lost[np.searchsorted(stream.t[gaps], begins, "right")]
    most = lost[np.searchsorted(gaps, edges[1:])] - before
    # what was lost before the block is not known here
    may: Bools = (most * SCALE > (SCALE - min_valid) * feature.window) | (begins < stream.t[0])
    found = [NONE]
    for begin, end in _runs(may, edges):
        covered, span = feature.coverage(begin, end)
        found.append(begin + np.flatnonzero(covered * SCALE < min_valid * span))
    return np.concatenate(found)


def _short_alone(feature: Moving) -> bool:
    """Whether a trend is unknown only where its window is too short, and every reading is an entry of its ring."""
    trend = feature.trend
    return trend.number < trend.table.rates and trend.window.ring.made.pick is None


def _too_short(feature: Moving, stream: Stream) -> I64:
    """Steps within a window are at most half of it: it is too short only right behind a hole or the block's begin."""
    window = feature.trend.window
    begins = np.append(0, window.holes)
    ends = np.searchsorted(stream.t, stream.t[begins] + np.append(window.length, window.length // 2 + 0 * window.holes))
    found = [NONE]
    done = 0
    for begin, end in zip(begins.tolist(), ends.tolist(), strict=True):
        begin = max(begin, done)
        if end > begin:
            found.append(begin + np.flatnonzero(~feature.trend.work_out(begin, end)[1]))
            done = end
    return np.concatenate(found)


def _edges(size: int) -> I64:
    return np.append(np.arange(0, size, STRETCH), size)


def _runs(may: Bools, edges: I64) -> Iterator[tuple[int, int]]:
    """The readings of stretches that lie near one another."""
    runs = edges[np.flatnonzero(np.diff(may, prepend=False, append=False)).reshape(-1, 2)]
    far = np.flatnonzero(runs[1:, 0] - runs[:-1, 1] > NEAR)
    begins, ends = runs[np.append(0, far + 1)[:len(runs)], 0], runs[np.append(far, len(runs) - 1)[:len(runs)], 1]
    yield from zip(begins.tolist(), ends.tolist(), strict=True)
