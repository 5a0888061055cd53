"""Which records of the log the hub has: whole stretches, however they were answered."""

import bisect
from collections.abc import Collection


class Spans:
    """Sequence numbers above a floor, as disjoint stretches; the floor rises when the lowest stretch reaches it."""

    def __init__(self, floor: int) -> None:
        self.floor = floor
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Marks first..last. Overlaps are fine."""
        first = max(first, self.floor + 1)
        if last < first:
            return
        low = bisect.bisect_left(self._ends, first - 1)
        high = bisect.bisect_right(self._starts, last + 1)
        if low < high:
            first = min(first, self._starts[low])
            last = max(last, self._ends[high - 1])
        self._starts[low:high] = [first]
        self._ends[low:high] = [last]
        if self._starts[0] == self.floor + 1:
            self.floor = self._ends.pop(0)
            self._starts.pop(0)

    @property
    def above(self) -> int:
        """How many are marked above the floor."""
        return sum(self._ends) - sum(self._starts) + len(self._starts)

    def __contains__(self, seq: int) -> bool:
        if seq <= self.floor:
            return True
        at = bisect.bisect_right(self._starts, seq) - 1
        return at >= 0 and seq <= self._ends[at]


def within(seqs: Collection[int], first: int, last: int) -> list[int]:
    """Those of `seqs` in first..last; the walk is over the fewer of the two, for a stretch may be of millions."""
    if last - first < len(seqs):
        return [seq for seq in range(first, last + 1) if seq in seqs]
    return [seq for seq in seqs if first <= seq <= last]
