"""A closer look at parts of a history: what each track compared there, at every reading that it took."""

from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from thresholds.batch.features import Plain, Total
from thresholds.batch.run import run
from thresholds.batch.stream import Stream
from thresholds.kernel import Block, start, step
from thresholds.plan import Plan
from thresholds.replay.episodes import Episode, Peak
from thresholds.replay.history import ROWS, History, longest_silence_ms, pieces
from thresholds.state import State
from thresholds.tables import I64
from thresholds.tell import Outcome

Window = tuple[int, int]    # rows: the first, and the one behind the last


@dataclass(frozen=True, slots=True)
class Span:
    """What is to be looked at: a track, by its index, from one time to another, both included."""

    track: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Seen:
    """Of a track in order of time: int64[n] times, and the feature where it is known. It carries the rule's sign."""

    t_ms: I64
    value: I64


def look(history: History, plan: Plan, spans: Sequence[Span], rows: int = ROWS) -> Iterator[tuple[int, Seen]]:
    """(index of the span, what was compared in it), part by part in order of time; the kernel runs once more."""
    if not spans:
        return
    state = start(plan, history.station)
    last_ms = max(span.end_ms for span in spans)
    for piece in pieces(history, rows, longest_silence_ms(plan)):
        times = history.t_ms[piece.first:piece.first + len(piece.own)]
        begin_ms, end_ms = int(times.min()), int(times.max())
        here = {n: span for n, span in enumerate(spans) if span.start_ms <= end_ms and begin_ms <= span.end_ms}
        if here:
            found = _recorded(replace(state, memory=deepcopy(state.memory)), piece.block)
            for number, span in here.items():
                if span.track in found:
                    seen = found[span.track]
                    inside = slice(int(np.searchsorted(seen.t_ms, span.start_ms, "left")),
                                   int(np.searchsorted(seen.t_ms, span.end_ms, "right")))
                    yield number, Seen(seen.t_ms[inside], seen.value[inside])
        if begin_ms > last_ms:
            return
        step(state, piece.block)


def rows_of(history: History, start_ms: int, end_ms: int) -> Window:
    """The rows with start <= time <= end, of a history whose times rise but for late ones."""
    clock = np.maximum.accumulate(history.t_ms)
    return int(np.searchsorted(clock, start_ms, "left")), int(np.searchsorted(clock, end_ms, "right"))


def tracks_of(plan: Plan, episodes: Iterable[Episode]) -> dict[str, int]:
    """The index of each episode's track, by the episode's id."""
    index = {id(track): number for number, track in enumerate(plan.tracks)}
    return {one.id: index[id(one.track)] for one in episodes if one.track is not None}


def peaks(history: History, plan: Plan, episodes: Sequence[Episode], rows: int = ROWS) -> list[Episode]:
    """The episodes, each with the worst that its rule compared from its first qualifying reading to the clear."""
    if not episodes:
        return []
    last_ms = int(history.t_ms.max())
    tracks = tracks_of(plan, episodes)
    spans = [Span(tracks[one.id], one.since_ms, one.cleared_ms or last_ms) for one in episodes]
    worst: dict[int, tuple[int, int]] = {}
    for number, seen in look(history, plan, spans, rows):
        if len(seen.value):
            at = int(seen.value.argmax())
            value = int(seen.value[at])
            if number not in worst or value > worst[number][0]:
                worst[number] = value, int(seen.t_ms[at])
    return [replace(one, peak=_peak(plan, tracks[one.id], worst.get(number))) for number, one in enumerate(episodes)]


def _peak(plan: Plan, track: int, found: tuple[int, int] | None) -> Peak | None:
    return None if found is None else Peak(plan.tracks[track].rule.shown(found[0]), found[1])


def _recorded(state: State, block: Block) -> dict[int, Seen]:
    """By track, what it compares in the block. Uses up the state."""
    feature = state.tables.tracks.feature.tolist()
    found: dict[int, Seen] = {}

    def watch(stream: Stream, made: dict[int, Plain | Total], _: object) -> None:
        for track in np.flatnonzero(state.tables.tracks.series == stream.series).tolist():
            if feature[track] in made:
                found[track] = _seen(stream, made[feature[track]])

    run(state, block, Outcome(block.quality.copy()), watch)
    return found


def _seen(stream: Stream, made: Plain | Total) -> Seen:
    value = made.values(0, stream.t.size)
    known = made.sure if isinstance(made, Plain) else None    # a sum is known everywhere
    return Seen(stream.t, value) if known is None else Seen(stream.t[known], value[known])
