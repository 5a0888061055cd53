"""Puts every input and finding into the log, in the order processed, from one thread beside the loop.

What is added is written in the next group at once; it is synced to the card at once while anything is above clear
(`urgent`) and where a warning, a clear or an answer is in it, else within CALM_SYNC_S. Nobody waits for it but the
uplink, and where the disk refuses or hangs, warnings and answers go there without it.

What waits for a disk is bounded (MOST_PENDING): then the oldest readings in calm go, then the oldest others, then
technical events. Detections and answers never go. A record of kind `thinned` says in the log what is missing.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from edge.sayings import say
from tocsin.beside import Threads
from tocsin.inputs import (
    LOCAL,
    Acknowledge,
    ClockStep,
    Config,
    OperatorClear,
    Service,
    Shadow,
    Shelve,
    Silence,
    Thinned,
    Tick,
)
from tocsin.log import Entry, Log, check_size
from tocsin.messages import Answer, Detection, Event, Readings, Record, Siren, Start, Summary, encode, record_of
from tocsin.orders import Obeyed, Papers
from tocsin.said import Said, said_of

CALM_SYNC_S = 10.0
MOST_PENDING = 20_000   # records, 8 MB: some hours of 20 series at 10 s
_KEPT_OF_THEM = 0.75    # so much stays when room is made
_RETRY_S = 1.0
_PATIENCE_S = 3.0       # a write that takes longer is a disk that hangs
KINDS: dict[type, int] = {
    Start: 1, Readings: 2, Event: 3, Detection: 4, Siren: 5, Answer: 6, Tick: 7,
    Config: 8, ClockStep: 9, Acknowledge: 10, OperatorClear: 11, Shelve: 12, Service: 13, Shadow: 14, Summary: 15,
    Silence: 16, Obeyed: 20, Papers: 21, Thinned: 32,
}  # fmt: skip
LOCAL_KINDS = {KINDS[kind] for kind in LOCAL}
URGENT_KINDS = {KINDS[Detection], KINDS[Answer], KINDS[Obeyed]}
_READINGS = {KINDS[Readings], KINDS[Tick], KINDS[Shadow], KINDS[Thinned]}
_LAST_TO_GO = _READINGS | {KINDS[Event], KINDS[Siren]}
Ranges = list[tuple[int, int]]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What the log's writer last met; `error`: None where all is well. `given_up`: records that nothing could keep."""

    written_seq: int
    pending: int
    error: Said | None
    given_up: int = 0


