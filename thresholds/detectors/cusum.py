"""One-sided cumulative sum above a reference: small and lasting. docs/detection.md, 4.

E. S. Page, Continuous inspection schemes, Biometrika 41 (1954). The cap at twice the highest threshold lets a level
fall in the time that it took to rise, however long the event was.
"""

import numpy as np

from thresholds.bounds import LEAST_MINUTES
from thresholds.row import Row, put, some
from thresholds.rule import HOUR_MS, MINUTE_MS
from thresholds.selection import CusumPart
from thresholds.state import State
from thresholds.tables import BEYOND, I64, MINIMA, NEVER, Bools

TENTH = 10
HOUR_MINUTES = HOUR_MS // MINUTE_MS


def take(state: State, row: Row) -> None:
    """Times taken are still those before this row."""
    memory, cusums = state.memory, row.of.cusums
    if cusums is None:
        return
    reference: I64 = cusums.fixed
    known: Bools | None = None
    if cusums.minima.size:
        _minima(state, row, cusums)
        reference = np.where(cusums.minima_of < 0, reference, memory.reference[cusums.minima_of])
        known = reference != NEVER
    at, good = cusums.at, row.at(cusums.at)
    before = memory.cusum[cusums.numbers]
    halved = row.since[at] > row.of.own.silent[at]
    if some(halved):
        before = np.where(halved, before >> 1, before)
    total = np.minimum(np.maximum(before + (row.raw[at] * cusums.sign - reference - cusums.allowance), 0), cusums.cap)
    if known is not None:
        total = np.where(known, total, before)
    put(memory.cusum, cusums.numbers, total, good)
    put(memory.value, cusums.out, total if known is None else np.where(known, total, NEVER), good)
    put(memory.valid, cusums.out, 1 if known is None else known, good)


def _minima(state: State, row: Row, cusums: CusumPart) -> None:
    """The lowest value of each minute; at the first reading of an hour the reference from those of the day before."""
    memory, r, at = state.memory, cusums.minima, cusums.minima_at
    if row.good is not None:
        taken = row.good[at]
        r, at = r[taken], at[taken]
    minute, before = (row.t[at] - 1) // MINUTE_MS, (row.before[at] - 1) // MINUTE_MS
    y = row.raw[at] * state.tables.cusums.minima_sign[r]
    for number in (minute != before).nonzero()[0].tolist():
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
