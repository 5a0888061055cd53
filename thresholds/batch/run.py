"""A block of many rows at once: each series along time, then the groups, then what is told. docs/detection.md.

The outcome, and what is remembered, are to the last bit those of the live path fed with the rows one by one.
"""

from typing import TYPE_CHECKING

import numpy as np

from thresholds import tell
from thresholds.batch import fresh, groups, rain
from thresholds.batch.features import features
from thresholds.batch.store import changed, store
from thresholds.batch.stream import Stream, read
from thresholds.batch.track import Move, judge
from thresholds.state import State
from thresholds.tables import BEYOND
from tocsin.levels import Level
from tocsin.readings import Quality

if TYPE_CHECKING:
    from thresholds.kernel import Block

STUCK = int(Quality.STUCK)


def run(state: State, block: "Block", outcome: tell.Outcome) -> None:
    """Takes a block into the state. `outcome` comes with the block's own quality, and gets the bits found here."""
    levels = state.memory.level.copy()
    streams = _streams(state, block, outcome)
    gauges = rain.gauges(state, streams)
    moves: dict[int, list[Move]] = {}
    for stream in streams:
        if stream is not None:
            moves |= _judge(state, stream, gauges)
    for number in range(len(state.plan.groups)):
        stream = groups.gather(state, number, streams, moves, levels)
        if stream is not None:
            moves |= _judge(state, stream, gauges)
            streams.append(stream)
    told = fresh.fresh(state, block.now_ms, streams, fresh.Stands(state, levels, moves))
    outcome.freshness.extend(one.what for one in told)
    _suspect(state, streams, gauges, outcome)
    for stream in streams:
        if stream is not None:
            store(state, stream)
    _tell(state, moves, outcome)


def _streams(state: State, block: "Block", outcome: tell.Outcome) -> list[Stream | None]:
    return [read(state, block, outcome, series) for series in range(len(state.plan.series))]


def _judge(state: State, stream: Stream, gauges: dict[int, rain.Gauge]) -> dict[int, list[Move]]:
    tracks = state.tables.tracks
    made = features(state, stream, gauges)
    return {track: judge(state, stream, gauges, track, made[int(tracks.feature[track])])
            for track in np.flatnonzero(tracks.series == stream.series).tolist() if int(tracks.feature[track]) in made}


def _suspect(state: State, streams: list[Stream | None], gauges: dict[int, rain.Gauge], outcome: tell.Outcome) -> None:
    """Marks readings that do not move, and those of gauges that stay dry while the others have rain."""
    dry = rain.dry(state, gauges, streams) if gauges else {}
    for series, stream in enumerate(streams[:len(state.plan.series)]):
        if stream is None or not stream.t.size:
            continue
        last = stream.last_of_rows()
        stuck = dry.get(series)
        limit = int(state.tables.series.stuck[series])
        if limit < BEYOND:
            found = changed(state, stream)
            begins = np.flatnonzero(found)
            times = np.concatenate([state.memory.same_t[series:series + 1], stream.t[begins]])
            same = stream.t - times[np.cumsum(found)] >= limit
            stuck = same[last] if stuck is None else stuck | same[last]
        if stuck is not None:
            outcome.quality[stream.row[last][stuck], series] |= STUCK


def _tell(state: State, moves: dict[int, list[Move]], outcome: tell.Outcome) -> None:
    for move in sorted((move for own in moves.values() for move in own), key=lambda one: (one.row, one.track)):
        outcome.changes.append(tell.change(
            state, move.track, move.t, Level(move.before), Level(move.level), move.run_since, move.value))
