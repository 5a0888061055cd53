"""One reading a series at most, beside what came before it: what every detector is given."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from thresholds.selection import Index, Selection
from thresholds.state import State
from thresholds.tables import I64, MIDDLE_OF, NEVER, Bools


class Row(NamedTuple):
    """Readings of a selection of series, in its order: time, value in thousandths, and whether it is taken (None: all).

    `before` is the time of the reading taken before, `since` the time since; `steady` says that no more than two
    periods passed; `covers` is the time that the reading stands for, `rises` what it adds to its series' total (0 where
    nothing is taken). `young`: some series has not seen three readings yet, or none since a new epoch.
    """

    of: Selection
    t: I64
    raw: I64
    good: Bools | None
    before: I64
    since: I64
    steady: Bools
    covers: I64
    rises: I64
    young: bool

    def at(self, places: Index) -> Bools | None:
        """Whether the readings at these places are taken; None: all."""
        return None if self.good is None else self.good[places]


def row_of(state: State, of: Selection, t: I64, raw: I64, good: Bools | None) -> Row:
    """The row beside what came before it. A running total that went back was reset and counts from nothing."""
    memory, own = state.memory, of.own
    before = memory.good_t[of.series]
    since = t - before
    steady = since <= own.doubled
    covers = own.period.copy()
    np.copyto(covers, since, where=steady)
    seen = memory.seen[of.series]
    young = some((seen < MIDDLE_OF) | (before == NEVER))
    rises = raw
    if own.has_totals:
        last = memory.past_raw[of.series, 0]
        rises = raw - last * (own.total & (raw >= last))
        if young:
            rises[own.total & (seen == 0)] = 0
    if good is not None:
        rises = rises * good
    return Row(of, t, raw, good, before, since, steady, covers, rises, young)


def some(found: Bools | I64) -> bool:
    """Whether any is true, or not 0; the shortest way to ask."""
    return bool(np.count_nonzero(found))


def put(array: "npt.NDArray[Any]", index: Index, value: "npt.NDArray[Any] | int", good: Bools | None) -> None:
    """Into the entries of `array` at `index`; where `good` is given, into those of them alone. `value` is as long."""
    if good is None:
        array[index] = value
    elif isinstance(index, slice):
        np.copyto(array[index], value, where=good)
    else:
        array[index[good]] = value[good] if isinstance(value, np.ndarray) else value


def both(one: Bools | None, other: Bools | None) -> Bools | None:
    """Where both are true; None is true everywhere."""
    if one is None or other is None:
        return one if other is None else other
    return one & other
