"""From features to levels: N of M, delays, hysteresis. Set and reset are functions of the readings alone.

Most tracks are at rest: nothing qualified in their last 16 readings and no level is set. Of those only what was below
is noted; the rest is worked out for the others alone.
"""

import numpy as np

from thresholds.detectors import trend
from thresholds.row import Row
from thresholds.rule import SCALE
from thresholds.state import U16, State
from thresholds.tables import I64, NEVER, Bools, pick
from tocsin.levels import WARNING_LEVELS

MOST = 16
ONES = np.unpackbits(np.arange(1 << MOST, dtype=np.uint16).view(np.uint8)).reshape(-1, MOST).sum(axis=1, dtype=np.int64)
RANKS = np.array([int(level) for level in WARNING_LEVELS], dtype=np.int64)


def judge(state: State, row: Row) -> None:
    """Takes the features of a row's readings into the tracks. Features and past times are already those of this row."""
    memory, tracks = state.memory, state.tables.tracks
    k = pick(row.good[tracks.series])
    feature = tracks.feature[k]
    value = memory.value[feature]
    known = memory.valid[feature][:, None] * SCALE >= tracks.min_valid[k] * memory.span[feature][:, None]
    below = (value[:, None] < tracks.off[k]) & known
    memory.off_bits[k] = memory.off_bits[k] << 1 | below
    busy = (memory.on_bits[k].view(np.uint64)[:, 0] != 0) | (memory.level[k] > 0)
    awake = np.flatnonzero(busy | (value >= tracks.lowest[k]))
    if awake.size:
        _judge(state, row, awake if isinstance(k, slice) else k[awake], known[awake])


def _judge(state: State, row: Row, k: I64, known: Bools) -> None:
    """Tracks that are not at rest; `known` (bool[k, 4]): whether a value below `off` can be told to be there."""
    memory, tracks = state.memory, state.tables.tracks
    qualifies = _qualifies(state, k)
    unknown = ~known & (memory.value[tracks.feature[k]][:, None] < tracks.off[k])
    counted = _counted(state, row)[tracks.series[k][:, None], tracks.which_m[k]]
    memory.on_bits[k] = memory.on_bits[k] << 1 | qualifies
    ons, offs = ONES[memory.on_bits[k] & counted], ONES[memory.off_bits[k] & counted]
    raised = _raised(state, row, k, qualifies, ons, offs)
    _set(state, k, raised, _fallen(state, row, k, unknown, offs))


def early(state: State, row: Row) -> dict[int, int]:
    """Readings that are held and at the top of a rule count at once; nothing but the level is remembered.

    `row.good` says which readings are held. Returns the tracks whose level rose by that, and the value of it.
    """
    memory, tracks = state.memory, state.tables.tracks
    k = np.flatnonzero(row.good[tracks.series] & tracks.early.any(axis=1))
    value = _signed(state, row, k)
    k, value = k[value >= tracks.tops[k]], value[value >= tracks.tops[k]]
    if not k.size:
        return {}
    before = memory.level[k]
    counted = _counted(state, row, newest=True)[tracks.series[k][:, None], tracks.which_m[k]]
    ons = 1 + ONES[memory.on_bits[k] << 1 & counted]
    series = tracks.series[k]
    grown = np.where(row.steady[series], row.since[series], 0)[:, None]
    lasted = np.where(memory.run_since[k] != NEVER, memory.run_for[k] + grown, 0)
    raised = (tracks.early[k] == 1) & (ons >= tracks.n[k]) & (lasted >= tracks.on_delay[k])
    _set(state, k, raised, np.zeros_like(raised))
    rose = memory.level[k] > before
    return dict(zip(k[rose].tolist(), value[rose].tolist(), strict=True))


def _signed(state: State, row: Row, k: I64) -> I64:
    values, tracks = state.tables.values, state.tables.tracks
    sign: I64 = values.sign[tracks.feature[k] - values.first]
    return row.raw[tracks.series[k]] * sign


def _set(state: State, k: I64, raised: Bools, fallen: Bools) -> None:
    """Raised wins. A level that latches falls only once a person has acknowledged it."""
    memory, tracks = state.memory, state.tables.tracks
    before = memory.latched[k]
    memory.acked[k] = np.where(raised & (before == 0), 0, memory.acked[k])
    may_fall = fallen & ((tracks.latch[k] == 0) | (memory.acked[k] == 1))
    latched = np.where(raised, 1, np.where(may_fall, 0, before))
    memory.latched[k] = latched
    memory.off_since[k] = np.where(latched == 1, memory.off_since[k], NEVER)
    memory.level[k] = (latched * RANKS).max(axis=1)


def _qualifies(state: State, k: I64) -> Bools:
    memory, tracks = state.memory, state.tables.tracks
    feature = tracks.feature[k]
    qualifies: Bools = memory.value[feature][:, None] >= tracks.on[k]
    lone = memory.lone[feature]
    if lone.any():
        qualifies &= (lone[:, None] & tracks.twice[k]) == 0
    for track in np.flatnonzero((tracks.robust[k] == 1) & qualifies.any(axis=1)).tolist():
        qualifies[track] &= trend.confirmed(state, int(k[track]))
    return qualifies


def _counted(state: State, row: Row, *, newest: bool = False) -> U16:
    """uint16[S, U], as bits: which of the last readings are among the last M and not older than 2 M periods.

    `newest`: the row's reading is not among the past ones, and is counted in front of them.
    """
    m = state.tables.tracks.m
    past = state.memory.past_t
    age = row.t[:, None, None] - past[:, None, :]
    oldest = 2 * state.tables.series.period[:, None, None] * m[None, :, None]
    young = (age <= oldest) & (np.arange(past.shape[1]) < m[:, None] - newest)
    bits: I64 = (1 << (young.sum(axis=2) + newest)) - 1
    return bits.astype(np.uint16)


def _raised(state: State, row: Row, k: I64, qualifies: Bools, ons: I64, offs: I64) -> Bools:
    """A run lasts while a counted reading qualifies and the condition to fall does not hold."""
    memory, tracks = state.memory, state.tables.tracks
    series = tracks.series[k]
    since, lasted = memory.run_since[k], memory.run_for[k]
    alive = since != NEVER
    grown = np.where(row.steady[series], row.since[series], 0)[:, None]
    over = (ons == 0) | ((offs >= tracks.n[k]) & ~qualifies)
    begins = qualifies & ~alive
    memory.run_since[k] = np.where(over, NEVER, np.where(begins, row.t[series][:, None], since))
    lasted = np.where(over | begins | ~alive, 0, lasted + grown)
    memory.run_for[k] = lasted
    return (ons >= tracks.n[k]) & (lasted >= tracks.on_delay[k])


def _fallen(state: State, row: Row, k: I64, unknown: Bools, offs: I64) -> Bools:
    """`off_since` is kept while the level is set: when it is raised, N of M cannot be below."""
    memory, tracks = state.memory, state.tables.tracks
    series = tracks.series[k]
    t = row.t[series][:, None]
    holds = (offs >= tracks.n[k]) & ~unknown
    since = memory.off_since[k]
    goes_on = row.steady[series][:, None] & (since != NEVER)
    since = np.where(holds, np.where(goes_on, since, t), NEVER)
    memory.off_since[k] = since
    return holds & (t - since >= tracks.off_delay[k])
