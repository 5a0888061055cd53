"""Gets the log to the hub: two lanes, and a cursor that only the hub's `committed` moves.

New records go out at once, detections before readings. What was not committed in time, and what was written while the
link was down, is read from the log again and goes behind, in order. Repeats are harmless at the hub.
"""

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from edge.recorder import KINDS, LOCAL_KINDS
from edge.spans import Spans
from tocsin import topics
from tocsin.link import Link, LinkDownError
from tocsin.log import Entry, Log
from tocsin.messages import (
    VERSION,
    Answer,
    Committed,
    Detection,
    Range,
    Start,
    Upload,
    decode,
    digest,
    digest_of_digests,
    encode,
)
from tocsin.orders import Obeyed
from tocsin.signing import SealError, unseal

_MESSAGE_BYTES = 32 * 1024  # on the 3 kB/s of a bad phone link a warning waits 10 s behind one, not a minute
_MESSAGE_RECORDS = 500
_UNANSWERED = 5_000        # records under way; beyond it the history waits for the hub
_GIVEN_UP = 20_000         # digests kept of records that wait to be offered again: a late answer counts
_ANSWER_WITHIN_S = 5.0     # then a record is offered again; on a slow link twice the time that answers take
_LONGEST_WAIT_S = 60.0
_URGENT_WITHIN_S = 10.0    # a warning is repeated sooner
_LOOK_EVERY_S = 1.0
_CURSOR_EVERY_S = 5.0
_URGENT = {KINDS[Detection]: topics.DETECTIONS, KINDS[Answer]: topics.ANSWERS, KINDS[Obeyed]: topics.ANSWERS}

log = logging.getLogger(__name__)
_COMMITTED = msgspec.json.Decoder(Committed)


@dataclass(frozen=True, slots=True)
class _Sent:
    at_s: float
    digest: str


@dataclass(slots=True)
class _History:
    """The log read once more; everything up to `upto` has come by."""

    entries: Iterator[Entry]
    upto: int


