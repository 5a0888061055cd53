"""From features to levels: N of M, delays, hysteresis. Set and reset are functions of the readings alone.

Most tracks are at rest: nothing qualified in their last 16 readings, no level is set, and the value has been below all
`off`, or unknown, in each of them. One more such reading changes nothing; only the others are worked out.
"""

from dataclasses import dataclass

import numpy as np

from thresholds.detectors import trend
from thresholds.row import Row, both, some
from thresholds.rule import SCALE
from thresholds.selection import TrackPart
from thresholds.state import U16, State
from thresholds.tables import COLUMNS, I64, NEVER, Bools
from tocsin.levels import WARNING_LEVELS

MOST = 16
ONES = np.unpackbits(np.arange(1 << MOST, dtype=np.uint16).view(np.uint8)).reshape(-1, MOST).sum(axis=1, dtype=np.int64)
RANKS = np.array([int(level) for level in WARNING_LEVELS], dtype=np.int64)
LEVELS = len(WARNING_LEVELS)
BROAD = 200                # from so many tracks on it pays to write out what is the same for their levels
Moves = dict[int, int]     # tracks whose level was set in this row, and the level before


@dataclass(frozen=True, slots=True)
class Judged:
    """Tracks `k`, and of their series: number, the reading's time, what a run has grown by, whether it was steady.

    `columns` are thresholds as in COLUMNS: int64[k, 4] each.
    """

    k: I64
    series: I64
    t: I64
    grown: I64
    steady: Bools
    columns: dict[str, I64]


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
        _judge(state, _judged(state, row, part.numbers[found]), (value[found], valid[found], span[found]), moves)


def _bits(bits: U16, part: TrackPart) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """The bits of all levels of a track as one number."""
    return bits.reshape(-1).view(np.uint64)[part.place]


def _judged(state: State, row: Row, k: I64) -> Judged:
    tracks = state.tables.tracks
    series = tracks.series[k]
    at = series if row.of.whole else row.of.ids.searchsorted(series)
    steady = row.steady[at]
    return Judged(k, series, _broad(row.t[at]), _broad(row.since[at] * steady), steady[:, None],
                  dict(zip(COLUMNS, tracks.columns.take(k, axis=1), strict=True)))


def _broad(values: I64) -> I64:
    """The same for each level: int64[k, 1] or int64[k, 4]."""
    return values[:, None] if values.size < BROAD else values.repeat(LEVELS).reshape(-1, LEVELS)


def _judge(state: State, of: Judged, features: tuple[I64, I64, I64], moves: Moves) -> None:
    """Tracks that are not at rest. `features`: value, valid and span of each."""
    memory, k, columns = state.memory, of.k, of.columns
    value = _broad(features[0])
    under = value < columns["off"]
    known = _broad(features[1] * SCALE) >= columns["min_valid"] * _broad(features[2])
    on_bits, off_bits = memory.on_bits[k] << 1, memory.off_bits[k] << 1
    off_bits |= under & known
    qualifies = value >= columns["on"]
    if some(qualifies):
        _confirm(state, of, qualifies)
        on_bits |= qualifies
    memory.on_bits[k], memory.off_bits[k] = on_bits, off_bits
    counted = _counted(state, of)
    ons, offs = ONES[on_bits & counted], ONES[off_bits & counted]
    enough = offs >= columns["n"]
    raised = _raised(state, of, qualifies, ons, enough)
    latched = memory.latched[k]
    if some(latched) or some(raised):
        since, fallen = _fallen(state, of, enough & (known | ~under))
        latched = _set(state, of, raised, fallen, moves)
        memory.off_since[k] = np.where(latched == 1, since, NEVER)


def _confirm(state: State, of: Judged, qualifies: Bools) -> None:
    """Takes away what one reading of rain alone brought, and what a robust slope does not confirm."""
    tracks = state.tables.tracks
    lone = state.memory.lone[tracks.feature[of.k]]
    if some(lone):
        qualifies &= (lone[:, None] & of.columns["twice"]) == 0
    robust = tracks.robust[of.k]
    if some(robust):
        for number in (robust & qualifies.any(axis=1)).nonzero()[0].tolist():
            qualifies[number] &= trend.confirmed(state, int(of.k[number]))


def _counted(state: State, of: Judged, newest: int = 0) -> I64:
    """int64[k, 4], as bits: which of the last readings are among the last M and not older than 2 M periods.

    `newest`: 1 where the reading is not among the past ones, and is counted in front of them.
    """
    past, columns = state.memory.past_t, of.columns
    bits, oldest = columns["bits"], of.t - columns["age"]
    place = (of.series * past.shape[1] - 1 - newest)[:, None] + columns["most"]
    if newest == 0 and np.count_nonzero(past.reshape(-1)[place] >= oldest) == bits.size:
        return bits
    numbers = np.arange(past.shape[1])
    young = (past[of.series][:, None, :] >= oldest[:, :, None]) & (numbers < columns["most"][:, :, None] - newest)
    counted: I64 = (1 << (young.sum(axis=2) + newest)) - 1
    return counted


def _raised(state: State, of: Judged, qualifies: Bools, ons: I64, enough: Bools) -> Bools:
    """A run lasts while a counted reading qualifies and the condition to fall (`enough` below) does not hold."""
    memory, k = state.memory, of.k
    since = memory.run_since[k]
    alive = since != NEVER
    lasted: I64 | int = 0
    if some(alive) or some(qualifies):
        over = (ons == 0) | (enough & ~qualifies)
        begins = qualifies & ~alive
        goes_on = alive & ~over
        memory.run_since[k] = np.where(goes_on, since, np.where(begins & ~over, of.t, NEVER))
        lasted = (memory.run_for[k] + of.grown) * goes_on
        memory.run_for[k] = lasted
    return (ons >= of.columns["n"]) & (lasted >= of.columns["on_delay"])


def _fallen(state: State, of: Judged, holds: Bools) -> tuple[I64, Bools]:
    """Since when the condition to fall holds, and where that is long enough."""
    since = state.memory.off_since[of.k]
    since = np.where(holds, np.where(of.steady & (since != NEVER), since, of.t), NEVER)
    return since, holds & (of.t - since >= of.columns["off_delay"])


def _set(state: State, of: Judged, raised: Bools, fallen: Bools, moves: Moves) -> I64:
    """Raised wins. A level that latches falls only once a person has acknowledged it. Returns which are set now."""
    memory, k = state.memory, of.k
    before, acked = memory.latched[k], memory.acked[k]
    may_fall = fallen & ~raised & ((of.columns["latch"] == 0) | (acked == 1))
    anew = raised & (before == 0)
    if not some(anew) and not some(may_fall & (before == 1)):
        return before
    latched: I64 = np.where(raised, 1, np.where(may_fall, 0, before))
    memory.acked[k], memory.latched[k] = np.where(anew, 0, acked), latched
    level, levels = memory.level[k], (latched * RANKS).max(axis=1)
    memory.level[k] = levels
    for number in (level != levels).nonzero()[0].tolist():
        moves.setdefault(int(k[number]), int(level[number]))
    return latched


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
    latched = _set(state, of, raised, np.zeros_like(raised), moves)
    memory.off_since[k] = np.where(latched == 1, memory.off_since[k], NEVER)
    rose = memory.level[k] > before
    return dict(zip(k[rose].tolist(), raw[rose].tolist(), strict=True))
