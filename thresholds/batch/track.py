"""One track through a block: which levels its feature reaches, and how the track's own level moves."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thresholds.batch import rain
from thresholds.batch.counts import Counts, pushed
from thresholds.batch.features import Plain, Total
from thresholds.batch.level import Early, Level, seen
from thresholds.batch.stream import Stream
from thresholds.latches import MOST
from thresholds.state import State
from thresholds.tables import BEYOND, I64, NEVER, Bools
from tocsin.levels import WARNING_LEVELS


@dataclass(frozen=True, slots=True)
class Move:
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


REST: I64 = np.full(len(WARNING_LEVELS), NEVER, dtype=np.int64)
# Tracks are looked at in stretches of so many readings: most of them are at rest throughout.
STRETCH = 1024


@dataclass(frozen=True, slots=True)
class Piece:
    """Some readings of a track, from number `begin` to `end` of the whole stream; `stream` has these alone."""

    track: int
    feature: Plain | Total
    stream: Stream
    begin: int
    end: int
    early: list[Early]

    @property
    def value(self) -> I64:
        return self.feature.value[self.begin:self.end]


def judge(state: State, stream: Stream, gauges: dict[int, rain.Gauge], track: int,
          feature: Plain | Total) -> list[Move]:
    """Takes a block into a track; its level is changed, its episode is not."""
    early = _early(state, stream, track)
    moves: list[Move] = []
    noted = 0
    for begin, end in _awake(state, stream, track, feature, early):
        last = end == stream.t.size
        own = [one._replace(at=one.at - begin) for one in early if begin <= one.at < end + last]
        piece = Piece(track, feature, stream.piece(begin, end), begin, end, own)
        _note_below(state, track, feature, noted, begin)
        levels = _levels(state, gauges, stream, piece)
        moves += _moves(state, piece, levels)
        for level in levels.values():
            level.store()
        _note_below(state, track, feature, begin, end)
        noted = end
    _note_below(state, track, feature, noted, stream.t.size)
    return moves


def _awake(state: State, stream: Stream, track: int, feature: Plain | Total,
           early: list[Early]) -> Iterator[tuple[int, int]]:
    """The readings during which a track is not at rest, piece by piece; looks at the memory behind each piece."""
    memory, n = state.memory, stream.t.size
    if not n:
        if early:
            yield 0, 0
        return
    edges = np.arange(0, n, STRETCH)
    split = np.append(False, stream.row[edges[1:]] == stream.row[edges[1:] - 1])
    edges = np.append(edges + split, n)    # both readings of a row are in one piece
    reaches = _peaks(feature.value) >= state.tables.tracks.lowest[track]
    reaches[:-1] |= reaches[1:] & split[1:]
    for one in early:
        reaches[min(one.at, n - 1) // STRETCH] = True
    flags, at, more = reaches.tobytes(), 0, 1
    while at < len(flags):
        busy = bool(memory.on_bits[track].any()) or bool(memory.level[track] > 0)
        if not busy:
            at, more = flags.find(1, at), 1
            if at < 0:
                return
        end = flags.find(0, at + more) if at + more < len(flags) else len(flags)
        end = end if end >= 0 else len(flags)
        yield int(edges[at]), int(edges[end])
        at, more = end, 2 * more


def _peaks(value: I64) -> I64:
    """The highest value of each stretch."""
    whole = value.size // STRETCH * STRETCH
    peaks = value[:whole].reshape(-1, STRETCH).max(axis=1)
    return peaks if whole == value.size else np.append(peaks, value[whole:].max())


def _early(state: State, stream: Stream, track: int) -> list[Early]:
    """Held readings at or above the highest level of a track that they can raise."""
    tracks, values = state.tables.tracks, state.tables.values
    if not stream.held or not tracks.early[track].any():
        return []
    sign, top = int(values.sign[tracks.feature[track] - values.first]), int(tracks.tops[track])
    return [Early(one.row, one.t, one.x * sign, one.at) for one in stream.held if one.x * sign >= top]


def _levels(state: State, gauges: dict[int, rain.Gauge], stream: Stream, piece: Piece) -> dict[int, Level]:
    """The levels that are not at rest throughout a piece; keeps which of the last readings qualified."""
    memory, tracks, track = state.memory, state.tables.tracks, piece.track
    reached = _reached(state, gauges, stream, piece)
    awake = reached.any(axis=1) | (memory.on_bits[track] != 0) | (memory.latched[track] != 0)
    awake |= (memory.run_since[track] != NEVER) | bool(piece.early)
    places = np.flatnonzero(awake & (tracks.on[track] < BEYOND))
    qualifies = reached[places]
    below = piece.value < tracks.off[track, places, None]
    known, unknown = piece.feature.known(tracks.min_valid[track, places], piece.begin, piece.end), None
    if known is not None:
        unknown = below & ~known
        below &= known
    counts = Counts(piece.stream)
    found = seen(state, counts, (track, places), (qualifies, below, unknown))
    levels = {place: Level(state, piece.stream, counts, track, found, number)
              for number, place in enumerate(places.tolist())}
    memory.on_bits[track] = pushed(memory.on_bits[track].astype(np.int64), reached)
    return levels


def _reached(state: State, gauges: dict[int, rain.Gauge], stream: Stream, piece: Piece) -> Bools:
    """bool[4, readings of the piece]: which qualify for each level."""
    tracks, track, feature = state.tables.tracks, piece.track, piece.feature
    reached: Bools = piece.value >= tracks.on[track, :, None]
    if isinstance(feature, Total):
        for place in np.flatnonzero(tracks.twice[track]).tolist():
            some = np.flatnonzero(reached[place])
            if some.size:
                alone = rain.lone(gauges, stream, feature.window, some + piece.begin)
                reached[place, some[alone]] = False
    elif tracks.robust[track] and feature.trend is not None:
        some = np.flatnonzero(piece.value >= tracks.lowest[track])
        reached[:, some] &= feature.trend.confirmed(state, track, some + piece.begin).T
    return reached


def _note_below(state: State, track: int, feature: Plain | Total, begin: int, end: int) -> None:
    """Which of the readings of these numbers were below each level: of the last of them, as many as are counted."""
    memory, tracks = state.memory, state.tables.tracks
    begin = max(begin, end - MOST)
    if begin < end:
        below: Bools = feature.value[begin:end] < tracks.off[track, :, None]
        known = feature.known(tracks.min_valid[track], begin, end)
        if known is not None:
            below &= known
        memory.off_bits[track] = pushed(memory.off_bits[track].astype(np.int64), below)


def _moves(state: State, piece: Piece, levels: dict[int, Level]) -> list[Move]:
    """How the level of the track moves from row to row."""
    memory, track, stream = state.memory, piece.track, piece.stream
    latched: list[int] = memory.latched[track].tolist()
    rows: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place, level in levels.items():
        for toggle in level.toggles(piece.early):
            rows[toggle.row].append((place, toggle.latched))
    held = {one.row: one for one in piece.early}
    moves: list[Move] = []
    before = int(memory.level[track])
    for row in sorted(rows):
        for place, now in rows[row]:
            latched[place] = now
        now_at = max((int(one) for one, is_set in zip(WARNING_LEVELS, latched, strict=True) if is_set), default=0)
        if now_at == before:
            continue
        number = int(np.searchsorted(stream.row, row, "right")) - 1
        early = held.get(row)
        t, value = (early.t, early.value) if early else (int(stream.t[number]), int(piece.value[number]))
        moves.append(Move(row, track, t, before, now_at, _runs(levels, number) if not before else REST, value))
        before = now_at
    memory.level[track] = before
    return moves


def _runs(levels: dict[int, Level], number: int) -> I64:
    """int64[4]: since when each level has a run behind a reading."""
    return np.array([levels[place].run(number)[0] if place in levels else NEVER for place in range(REST.size)])