class Uplink:
    """`written` takes new entries from the recorder; `run` publishes; `committed` takes the hub's answers."""

    def __init__(self, storage: Log, station: str, key: str) -> None:
        self._log = storage
        self._station = station
        self._key = key
        self._link: Link | None = None
        self._spans = Spans(storage.cursor)
        self._sent: dict[int, _Sent] = {}     # under way, the oldest first
        self._given_up: dict[int, _Sent] = {}  # without an answer for too long
        self._live: deque[Entry] = deque()
        self._urgent: dict[int, Entry] = {}
        self._card: list[Entry] = []  # the start record of this run
        self._history: _History | None = None
        self._first = storage.next_seq  # of this run: from here on the log has no holes
        self._newest = storage.next_seq - 1
        self._wake = asyncio.Event()
        self._cursor_saved_s = 0.0
        self._patience_s = _ANSWER_WITHIN_S
        self._looked_s = 0.0
        self._stuck_at, self._stuck_since_s = -1, 0.0

    @property
    def backlog(self) -> int:
        """Records that the hub has not committed yet."""
        return self._newest - self._spans.floor

    def restore_urgent(self, entries: Sequence[Entry]) -> None:
        """Detections and answers of an earlier run that were never committed: they go before all else."""
        older = {entry.seq: entry for entry in entries if entry.kind in _URGENT and entry.seq not in self._spans}
        self._urgent = older | self._urgent

    def written(self, entries: list[Entry]) -> None:
        """New entries of the log, in order, now on disk."""
        self._newest = entries[-1].seq
        for entry in entries:
            if entry.kind == KINDS[Start]:
                self._card = [entry]
            if entry.kind in LOCAL_KINDS:
                self._spans.add(entry.seq, entry.seq)
            elif entry.kind in _URGENT and entry.seq not in self._spans:  # it may have gone before the disk took it
                self._urgent[entry.seq] = entry
            elif self._link is not None and self._link.connected and len(self._live) < _UNANSWERED:
                self._live.append(entry)
        self._wake.set()

    def gone(self, ranges: Sequence[tuple[int, int]]) -> None:
        """These records are no longer in the log: nobody will offer them, nothing waits for them."""
        for first, last in ranges:
            self._settle(first, last)

    async def committed(self, topic: str, payload: bytes) -> None:
        """The hub's answer. One that is not sealed for this station moves nothing."""
        try:
            answer = decode(_COMMITTED, unseal(payload, topic, self._key))
        except (SealError, msgspec.DecodeError) as err:
            log.warning("%s: refused: %s", topic, err)
            return
        if self._log.cursor_hub and answer.hub != self._log.cursor_hub:
            self._start_over(answer.hub)
        for part in answer.ranges:
            self._take(part)
        self._save_cursor(answer.hub)
        self._wake.set()

    def _take(self, part: Range) -> None:
        """Settles a range whose every record was sent, with the content that the hub has."""
        if part.last - part.first >= len(self._sent) + len(self._given_up):
            return
        sent = [self._sent.get(seq) or self._given_up.get(seq) for seq in range(part.first, part.last + 1)]
        known = [one for one in sent if one is not None]
        if not known or len(known) < len(sent) or digest_of_digests([one.digest for one in known]) != part.digest:
            return
        took_s = asyncio.get_running_loop().time() - known[-1].at_s
        self._patience_s = min(max(_ANSWER_WITHIN_S, 2 * took_s), _LONGEST_WAIT_S)
        self._settle(part.first, part.last)

    async def connected(self) -> None:
        """A new connection: what the last one carried unanswered is offered again, history from the cursor on."""
        self._given_up |= self._sent  # their answers may still come
        self._sent.clear()
        self._live.clear()
        self._read_again()
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Until cancelled."""
        self._link = link
        while True:
            await link.wait_connected()
            self._wake.clear()
            self._look_for_lost()
            try:
                busy = await self._send_urgent(link)
                if not busy:  # both: neither a long history nor a steady stream may hold up the other for good
                    busy = any([await self._send_live(link), await self._send_history(link)])
            except LinkDownError:
                continue
            except OSError as err:
                log.error("the log cannot be read: %s", err)
                self._history = None
                busy = False
            if not busy:
                await self._wait()

    async def _wait(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_EVERY_S):
                await self._wake.wait()

    def _look_for_lost(self) -> None:
        """What has no answer for too long, or was left out, comes from the log once more; ever more rarely."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._looked_s < _LOOK_EVERY_S:
            return
        self._looked_s = now_s
        old = itertools.takewhile(lambda item: now_s - item[1].at_s > self._patience_s, self._sent.items())
        for seq, sent in list(old):
            del self._sent[seq]
            self._given_up[seq] = sent
        for seq in list(itertools.islice(self._given_up, max(0, len(self._given_up) - _GIVEN_UP))):
            del self._given_up[seq]
        if self._spans.floor != self._stuck_at or not self.backlog:
            self._stuck_at, self._stuck_since_s = self._spans.floor, now_s
        elif now_s - self._stuck_since_s > self._patience_s and (self._given_up or self._history is None):
            self._stuck_since_s = now_s
            self._patience_s = min(2 * self._patience_s, _LONGEST_WAIT_S)
            self._read_again()

    def _read_again(self) -> None:
        self._history = _History(self._log.read(after=self._spans.floor), self._spans.floor)

    async def _send_urgent(self, link: Link) -> bool:
        now_s, within_s = asyncio.get_running_loop().time(), min(self._patience_s, _URGENT_WITHIN_S)
        for kind, lane in _URGENT.items():
            waiting = (entry for entry in self._urgent.values() if entry.kind == kind
                       and (entry.seq not in self._sent or now_s - self._sent[entry.seq].at_s > within_s))
            group, _ = self._next_of(waiting)
            if group:
                # the station's card goes along: a hub that came up just now must know whom a detection warns
                await self._publish(link, lane, [*self._card, *group])
                return True
        return False

    async def _send_live(self, link: Link) -> bool:
        group, size = list[Entry](), 0
        while self._live and len(group) < _MESSAGE_RECORDS and size < _MESSAGE_BYTES:
            entry = self._live.popleft()
            if entry.seq not in self._sent and entry.seq not in self._spans:
                group.append(entry)
                size += len(entry.payload)
        if group:
            await self._publish(link, topics.READINGS, group)
        return bool(group)

    async def _send_history(self, link: Link) -> bool:
        history = self._history
        if history is None or len(self._sent) >= _UNANSWERED:
            return False
        group, ended = await asyncio.to_thread(self._next_of, history.entries)
        if history is not self._history:  # begun anew meanwhile
            return True
        for entry in group:
            self._pass(history, entry)
        if ended:
            self._history = None
        plain = [entry for entry in group if entry.kind not in _URGENT
                 and entry.seq not in self._sent and entry.seq not in self._spans]
        if plain:
            await self._publish(link, topics.READINGS, plain)
        return bool(group)

    def _pass(self, history: _History, entry: Entry) -> None:
        """What is no reading goes its own way; what was dropped by age or damaged will never be sent nor answered."""
        self._spans.add(history.upto + 1, min(entry.seq, self._first) - 1)
        history.upto = entry.seq
        if entry.kind in LOCAL_KINDS:
            self._spans.add(entry.seq, entry.seq)
        elif entry.kind in _URGENT and entry.seq not in self._spans:
            self._urgent.setdefault(entry.seq, entry)

    @staticmethod
    def _next_of(entries: Iterable[Entry]) -> tuple[list[Entry], bool]:
        """As many as go into one message, and whether that was the end."""
        group, size = list[Entry](), 0
        for entry in entries:
            group.append(entry)
            size += len(entry.payload)
            if len(group) >= _MESSAGE_RECORDS or size >= _MESSAGE_BYTES:
                return group, False
        return group, True

    async def _publish(self, link: Link, lane: str, group: Sequence[Entry]) -> None:
        message = Upload(VERSION, self._station, [msgspec.Raw(entry.payload) for entry in group])
        now_s = asyncio.get_running_loop().time()
        for entry in group:  # before the await: the hub may answer before the broker does
            self._sent.pop(entry.seq, None)  # to the end: the oldest stand first
            self._sent[entry.seq] = _Sent(now_s, digest(entry.payload))
        await link.publish(topics.up(self._station, lane), encode(message))

    def _settle(self, first: int, last: int) -> None:
        self._spans.add(first, last)
        for seq in range(first, last + 1):
            self._sent.pop(seq, None)
            self._given_up.pop(seq, None)
            self._urgent.pop(seq, None)

    def _start_over(self, hub: str) -> None:
        """Another hub, or one restored from a backup: it is offered everything that is still held."""
        log.warning("hub %s is not hub %s: everything in the log is offered again", hub, self._log.cursor_hub)
        self._spans = Spans(0)
        self._sent.clear()
        self._given_up.clear()
        self._move_cursor(0, hub)
        self._read_again()

    def _save_cursor(self, hub: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._spans.floor > self._log.cursor and (
            now_s - self._cursor_saved_s >= _CURSOR_EVERY_S or not self._log.cursor_hub
        ):
            self._move_cursor(self._spans.floor, hub)
            self._cursor_saved_s = now_s

    def _move_cursor(self, seq: int, hub: str) -> None:
        """A disk that refuses only makes a harmless repeat after the next start."""
        try:
            self._log.move_cursor(seq, hub)
        except OSError as err:
            log.error("the log's cursor cannot be written: %s", err)

    def close(self) -> None:
        if self._spans.floor > self._log.cursor and self._log.cursor_hub:
            self._move_cursor(self._spans.floor, self._log.cursor_hub)
