"""One reading a series at most, beside what came before it: what every detector is given."""

from dataclasses import dataclass

from thresholds.state import State
from thresholds.tables import I64, Bools


@dataclass(frozen=True, slots=True)
class Row:
    """One reading a series at most: its time, its value in thousandths, and whether it is good. All of length S.

    `since` is the time since the last good reading; `steady` says that no more than two periods passed.
    """

    t: I64
    raw: I64
    good: Bools
    since: I64
    steady: Bools


def row_of(state: State, t: I64, raw: I64, good: Bools) -> Row:
    """The row beside what came before it."""
    since = t - state.memory.good_t
    return Row(t, raw, good, since, since <= 2 * state.tables.series.period)
