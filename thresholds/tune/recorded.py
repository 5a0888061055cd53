"""The kernel's features at the taken readings of a history, from its path for many rows.

They are worked out where a setting asks for them: no sum and no trend is, where its bound lies below every `off`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from thresholds.batch import rain
from thresholds.batch.features import Feature, Total, features
from thresholds.batch.run import Watch, run
from thresholds.batch.store import store
from thresholds.batch.stream import Stream, read
from thresholds.kernel import Block
from thresholds.plan import Plan
from thresholds.state import State, start
from thresholds.tables import I64, Bools
from thresholds.tell import Outcome
from thresholds.tune import places
from thresholds.tune.timeline import Strand, joined

Gauges = dict[int, rain.Gauge]


@dataclass(frozen=True, slots=True)
class Piece:
    """What a track compares in one block; `begin` counts the readings of its series taken before."""

    begin: int
    stream: Stream
    feature: Feature
    gauges: Gauges


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of one track: its readings, and its feature at each. A reading's number counts through the strand."""

    strand: Strand
    pieces: tuple[Piece, ...]

    def reaching(self, least: int) -> tuple[I64, I64]:
        """The readings at which the feature is known and at least so high, and its values there."""
        found = [(one.begin, *places.reaching(one.feature, one.stream.t.size, least)) for one in self.pieces]
        return (joined([begin + numbers for begin, numbers, _ in found]), joined([values for *_, values in found]))

    def unsure(self, min_valid: int) -> I64:
        """The readings at which it is not known, or a sum covered for less than that part (thousandths)."""
        if min_valid <= 0:
            return joined([])
        return joined([one.begin + places.unsure(one.feature, one.stream, min_valid) for one in self.pieces])

    def lone(self, readings: I64) -> Bools:
        """At which of these readings, in order, a sum may come from one reading alone."""
        found = np.zeros(readings.size, dtype=np.bool_)
        for one in self.pieces:
            first, last = np.searchsorted(readings, (one.begin, one.begin + one.stream.t.size)).tolist()
            if isinstance(one.feature, Total) and last > first:
                found[first:last] = rain.lone(one.gauges, one.stream, one.feature.window,
                                              readings[first:last] - one.begin)
        return found


@dataclass(slots=True)
class _Parts:
    """Of one series, block by block."""

    t: list[I64] = field(default_factory=list)
    told: list[I64] = field(default_factory=list)
    raw: list[I64] = field(default_factory=list)
    held: list[tuple[int, int, int]] = field(default_factory=list)
    taken: int = 0

    def take(self, stream: Stream) -> None:
        self.held += [(one.t, one.x, self.taken + one.at) for one in stream.held]
        self.taken += stream.t.size
        told = stream.t
        # a reading that the next one had to confirm is told with the row of that one
        both = np.flatnonzero(stream.row[1:] == stream.row[:-1])
        if both.size:
            told = stream.t.copy()
            told[both] = stream.t[both + 1]
        self.t.append(stream.t)
        self.told.append(told)
        self.raw.append(stream.x)

    def strand(self, period_ms: int) -> Strand:
        held = np.array(self.held, dtype=np.int64).reshape(-1, 3).T.copy()
        return Strand(joined(self.t), joined(self.told), period_ms, held[0], held[1], held[2], joined(self.raw))


def record(plan: Plan, blocks: Iterable[Block]) -> list[Recorded]:
    """What each track of a plan compares, at every reading that it takes."""
    state = start(plan)
    table = state.tables.tracks
    parts = [_Parts() for _ in plan.all_series]
    pieces: list[list[Piece]] = [[] for _ in plan.tracks]

    def watch(stream: Stream, made: dict[int, Feature], gauges: Gauges) -> None:
        own = parts[stream.series]
        for track in np.flatnonzero(table.series == stream.series).tolist():
            feature = made.get(int(table.feature[track]))
            if feature is not None and stream.t.size:
                pieces[track].append(Piece(own.taken, stream, feature, gauges))
        own.take(stream)

    # all gauges of rain: they say of one another what is lone
    needed = {*table.series.tolist(), *(state.tables.rain.tolist() if state.tables.sums.series.size else ())}
    for block in blocks:
        outcome = Outcome(block.quality.copy())
        if plan.groups:    # what a group reads hangs on the levels of its members
            run(state, block, outcome, watch)
            continue
        _watched(state, [read(state, block, outcome, series) if series in needed else None
                         for series in range(len(plan.series))], watch)
    strands = [own.strand(series.period_ms) for own, series in zip(parts, plan.all_series, strict=True)]
    return [Recorded(strands[track.series_index], tuple(own)) for own, track in zip(pieces, plan.tracks, strict=True)]


def _watched(state: State, streams: list[Stream | None], watch: Watch) -> None:
    """A block's features alone: no level, no silence and no suspicion is asked for."""
    gauges = rain.gauges(state, streams)
    for stream in streams:
        if stream is not None:
            watch(stream, features(state, stream, gauges), gauges)
    if gauges:
        rain.dry(state, gauges, streams)    # remembers when each brought rain
    for stream in streams:
        if stream is not None:
            store(state, stream)
