"""Gets the log to the hub: two lanes, and a cursor that only the hub's `committed` moves.

New records go out at once, detections before readings; after an outage first the newest detection of every rule and the
newest reading of every series. What was not committed in time, and what was written while the link was down, is read
from the log again and goes behind, in order, in messages so large that nothing urgent waits long behind one. With a
data budget, readings without news wait for their summary (edge.news). Repeats are harmless at the hub.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from edge.asked import Requests
from edge.cursor import Cursor
from edge.holding import Holding
from edge.lanes import History, Live, Reader, fewer, newest_first, next_of
from edge.news import Thinner
from edge.recorder import KINDS, LOCAL_KINDS
from edge.sayings import say
from edge.sending import Sending
from edge.spans import Spans, within
from edge.underway import Underway
from tocsin import topics
from tocsin.link import Link, LinkDownError
from tocsin.log import Entry, Log
from tocsin.messages import Answer, Committed, Detection, Readings, Start, Summary, decode
from tocsin.orders import Obeyed
from tocsin.said import Said
from tocsin.signing import SealError, unseal

_UNANSWERED = 5_000        # records under way; beyond it the history waits for the hub
_MOST_URGENT = 5_000       # detections and answers in memory; older ones come with the history
_URGENT_WITHIN_S = 10.0    # a warning is repeated sooner
_LOOK_EVERY_S = 1.0
_READ_BYTES = 32 << 10     # of the history at once, however small its messages: a busy loop leaves threads little
_URGENT = {KINDS[Detection]: topics.DETECTIONS, KINDS[Answer]: topics.ANSWERS, KINDS[Obeyed]: topics.ANSWERS}
_READINGS, _SUMMARY = KINDS[Readings], KINDS[Summary]

log = logging.getLogger(__name__)
_COMMITTED = msgspec.json.Decoder(Committed)


class Uplink:
    """`written` takes new entries from the recorder; `run` publishes; `committed` takes the hub's answers."""

    def __init__(self, storage: Log, station: str, key: str, thinner: Thinner | None = None) -> None:
        self._log = storage
        self._station = station
        self._key = key
        self._link: Link | None = None
        self._spans = Spans(storage.cursor)
        self._cursor = Cursor(storage)
        self._underway = Underway()
        self._live = Live(_UNANSWERED)
        self._urgent: dict[int, Entry] = {}
        self._card: list[Entry] = []  # the start record of this run
        self._history: History | None = None
        self._holding = Holding(thinner)
        self._sending = Sending(station, key, self._underway, self._holding, self._give_up)
        self._newest = storage.next_seq - 1
        self._wake = asyncio.Event()
        self._reader = Reader(self._wake.set)
        self._requests = Requests(storage, self._wake.set, lambda why: self.on_fault(why))
        self.on_answer: Callable[[Committed], None] = lambda _answer: None
        self.on_fault: Callable[[Said], None] = log.error
        self._looked_s = 0.0
        self.answered_s: float | None = None  # when the hub last said that it has something; the loop's time

    @property
    def backlog(self) -> int:
        """Records that the hub has not committed yet, without those that wait for their summary."""
        return self._newest - self._spans.floor - self._spans.above - len(self._holding.open)

    def has(self, seq: int) -> bool:
        """Whether the hub has that record."""
        return seq in self._spans

    def restore_urgent(self, entries: Sequence[Entry]) -> None:
        """Detections and answers of an earlier run that were never committed: they go before all else."""
        older = {entry.seq: entry for entry in entries if entry.kind in _URGENT and entry.seq not in self._spans}
        self._urgent = fewer(older | self._urgent, _MOST_URGENT)

    def pressing(self) -> bool:
        """Detections or answers wait for the hub."""
        return bool(self._urgent)

    def ask(self, series: str, start_ms: int, end_ms: int) -> None:
        """Offers the readings of a time in the log again, of one series or ("") of all. Raises ValueError: too much."""
        self._requests.add(series, start_ms, end_ms)
        self._wake.set()

    def written(self, entries: list[Entry]) -> None:
        """New entries of the log, in order, now on disk."""
        self._newest = entries[-1].seq
        online = self._link is not None and self._link.connected
        for entry in entries:
            if entry.kind == KINDS[Start]:
                self._card = [entry]
            if entry.kind in LOCAL_KINDS:
                self._spans.add(entry.seq, entry.seq)
            elif entry.kind in _URGENT:
                if entry.seq not in self._spans:  # it may have gone before the disk took it
                    self._urgent[entry.seq] = entry
            else:
                self._plain(entry, online=online)
        self._urgent = fewer(self._urgent, _MOST_URGENT)
        if self._holding.broken:
            self._read_again()  # what led to this goes up too
        self._wake.set()

    def _plain(self, entry: Entry, *, online: bool) -> None:
        if entry.kind == _READINGS:
            self._live.know(entry)
            if self._holding.keeps(entry, online=online):
                return
        elif entry.kind == _SUMMARY and online:
            self._holding.cover(entry)
        if online:
            self._live.add(entry)

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
        self.on_answer(answer)
        if self._cursor.hub and answer.hub != self._cursor.hub:
            self._start_over(answer.hub)
        now_s = asyncio.get_running_loop().time()
        for part in answer.ranges:
            if self._underway.knows(part, now_s):
                self.answered_s = now_s
                self._settle(part.first, part.last)
        self._cursor.save(self._spans.floor, answer.hub, now_s)
        self._wake.set()

    def _settle(self, first: int, last: int) -> None:
        self._spans.add(first, last)
        self._underway.settle(first, last)
        self._requests.settle(first, last)
        for seq in within(self._urgent, first, last):
            del self._urgent[seq]
        for covered in self._holding.settle(first, last):
            self._spans.add(covered, covered)

    def _start_over(self, hub: str) -> None:
        """Another hub, or one restored from a backup: it is offered everything that is still held."""
        log.warning("hub %s is not hub %s: everything in the log is offered again", hub, self._cursor.hub)
        self._spans = Spans(0)
        self._underway.forget()
        self._cursor.move(0, hub)
        self._read_again()

    async def connected(self) -> None:
        """A new connection: the newest state first, then what the last one carried unanswered and all since."""
        self._underway.give_up_all()
        self._urgent = {entry.seq: entry for entry in newest_first(list(self._urgent.values()))}
        self._live.begin(self._spans)
        self._sending.pace = self._sending.pace.again()
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
                    live, history = await self._send_live(link), await self._send_history(link)
                    busy = live or history or await self._send_asked(link)
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
        self._underway.give_up_old(now_s)
        floor = self._spans.floor
        waits = self.backlog != 0 and floor + 1 not in self._holding.open
        lost = bool(self._underway.given_up) or self._history is None
        if self._underway.stuck(floor, now_s, waits=waits) and lost:
            self._underway.wait_longer(now_s)
            self._read_again()

    def _read_again(self) -> None:
        self._holding.clear()
        self._history = History(self._log.read(after=self._spans.floor), self._spans.floor, self._log.next_seq)

    async def _send_urgent(self, link: Link) -> bool:
        now_s, within_s = asyncio.get_running_loop().time(), min(self._underway.patience_s, _URGENT_WITHIN_S)
        sent = self._underway.sent
        for kind, lane in _URGENT.items():
            waiting = (entry for entry in self._urgent.values() if entry.kind == kind
                       and (entry.seq not in sent or now_s - sent[entry.seq].at_s > within_s))
            group, _ = next_of(waiting, self._sending.pace.bytes)
            if group:
                # the station's card goes along: a hub that came up just now must know whom a detection warns
                card = [entry for entry in self._card if entry.seq not in self._spans]
                await self._sending.publish(link, lane, [*card, *group])
                return True
        return False

    async def _send_live(self, link: Link) -> bool:
        group, _ = next_of(filter(self._is_new, self._live.taken()), self._sending.pace.bytes)
        if group:
            await self._sending.publish(link, topics.READINGS, group)
        return bool(group)

    async def _send_history(self, link: Link) -> bool:
        history = self._history
        if history is None or len(self._underway.sent) >= _UNANSWERED:
            return False
        if not history.ready and not history.ended:
            if len(self._underway.sent) + self._holding.covered >= _UNANSWERED:
                return False  # what is ready goes all the same: the summary that they wait for may be in it
            read = self._reader.next(history.entries, _READ_BYTES)
            if read is None:
                return False
            group, history.ended = read
            for entry in group:
                self._pass(history, entry)
            if history.ended:
                self._holding.end(history)
        part = next_of(filter(self._is_new, history.taken()), self._sending.pace.bytes)[0]
        if part:
            await self._sending.publish(link, topics.READINGS, part)
        if history.ended and not history.ready and self._history is history:  # while it went up another may have begun
            self._history = None
        return True

    def _pass(self, history: History, entry: Entry) -> None:
        """What is no reading goes its own way; what is no longer in the log will never be sent nor answered."""
        self._spans.add(history.upto + 1, min(entry.seq, history.next_seq) - 1)
        history.upto = entry.seq
        if entry.kind in LOCAL_KINDS:
            self._spans.add(entry.seq, entry.seq)
        elif entry.kind in _URGENT:
            if entry.seq not in self._spans and len(self._urgent) < _MOST_URGENT:
                self._urgent.setdefault(entry.seq, entry)   # else another time: the cursor does not pass it
        elif entry.kind == _READINGS and not self._is_new(entry):
            self._holding.told(history, entry)
        else:
            self._holding.sift(history, entry)
            if entry.kind == _SUMMARY and self._holding.on:
                self._holding.cover(entry)
                if entry.seq in self._spans:
                    self._settle(entry.seq, entry.seq)

    def _is_new(self, entry: Entry) -> bool:
        return entry.seq not in self._underway.sent and entry.seq not in self._spans

    async def _send_asked(self, link: Link) -> bool:
        if group := self._requests.next(self._underway, self._sending.pace.bytes, asyncio.get_running_loop().time()):
            await self._sending.publish(link, topics.READINGS, group)
        return bool(group)

    def _give_up(self, entry: Entry, why: Said) -> None:
        self._settle(entry.seq, entry.seq)
        self.on_fault(say("not_sent", seq=entry.seq, why=why))

    def close(self) -> None:
        self._cursor.close(self._spans.floor)
