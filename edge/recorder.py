"""Puts every input and finding into the log, in the order processed, from one thread beside the loop.

What is added is written in the next group at once; it is synced to the card at once while anything is above clear
(`urgent`), else within CALM_SYNC_S. Nobody waits for it but the uplink.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import msgspec

from tocsin.inputs import LOCAL, Acknowledge, ClockStep, Config, OperatorClear, Service, Shadow, Shelve, Silence, Tick
from tocsin.log import Entry, Log, check_size
from tocsin.messages import Answer, Detection, Event, Readings, Record, Siren, Start, Summary, encode
from tocsin.orders import Obeyed, Papers

CALM_SYNC_S = 10.0
_RETRY_S = 1.0
KINDS: dict[type, int] = {
    Start: 1, Readings: 2, Event: 3, Detection: 4, Siren: 5, Answer: 6, Tick: 7,
    Config: 8, ClockStep: 9, Acknowledge: 10, OperatorClear: 11, Shelve: 12, Service: 13, Shadow: 14, Summary: 15,
    Silence: 16, Obeyed: 20, Papers: 21,
}  # fmt: skip
LOCAL_KINDS = {KINDS[kind] for kind in LOCAL}
URGENT_KINDS = {KINDS[Detection], KINDS[Answer], KINDS[Obeyed]}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What the log's writer last met."""

    written_seq: int
    pending: int
    error: str


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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log")
        self._synced_s = time.monotonic()
        self._written = self._synced = self._sync_asked = storage.next_seq - 1
        self._error = ""
        self._kept: list[Entry] | None = None
        self.urgent = False

    @property
    def last_seq(self) -> int:
        return self._next_seq - 1

    @property
    def status(self) -> Status:
        return Status(self._written, len(self._pending), self._error)

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
        if self._kept is not None:
            self._kept.append(entry)
        self._wake.set()
        return seq

    def keep(self) -> int:
        """From now on also keeps what is added, until `kept`. Returns the last record that is surely in the log."""
        self._kept = list(self._pending)
        return self._next_seq - len(self._pending) - 1

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
            at_once = self.urgent or self._sync_asked > self._synced
            try:
                synced = await loop.run_in_executor(self._thread, self._write, group, at_once)
            except OSError as err:
                if str(err) != self._error:
                    log.error("the log cannot be written: %s", err)
                self._error = str(err)
                await asyncio.sleep(_RETRY_S)
                continue
            self._error = ""
            del self._pending[: len(group)]
            await self._tell(group, synced=synced)

    async def _wait(self) -> None:
        self._wake.clear()
        if not self._pending and self._sync_asked <= self._synced:
            try:
                async with asyncio.timeout(CALM_SYNC_S):
                    await self._wake.wait()
            except TimeoutError:
                return

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
        if fresh:
            self._log.append(fresh)
        if not at_once and time.monotonic() - self._synced_s < CALM_SYNC_S:
            return False
        self._log.sync()
        self._synced_s = time.monotonic()
        return True

    def close(self) -> None:
        """The last group, once nobody adds any more: what was decoded is not lost by a stop."""
        self._thread.shutdown(wait=True)
        fresh = [entry for entry in self._pending if entry.seq >= self._log.next_seq]
        try:
            if fresh:
                self._log.append(fresh)
            self._log.close()
        except OSError as err:
            log.error("the log cannot be closed: %s", err)
