"""Rings of past readings: where a window begins that moves on."""

from thresholds.row import some
from thresholds.tables import I64, Bools


def advance(head: I64, begin: I64, ring_t: I64, rings: tuple[I64, I64], good: Bools | None) -> tuple[I64, I64]:
    """Each head's first entry after `begin`, as number and as place. The newest entry is always after it.

    `rings`: begin and size of the ring of each. Those that are not `good` may stand anywhere.
    """
    at, size = rings
    place = at + head % size
    old = ring_t[place] <= begin
    if good is not None:
        old &= good
    if not some(old):
        return head, place
    head = head + old    # from row to row most move on by one or by none
    place = at + head % size
    old &= ring_t[place] <= begin
    moving = old.nonzero()[0]
    while moving.size:
        head[moving] += 1
        on = head[moving] % size[moving] + at[moving]
        place[moving] = on
        moving = moving[ring_t[on] <= begin[moving]]
    return head, place
