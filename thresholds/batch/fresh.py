"""Series that fall silent and come back, over a block. docs/detection.md, 7."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.batch.track import Move
from thresholds.state import State
from thresholds.tables import HOLD_MAX_MS, I64, NEVER, Bools
from thresholds.tell import Freshness


class Told(NamedTuple):
    """What is told in a row, in the order of ticks (0) and readings (1), and of series."""

    row: int
    part: int
    series: int
    what: Freshness


class Stands:
    """How the tracks stand before any row."""

    def __init__(self, state: State, levels: I64, moves: dict[int, list[Move]]) -> None:
        self._series = state.tables.tracks.series
        self._levels = levels
        self._moves = {track: ([move.row for move in own], [move.level for move in own])
                       for track, own in moves.items() if own}

    def changes(self, series: int) -> list[int]:
        """Rows in which the level of a track of this series moves."""
        return sorted({row for track, (rows, _) in self._moves.items() if self._series[track] == series
                       for row in rows})

    def active(self, row: int) -> Bools:
        """bool[tracks]: which are above clear before a row."""
        levels = self._levels.copy()
        for track, (rows, after) in self._moves.items():
            place = bisect_left(rows, row)
            if place:
                levels[track] = after[place - 1]
        found: Bools = levels > 0
        return found

    def own(self, series: int, row: int) -> bool:
        """Whether a track of the series is above clear before a row."""
        return bool(self.active(row)[self._series == series].any())

    def others(self, series: int, row: int) -> bool:
        """Whether a track of another series is."""
        return bool(self.active(row)[self._series != series].any())


@dataclass(frozen=True, slots=True)
class Ticks:
    """The times of ticks, 0 in rows without one; `newest` is the latest time up to each row of the block."""

    now: I64
    newest: I64

    @property
    def any(self) -> bool:
        """Whether a row has a tick."""
        return self.newest.size > 0 and int(self.newest[-1]) > 0

    def span(self, begin: int, end: int, since: int) -> "_Span":
        """The ticks of these rows, in which a series is silent since a time."""
        row = begin + np.flatnonzero(self.now[begin:end])
        return _Span(row, self.now[row], since)


def fresh(state: State, now_ms: I64, streams: list[Stream | None], stands: Stands) -> list[Told]:
    """What is told of all series, in order. The memory's times are still those before the block."""
    onward = bool((now_ms[1:] >= now_ms[:-1]).all())
    ticks = Ticks(now_ms, now_ms if onward else np.maximum.accumulate(now_ms))
    memory = state.memory
    if ticks.any:
        memory.first_tick[memory.first_tick == NEVER] = now_ms[(now_ms != 0).argmax()]
    heard = np.where(memory.good_t == NEVER, memory.first_tick, memory.good_t)
    quiet = ticks.newest[-1:].sum() - heard
    enough = np.where(memory.stale == 1, HOLD_MAX_MS, state.tables.series.stale)
    told: list[Told] = []
    for series, stream in enumerate(streams[:len(state.plan.series)]):
        if stream is not None and stream.t.size:
            told += _series(state, ticks, _Silences(series, stream, int(heard[series])), stands)
        elif ticks.any and quiet[series] > enough[series]:
            told += _silence(state, series, ticks.span(0, now_ms.size, int(heard[series])), stands)
    return sorted(told, key=lambda one: one[:3])


class _Span(NamedTuple):
    """Ticks between two readings, and since when the series is silent."""

    row: I64
    now: I64
    since: int


class _Silences(NamedTuple):
    series: int
    stream: Stream
    heard: int


def _series(state: State, ticks: Ticks, silences: _Silences, stands: Stands) -> Iterator[Told]:
    series, stream, heard = silences
    memory, last = state.memory, stream.last_of_rows()
    row, t = stream.row[last], stream.t[last]
    since = np.concatenate([[heard], t])
    until = np.append(row, ticks.newest.size - 1)
    long = np.flatnonzero(ticks.newest.take(until) - since > state.tables.series.stale[series])
    if memory.stale[series] and (not long.size or long[0]):
        long = np.append(0, long)
    for number in long.tolist() if ticks.any or memory.stale[series] else []:
        begin = int(row[number - 1]) + 1 if number else 0
        yield from _silence(state, series, ticks.span(begin, int(until[number]) + 1, int(since[number])), stands)
        if memory.stale[series] and number < row.size:
            memory.stale[series] = 0
            yield Told(int(row[number]), 1, series, Freshness(state.plan.series[series], int(t[number]), stale=False))


def _silence(state: State, series: int, span: _Span, stands: Stands) -> Iterator[Told]:
    memory = state.memory
    silent = span.now - span.since
    begin = 0
    if memory.stale[series] == 0:
        first = np.flatnonzero(silent > state.tables.series.stale[series])
        if not first.size:
            return
        begin = int(first[0])
        memory.stale[series] = 1
        yield _told(state, series, span, begin, stands, unconfirmed=False)
    if memory.stale[series] == 1:
        late = begin + np.flatnonzero(silent[begin:] > HOLD_MAX_MS)
        found = _held(series, span.row[late], stands)
        if found is not None:
            memory.stale[series] = 2
            yield _told(state, series, span, int(late[found]), stands, unconfirmed=True)


def _held(series: int, rows: I64, stands: Stands) -> int | None:
    """The first of these rows before which a track of the series is above clear."""
    if not rows.size:
        return None
    if stands.own(series, int(rows[0])):
        return 0
    for change in stands.changes(series):
        place = int(np.searchsorted(rows, change, "right"))
        if place < rows.size and stands.own(series, int(rows[place])):
            return place
    return None


def _told(state: State, series: int, span: _Span, place: int, stands: Stands, *, unconfirmed: bool) -> Told:
    row = int(span.row[place])
    return Told(row, 0, series, Freshness(state.plan.series[series], int(span.now[place]), stale=True,
                                          urgent=stands.others(series, row), unconfirmed=unconfirmed))
