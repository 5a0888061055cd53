"""The features of one series over a block: what its tracks compare. docs/detection.md, 4."""

from collections.abc import Callable, Iterator

import numpy as np

from thresholds.batch import cusums, rain, sums, trends
from thresholds.batch.stream import Stream
from thresholds.latches import MOST
from thresholds.rule import SCALE
from thresholds.state import State
from thresholds.tables import I64, Bools

NONE = np.zeros(0, dtype=np.int64)


class Plain:
    """Anything but a sum: `value` is int64[n], more is worse; `sure` is whether it is known (None: always)."""

    def __init__(self, value: I64, sure: Bools | None = None) -> None:
        self._value, self._sure = value, sure

    @property
    def sure(self) -> Bools | None:
        """bool[n]: where it is known; None: everywhere."""
        return self._sure

    def values(self, begin: int, end: int) -> I64:
        """The values at the readings of these numbers."""
        return self._value[begin:end]

    def may_reach(self, least: int, edges: I64) -> Bools:
        """bool[stretches]: where a value may be at least so high."""
        found: Bools = np.maximum.reduceat(self._value, edges[:-1]) >= least
        return found

    def known(self, _: I64, begin: int, end: int) -> Bools | None:
        """bool[L or 1, readings of these numbers]: whether a value below `off` can be told to be there; None: all.

        Of a sum the covered part must be at least `min_valid` (int64[L], thousandths).
        """
        return None if self._sure is None else self._sure[None, begin:end]


class Kept:
    """What was worked out for pieces of the readings, for those who ask again for a part of a piece."""

    def __init__(self, work_out: Callable[[int, int], tuple[I64 | Bools, ...]]) -> None:
        self._work_out = work_out
        self._pieces: list[tuple[int, int, tuple[I64 | Bools, ...]]] = []

    def at(self, begin: int, end: int) -> tuple[I64 | Bools, ...]:
        for first, last, made in self._pieces:
            if first <= begin and end <= last:
                return tuple(one[begin - first:end - first] for one in made)
        made = self._work_out(begin, end)
        if end - begin >= MOST:    # fewer are soon worked out anew
            self._pieces.append((begin, end, made))
        return made


class Moving(Plain):
    """A trend: worked out where it is asked for."""

    def __init__(self, trend: trends.Trend) -> None:
        self.trend = trend
        self._kept = Kept(trend.work_out)

    @property
    def sure(self) -> Bools | None:
        known = self._kept.at(0, self.trend.size)[1].view(np.bool_)
        return None if known.all() else known

    def values(self, begin: int, end: int) -> I64:
        return self._kept.at(begin, end)[0].view(np.int64)

    def may_reach(self, least: int, edges: I64) -> Bools:
        return self.trend.may_reach(least, edges)

    def known(self, _: I64, begin: int, end: int) -> Bools | None:
        return self._kept.at(begin, end)[1].view(np.bool_)[None]


class Total:
    """A sum over a window, as Plain."""

    def __init__(self, window: int, found: sums.Sum) -> None:
        self.window = window
        self._sum = found
        self._values = Kept(lambda begin, end: (found.values(begin, end),))
        self._coverage = Kept(found.coverage)

    def values(self, begin: int, end: int) -> I64:
        return self._values.at(begin, end)[0].view(np.int64)

    def may_reach(self, least: int, edges: I64) -> Bools:
        found: Bools = self._sum.bounds(edges) >= least
        return found

    def known(self, min_valid: I64, begin: int, end: int) -> Bools | None:
        lost = self._sum.lost(begin, end)
        if lost is not None and lost * SCALE <= (SCALE - int(min_valid.max())) * self.window:
            return None
        covered, span = self._coverage.at(begin, end)
        found: Bools = covered * SCALE >= min_valid[:, None] * span
        return found

    def coverage(self, begin: int, end: int) -> tuple[I64, I64]:
        """As of the sum."""
        return self._sum.coverage(begin, end)


Feature = Plain | Total


def features(state: State, stream: Stream, found: dict[int, rain.Gauge]) -> dict[int, Feature]:
    """All features of a series, by index; windows and sums are remembered, and what each was at the last reading."""
    made: dict[int, Feature] = dict(_values(state, stream))
    if stream.t.size:
        for more in (_sums(state, stream), _trends(state, stream), _cusums(state, stream)):
            made.update(more)
        for index, feature in made.items():
            _keep(state, stream, index, feature, found)
    return made


def _keep(state: State, stream: Stream, index: int, feature: Feature, found: dict[int, rain.Gauge]) -> None:
    memory = state.memory
    end = stream.t.size
    # the tracks will ask for as many of the last readings as are counted
    memory.value[index] = feature.values(max(end - MOST, 0), end)[-1]
    if not isinstance(feature, Total):
        known = feature.known(NONE, end - 1, end)
        memory.valid[index] = known is None or known[0, 0]
    else:
        covered, span = feature.coverage(end - 1, end)
        memory.valid[index], memory.span[index] = covered[0], span[0]
        memory.lone[index] = rain.lone(found, stream, feature.window, np.array([stream.t.size - 1]))[0]


def _values(state: State, stream: Stream) -> Iterator[tuple[int, Plain]]:
    values = state.tables.values
    for number in np.flatnonzero(values.series == stream.series).tolist():
        yield values.first + number, Plain(stream.x if values.sign[number] == 1 else -stream.x)


def _sums(state: State, stream: Stream) -> Iterator[tuple[int, Total]]:
    table = state.tables.sums
    numbers = np.flatnonzero(table.series == stream.series).tolist()
    if not numbers:
        return
    run = sums.running(state, stream)
    short, long = [one for one in numbers if one < table.short], [one for one in numbers if one >= table.short]
    if short:
        ring = int(table.ring[short[0]])
        slots = sums.slots(state, run, ring)
        for number in short:
            made = sums.short(state, slots, number)
            yield table.first + number, Total(int(table.window[number]), made)
        sums.store_slots(state, slots, ring)
    if long:
        minutes = sums.minutes(state, run, int(table.ring[long[0]]))
        for number in long:
            far = sums.long(state, minutes, number)
            yield table.first + number, Total(int(table.window[number]), far)
        sums.store_minutes(state, minutes)


def _trends(state: State, stream: Stream) -> Iterator[tuple[int, Moving]]:
    table = state.tables.trends
    rings: dict[int, trends.Ring] = {}
    windows: dict[int, trends.Window] = {}
    for window in np.flatnonzero(table.series == stream.series).tolist():
        ring = int(table.ring[window])
        if ring not in rings:
            rings[ring] = trends.ring(state, stream, ring)
        windows[window] = trends.window(state, rings[ring], window)
    for number in np.flatnonzero(np.isin(table.of, list(windows))).tolist():
        yield table.first + number, Moving(trends.Trend(number, table, windows[int(table.of[number])]))
    for made_ring in rings.values():
        trends.store(state, made_ring)


def _cusums(state: State, stream: Stream) -> Iterator[tuple[int, Plain]]:
    table = state.tables.cusums
    references = {ring: cusums.references(state, stream, ring)
                  for ring in np.flatnonzero(table.minima_series == stream.series).tolist()}
    for number in np.flatnonzero(table.series == stream.series).tolist():
        made = cusums.cusum(state, stream, number, references.get(int(table.minima[number])))
        yield table.first + number, Plain(made.value, made.known)
