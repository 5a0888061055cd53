"""From readings to what rules compare: the values themselves, running totals, and what the detectors make of them."""

import numpy as np

from thresholds.detectors import window_sum
from thresholds.row import Row
from thresholds.state import State
from thresholds.tables import I64, NEVER, Pick, pick


def accept(state: State, row: Row) -> None:
    """Takes a row's good readings into values, totals, rings and sums."""
    memory = state.memory
    s = pick(row.good)
    rises = _rises(state, row, s)
    memory.total[s] += rises[s]
    period = state.tables.series.period[s]
    memory.covered[s] += np.where(row.steady[s], row.since[s], period)
    if memory.head.size:
        window_sum.take(state, row, rises)
    memory.value[:row.raw.size][s] = row.raw[s]
    memory.good_raw[s] = row.raw[s]
    memory.good_t[s] = row.t[s]
    memory.past_t[s] = np.concatenate([row.t[s][:, None], memory.past_t[s][:, :-1]], axis=1)


def _rises(state: State, row: Row, s: Pick) -> I64:
    """What each reading adds to its series' total; a counter that went back was reset and counts from nothing."""
    memory = state.memory
    rises = np.zeros_like(row.raw)
    raw = row.raw[s]
    difference = raw - memory.good_raw[s]
    counted = np.where(difference < 0, raw, difference)
    counted = np.where(memory.good_t[s] == NEVER, 0, counted)
    rises[s] = np.where(state.tables.series.counter[s], counted, raw)
    return rises
