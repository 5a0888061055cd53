"""Sums over windows, with their coverage.

A ring of past totals per series; a sum is the difference of two of them, so its cost does not grow with the window and
nothing drifts. Totals run modulo 2**64: the difference is exact all the same.
"""

import numpy as np

from thresholds.row import Row
from thresholds.state import State
from thresholds.tables import I64, NEVER, Pick, pick


def take(state: State, row: Row, rises: I64) -> None:
    """Totals and covered times are already those of this row; `rises` (int64[series]) is what it added to them."""
    _write(state, row)
    _sum(state, row, rises)


def _write(state: State, row: Row) -> None:
    """One entry a slot: a second reading of the same slot takes the place of the first."""
    memory, sums = state.memory, state.tables.sums
    r = pick(row.good[sums.ring_series])
    series, slot = sums.ring_series[r], sums.ring_slot[r]
    t = row.t[series]
    again = (t - 1) // slot == (memory.good_t[series] - 1) // slot
    memory.ring_count[r] += ~again
    place = sums.ring_at[r] + (memory.ring_count[r] - 1) % sums.ring_size[r]
    memory.ring_t[place] = t
    memory.ring_total[place] = memory.total[series]
    memory.ring_covered[place] = memory.covered[series]


def _sum(state: State, row: Row, rises: I64) -> None:
    memory, sums = state.memory, state.tables.sums
    f = pick(row.good[sums.series])
    series, ring = sums.series[f], sums.ring[f]
    t = row.t[series]
    begin = t - sums.window[f]
    begin -= begin % sums.step[f]
    at, size = sums.ring_at[ring], sums.ring_size[ring]
    head = _advance(memory.head[f], begin, memory.ring_t, at, size)
    memory.head[f] = head
    place = at + head % size
    before = at + (head - 1) % size    # before the first entry of all stands one that was never written: zeros
    cut = np.minimum(memory.ring_covered[place] - memory.ring_covered[before], memory.ring_t[place] - begin)
    apart = _apart(state, row, f, rises)
    feature = row.raw.size
    memory.value[feature:][f] = (memory.total[series] - memory.ring_total[before]
                                 - _within(apart, memory.apart[f], begin))
    memory.valid[feature:][f] = memory.covered[series] - memory.ring_covered[place] + cut
    memory.span[feature:][f] = t - begin


def _advance(head: I64, begin: I64, ring_t: I64, at: I64, size: I64) -> I64:
    """Moves each head to its first entry after `begin`. The newest entry is always after it, so the walk ends."""
    head = head.copy()
    moving = np.flatnonzero(ring_t[at + head % size] <= begin)
    while moving.size:
        head[moving] += 1
        on = head[moving] % size[moving] + at[moving]
        moving = moving[ring_t[on] <= begin[moving]]
    return head


def _apart(state: State, row: Row, f: Pick, rises: I64) -> I64:
    """Remembers increments over a silence longer than the window, whose rain fell at an unknown time.

    Two are enough: between two such readings lies more than a window. Returns their times. A reading in the same slot
    moves the time along, as it does in the ring.
    """
    memory, sums = state.memory, state.tables.sums
    series = sums.series[f]
    slot = sums.ring_slot[sums.ring[f]]
    t, since = row.t[series], row.since[series]
    new = state.tables.series.counter[series] & (since > sums.window[f]) & (memory.good_t[series] != NEVER)
    times, values = memory.apart_t[f], memory.apart[f]
    again = ~new & ((t - 1) // slot == (times[:, 0] - 1) // slot)
    times = np.stack([np.where(new | again, t, times[:, 0]), np.where(new, times[:, 0], times[:, 1])], axis=1)
    values = np.stack([np.where(new, rises[series], values[:, 0]), np.where(new, values[:, 0], values[:, 1])], axis=1)
    memory.apart_t[f], memory.apart[f] = times, values
    return times


def _within(times: I64, values: I64, begin: I64) -> I64:
    inside: I64 = np.where(times > begin[:, None], values, 0).sum(axis=1)
    return inside
