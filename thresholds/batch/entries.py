"""Readings thinned to one a slot, behind those that a ring remembers: what windows are cut from."""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.lookup import lookup
from thresholds.batch.stream import Stream
from thresholds.tables import I64, Bools, Rings

FEW = 40    # so many windows are found by a binary search each


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a ring and those of a block, oldest first; the block's first may replace the ring's last.

    `t` are their times and `first` the number of the first in the ring's count. The ring has `kept` of them, at
    `place`, and the one before them at `before` (none: empty). Where some readings share a slot, `own` is the entry
    that each reading of the block writes, `pick` which of the ring's and the block's readings are the last of their
    slot (None: all are).
    """

    t: I64
    first: int
    kept: int
    place: I64
    before: I64
    own: I64 | None
    pick: I64 | None
    slot: int

    def at(self, t: int) -> int | None:
        """The entry of the time of a reading; None where it is forgotten."""
        if (t - 1) // self.slot < (int(self.t[0]) - 1) // self.slot:
            return None
        return int(np.searchsorted(self.t, t))

    def of(self, ring: I64, readings: I64) -> I64:
        """One number each entry from those of the ring (all rings) and of the block's readings."""
        every = np.concatenate([ring[self.place], readings])
        return every if self.pick is None else every[self.pick]

    def ends(self, ring: I64, readings: I64) -> I64:
        """A running number at the end of each entry, that before the first in front: one longer than `of`."""
        before = ring[self.before] if self.before.size else np.zeros(1, dtype=np.int64)
        if self.pick is None:
            return np.concatenate([before, ring[self.place], readings])
        return np.concatenate([before, self.of(ring, readings)])

    def owns(self, begin: int, end: int) -> I64:
        """The entries that readings of these numbers write."""
        return np.arange(self.kept + begin, self.kept + end) if self.own is None else self.own[begin:end]

    def heads(self, t: I64, window: int) -> I64:
        """The first entry in the window of each reading: their times, one after the other. An entry is its slot's."""
        begin = t - window
        if t.size <= FEW:
            return np.searchsorted(self.t, begin, "right")
        first = int(np.searchsorted(self.t, begin[0], "right"))
        own = self.t[first:int(np.searchsorted(self.t, t[-1])) + 1]
        head = lookup((own - 1) // self.slot).up_to((begin - 1) // self.slot - 1)
        head += own.take(head) <= begin
        return head + first


def entries(stream: Stream, rings: Rings, ring: int, count: int, ring_t: I64) -> Entries:
    """`count` is how many entries were ever written to the ring, `ring_t` the times of all rings."""
    slot, size, at = int(rings.slot[ring]), int(rings.size[ring]), int(rings.at[ring])
    kept = min(count, size - 1)
    place = at + np.arange(count - kept, count) % size
    before = np.array([at + (count - kept - 1) % size] if count > kept else [], dtype=np.int64)
    t = np.concatenate([ring_t[place], stream.t])
    if int(stream.since.min()) < slot:
        slots = (t - 1) // slot
        new: Bools = slots[1:] != slots[:-1]
        if not new.all():
            pick = np.flatnonzero(np.append(new, True))
            own = np.concatenate([[0], np.cumsum(new)])[kept:]
            return Entries(t[pick], count - kept, kept, place, before, own, pick, slot)
    return Entries(t, count - kept, kept, place, before, None, None, slot)


def written(made: Entries, rings: Rings, ring: int) -> tuple[I64, I64]:
    """Which entries the ring has from this block, and where they stand in it."""
    size = int(rings.size[ring])
    entry = np.arange(max(int(made.owns(0, 1)[0]), made.t.size - size), made.t.size)
    return entry, rings.at[ring] + (made.first + entry) % size
