"""A block of many rows at once: each series along time, then the groups, then what is told. docs/detection.md.

The outcome, and what is remembered, are to the last bit those of the live path fed with the rows one by one.
"""

from collections.abc import Callable
from operator import attrgetter

from thresholds import tell
from thresholds.batch import fresh, groups, rain
from thresholds.batch.features import Feature, features
from thresholds.batch.store import still, store
from thresholds.batch.stream import Stream, read
from thresholds.batch.track import Move, judge
from thresholds.block import Block
from thresholds.state import State
from thresholds.tables import BEYOND
from tocsin.levels import Level
from tocsin.readings import Quality

STUCK = int(Quality.STUCK)
LEVELS = tuple(Level)    # by their number


Watch = Callable[[Stream, dict[int, Feature], dict[int, rain.Gauge]], None]


def run(state: State, block: Block, outcome: tell.Outcome, watch: Watch | None = None) -> None:
    """Takes a block into the state. `outcome` comes with the block's own quality, and gets the bits found here.

    `watch` is shown each series' taken readings, its features by their index, and the gauges of rain.
    """
    levels = state.memory.level.copy()
    streams = _streams(state, block, outcome)
    gauges = rain.gauges(state, streams)
    moves: dict[int, list[Move]] = {}

    def take(stream: Stream) -> None:
        made = features(state, stream, gauges)
        if watch is not None:
            watch(stream, made, gauges)
        moves.update(judge(state, stream, gauges, made))

    for stream in streams:
        if stream is not None:
            take(stream)
    for number in range(len(state.plan.groups)):
        stream = groups.gather(state, number, streams, moves, levels)
        if stream is not None:
            take(stream)
            streams.append(stream)
    told = fresh.fresh(state, block.now_ms, streams, fresh.Stands(state, levels, moves))
    outcome.freshness.extend(one.what for one in told)
    _suspect(state, streams, gauges, outcome)
    for stream in streams:
        if stream is not None:
            store(state, stream)
    _tell(state, moves, outcome)


def _streams(state: State, block: Block, outcome: tell.Outcome) -> list[Stream | None]:
    return [read(state, block, outcome, series) for series in range(len(state.plan.series))]


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
            same = still(state, stream, limit)
            if same is not None:
                stuck = same[last] if stuck is None else stuck | same[last]
        if stuck is not None:
            outcome.quality[stream.row[last][stuck], series] |= STUCK


def _tell(state: State, moves: dict[int, list[Move]], outcome: tell.Outcome) -> None:
    for move in sorted((move for own in moves.values() for move in own), key=attrgetter("row", "track")):
        outcome.changes.append(tell.change(
            state, move.track, move.t, LEVELS[move.before], LEVELS[move.level], move.run_since, move.value))
