"""Readings that somebody asked for: from the log once more, behind all else, one message at a time."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from edge.entries import readings_of
from edge.lanes import Reader
from edge.recorder import KINDS
from edge.sayings import say
from edge.underway import Underway
from tocsin.log import Entry, Log
from tocsin.messages import Readings
from tocsin.said import Said, SaidError, said_of

_MOST = 5
_AGAIN_S = 10.0     # a disk that cannot be read may be read again; what is damaged is mended within minutes
_TRIES = 60
_READINGS = KINDS[Readings]


@dataclass(slots=True)
class _Request:
    """`after`: the last record that was found, and that all before it were looked at."""

    series: str
    start_ms: int
    end_ms: int
    after: int = 0
    lane: Iterator[Entry] | None = None
    ended: bool = False
    failed: int = 0
    again_s: float = 0.0


class Requests:
    """`ready` is called when something was read. `lost` hears of what could not be read."""

    def __init__(self, storage: Log, ready: Callable[[], None], lost: Callable[[Said], None]) -> None:
        self._storage = storage
        self._reader = Reader(ready)
        self._lost = lost
        self._waiting: deque[_Request] = deque()
        self._group: list[Entry] = []

    def add(self, series: str, start_ms: int, end_ms: int) -> None:
        """Readings with a time in start..end; of one series, or of all where it is "". Raises SaidError: too much."""
        if len(self._waiting) >= _MOST:
            raise SaidError(say("raw_busy", most=_MOST))
        self._waiting.append(_Request(series, start_ms, end_ms))

    def settle(self, first: int, last: int) -> None:
        """The hub has these, or nobody ever will."""
        self._group = [entry for entry in self._group if not first <= entry.seq <= last]

    def next(self, underway: Underway, most_bytes: int, now_s: float) -> list[Entry]:
        """What goes up now: what was lost of the last message, else the next one, once it is read."""
        if any(entry.seq in underway.sent for entry in self._group):
            return []
        while not self._group and self._waiting:
            request = self._waiting[0]
            if not request.ended and not self._found(request, most_bytes, now_s):
                break
            if request.ended and not self._group:
                self._waiting.popleft()
        return self._group

    def _found(self, request: _Request, most_bytes: int, now_s: float) -> bool:
        """Whether something was read, or the end; else it is being read, or the disk refuses."""
        if now_s < request.again_s:
            return False
        request.lane = request.lane or asked_for(
            self._storage.read(request.after), request.series, request.start_ms, request.end_ms)
        try:
            read = self._reader.next(request.lane, most_bytes)
        except OSError as err:
            self._failed(request, err, now_s)
            return False
        if read is None:
            return False
        self._group, request.ended = read
        request.failed = 0
        if self._group:
            request.after = self._group[-1].seq
        return True

    def _failed(self, request: _Request, err: OSError, now_s: float) -> None:
        """It goes on where it was, with what is read anew; one that never can is given up, and told."""
        request.lane, request.again_s, request.failed = None, now_s + _AGAIN_S, request.failed + 1
        if request.failed >= _TRIES:
            self._waiting.popleft()
            self._lost(say("raw_lost", seq=request.after, why=said_of(err)))


def asked_for(entries: Iterable[Entry], series: str, start_ms: int, end_ms: int) -> Iterator[Entry]:
    """Records of readings with a time in start..end; of one series, or of all where it is ""."""
    name = f'"{series}"'.encode()
    for entry in entries:
        if entry.kind == _READINGS and (not series or name in entry.payload):
            try:
                record = readings_of(entry)
            except msgspec.DecodeError:     # its times are not known
                continue
            wanted = zip(record.t, record.series, strict=True)
            if any(start_ms <= t <= end_ms and series in {"", key} for t, key in wanted):
                yield entry
