"""What the uplink's lanes are made of: the log read once more, and how large a message may be."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from edge.entries import readings_of, summary_of
from edge.news import Changes
from edge.recorder import KINDS
from edge.spans import Spans
from tocsin.log import Entry
from tocsin.messages import Detection, Readings, Start, Summary

MOST_RECORDS = 500  # of one message
_LEAST, _FIRST, _MOST = 1024, 4096, 32 * 1024  # bytes of records in one
_SLOW_S, _QUICK_S = 1.0, 0.5
_AHEAD = 10_000    # records of readings; behind so many more no summary comes (thinning.MOST_RECORDS, and ten seconds)
_READINGS, _SUMMARY, _START = KINDS[Readings], KINDS[Summary], KINDS[Start]
_DETECTION = KINDS[Detection]


@dataclass(slots=True)
class Pace:
    """How large a message may be: a warning waits about a second behind it, however slow the link is."""

    bytes: int = _FIRST

    def took(self, size: int, seconds: float) -> None:
        """A message of so many bytes of records was under way for so long."""
        if seconds > _SLOW_S:
            self.bytes = max(_LEAST, min(self.bytes, size) // 2)
        elif seconds < _QUICK_S and 2 * size >= self.bytes:
            self.bytes = min(_MOST, 2 * self.bytes)

    def failed(self, size: int) -> None:
        """It did not go through."""
        self.bytes = max(_LEAST, min(self.bytes, size) // 2)

    def again(self) -> "Pace":
        """For the next connection, which may be a better one, or as bad."""
        return Pace(min(_FIRST, self.bytes))


def next_of(entries: Iterable[Entry], most_bytes: int = _MOST) -> tuple[list[Entry], bool]:
    """As many as go into one message, and whether that was the end."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += len(entry.payload)
        if len(group) >= MOST_RECORDS or size >= most_bytes:
            return group, False
    return group, True


class Live:
    """What goes up as it is written, and the newest reading of every series, with which a connection begins."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: deque[Entry] = deque()
        self._newest_of: dict[bytes, Entry] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def know(self, entry: Entry) -> None:
        """A record of readings; by the series, for which devices share a record is another question each time."""
        self._newest_of.update(dict.fromkeys(series_of(entry), entry))

    def add(self, entry: Entry) -> None:
        """The newest stay: what there is no room for comes with the history."""
        if len(self._waiting) >= self._most:
            self._waiting.popleft()
        self._waiting.append(entry)

    def begin(self, done: Spans) -> None:
        """A new connection: only the newest readings, but those that are `done`."""
        newest = {entry.seq: entry for entry in self._newest_of.values() if entry.seq not in done}
        self._waiting = deque(newest[seq] for seq in sorted(newest))

    def taken(self) -> Iterator[Entry]:
        """One after the other."""
        while self._waiting:
            yield self._waiting.popleft()


@dataclass(slots=True)
class History:
    """The log read once more; everything up to `upto` has come by. What stands below `next_seq`, the log's when this
    was begun, and does not come by is no longer there: dropped by age, thinned, damaged, given up. `ready` goes up
    next; `ahead` are readings whose summary may come yet."""

    entries: Iterator[Entry]
    upto: int
    next_seq: int = 0
    ended: bool = False
    ready: deque[Entry] = field(default_factory=deque)
    ahead: deque[Entry] = field(default_factory=deque)
    changes: Changes = field(default_factory=Changes)

    def sifted(self, entry: Entry, factor: float) -> tuple[list[Entry], list[int]]:
        """What goes up now that this record came, and which records wait for it, a summary, to be committed."""
        if entry.kind == _READINGS:
            self.ahead.append(entry)
            return ([self.ahead.popleft()] if len(self.ahead) > _AHEAD else []), []
        if entry.kind == _START:    # a window does not outlive the agent's run
            return [*self._all(), entry], []
        if entry.kind != _SUMMARY:
            return [entry], []
        try:
            summary = summary_of(entry)
        except msgspec.DecodeError:     # of another version: the hub may know it
            return [entry], []
        rest = self._all()
        before = [one for one in rest if one.seq < summary.first_seq]
        inside = [one for one in rest if summary.first_seq <= one.seq <= summary.last_seq]
        self.ahead.extend(one for one in rest if one.seq > summary.last_seq)
        news = [one for one in inside if self._is_news(one, factor)]
        told = {one.seq for one in news}
        return [*before, *news, entry], [one.seq for one in inside if one.seq not in told]

    def _is_news(self, entry: Entry, factor: float) -> bool:
        try:
            return self.changes.news(readings_of(entry), factor)
        except msgspec.DecodeError:
            return True

    def taken(self) -> Iterator[Entry]:
        """What is ready, one after the other."""
        while self.ready:
            yield self.ready.popleft()

    def rest(self, first: int | None) -> tuple[list[Entry], list[int]]:
        """At the end of the log: what goes up, and which records wait for the summary of the window that is still open,
        whose first record is `first`."""
        rest = self._all()
        if first is None:
            return rest, []
        return [one for one in rest if one.seq < first], [one.seq for one in rest if one.seq >= first]

    def _all(self) -> list[Entry]:
        rest = list(self.ahead)
        self.ahead.clear()
        return rest


class Reader:
    """Reads ahead of what goes up, in one thread: nothing else waits for a disk that hangs, and it is asked once."""

    def __init__(self, ready: Callable[[], None]) -> None:
        """`ready` is called when something was read."""
        self._ready = ready
        self._lane: Iterator[Entry] | None = None
        self._reading: asyncio.Future[tuple[list[Entry], bool]] | None = None

    def next(self, lane: Iterator[Entry], most_bytes: int) -> tuple[list[Entry], bool] | None:
        """What `next_of` gives, or None: it is being read. What was read of another lane is dropped. Raises OSError."""
        reading = self._reading
        if reading is not None and not reading.done():
            return None
        mine, self._reading = self._lane is lane, None
        if reading is not None and not reading.cancelled():
            failed = reading.exception()
            if mine and failed is None:
                return reading.result()
            if mine and failed is not None:
                raise failed
        self._lane = lane
        self._reading = asyncio.ensure_future(asyncio.to_thread(next_of, lane, most_bytes))
        self._reading.add_done_callback(lambda _reading: self._ready())
        return None


def series_of(entry: Entry) -> list[bytes]:
    """Which series a record of readings is about, without reading it."""
    return entry.payload.partition(b'"series":[')[2].partition(b"]")[0].split(b",")


def newest_first(entries: list[Entry]) -> list[Entry]:
    """The newest of every rule and series in front, so that what stands now is known before how it came to that."""
    newest: dict[bytes, Entry] = {}
    for entry in entries:
        newest[_about(entry)] = entry
    first = {entry.seq for entry in newest.values()}
    return [*newest.values(), *(entry for entry in entries if entry.seq not in first)]


def fewer(urgent: dict[int, Entry], most: int) -> dict[int, Entry]:
    """Where there are more than `most`: answers, the newest of every rule and series, and of the others the newest."""
    if len(urgent) <= most:
        return urgent
    order = sorted(urgent)
    newest = {_about(urgent[seq]): seq for seq in order}
    kept = {*newest.values(), *order[-(most // 2):]}
    return {seq: entry for seq, entry in urgent.items() if seq in kept}


def _about(entry: Entry) -> bytes:
    """The rule and series of a detection, without reading it; an answer is about itself."""
    if entry.kind != _DETECTION:
        return b"%d" % entry.seq
    return b"".join(entry.payload.partition(name)[2].partition(b',"')[0] for name in (b'"series":', b'"rule":'))
