"""The kernel's features at every taken reading of a history, from its path for many rows."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from thresholds.batch import rain
from thresholds.batch.features import Feature, Total
from thresholds.batch.run import run
from thresholds.batch.stream import Stream
from thresholds.kernel import Block
from thresholds.plan import Plan
from thresholds.state import start
from thresholds.tables import I64, Bools
from thresholds.tell import Outcome
from thresholds.tune.timeline import Strand


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of one track: its readings, and its feature at each. None: a value is always known, a sum never lone.

    `valid` and `span` as the kernel has them (int64[n]); `lone`: whether a sum may come from one reading alone.
    """

    strand: Strand
    value: I64
    valid: I64 | None
    span: I64 | None
    lone: Bools | None


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
        told = stream.t.copy()
        # a reading that the next one had to confirm is told with the row of that one
        both = np.flatnonzero(stream.row[1:] == stream.row[:-1])
        told[both] = stream.t[both + 1]
        self.t.append(stream.t)
        self.told.append(told)
        self.raw.append(stream.x)

    def strand(self, period_ms: int) -> Strand:
        held = np.array(self.held, dtype=np.int64).reshape(-1, 3).T.copy()
        return Strand(_joined(self.t), _joined(self.told), period_ms, held[0], held[1], held[2], _joined(self.raw))


@dataclass(slots=True)
class _Columns:
    """Of one track, block by block. `doubtful`: some value was not known."""

    value: list[I64] = field(default_factory=list)
    valid: list[I64] = field(default_factory=list)
    span: list[I64] = field(default_factory=list)
    doubtful: bool = False
    lone: list[Bools] = field(default_factory=list)

    def take(self, made: Feature, count: int, alone: Bools | None) -> None:
        self.value.append(made.values(0, count))
        ones = np.ones(count, dtype=np.int64)
        if isinstance(made, Total):
            covered, span = made.coverage(0, count)
            self.doubtful = True
        else:
            known = made.known(ones[:0], 0, count)
            covered, span = ones if known is None else known[0].astype(np.int64), ones
            self.doubtful |= known is not None
        self.valid.append(covered)
        self.span.append(span)
        if alone is not None:
            self.lone.append(alone)

    def recorded(self, strand: Strand) -> Recorded:
        return Recorded(strand, _joined(self.value), _joined(self.valid) if self.doubtful else None,
                        _joined(self.span) if self.doubtful else None,
                        np.concatenate(self.lone) if self.lone else None)


def record(plan: Plan, blocks: Iterable[Block], *, severe: bool = False) -> list[Recorded]:
    """What each track of a plan compares, at every reading that it takes. `severe`: with `lone` of sums."""
    state = start(plan)
    table = state.tables.tracks
    parts = [_Parts() for _ in plan.all_series]
    columns = [_Columns() for _ in plan.tracks]

    def watch(stream: Stream, made: dict[int, Feature], gauges: dict[int, rain.Gauge]) -> None:
        parts[stream.series].take(stream)
        for track in np.flatnonzero(table.series == stream.series).tolist():
            feature = made.get(int(table.feature[track]))
            if feature is not None:
                alone = _lone(stream, feature, gauges) if severe and isinstance(feature, Total) else None
                columns[track].take(feature, stream.t.size, alone)

    for block in blocks:
        run(state, block, Outcome(block.quality.copy()), watch)
    strands = [own.strand(series.period_ms) for own, series in zip(parts, plan.all_series, strict=True)]
    return [own.recorded(strands[track.series_index]) for own, track in zip(columns, plan.tracks, strict=True)]


def _lone(stream: Stream, feature: Total, gauges: dict[int, rain.Gauge]) -> Bools:
    return rain.lone(gauges, stream, feature.window, np.arange(stream.t.size))


def _joined(parts: list[I64]) -> I64:
    return np.concatenate([np.zeros(0, dtype=np.int64), *parts])
