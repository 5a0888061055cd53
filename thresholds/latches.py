"""From features to levels: N of M, delays, hysteresis. Set and reset are functions of the readings alone.

Most tracks are at rest: nothing qualified in their last 16 readings, no level is set, and the value has been below all
`off`, or unknown, in each of them. One more such reading changes nothing; only the others are worked out.
"""

from typing import NamedTuple

import numpy as np

from thresholds.detectors import trend
from thresholds.row import Row, both, some
from thresholds.rule import SCALE
from thresholds.selection import TrackPart
from thresholds.state import U16, State
from thresholds.tables import I64, NEVER, Bools
from tocsin.levels import WARNING_LEVELS

MOST = 16
ONES = np.zeros(1, dtype=np.uint8)    # how many bits of a number are set
for _ in range(MOST):
    ONES = np.concatenate([ONES, ONES + np.uint8(1)])    # what is twice as long has one bit more
RANKS = np.array([int(level) for level in WARNING_LEVELS], dtype=np.int64)
LEVELS = len(WARNING_LEVELS)
BROAD = 12                 # from so many tracks on it pays to write out what is the same for their levels
Moves = dict[int, int]     # tracks whose level was set in this row, and the level before


class Judged(NamedTuple):
    """Tracks `k`, and of their series: number, the reading's time, what a run has grown by, whether it was steady."""

    k: I64
    series: I64
    t: I64
    grown: I64
    steady: Bools


def judge(state: State, row: Row, moves: Moves) -> None:
    """Takes the features of a row's readings into the tracks. Features and past times are already those of this row."""
    part = row.of.tracks
    if part is None:
        return
    memory = state.memory
    value, valid, span = memory.value[part.feature], memory.valid[part.feature], memory.span[part.feature]
    known = valid * SCALE >= part.least * span
    rest = value < part.calm
    rest &= _bits(memory.off_bits, part) == part.full * known
    rest &= _bits(memory.on_bits, part) == 0
    rest &= memory.level[part.place] == 0
    awake = ~rest
    good = row.at(part.at)
    if good is not None:
        awake &= good
    found = awake.nonzero()[0]
    if found.size:
        of = _judged(state, row, part.numbers[found])
        if part.even:
            sure: Bools | None = known[found]
        else:
            sure = _broad(valid[found] * SCALE) >= state.tables.tracks.min_valid[of.k] * _broad(span[found])
        if sure is not None and np.count_nonzero(sure) == sure.size:
            sure = None
        _judge(state, of, value[found], sure, moves)


