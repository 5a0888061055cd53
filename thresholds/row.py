"""One reading a series at most, beside what came before it: what every detector is given."""

from dataclasses import dataclass

import numpy as np

from thresholds.state import State
from thresholds.tables import I64, TOTAL, Bools


@dataclass(frozen=True, slots=True)
class Row:
    """Readings to take, one a series at most: time, value in thousandths, and whether it is taken. All of length S.

    `since` is the time since the reading taken before; `steady` says that no more than two periods passed; `covers` is
    the time that the reading stands for, `rises` what it adds to its series' total (0 where nothing is taken).
    """

    t: I64
    raw: I64
    good: Bools
    since: I64
    steady: Bools
    covers: I64
    rises: I64


def row_of(state: State, t: I64, raw: I64, good: Bools) -> Row:
    """The row beside what came before it. A running total that went back was reset and counts from nothing."""
    memory, table = state.memory, state.tables.series
    since = t - memory.good_t
    steady = since <= 2 * table.period
    before = memory.past_raw[:, 0]
    counted = np.where(raw < before, raw, raw - before)
    rises = np.where(table.kind == TOTAL, np.where(memory.seen == 0, 0, counted), raw)
    return Row(t, raw, good, since, steady, np.where(steady, since, table.period), np.where(good, rises, 0))
