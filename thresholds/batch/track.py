"""The tracks of a series through a block: which levels their features reach, and how each track's own level moves."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from thresholds.batch import rain
from thresholds.batch.counts import Counts, pushed
from thresholds.batch.features import Feature, Moving, Total
from thresholds.batch.level import Early, Level, levels
from thresholds.batch.stream import STRETCH, Stream
from thresholds.latches import MOST
from thresholds.state import State
from thresholds.tables import BEYOND, I64, NEVER, Bools
from tocsin.levels import WARNING_LEVELS


class Move(NamedTuple):
    """The level of a track changed with a row. `value` is that of the feature; `run_since` is int64[4], of a rise from
    clear: nothing else asks for it.
    """

    row: int
    track: int
    t: int
    before: int
    level: int
    run_since: I64
    value: int


HIGHEST = [0, *(int(WARNING_LEVELS[stands.bit_length() - 1]) for stands in range(1, 1 << len(WARNING_LEVELS)))]
REST: I64 = np.full(len(WARNING_LEVELS), NEVER, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Series:
    """A series with its tracks (int64[T]), what each compares, and the held readings that count at once for each."""

    stream: Stream
    gauges: dict[int, rain.Gauge]
    tracks: I64
    features: list[Feature]
    early: list[list[Early]]


@dataclass(frozen=True, slots=True)
class Piece:
    """Readings of a series from number `begin` to `end`; `stream` has these alone.

    `which` are the numbers of the tracks that may not be at rest, `tracks` these, and `values` (int64[which, readings])
    what they compare.
    """

    stream: Stream
    begin: int
    end: int
    which: list[int]
    tracks: I64
    values: I64
    early: list[list[Early]]


def judge(state: State, stream: Stream, gauges: dict[int, rain.Gauge],
          made: dict[int, Feature]) -> dict[int, list[Move]]:
    """Takes a block into the tracks of a series; their levels are changed, their episodes are not."""
    every = state.tables.tracks
    tracks = [track for track in np.flatnonzero(every.series == stream.series).tolist()
              if int(every.feature[track]) in made]
    if not tracks:
        return {}
    series = Series(stream, gauges, np.array(tracks, dtype=np.int64),
                    [made[int(every.feature[track])] for track in tracks],
                    [_early(state, stream, track) for track in tracks])
    moves: dict[int, list[Move]] = {track: [] for track in tracks}
    noted = done = 0
    for begin, end, which in _awake(state, series):
        # readings at rest in front of a piece tell it what was below before; they change nothing else
        begin = max(begin - MOST, done)
        if begin == done:
            _note_below(state, series, noted, done)
            noted = done
        piece = _piece(series, begin, end, which)
        found = _levels(state, series, piece)
        for at, own in found.items():
            moves[int(piece.tracks[at])] += _moves(state, piece, at, own)
        for own in found.values():
            for level in own.values():
                level.store()
        done = end
    _note_below(state, series, noted, stream.t.size)
    return moves


def _early(state: State, stream: Stream, track: int) -> list[Early]:
    """Held readings at or above the highest level of a track that they can raise."""
    tracks, values = state.tables.tracks, state.tables.values
    if not stream.held or not tracks.early[track].any():
        return []
    sign, top = int(values.sign[tracks.feature[track] - values.first]), int(tracks.tops[track])
    return [Early(one.row, one.t, one.x * sign, one.at) for one in stream.held if one.x * sign >= top]


def _awake(state: State, series: Series) -> Iterator[tuple[int, int, list[int]]]:
    """The readings during which a track is not at rest, piece by piece, and which tracks that may be; looks at the
    memory behind each piece.
    """
    memory, tracks, stream = state.memory, series.tracks, series.stream
    edges = stream.edges()
    early = np.array([bool(own) for own in series.early])
    if not stream.t.size:
        if early.any():
            yield 0, 0, np.flatnonzero(early).tolist()
        return
    reaches, may = _reaches(state, series, edges)
    flags, at, more = reaches.tobytes(), 0, 1
    while at < len(flags):
        busy = bool(memory.on_bits[tracks].any()) or bool(memory.level[tracks].any())
        if not busy:
            at, more = flags.find(1, at), 1
            if at < 0:
                return
        end = flags.find(0, at + more) if at + more < len(flags) else len(flags)
        end = end if end >= 0 else len(flags)
        some = early | may[:, at:end].any(axis=1) | (
            (memory.on_bits[tracks] != 0) | (memory.latched[tracks] != 0) | (memory.run_since[tracks] != NEVER)
        ).any(axis=1)
        yield int(edges[at]), int(edges[end]), np.flatnonzero(some).tolist()
        at, more = end, 2 * more


def _reaches(state: State, series: Series, edges: I64) -> tuple[Bools, Bools]:
    """In which stretches a track comes to its lowest level: worked out only where a bound does not exclude it. With
    what the bounds do not exclude: bool[T, stretches].
    """
    lowest = state.tables.tracks.lowest[series.tracks].tolist()
    may = np.stack([feature.may_reach(least, edges) for least, feature in zip(lowest, series.features, strict=True)])
    some = may.any(axis=0)
    reaches = np.zeros_like(some)
    for first, last in np.flatnonzero(np.diff(some, prepend=False, append=False)).reshape(-1, 2).tolist():
        begin, end = max(int(edges[first]) - MOST, 0), int(edges[last])    # what a piece will ask for
        for number in np.flatnonzero(may[:, first:last].any(axis=1)).tolist():
            values = series.features[number].values(begin, end)
            reaches[first:last] |= np.maximum.reduceat(values, edges[first:last] - begin) >= lowest[number]
    for early in series.early:
        reaches[[min(one.at // STRETCH, reaches.size - 1) for one in early]] = True
    return reaches, may


def _piece(series: Series, begin: int, end: int, which: list[int]) -> Piece:
    last = end == series.stream.t.size
    early = [[one._replace(at=one.at - begin) for one in series.early[number] if begin <= one.at < end + last]
             for number in which]
    values = np.stack([series.features[number].values(begin, end) for number in which])
    return Piece(series.stream.piece(begin, end), begin, end, which, series.tracks[which], values, early)


def _levels(state: State, series: Series, piece: Piece) -> dict[int, dict[int, Level]]:
    """The levels that are not at rest throughout a piece, by the track's number in the piece and place; keeps which of
    the last readings qualified.
    """
    memory, tracks, own = state.memory, state.tables.tracks, piece.tracks
    reached = _reached(state, series, piece)
    awake = reached.any(axis=2) | (memory.on_bits[own] != 0) | (memory.latched[own] != 0)
    awake |= memory.run_since[own] != NEVER
    awake |= np.array([bool(early) for early in piece.early])[:, None]
    number, place = np.nonzero(awake & (tracks.on[own] < BEYOND))
    at = own[number], place
    below, unknown = _below(series, piece, number, tracks.off[at], tracks.min_valid[at])
    counts = Counts(piece.stream)
    found: dict[int, dict[int, Level]] = defaultdict(dict)
    made = levels(state, piece.stream, counts, at, (reached[number, place], below, unknown))
    for which, where, level in zip(number.tolist(), place.tolist(), made, strict=True):
        found[which][where] = level
    memory.on_bits[own] = pushed(memory.on_bits[own].astype(np.int64), reached)
    return found


def _below(series: Series, piece: Piece, number: I64, off: I64, min_valid: I64) -> tuple[Bools, Bools]:
    """bool[L, readings of the piece]: which are below, and which less than `off` but not known, for levels of the
    tracks of these numbers in the piece, in order.
    """
    below, unknown = (np.zeros((number.size, piece.values.shape[1]), dtype=np.bool_) for _ in range(2))
    edges = number.searchsorted(np.arange(len(piece.which) + 1)).tolist()
    for at, (first, last) in enumerate(pairwise(edges)):
        if first == last:
            continue
        own = slice(first, last)
        np.less(piece.values[at], off[own, None], out=below[own])
        known = series.features[piece.which[at]].known(min_valid[own], piece.begin, piece.end)
        if known is not None:
            np.greater(below[own], known, out=unknown[own])
            below[own] &= known
    return below, unknown


def _reached(state: State, series: Series, piece: Piece) -> Bools:
    """bool[which, 4, readings of the piece]: which qualify for each level."""
    tracks = state.tables.tracks
    reached: Bools = piece.values[:, None, :] >= tracks.on[piece.tracks, :, None]
    for at, (track, number) in enumerate(zip(piece.tracks.tolist(), piece.which, strict=True)):
        own, feature = reached[at], series.features[number]
        if isinstance(feature, Total):
            for place in np.flatnonzero(tracks.twice[track]).tolist():
                some = np.flatnonzero(own[place])
                if some.size:
                    alone = rain.lone(series.gauges, series.stream, feature.window, some + piece.begin)
                    own[place, some[alone]] = False
        elif tracks.robust[track] and isinstance(feature, Moving):
            some = np.flatnonzero(piece.values[at] >= tracks.lowest[track])
            own[:, some] &= feature.trend.confirmed(state, track, some + piece.begin).T
    return reached


def _note_below(state: State, series: Series, begin: int, end: int) -> None:
    """Which of the readings of these numbers were below each level: of the last of them, as many as are counted."""
    memory, tracks, own = state.memory, state.tables.tracks, series.tracks
    begin = max(begin, end - MOST)
    if begin >= end:
        return
    values = np.stack([feature.values(begin, end) for feature in series.features])
    below: Bools = values[:, None, :] < tracks.off[own, :, None]
    for number, feature in enumerate(series.features):
        known = feature.known(tracks.min_valid[own[number]], begin, end)
        if known is not None:
            below[number] &= known
    memory.off_bits[own] = pushed(memory.off_bits[own].astype(np.int64), below)


def _moves(state: State, piece: Piece, at: int, own: dict[int, Level]) -> list[Move]:
    """How the level of a track of the piece moves from row to row."""
    memory, track, stream, values = state.memory, int(piece.tracks[at]), piece.stream, piece.values[at]
    latched: list[int] = memory.latched[track].tolist()
    stands = sum(now << place for place, now in enumerate(latched))
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place, level in own.items():
        for toggle in level.toggles(piece.early[at]):
            rows[toggle.row].append((place, toggle.latched))
    held = {one.row: one for one in piece.early[at]}
    moves: list[Move] = []
    before = int(memory.level[track])
    ordered = sorted(rows)
    numbers = np.searchsorted(stream.row, ordered, "right") - 1
    times = stream.t[numbers].tolist() if stream.t.size else numbers.tolist()
    for row, number, t in zip(ordered, numbers.tolist(), times, strict=True):
        for place, now in rows[row]:
            stands = stands | 1 << place if now else stands & ~(1 << place)
        now_at = HIGHEST[stands]
        if now_at == before:
            continue
        since = REST if before else _runs(own, number)
        if row in held:
            moves.append(Move(row, track, held[row].t, before, now_at, since, held[row].value))
        else:
            moves.append(Move(row, track, t, before, now_at, since, int(values[number])))
        before = now_at
    memory.level[track] = before
    return moves


def _runs(own: dict[int, Level], number: int) -> I64:
    """int64[4]: since when each level has a run behind a reading."""
    return np.array([own[place].since(number) if place in own else NEVER for place in range(REST.size)])