def _bits(bits: U16, part: TrackPart) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The bits of all levels of a track as one number."""
    return bits.reshape(-1).view(np.uint64)[part.place]


def _judged(state: State, row: Row, k: I64) -> Judged:
    tracks = state.tables.tracks
    series = tracks.series[k]
    at = series if row.of.whole else row.of.ids.searchsorted(series)
    steady = row.steady[at]
    return Judged(k, series, _broad(row.t[at]), _broad(row.since[at] * steady), steady[:, None])


def _broad(values: I64) -> I64:
    """The same for each level: int64[k, 1] or int64[k, 4]."""
    return values[:, None] if values.size < BROAD else values.repeat(LEVELS).reshape(-1, LEVELS)


def _judge(state: State, of: Judged, features: I64, sure: Bools | None, moves: Moves) -> None:
    """Tracks that are not at rest. `sure`: where a value below `off` can be told to be there (None: everywhere)."""
    memory, tracks, k = state.memory, state.tables.tracks, of.k
    value = _broad(features)
    under = value < tracks.off[k]
    below = under
    if sure is not None:
        sure = sure[:, None] if sure.ndim == 1 else sure
        below = under & sure
    on_bits, off_bits = memory.on_bits[k] << 1, memory.off_bits[k] << 1
    off_bits |= below
    qualifies = value >= tracks.on[k]
    if some(qualifies):
        _confirm(state, of, qualifies)
        on_bits |= qualifies
    memory.on_bits[k], memory.off_bits[k] = on_bits, off_bits
    counted = _counted(state, of)
    ons, offs = ONES[on_bits & counted], ONES[off_bits & counted]
    n = tracks.n[k]
    enough = offs >= n
    raised = _raised(state, of, qualifies, ons, enough) & (ons >= n)
    latched = memory.latched[k]
    if some(latched) or some(raised):
        since, fallen = _fallen(state, of, enough if sure is None else enough & (sure | ~under))
        still = _set(state, of, latched, (raised, fallen), moves)
        memory.off_since[k] = np.where(still, since, NEVER)


def _confirm(state: State, of: Judged, qualifies: Bools) -> None:
    """Takes away what one reading of rain alone brought, and what a robust slope does not confirm."""
    tracks = state.tables.tracks
    lone = state.memory.lone[tracks.feature[of.k]]
    if some(lone):
        qualifies &= (lone[:, None] & tracks.twice[of.k]) == 0
    robust = tracks.robust[of.k]
    if some(robust):
        for number in (robust & qualifies.any(axis=1)).nonzero()[0].tolist():
            qualifies[number] &= trend.confirmed(state, int(of.k[number]))


def _counted(state: State, of: Judged, newest: int = 0) -> I64:
    """int64[k, 4], as bits: which of the last readings are among the last M and not older than 2 M periods.

    `newest`: 1 where the reading is not among the past ones, and is counted in front of them.
    """
    past, tracks = state.memory.past_t, state.tables.tracks
    most, oldest = tracks.most[of.k], of.t - tracks.age[of.k]
    place = (of.series * past.shape[1] - 1)[:, None] + most
    if newest == 0 and np.count_nonzero(past.reshape(-1)[place] >= oldest) == most.size:
        return tracks.bits[of.k]
    numbers = np.arange(past.shape[1])
    young = (past[of.series][:, None, :] >= oldest[:, :, None]) & (numbers < most[:, :, None] - newest)
    counted: I64 = (1 << (young.sum(axis=2) + newest)) - 1
    return counted


def _raised(state: State, of: Judged, qualifies: Bools, ons: I64, enough: Bools) -> Bools:
    """Whether each run has lasted for its delay.

    A run lasts while a counted reading qualifies and the condition to fall (`enough` below) does not hold.
    """
    memory, k = state.memory, of.k
    since = memory.run_since[k]
    alive = since != NEVER
    lasted: I64 | int = 0
    if some(alive) or some(qualifies):
        over = (enough & ~qualifies) | (ons == 0)
        goes_on, begins = alive & ~over, qualifies > alive
        if some(begins) or some(goes_on != alive):
            since[over] = NEVER
            np.copyto(since, of.t, where=begins & ~over)
            memory.run_since[k] = since
        lasted = (memory.run_for[k] + of.grown) * goes_on
        memory.run_for[k] = lasted
    delayed: Bools = lasted >= state.tables.tracks.on_delay[k]
    return delayed


def _fallen(state: State, of: Judged, holds: Bools) -> tuple[I64, Bools]:
    """Since when the condition to fall holds, and where that is long enough."""
    since = state.memory.off_since[of.k]
    np.copyto(since, of.t, where=(since == NEVER) | ~of.steady)
    since[~holds] = NEVER
    return since, holds & (of.t - since >= state.tables.tracks.off_delay[of.k])


def _set(state: State, of: Judged, latched: I64, found: tuple[Bools, Bools], moves: Moves) -> Bools:
    """`latched`: as it was. `found`: which levels are raised, which have fallen; raised wins. Returns what is set now.

    A level that latches falls only once a person has acknowledged it.
    """
    memory, k = state.memory, of.k
    before: Bools = latched != 0
    raised, fallen = found
    anew, falls = raised & ~before, fallen & before & ~raised
    if not some(anew) and not some(falls):
        return before
    falls &= (state.tables.tracks.latch[k] == 0) | (memory.acked[k] == 1)
    after: Bools = before & ~falls | anew
    rows = (after != before).nonzero()[0]
    k = k[rows]    # a track as often as a level of it has changed
    memory.acked[k] *= ~anew[rows]
    memory.latched[k] = after[rows]
    level, levels = memory.level[k], (after[rows] * RANKS).max(axis=1, initial=0)
    memory.level[k] = levels
    for track, old in zip(k[level != levels].tolist(), level[level != levels].tolist(), strict=True):
        moves.setdefault(track, old)
    return after


def early(state: State, row: Row, moves: Moves) -> dict[int, int]:
    """Readings that are held and at the top of a rule count at once; nothing but the level is remembered.

    Returns the tracks whose level rose by that, and the value of it.
    """
    memory, tracks, part = state.memory, state.tables.tracks, row.of.tracks
    if part is None or not part.early.size:
        return {}
    values, k = state.tables.values, part.early
    at = row.of.ids.searchsorted(tracks.series[k])
    raw = row.raw[at] * values.sign[tracks.feature[k] - values.first]
    high = both(raw >= tracks.tops[k], row.at(at))
    if high is None or not some(high):
        return {}
    k, raw = k[high], raw[high]
    of = _judged(state, row, k)
    ons = 1 + ONES[memory.on_bits[k] << 1 & _counted(state, of, newest=1)]
    alive = memory.run_since[k] != NEVER
    lasted = (memory.run_for[k] + of.grown) * alive
    raised = (tracks.early[k] == 1) & (ons >= tracks.n[k]) & (lasted >= tracks.on_delay[k])
    before = memory.level[k]
    latched = _set(state, of, memory.latched[k], (raised, np.zeros_like(raised)), moves)
    memory.off_since[k] = np.where(latched, memory.off_since[k], NEVER)
    rose = memory.level[k] > before
    return dict(zip(k[rose].tolist(), raw[rose].tolist(), strict=True))
