"""Readings that wait for their summary: which of them, and which summary settles them at the hub."""

from contextlib import suppress

import msgspec

from edge.entries import readings_of, summary_of
from edge.lanes import History
from edge.news import Thinner
from edge.spans import within
from tocsin.log import Entry


class Holding:
    """`open` are readings of the window that is not over. Without a thinner nothing is ever held back."""

    def __init__(self, thinner: Thinner | None) -> None:
        self.open: set[int] = set()
        self._thinner = thinner
        self._covers: dict[int, list[int]] = {}  # by the record of a summary: the readings that it stands for

    @property
    def on(self) -> bool:
        """Whether readings are ever held back: there is a data budget."""
        return self._thinner is not None

    @property
    def covered(self) -> int:
        """Readings that wait for the hub's answer to a summary."""
        return sum(map(len, self._covers.values()))

    @property
    def broken(self) -> bool:
        """It is not calm any more, and readings wait for a summary that will not come."""
        return bool(self.open) and self._thinner is not None and self._thinner.open_from is None

    def keeps(self, entry: Entry, *, online: bool) -> bool:
        """Takes the next live record of readings; whether it waits. What is written offline the history looks after."""
        kept = self._thinner is not None and self._thinner.keeps(entry)
        if kept and online:
            self.open.add(entry.seq)
        return kept

    def cover(self, entry: Entry) -> None:
        """What waits for this summary is settled with it."""
        try:
            summary = summary_of(entry)
        except msgspec.DecodeError:     # of another version: who waits for it goes up in the end
            return
        waited = [seq for seq in self.open if summary.first_seq <= seq <= summary.last_seq]
        self.open.difference_update(waited)
        self._covers[entry.seq] = [*self._covers.get(entry.seq, []), *waited]

    def sift(self, history: History, entry: Entry) -> None:
        """A record of the history: what goes up with it is made ready, what waits is kept here."""
        if self._thinner is None:
            history.ready.append(entry)
            return
        up, waiting = history.sifted(entry, self._thinner.factor)
        history.ready.extend(up)
        self.open.update(waiting)

    def end(self, history: History) -> None:
        """The log is read to its end."""
        if self._thinner is not None:
            up, waiting = history.rest(self._thinner.open_from)
            history.ready.extend(up)
            self.open.update(waiting)

    def told(self, history: History, entry: Entry) -> None:
        """A reading of the history that the hub has, or that is on its way there."""
        if self._thinner is not None:
            with suppress(msgspec.DecodeError):
                history.changes.tell(readings_of(entry))

    def settle(self, first: int, last: int) -> list[int]:
        """The hub has these records: what is settled with them."""
        self.open.difference_update(within(self.open, first, last))
        return [covered for seq in within(self._covers, first, last) for covered in self._covers.pop(seq)]

    def clear(self) -> None:
        """The log is read again: it shows anew what waits for what."""
        self.open.clear()
        self._covers.clear()
