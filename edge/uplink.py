"""Gets the log to the hub: two lanes, and a cursor that only the hub's `committed` moves.

New records go out at once, detections before readings. What was not committed in time, and what was written while the
link was down, is read from the log again and goes behind, in order. Repeats are harmless at the hub.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from edge.recorder import KINDS, LOCAL_KINDS
from edge.spans import Spans
from tocsin import topics
from tocsin.link import Link, LinkDownError
from tocsin.log import Entry, Log
from tocsin.messages import VERSION, Answer, Committed, Detection, Upload, decode, digest, digest_of_digests, encode
from tocsin.signing import SealError, unseal

_MESSAGE_BYTES = 128 * 1024
_MESSAGE_RECORDS = 500
_UNANSWERED = 5_000        # records under way; beyond it the history waits for the hub
_ANSWER_WITHIN_S = 5.0     # then a record is offered again
_CURSOR_EVERY_S = 5.0
_URGENT = {KINDS[Detection]: topics.DETECTIONS, KINDS[Answer]: topics.ANSWERS}

log = logging.getLogger(__name__)
_COMMITTED = msgspec.json.Decoder(Committed)


@dataclass(frozen=True, slots=True)
class _Sent:
    at_s: float
    digest: str


class Uplink:
    """`written` takes new entries from the recorder; `run` publishes; `committed` takes the hub's answers."""

    def __init__(self, storage: Log, station: str, key: str) -> None:
        self._log = storage
        self._station = station
        self._key = key
        self._link: Link | None = None
        self._spans = Spans(storage.cursor)
        self._sent: dict[int, _Sent] = {}
        self._live: deque[Entry] = deque()
        self._urgent: dict[int, Entry] = {}
        self._history: Iterator[Entry] | None = None
        self._newest = storage.next_seq - 1
        self._wake = asyncio.Event()
        self._cursor_saved_s = 0.0

    @property
    def backlog(self) -> int:
        """Records that the hub has not committed yet."""
        return self._newest - self._spans.floor

    def restore_urgent(self, entries: Sequence[Entry]) -> None:
        """Detections and answers of an earlier run that were never committed: they go before all else."""
        self._urgent = {entry.seq: entry for entry in entries if entry.kind in _URGENT and entry.seq not in self._spans}

    def written(self, entries: list[Entry]) -> None:
        """New entries of the log, in order, now on disk."""
        self._newest = entries[-1].seq
        for entry in entries:
            if entry.kind in LOCAL_KINDS:
                self._spans.add(entry.seq, entry.seq)
            elif entry.kind in _URGENT:
                self._urgent[entry.seq] = entry
            elif self._link is not None and self._link.connected and len(self._live) < _UNANSWERED:
                self._live.append(entry)
        self._wake.set()

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
            seqs = range(part.first, part.last + 1)
            known = [sent.digest for seq in seqs if (sent := self._sent.get(seq))]
            if len(known) == len(seqs) and digest_of_digests(known) == part.digest:
                self._settle(part.first, part.last)
        self._save_cursor(answer.hub)
        self._wake.set()

    async def connected(self) -> None:
        """A new connection: what the last one carried unanswered is offered again, history from the cursor on."""
        self._sent.clear()
        self._live.clear()
        self._history = self._log.read(after=self._spans.floor)
        self._wake.set()

    async def run(self, link: Link) -> None:
        """Until cancelled."""
        self._link = link
        while True:
            await link.wait_connected()
            try:
                busy = await self._send_urgent(link) or await self._send_live(link) or await self._send_history(link)
            except LinkDownError:
                continue
            if not busy:
                await self._wait()

    async def _wait(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(1.0):
                await self._wake.wait()
        except TimeoutError:
            self._offer_again()

    def _offer_again(self) -> None:
        """Records without an answer for too long come from the log once more."""
        now_s = asyncio.get_running_loop().time()
        late = [seq for seq, sent in self._sent.items() if now_s - sent.at_s > _ANSWER_WITHIN_S]
        for seq in late:
            del self._sent[seq]
        if self._history is None and (late or (not self._sent and self.backlog > 0)):
            self._history = self._log.read(after=self._spans.floor)

    async def _send_urgent(self, link: Link) -> bool:
        for kind, lane in _URGENT.items():
            waiting = [entry for entry in self._urgent.values() if entry.kind == kind and entry.seq not in self._sent]
            if waiting:
                await self._publish(link, lane, waiting[:_MESSAGE_RECORDS])
                return True
        return False

    async def _send_live(self, link: Link) -> bool:
        group: list[Entry] = []
        size = 0
        while self._live and len(group) < _MESSAGE_RECORDS and size < _MESSAGE_BYTES:
            entry = self._live.popleft()
            if entry.seq not in self._sent and entry.seq not in self._spans:
                group.append(entry)
                size += len(entry.payload)
        if group:
            await self._publish(link, topics.READINGS, group)
        return bool(group)

    async def _send_history(self, link: Link) -> bool:
        if self._history is None or len(self._sent) >= _UNANSWERED:
            return False
        group, ended = await asyncio.to_thread(self._next_of, self._history)
        if ended:
            self._history = None
        for entry in group:
            if entry.kind in LOCAL_KINDS:
                self._spans.add(entry.seq, entry.seq)
            elif entry.kind in _URGENT and entry.seq not in self._spans:
                self._urgent.setdefault(entry.seq, entry)
        plain = [entry for entry in group if entry.kind not in LOCAL_KINDS and entry.kind not in _URGENT
                 and entry.seq not in self._sent and entry.seq not in self._spans]
        if plain:
            await self._publish(link, topics.READINGS, plain)
        return bool(group)

    @staticmethod
    def _next_of(history: Iterator[Entry]) -> tuple[list[Entry], bool]:
        group: list[Entry] = []
        size = 0
        for entry in history:
            group.append(entry)
            size += len(entry.payload)
            if len(group) >= _MESSAGE_RECORDS or size >= _MESSAGE_BYTES:
                return group, False
        return group, True

    async def _publish(self, link: Link, lane: str, group: Sequence[Entry]) -> None:
        message = Upload(VERSION, self._station, [msgspec.Raw(entry.payload) for entry in group])
        now_s = asyncio.get_running_loop().time()
        for entry in group:  # before the await: the hub may answer before the broker does
            self._sent[entry.seq] = _Sent(now_s, digest(entry.payload))
        await link.publish(topics.up(self._station, lane), encode(message))

    def _settle(self, first: int, last: int) -> None:
        self._spans.add(first, last)
        for seq in range(first, last + 1):
            self._sent.pop(seq, None)
            self._urgent.pop(seq, None)

    def _start_over(self, hub: str) -> None:
        """Another hub, or one restored from a backup: it is offered everything that is still held."""
        log.warning("hub %s is not hub %s: everything in the log is offered again", hub, self._log.cursor_hub)
        self._spans = Spans(0)
        self._sent.clear()
        self._log.move_cursor(0, hub)
        self._history = self._log.read()

    def _save_cursor(self, hub: str) -> None:
        now_s = asyncio.get_running_loop().time()
        if self._spans.floor > self._log.cursor and (
            now_s - self._cursor_saved_s >= _CURSOR_EVERY_S or not self._log.cursor_hub
        ):
            self._log.move_cursor(self._spans.floor, hub)
            self._cursor_saved_s = now_s

    def close(self) -> None:
        if self._spans.floor > self._log.cursor and self._log.cursor_hub:
            self._log.move_cursor(self._spans.floor, self._log.cursor_hub)
