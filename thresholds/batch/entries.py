"""Readings thinned to one a slot, behind those that a ring remembers: what windows are cut from."""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.lookup import Lookup, lookup
from thresholds.batch.stream import Stream
from thresholds.tables import I64, Bools, Rings


@dataclass(frozen=True, slots=True)
class Entries:
    """Entries of a ring and those of a block, oldest first; the block's first may replace the ring's last.

    `t` are their times and `first` the number of the first in the ring's count. The ring has `kept` of them, at
    `place`, and the one before them at `before` (none: empty). `own` is the entry that each reading of the block
    writes, `pick` which of the ring's and the block's readings are the last of their slot (None: all).
    """

    t: I64
    first: int
    kept: int
    place: I64
    before: I64
    own: I64
    pick: I64 | None
    slot_of: I64
    slots: Lookup
    slot: int

    @property
    def first_t(self) -> int:
        """From where on a time has an entry."""
        return int(self.slots.numbers[0]) * self.slot + 1

    def at(self, t: int) -> int:
        """The entry of a time."""
        return int(np.searchsorted(self.slots.numbers, (t - 1) // self.slot))

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

    def heads(self, begin: I64, window: int) -> I64:
        """int64[n]: the first entry after `begin` of each reading, `window` before it. An entry stands for its slot."""
        key = self.slot_of - window // self.slot if window % self.slot == 0 else (begin - 1) // self.slot
        head = self.slots.up_to(key - 1)
        head += self.t.take(head) <= begin
        return head


def entries(stream: Stream, rings: Rings, ring: int, count: int, ring_t: I64) -> Entries:
    """`count` is how many entries were ever written to the ring, `ring_t` the times of all rings."""
    slot, size, at = int(rings.slot[ring]), int(rings.size[ring]), int(rings.at[ring])
    kept = min(count, size - 1)
    place = at + np.arange(count - kept, count) % size
    before = np.array([at + (count - kept - 1) % size] if count > kept else [], dtype=np.int64)
    t = np.concatenate([ring_t[place], stream.t])
    slots = (t - 1) // slot
    slot_of, own, pick = slots[kept:], np.arange(kept, t.size), None
    new: Bools = slots[1:] != slots[:-1]
    if not new.all():
        pick = np.flatnonzero(np.append(new, True))
        own = np.concatenate([[0], np.cumsum(new)])[kept:]
        t, slots = t[pick], slots[pick]
    return Entries(t, count - kept, kept, place, before, own, pick, slot_of, lookup(slots), slot)


def written(made: Entries, rings: Rings, ring: int) -> tuple[I64, I64]:
    """Which entries the ring has from this block, and where they stand in it."""
    size = int(rings.size[ring])
    entry = np.arange(max(int(made.own[0]), made.t.size - size), made.t.size)
    return entry, rings.at[ring] + (made.first + entry) % size
