"""Where numbers stand among sorted ones, faster than a binary search where they lie close together."""

from dataclasses import dataclass

import numpy as np

from thresholds.tables import I64

# A table may have this many places for each number, and some in any case: beyond that a binary search costs less.
PLACES_EACH, PLACES = 8, 4096


@dataclass(frozen=True, slots=True)
class Lookup:
    """Sorted numbers; `table[v - first + 1]` of them are at most v. No table where they lie far apart."""

    numbers: I64
    first: int
    table: I64 | None

    def up_to(self, keys: I64) -> I64:
        """How many of the numbers are at most each key. Keys are not above the last number."""
        if self.table is None:
            return np.searchsorted(self.numbers, keys, "right")
        places = keys - (self.first - 1)
        return self.table.take(np.maximum(places, 0, out=places))


def lookup(numbers: I64) -> Lookup:
    """`numbers`: sorted, at least one."""
    first, last = int(numbers[0]), int(numbers[-1])
    if last - first > PLACES_EACH * numbers.size + PLACES:
        return Lookup(numbers, first, None)
    table = np.zeros(last - first + 2, dtype=np.int64)
    np.cumsum(np.bincount(numbers - first), out=table[1:])
    return Lookup(numbers, first, table)
