"""From readings to what rules compare: the values themselves, running totals, and what the detectors make of them."""

import numpy as np

from thresholds.detectors import cusum, trend, window_sum
from thresholds.row import Row
from thresholds.state import State
from thresholds.tables import NEVER, pick

MIDDLE_OF = 3


def accept(state: State, row: Row, rained_before: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> None:
    """Takes a row's readings into values, totals, rings and features.

    `rained_before` (int64[gauges]): when each gauge of rain last brought some, as it was before the row.
    """
    memory, tables = state.memory, state.tables
    memory.total += row.rises
    s = pick(row.good)
    memory.covered[s] += row.covers[s]
    _rain(state, row)
    if tables.sums.series.size:
        window_sum.take(state, row, rained_before)
    if tables.trends.of.size:
        trend.take(state, row)
    if tables.cusums.series.size:
        cusum.take(state, row)
    _values(state, row)
    changed = (memory.seen[s] == 0) | (memory.same_t[s] == NEVER) | (row.raw[s] != memory.past_raw[s, 0])
    memory.same_t[s] = np.where(changed, row.t[s], memory.same_t[s])
    memory.seen[s] = np.minimum(memory.seen[s] + 1, MIDDLE_OF)
    memory.past_raw[s] = np.concatenate([row.raw[s][:, None], memory.past_raw[s][:, :-1]], axis=1)
    memory.past_t[s] = np.concatenate([row.t[s][:, None], memory.past_t[s][:, :-1]], axis=1)
    memory.good_t[s] = row.t[s]


def _values(state: State, row: Row) -> None:
    memory, values = state.memory, state.tables.values
    if values.series.size:
        f = pick(row.good[values.series])
        series = values.series[f]
        place = slice(values.first, values.first + values.series.size)
        memory.value[place][f] = row.raw[series] * values.sign[f]
        memory.valid[place][f] = 1


def _rain(state: State, row: Row) -> None:
    memory, rain = state.memory, state.tables.rain
    if rain.size:
        memory.rained += row.rises[rain].sum()
        wet = rain[row.rises[rain] > 0]
        memory.wet_t[wet] = np.stack([row.t[wet], memory.wet_t[wet, 0]], axis=1)
