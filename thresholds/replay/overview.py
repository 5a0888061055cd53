"""What a picture shows of many readings: of each narrow stretch the lowest and the highest, so that no peak is lost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from thresholds.block import MISSING
from thresholds.replay.history import ROWS, History
from thresholds.replay.look import Window
from thresholds.replay.tally import GAP_PERIODS
from thresholds.replay.words import MARK_WORDS
from thresholds.rule import SCALE
from thresholds.tables import I64, U8, Bools
from tocsin.readings import EXCLUDED, Quality

HELD, SERVICE = int(Quality.SPIKE_HELD), int(Quality.SERVICE)
MOST_HELD = 400
EMPTY = 2**62
Piece = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Overview:
    """One series from `start_ms` to `end_ms`.

    `pieces` are (time, value) without the gaps, `held` readings that waited for the next one, `amounts` what fell in
    each stretch (left, right, amount) where the series is rain, `gaps` and `marked` are (begin, end) in ms.
    """

    start_ms: int
    end_ms: int
    pieces: list[Piece]
    held: list[tuple[float, float]]
    amounts: list[tuple[float, float, float]]
    gaps: list[tuple[int, int]]
    marked: dict[Quality, list[tuple[int, int]]]

    @property
    def values(self) -> list[float]:
        return [value for piece in self.pieces for _, value in piece]


class _Stretches:
    """Stretches of equal length, and what readings are in each."""

    def __init__(self, start_ms: int, end_ms: int, count: int) -> None:
        self.start, self.span, self.count = start_ms, max(end_ms - start_ms, 1), count
        self.low = np.full(count, EMPTY, np.int64)
        self.high = np.full(count, -EMPTY, np.int64)
        self.begin = np.full(count, EMPTY, np.int64)
        self.end = np.full(count, -EMPTY, np.int64)
        self.fallen = np.zeros(count, np.int64)

    def of(self, t_ms: I64) -> I64:
        found: I64 = np.clip((t_ms - self.start) * self.count // self.span, 0, self.count - 1)
        return found

    def take(self, t_ms: I64, raw: I64, rises: I64) -> None:
        """Good readings in order."""
        if not len(t_ms):
            return
        at = self.of(t_ms)
        cuts = np.flatnonzero(np.diff(at, prepend=-1))
        into = at[cuts]
        self.low[into] = np.minimum(self.low[into], np.minimum.reduceat(raw, cuts))
        self.high[into] = np.maximum(self.high[into], np.maximum.reduceat(raw, cuts))
        self.begin[into] = np.minimum(self.begin[into], t_ms[cuts])
        self.end[into] = np.maximum(self.end[into], t_ms[np.append(cuts[1:], len(at)) - 1])
        self.fallen[into] += np.add.reduceat(rises, cuts)


def overview(history: History, marks: U8, column: int, rows: Window, start_ms: int, end_ms: int,
             stretches: int) -> Overview:
    """Of one series in these rows. The rows are gone through in parts: memory does not grow with them."""
    found, series = _Stretches(start_ms, end_ms, stretches), history.series[column]
    of_mark = {mark: np.zeros(stretches, np.bool_) for mark in MARK_WORDS}
    held: list[tuple[float, float]] = []
    before: tuple[int, int] | None = None
    serviced = 0
    for first in range(rows[0], rows[1], ROWS):
        part = slice(first, min(first + ROWS, rows[1]))
        t_ms, raw, bits = history.t_ms[part], history.raw[part, column], marks[part, column].astype(np.int64)
        present = (bits & MISSING) == 0
        good = (bits & EXCLUDED) == 0
        services = serviced + np.cumsum(present & ((bits & SERVICE) != 0))
        serviced = int(services[-1])
        found.take(t_ms[good], raw[good], _rises(raw[good], services[good], before) if series.counter else raw[good])
        before = (int(raw[good][-1]), int(services[good][-1])) if good.any() else before
        for mark, seen in of_mark.items():
            seen[found.of(t_ms[present & ((bits & int(mark)) != 0)])] = True
        waits = present & ((bits & HELD) != 0)
        held += zip(t_ms[waits].tolist(), (raw[waits] / SCALE).tolist(), strict=True)
    gap = GAP_PERIODS * series.period_ms
    pieces, gaps = _pieces(found, gap)
    width = found.span / stretches
    return Overview(
        start_ms, end_ms, pieces, _few(held),
        [(start_ms + at * width, start_ms + (at + 1) * width, float(found.fallen[at]) / SCALE)
         for at in np.flatnonzero(found.fallen > 0).tolist()] if series.summed else [],
        gaps, {mark: _spans(seen, start_ms, width) for mark, seen in of_mark.items() if seen.any()})


def _rises(raw: I64, services: I64, before: tuple[int, int] | None) -> I64:
    """What a counter rose by; one that went back began anew. What it rose by in service is no rain.

    `services` counts the readings in service up to each; `before` has the value and the count of the reading before.
    """
    if not len(raw):
        return raw
    value, count = before or (raw[0], services[0])
    steps = np.diff(raw, prepend=value)
    return np.where(np.diff(services, prepend=count) > 0, 0, np.where(steps < 0, raw, steps))


def _pieces(found: _Stretches, gap_ms: int) -> tuple[list[Piece], list[tuple[int, int]]]:
    """The lowest and the highest of each stretch as a line, broken where nothing came for longer than `gap_ms`."""
    pieces: list[Piece] = []
    gaps: list[tuple[int, int]] = []
    last = None
    for at in np.flatnonzero(found.high > -EMPTY).tolist():
        begin, end = int(found.begin[at]), int(found.end[at])
        if last is None or begin - last > gap_ms:
            pieces.append([])
            gaps += [] if last is None else [(last, begin)]
        low, high = int(found.low[at]) / SCALE, int(found.high[at]) / SCALE
        middle = (begin + end) / 2
        # from where the line came: the nearer of the two first, so that it does not zigzag more than the readings
        first, second = (low, high)
        if pieces[-1] and abs(pieces[-1][-1][1] - high) < abs(pieces[-1][-1][1] - low):
            first, second = high, low
        pieces[-1] += [(middle, first)] if low == high else [(middle, first), (middle, second)]
        last = end
    return pieces, gaps


def _spans(seen: Bools, start_ms: int, width: float) -> list[tuple[int, int]]:
    """Stretches side by side as one."""
    edges = np.flatnonzero(np.diff(seen.astype(np.int8), prepend=0, append=0))
    return [(round(start_ms + begin * width), round(start_ms + end * width))
            for begin, end in edges.reshape(-1, 2).tolist()]


def _few(held: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return list(held[::-(-len(held) // MOST_HELD)]) if held else []
