"""The desk: reads what stations found and what people answered, steps the warnings, and writes down what follows.

A decision, its reason, the warning's new state, the bulletins to send and the place in `landing` are one transaction:
a crash at any moment loses none of them and does none of them twice.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from zoneinfo import ZoneInfo

import hub.broadcast
from hub import arrivals, authority, episodes, groups_desk, groups_log, journal, outbox, warnings_kept
from hub.arrivals import READER, Batch
from hub.board import Board
from hub.bulletin import compose
from hub.callout import UNKNOWN_AREA, Policy
from hub.config import HubConfig
from hub.database import Database
from hub.follow import follow, in_time
from hub.happened import Answered, Confirmed, EpisodeChanged, Event, Held, Tick
from hub.journal import Asked, JournalRow, Said
from hub.landing import move_cursor
from hub.model import Warning as HubWarning
from hub.model import WarningState
from hub.tally import Tallies
from hub.warnings import Say, key_of, known_of, said, step, why_of
from tocsin import plugins
from tocsin.clock import Clock
from tocsin.messages import Answer, Bulletin, BulletinKind, Detection

_LAZY = 1_000  # rows of no concern that may lie between the durable cursor and the place read to: a commit costs a sync

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Work:
    """One transaction: the board as it will be, and the warnings that changed. They are written once, at its end: one
    may have thousands of episodes, and a storm changes it with each detection."""

    connection: sqlite3.Connection
    board: Board
    now_ms: int
    kept: dict[str, HubWarning] = field(default_factory=dict)


class Desk:
    """`run` follows `landing` and is woken by `wake`; `tick` is called every second of the clock."""

    def __init__(
        self,
        database: Database,
        config: HubConfig,
        clock: Clock,
        wake_dispatch: Callable[[], None],
        channels: Sequence[str] | None = None,
    ) -> None:
        """`wake_dispatch` is called after every change; `channels` are all of hub.broadcast where none are named."""
        self._database = database
        self._config = config
        self._clock = clock
        self._wake_dispatch = wake_dispatch
        self._channels = plugins.names(hub.broadcast) if channels is None else list(channels)
        self._policy = Policy.of(config)
        self._zone = ZoneInfo(config.hub.timezone)
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._woken.set()
        self._counts: Counter[str] = Counter()
        self._tallies = Tallies()
        self._closed: dict[int, list[HubWarning]] = {}    # as read: everybody may ask, with a made-up answer link
        with database.transaction() as connection:
            episodes.fill(connection)
        self._board = Board(warnings_kept.everything(database.connection))
        self._written: dict[str, HubWarning] = {}    # as it wrote those of the board
        self._read_to = 0

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: detections, group decisions, answers, repeated, bulletins, calls, unknown place, nobody to
        call, unreadable failed, restarts."""
        return dict(self._counts)

    def wake(self) -> None:
        """There is something new in `landing`."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled: works through `landing` as it grows."""
        await follow("desk", self._woken, lambda: self.process(), self._clock, self._failed)

    def _failed(self) -> None:
        self._counts["restarts"] += 1

    async def process(self) -> int:
        """Takes some landed detections and answers, and some decisions of groups; 0 where there were none."""
        async with self._lock:
            batch = await self._database.run(arrivals.read, self._database.connection, self._read_to)
            if batch.rows or batch.unread or batch.end - batch.cursor >= _LAZY:
                self._read_to = await self._commit(lambda work: self._take(work, batch))
            else:
                self._read_to = batch.end
            told = await self._database.run(groups_log.untaken, self._database.connection, arrivals.BATCH)
            if told:
                await self._commit(lambda work: self._take_groups(work, told))
            return len(batch.rows) + len(batch.unread) + len(told)

    async def tick(self) -> None:
        """Lets time pass: repeats calls, goes up a tier, says again what is still in force."""
        now_ms = self._clock.now_ms()
        event = Tick(now_ms)
        async with self._lock:
            due = [
                warning.id
                for warning in self._board.open()
                if _acts(warning, step(warning, event, now_ms, self._policy))
            ]
            if due:
                await self._commit(lambda work: self._each(work, due, event))

    async def answer(self, person: str, warning_id: str, how: str, note: str) -> None:
        """A person has heard. A second answer changes nothing. Raises ValueError with a sentence for the reader."""
        async with self._lock:
            warning = await self._found(warning_id)
            known = dict.fromkeys([*warning.calls, *(person.name for person in self._policy.people)])
            if person not in known:
                raise ValueError(f'"{person}" is not called in this warning; use {", ".join(known) or "nobody yet"}')
            # what is answered here was seen here: a clock that was set back does not make it an old answer
            at = max(self._clock.now_ms(), warning.rose_at)
            await self._commit(lambda work: self._step(work, warning, Answered(person, how, note, at)))

    async def confirm(self, warning_id: str, by: str) -> None:
        """A person takes it on them that people are moved. Raises ValueError with a sentence for the reader."""
        async with self._lock:
            warning = await self._found(warning_id)
            if warning.state is WarningState.CLOSED:
                raise ValueError(f"warning {warning_id} is closed")
            event = Confirmed(by, self._clock.now_ms())
            await self._commit(lambda work: self._step(work, warning, event))

    async def hold(self, warning_id: str, by: str) -> None:
        """A person objects to what a rule would do by itself. Raises ValueError with a sentence for the reader."""
        async with self._lock:
            warning = await self._found(warning_id)
            if not authority.holdable(warning):
                raise ValueError(f"nothing in warning {warning_id} can be held now")
            event = Held(by, self._clock.now_ms())
            await self._commit(lambda work: self._step(work, warning, event))

    async def open_warnings(self) -> list[HubWarning]:
        """In the order in which they were opened."""
        return sorted(self._board.open(), key=lambda warning: warning.opened_at)

    async def recent(self, limit: int) -> list[HubWarning]:
        """Closed ones, newest first."""
        closed = self._closed    # another one as soon as one of them changes
        if limit not in closed:
            closed[limit] = await self._database.run(warnings_kept.closed, self._database.connection, limit)
        return closed[limit]

    async def warning(self, warning_id: str) -> HubWarning | None:
        return await self._database.run(warnings_kept.load, self._database.connection, warning_id)

    async def journal_of(self, warning_id: str) -> list[JournalRow]:
        """Oldest first."""
        return await self._database.run(journal.read, self._database.connection, warning_id)

    async def bulletins_of(self, warning_id: str) -> list[Bulletin]:
        """What was said about it, oldest first."""
        rows = await self.journal_of(warning_id)
        return [row.event.bulletin for row in rows if isinstance(row.event, Said)]

    async def _found(self, warning_id: str) -> HubWarning:
        warning = await self.warning(warning_id)
        if warning is None:
            raise ValueError(f'"{warning_id}" is not a warning of this hub')
        return warning

    async def _commit(self, function: Callable[[_Work], T]) -> T:
        """The board moves on only when the disk has it."""
        counts = Counter(self._counts)
        try:
            work, result = await self._database.run(self._transact, function)
        except BaseException:
            self._counts = counts
            raise
        self._board = work.board
        self._written |= work.kept
        self._written = {one.id: found for one in self._board if (found := self._written.get(one.id)) is not None}
        if any(warning.state is WarningState.CLOSED for warning in work.kept.values()):
            self._closed = {}
        if work.kept:
            self._wake_dispatch()
        return result

    def _transact(self, function: Callable[[_Work], T]) -> tuple[_Work, T]:
        with self._database.transaction() as connection:
            work = _Work(connection, self._board.copy(), self._clock.now_ms())
            result = function(work)
            warnings_kept.put(connection, work.kept.values(), self._written)
        return work, result

    def _take(self, work: _Work, batch: Batch) -> int:
        """Up to which id it came."""
        end = batch.end
        for row in in_time(batch.rows, self._clock):
            end = row.id
            if isinstance(row.record, Detection):
                self._counts["detections"] += 1
                event = arrivals.event_of(work.connection, row, row.record)
                self._counts["unknown place"] += event.area == UNKNOWN_AREA
                before = work.board.of(event)
                known = known_of(before, key_of(row.station, row.record))
                self._step(work, before, arrivals.placed(work.connection, event, known))
            else:
                self._counts["answers"] += 1
                self._take_answer(work, row.station, row.record)
        if batch.rows and end == batch.rows[-1].id:
            end = batch.end
        if unread := [number for number in batch.unread if number <= end]:
            self._counts["unreadable failed"] += len(unread)
            log.error("desk: landed records %s cannot be read: did a newer hub land them?", unread[:9])
        move_cursor(work.connection, READER, end)
        return end

    def _take_groups(self, work: _Work, told: Sequence[groups_log.Told]) -> None:
        """What the hub's group rules decided, each as the detection of a station that is none."""
        for one in in_time(told, self._clock):
            last = one.id
            self._counts["group decisions"] += 1
            event = groups_desk.event_of(work.connection, one, work.now_ms)
            self._step(work, work.board.of(event), event)
        groups_log.mark_taken(work.connection, last)

    def _take_answer(self, work: _Work, station: str, answer: Answer) -> None:
        """An answer that names no warning is for all that are open where the station stands."""
        named = _newest(work, answer.warning) if answer.warning else None
        open_here = work.board.open(arrivals.area_of(arrivals.card_of(work.connection, station)))
        event = Answered(answer.who, answer.how, "", min(answer.t, work.now_ms))
        here = [warning.id for warning in open_here if not warning.technical]
        self._each(work, [named.id] if named else here, event)

    def _each(self, work: _Work, warning_ids: Sequence[str], event: Event) -> None:
        for warning_id in warning_ids:
            self._step(work, work.board.get(warning_id) or _newest(work, warning_id), event)

    def _step(self, work: _Work, before: HubWarning | None, event: Event) -> None:
        after, actions = step(before, event, work.now_ms, self._policy, self._tallies)
        if after is None or not _acts(before, (after, actions)):
            self._counts["repeated"] += 1
            return
        journal.write(work.connection, work.now_ms, after.id, why_of(after, event, actions), event)
        if isinstance(event, EpisodeChanged) or work.board.get(after.id) is not None:
            work.board.put(after)
        work.kept[after.id] = after
        episodes.keep(work.connection, before, after, event)
        for action in actions:
            if isinstance(action, Say):
                cause_t = event.detection.t if isinstance(event, EpisodeChanged) else 0
                self._say(work, after.id, action, cause_t)
                self._counts["nobody to call"] += action.kind is BulletinKind.ALERT and not after.calls
            else:
                self._counts["calls"] += 1
                journal.write(work.connection, work.now_ms, after.id, action.why, Asked.of(action))

    def _say(self, work: _Work, warning_id: str, say: Say, cause_t: int) -> None:
        warning = work.board.get(warning_id)
        if warning is None:  # closed and followed by another one: nothing is said about it any more
            return
        self._counts["bulletins"] += 1
        bulletin = compose(
            warning,
            say.kind,
            version=outbox.next_version(work.connection, warning.area, work.now_ms),
            now_ms=work.now_ms,
            expires_s=self._config.cap.expires_s,
            zone=self._zone,
            status=self._config.cap.status,
            cause_t=cause_t,
        )
        journal.write(work.connection, work.now_ms, warning.id, say.why, Said(bulletin))
        outbox.put(work.connection, bulletin, self._channels, work.now_ms)
        after = said(warning, bulletin.id, bulletin.sent)
        work.board.put(after)
        work.kept[after.id] = after


def _newest(work: _Work, warning_id: str) -> HubWarning | None:
    return work.kept.get(warning_id) or warnings_kept.load(work.connection, warning_id)


def _acts(before: HubWarning | None, result: tuple[HubWarning | None, Sequence[object]]) -> bool:
    return result[0] is not before or bool(result[1])