class Recorder:
    """`add` never waits; `run` is the writer, and may be run again after it failed; `close` ends it."""

    def __init__(self, storage: Log, boot: str, on_written: Callable[[list[Entry]], None]) -> None:
        self._log = storage
        self._boot = boot
        self._on_written = on_written
        self._next_seq = storage.next_seq
        self._pending: list[Entry] = []
        self._wake = asyncio.Event()
        self._moved = asyncio.Condition()
        self._thread = Threads(1, "log")
        self._synced_s = time.monotonic()
        self._written = self._synced = self._sync_asked = storage.next_seq - 1
        self._error: Said | None = None
        self._kept: list[Entry] | None = None
        self._in_hand = 0               # that many of the first pending ones are being written
        self._offered = storage.next_seq - 1
        self._hot: set[int] = set()     # pending, and from above clear
        self._given_up = 0
        self._most = MOST_PENDING
        self.urgent = False
        self.on_gone: Callable[[Ranges], None] = lambda _ranges: None

    @property
    def last_seq(self) -> int:
        """The number of the last record that was added, written or not."""
        return self._next_seq - 1

    @property
    def status(self) -> Status:
        """As of now."""
        return Status(self._written, len(self._pending), self._error, self._given_up)

    def add(self, record: Record) -> int:
        """Gives the record its place; `boot` and `seq` of what is passed are replaced. Returns the seq.

        Raises ValueError for a record that cannot be written down, now and for ever.
        """
        seq = self._next_seq
        payload = encode(msgspec.structs.replace(record, boot=self._boot, seq=seq))
        entry = Entry(seq, KINDS[type(record)], payload)
        check_size(entry)
        self._next_seq += 1  # only now: a record that cannot be written must leave no hole
        self._pending.append(entry)
        if self.urgent:
            self._hot.add(seq)
        if len(self._pending) > self._most:
            self._make_room()
        if self._kept is not None:
            self._kept.append(entry)
        self._wake.set()
        return seq

    def keep(self) -> int:
        """From now on also keeps what is added, until `kept`. Returns the last record that is surely in the log."""
        self._kept = list(self._pending)
        return (self._pending[0].seq if self._pending else self._next_seq) - 1

    def kept(self) -> list[Entry]:
        """Everything since `keep`, and what was not yet written then."""
        kept, self._kept = self._kept or [], None
        return kept

    async def written(self, seq: int) -> None:
        """Returns when everything up to `seq` is in the log."""
        async with self._moved:
            await self._moved.wait_for(lambda: self._written >= seq)

    async def synced(self, seq: int) -> None:
        """Returns when everything up to `seq` is on the disk itself; asks for that at once."""
        self._sync_asked = max(self._sync_asked, seq)
        self._wake.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self._synced >= seq)

    async def run(self) -> None:
        """Until cancelled; a disk that refuses is tried again every second, and nothing pending is given up."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wait()
            group = list(self._pending)  # they stay pending until they are written, whatever breaks off the wait
            # a clear that the hub has and the log forgot by a power cut: what rises then would be taken for old news
            at_once = (self.urgent or self._sync_asked > self._synced
                       or any(entry.kind in URGENT_KINDS for entry in group))
            self._in_hand = len(group)
            try:
                synced = await self._patiently(loop.run_in_executor(self._thread, self._write, group, at_once))
            except OSError as err:
                self._in_hand = 0
                self._refused(said_of(err))
                await asyncio.sleep(_RETRY_S)
                continue
            self._error = None
            self._in_hand = 0
            del self._pending[: len(group)]
            self._hot.difference_update([entry.seq for entry in group] if self._hot else ())
            await self._tell(group, synced=synced)

    async def _patiently(self, write: "asyncio.Future[bool]") -> bool:
        while not (await asyncio.wait({write}, timeout=_PATIENCE_S))[0]:
            self._refused(say("disk_hangs"))
        return write.result()

    def _refused(self, why: Said) -> None:
        """A warning does not wait for the disk: the hub gets it as if it were written."""
        if why != self._error:
            log.error("the log cannot be written: %s", why)
        self._error = why
        urgent = [entry for entry in self._pending if entry.kind in URGENT_KINDS and entry.seq > self._offered]
        if urgent:
            self._offered = urgent[-1].seq
            self._on_written(urgent)

    def _make_room(self) -> None:
        """Of what is neither being written just now nor in the log already, and only not synced; the oldest go first,
        readings in calm before all others."""
        stay = max(self._in_hand, bisect_left(self._pending, self._log.next_seq, key=lambda entry: entry.seq))
        waiting = self._pending[stay:]
        spare = len(waiting) - int(MOST_PENDING * _KEPT_OF_THEM)
        going: set[int] = set()
        newest = max((entry.seq for entry in waiting if entry.kind == KINDS[Config]), default=0)
        for kinds, hot in ((_READINGS, False), (_READINGS | {KINDS[Config]}, True), (_LAST_TO_GO, True)):
            for entry in waiting:
                if len(going) < spare and entry.kind in kinds and (hot or entry.seq not in self._hot) and (
                        entry.seq != newest):
                    going.add(entry.seq)
        if going:
            self._pending[stay:] = self._left(waiting, going)
        # where nothing is left that may go, it is not looked for at each record
        self._most = max(MOST_PENDING, len(self._pending) + MOST_PENDING // 5)

    def _left(self, waiting: list[Entry], going: set[int]) -> list[Entry]:
        """Without those that go: one record stands for all of them, and for those that went before."""
        first, last = min(going), max(going)
        marks = [record for entry in waiting if entry.seq in going and entry.kind == KINDS[Thinned]
                 and isinstance(record := record_of(entry.payload), Thinned)]
        removed = len(going) - len(marks)
        mark = Thinned(self._boot, first, 0, max([last, *(one.last for one in marks)]),
                       removed + sum(one.removed for one in marks), 0)
        self._hot -= going
        self._given_up += removed
        self.on_gone(ranges_of(sorted(going)))
        return [Entry(first, KINDS[Thinned], encode(mark)) if entry.seq == first else entry
                for entry in waiting if entry.seq == first or entry.seq not in going]

    async def _wait(self) -> None:
        """For something to write, or until it is time for the sync of what was written."""
        self._wake.clear()
        if not self._pending and self._sync_asked <= self._synced:
            rest_s = max(0.0, self._synced_s + CALM_SYNC_S - time.monotonic())
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s if self._written > self._synced else None):
                    await self._wake.wait()

    async def _tell(self, group: list[Entry], *, synced: bool) -> None:
        async with self._moved:
            if group:
                self._written = group[-1].seq
            if synced:
                self._synced = self._written
            self._moved.notify_all()
        if group:
            self._on_written(group)

    def _write(self, group: list[Entry], at_once: bool) -> bool:
        """Whether it was synced."""
        fresh = [entry for entry in group if entry.seq >= self._log.next_seq]  # a sync may have failed after the write
        self._append(fresh)
        if not at_once and time.monotonic() - self._synced_s < CALM_SYNC_S:
            return False
        self._log.sync()
        self._synced_s = time.monotonic()
        return True

    def _append(self, entries: list[Entry]) -> None:
        """Where records were given up, the log goes on behind them."""
        at = 0
        for first, last in ranges_of([entry.seq for entry in entries]):
            self._log.skip(first)
            self._log.append(entries[at:at + last - first + 1])
            at += last - first + 1

    def close(self) -> bool:
        """Whether the disk answers. The last group, once nobody adds any more: a stop loses nothing decoded."""
        self._thread.shutdown(wait=True)
        if self._thread.hanging:  # it may write yet, and only one may
            log.error("the log cannot be closed: the disk does not answer; %d records are given up", len(self._pending))
            return False
        fresh = [entry for entry in self._pending if entry.seq >= self._log.next_seq]
        try:
            self._append(fresh)
            self._log.close()
        except OSError as err:
            log.error("the log cannot be closed: %s", err)
        return True


def ranges_of(seqs: list[int]) -> Ranges:
    """Rising numbers as stretches (first, last)."""
    found: Ranges = []
    for seq in seqs:
        if found and seq == found[-1][1] + 1:
            found[-1] = found[-1][0], seq
        else:
            found.append((seq, seq))
    return found
