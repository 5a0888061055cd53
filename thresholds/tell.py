"""What is told: changes of level with their episode and evidence, and series that fall silent or come back."""

import hashlib
from dataclasses import dataclass, field

from thresholds.plan import Track
from thresholds.series import Series
from thresholds.state import State
from thresholds.tables import I64
from tocsin.levels import Authority, Level, Stage

TWO_64 = 1 << 64


@dataclass(frozen=True, slots=True)
class Change:
    """The level of a track changed at `t_ms`, or stands and is told once more: then `previous` is `level`.

    `value` decided, against `threshold`: the new level's `on`, in a fall the old level's `off`; as people
    read them: the quantity's unit, for rates and slopes in an hour, for a time to a threshold minutes, for a
    coincidence the weight. `since_ms` is the first qualifying reading of the episode. A clear level asks nothing of
    people: its stage is watch. `hold_s` is how long a person may object, with authority `after`. `shelved`: a person
    does not want to be told.
    """

    track: Track
    t_ms: int
    level: Level
    previous: Level
    revision: int
    episode: str
    since_ms: int
    value: float
    threshold: float
    stage: Stage
    authority: Authority
    hold_s: float = 0.0
    shelved: bool = False


@dataclass(frozen=True, slots=True)
class Freshness:
    """A series became stale at a tick, or fresh again with a reading.

    `urgent`: another series of the station is above clear. `unconfirmed`: the series has been silent for hours while a
    level of its own holds, and a person must look; it was told as stale before.
    """

    series: Series
    t_ms: int
    stale: bool
    urgent: bool = False
    unconfirmed: bool = False


@dataclass(slots=True)
class Outcome:
    """Of a block: quality as given with the bits found here, and what changed, in order of rows."""

    quality: I64
    changes: list[Change] = field(default_factory=list)
    freshness: list[Freshness] = field(default_factory=list)


def change(state: State, index: int, t_ms: int, previous: Level, level: Level, run_since: I64, value: int) -> Change:
    """Notes the change of a track in its episode and revision, and says it.

    `run_since` (int64[4]) and `value` (of the feature) are those at the change.
    """
    memory, track = state.memory, state.plan.tracks[index]
    if previous is Level.CLEAR:
        # a run may have begun in the episode before: its start is not the start of this one
        begun = run_since[run_since >= max(int(memory.cleared_t[index]), 0)]
        since = int(begun.min()) if begun.size else t_ms
        memory.since[index] = since
        memory.episode[index] = _episode(state.station, track, since)
    if level is Level.CLEAR:
        memory.cleared_t[index] = t_ms
    memory.revision[index] += 1
    return say(state, index, t_ms, previous, level, value)


def say(state: State, index: int, t_ms: int, previous: Level, level: Level, value: int) -> Change:
    """A change that is noted already."""
    memory, track = state.memory, state.plan.tracks[index]
    own, fell = track.rule.at_level(level), track.rule.at_level(previous)
    threshold = own.on if level >= previous and own else fell.off if fell else 0
    return Change(
        track=track, t_ms=t_ms, level=level, previous=previous, revision=int(memory.revision[index]),
        episode=f"{int(memory.episode[index]) % TWO_64:016x}", since_ms=int(memory.since[index]),
        value=track.rule.shown(value), threshold=threshold / track.rule.scale,
        stage=own.stage if own else Stage.WATCH, authority=own.authority if own else Authority.AUTO,
        hold_s=own.hold_ms / 1000 if own else 0.0, shelved=t_ms < int(memory.shelved[index]),
    )


def again(state: State, index: int, t_ms: int) -> Change:
    """A level that stands, once more with a new revision."""
    memory = state.memory
    memory.revision[index] += 1
    level = Level(int(memory.level[index]))
    return say(state, index, t_ms, level, level, int(memory.value[state.tables.tracks.feature[index]]))


def _episode(station: str, track: Track, since_ms: int) -> int:
    """64 bits as a signed number: the same wherever the same readings are judged by the same rule."""
    name = b"\0".join((station.encode(), track.series.key.encode(), track.rule.canonical, str(since_ms).encode()))
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)


def heard(state: State, series: int, t_ms: int) -> Freshness:
    """A stale series is fresh again."""
    state.memory.stale[series] = 0
    return Freshness(state.plan.series[series], t_ms, stale=False)


def active_elsewhere(state: State, series: int, level: I64) -> bool:
    """Whether another series' track is above clear; `level` is int64[tracks]."""
    return bool((level[state.tables.tracks.series != series] > 0).any())
