"""From readings to what rules compare: the values themselves, running totals, and what the detectors make of them."""

import numpy as np

from thresholds.detectors import cusum, trend, window_sum
from thresholds.row import Row, both, put, some
from thresholds.state import State
from thresholds.tables import I64, MIDDLE_OF, NEVER, Bools


def accept(state: State, row: Row, others: window_sum.Others | None) -> None:
    """Takes a row's readings into values, totals, rings and features.

    `others`: when the gauges of rain last brought some, as it was before the row; None where there is one at most.
    """
    memory, of = state.memory, row.of
    memory.total[of.series] += row.rises
    memory.covered[of.series] += row.covers if row.good is None else row.covers * row.good
    again = _again(row)
    if of.gauges.size:
        _rain(state, row)
    if of.sums is not None:
        window_sum.take(state, row, again, others)
    if of.windows is not None:
        trend.take(state, row, again)
    if of.cusums is not None:
        cusum.take(state, row)
    values = of.values
    if values is not None:
        good = row.at(values.at)
        put(memory.value, values.out, row.raw[values.at] * values.sign, good)
        put(memory.valid, values.out, 1, good)
    _past(state, row)


def _again(row: Row) -> Bools | None:
    """Where a reading falls into the slot of the one before; None: nowhere."""
    own = row.of.own
    if not own.has_slots:
        return None
    near = both(row.since < own.slot, row.good)
    if near is None or not some(near):
        return None
    slot = np.maximum(own.slot, 1)
    again: Bools = near & ((row.t - 1) // slot == (row.before - 1) // slot)
    return again


def _past(state: State, row: Row) -> None:
    """What the next row is compared with."""
    memory, s, t, raw = state.memory, row.of.series, row.t, row.raw
    changed = raw != memory.past_raw[s, 0]
    if row.young:
        seen = memory.seen[s]
        changed |= (seen == 0) | (memory.same_t[s] == NEVER)
        put(memory.seen, s, np.minimum(seen + 1, MIDDLE_OF), row.good)
    put(memory.same_t, s, t, both(changed, row.good))
    for past, newest in ((memory.past_raw, raw), (memory.past_t, t)):
        _push(past, row, newest)
    put(memory.good_t, s, t, row.good)


def _push(past: I64, row: Row, newest: I64) -> None:
    """A new first column before the others, the last of which is dropped."""
    if not row.of.whole:
        own = past[row.of.series]
        own[:, 1:] = own[:, :-1].copy()
        own[:, 0] = newest
        past[row.of.series] = own
        return
    own = past[row.of.series]
    kept = slice(0, 0) if row.good is None else (~row.good).nonzero()[0]
    there = own[kept]
    flat = own.reshape(-1)
    flat[1:] = flat[:-1]    # one move of all; what slips from one series into the next is written over
    own[:, 0] = newest
    own[kept] = there


def _rain(state: State, row: Row) -> None:
    memory, gauges = state.memory, row.of.gauges
    rises = row.rises[gauges]
    wet = rises > 0
    if some(wet):
        memory.rained += rises.sum()
        s = row.of.ids[gauges[wet]]
        memory.wet_t[s, 1] = memory.wet_t[s, 0]
        memory.wet_t[s, 0] = row.t[gauges[wet]]
