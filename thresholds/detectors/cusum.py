"""One-sided cumulative sum above a reference: small and lasting. docs/detection.md, 4.

E. S. Page, Continuous inspection schemes, Biometrika 41 (1954). The cap at twice the highest threshold lets a level
fall in the time that it took to rise, however long the event was.
"""

import numpy as np

from thresholds.bounds import LEAST_MINUTES
from thresholds.row import Row
from thresholds.rule import MINUTE_MS
from thresholds.state import State
from thresholds.tables import BEYOND, HOUR_MS, I64, MINIMA, NEVER, pick

GAP_PERIODS = 10
TENTH = 10
HOUR_MINUTES = HOUR_MS // MINUTE_MS


def take(state: State, row: Row) -> None:
    """Times taken are still those before this row."""
    memory, cusums = state.memory, state.tables.cusums
    if cusums.minima_series.size:
        _minima(state, row)
    f = pick(row.good[cusums.series])
    series = cusums.series[f]
    reference = cusums.fixed[f]
    if memory.reference.size:
        reference = np.where(cusums.minima[f] < 0, reference, memory.reference[cusums.minima[f]])
    known = reference != NEVER
    before = memory.cusum[f]
    before = np.where(row.since[series] > GAP_PERIODS * state.tables.series.period[series], before >> 1, before)
    more = before + row.raw[series] * cusums.sign[f] - reference - cusums.allowance[f]
    memory.cusum[f] = np.where(known, np.minimum(np.maximum(more, 0), cusums.cap[f]), before)
    place = slice(cusums.first, cusums.first + cusums.series.size)
    memory.value[place][f] = np.where(known, memory.cusum[f], NEVER)
    memory.valid[place][f] = known


def _minima(state: State, row: Row) -> None:
    """The lowest value of each minute; at the first reading of an hour the reference from those of the day before."""
    memory, cusums = state.memory, state.tables.cusums
    series = cusums.minima_series
    r = np.flatnonzero(row.good[series])
    series = series[r]
    minute, before = (row.t[series] - 1) // MINUTE_MS, (memory.good_t[series] - 1) // MINUTE_MS
    y = row.raw[series] * cusums.minima_sign[r]
    for number in np.flatnonzero(minute != before).tolist():
        ring = memory.minima[MINIMA * r[number]:MINIMA * (r[number] + 1)]
        turn(ring, memory.reference[r[number]:r[number] + 1], int(before[number]), int(minute[number]))
    place = MINIMA * r + minute % MINIMA
    memory.minima[place] = np.minimum(memory.minima[place], y)


def turn(ring: I64, reference: I64, before: int, minute: int) -> None:
    """From the minute of the reading before to that of this one: empties what is new, sets the reference on the hour.

    `ring` (int64[1440]) and `reference` (int64[1]) are views that are changed.
    """
    hour = minute // HOUR_MINUTES * HOUR_MINUTES
    if before < hour:
        _empty(ring, before + 1, hour)
        known = ring[ring < BEYOND]
        if known.size >= LEAST_MINUTES:
            rank = (known.size - 1) // TENTH
            reference[0] = np.partition(known, rank)[rank]
        before = hour - 1
    _empty(ring, before + 1, minute + 1)


def _empty(ring: I64, begin: int, end: int) -> None:
    begin = max(begin, end - MINIMA)
    ring[np.arange(begin, end) % MINIMA] = BEYOND
