"""From features to levels: N of M, delays, hysteresis. Set and reset are functions of the readings alone."""

import numpy as np

from thresholds.row import Row
from thresholds.rulefile import SCALE
from thresholds.state import State
from thresholds.tables import I64, NEVER, Bools, Pick, pick
from tocsin.levels import WARNING_LEVELS

MOST = 16
KEPT = (1 << MOST) - 1
ONES = np.array([bits.bit_count() for bits in range(KEPT + 1)], dtype=np.int64)
RANKS = np.array([int(level) for level in WARNING_LEVELS], dtype=np.int64)


def judge(state: State, row: Row) -> tuple[I64, I64]:
    """Takes the features of a row's good readings into the tracks. Returns which tracks changed, and their old level.

    Features and past times are already those of this row.
    """
    memory, tracks = state.memory, state.tables.tracks
    k = pick(row.good[tracks.series])
    qualifies, below, unknown = _compare(state, k)
    counted = _counted(state, row)[tracks.series[k][:, None], tracks.which_m[k]]
    on_bits = (memory.on_bits[k] << 1 | qualifies) & KEPT
    off_bits = (memory.off_bits[k] << 1 | below) & KEPT
    memory.on_bits[k], memory.off_bits[k] = on_bits, off_bits
    ons, offs = ONES[on_bits & counted], ONES[off_bits & counted]
    raised = _raised(state, row, k, qualifies, ons, offs)
    fallen = _fallen(state, row, k, unknown, offs)
    latched = np.where(raised, 1, np.where(fallen, 0, memory.latched[k]))
    memory.latched[k] = latched
    level = (latched * RANKS).max(axis=1)
    before = memory.level[k]
    changed = np.flatnonzero(level != before)
    previous = before[changed]
    memory.level[k] = level
    return (changed if isinstance(k, slice) else k[changed]), previous


def _compare(state: State, k: Pick) -> tuple[Bools, Bools, Bools]:
    """Which levels the value qualifies for, is below, and which of the latter cannot be told for lack of coverage."""
    memory, tracks = state.memory, state.tables.tracks
    feature = tracks.feature[k]
    value = (memory.value[feature] * tracks.sign[k])[:, None]
    known = memory.valid[feature][:, None] * SCALE >= tracks.min_valid[k] * memory.span[feature][:, None]
    under = value < tracks.off[k]
    return value >= tracks.on[k], under & known, under & ~known


def _counted(state: State, row: Row) -> I64:
    """S x U: as bits, which of the last readings are among the last M and not older than 2 M periods."""
    m = state.tables.tracks.m
    past = state.memory.past_t
    age = row.t[:, None, None] - past[:, None, :]
    oldest = 2 * state.tables.series.period[:, None, None] * m[None, :, None]
    young = (age <= oldest) & (np.arange(past.shape[1]) < m[:, None])
    bits: I64 = (1 << young.sum(axis=2)) - 1
    return bits


def _raised(state: State, row: Row, k: Pick, qualifies: Bools, ons: I64, offs: I64) -> Bools:
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


def _fallen(state: State, row: Row, k: Pick, unknown: Bools, offs: I64) -> Bools:
    memory, tracks = state.memory, state.tables.tracks
    series = tracks.series[k]
    t = row.t[series][:, None]
    holds = (offs >= tracks.n[k]) & ~unknown
    since = memory.off_since[k]
    goes_on = row.steady[series][:, None] & (since != NEVER)
    since = np.where(holds, np.where(goes_on, since, t), NEVER)
    memory.off_since[k] = since
    return holds & (t - since >= tracks.off_delay[k])
