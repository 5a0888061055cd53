"""What the hub tells this station: commands, rules, and its own next key. Nothing that is not signed moves anything.

    heard       takes a message from the link; `run` works through them, one after the other
    handlers    the topics to be subscribed to, none where the station file pins no key of a hub

A command is done once at most: its id is on the disk before it is begun, and of one that a crash broke off the next
start says that nobody knows. docs/commands.md has the rules.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import msgspec

from edge.answers import fitting, page_of
from edge.config import Station
from edge.operate import LOOKS, SLOW_WITHIN_S, Operate
from edge.operations import Operations
from edge.orders import KeyRing, Known, Ledger
from edge.papers import Outgoing
from edge.recorder import Recorder
from edge.rule_orders import RuleOrders
from edge.sayings import say
from tocsin import topics
from tocsin.beside import Threads
from tocsin.link import Link
from tocsin.messages import VERSION, Event, EventKind, decode
from tocsin.orders import LONGEST_COMMAND_MS, LONGEST_WAY, Command, NewKey, Obeyed, RulesOrder
from tocsin.said import Said, SaidError, said_of
from tocsin.signing import SealError, verify
from tocsin.times import iso

# an eye at the site decides on these; and what walks a person through something cannot be done from afar
LOCAL_ONLY = frozenset({"clear", "commission", "calibrate"})
_WAITING = 100          # messages; the hub sends again what was dropped
_WAITING_BYTES = 4 << 20
_LOOK_S = 60.0
_SYNCED_S = 5.0
_TELL_S = 60.0          # whoever can reach the broker must not fill the log with what was wrong

T = TypeVar("T")
Handler = Callable[[str, bytes], Awaitable[None]]
log = logging.getLogger(__name__)
_COMMAND = msgspec.json.Decoder(Command)
_RULES = msgspec.json.Decoder(RulesOrder)
_NEW_KEY = msgspec.json.Decoder(NewKey)
_CHAIN = msgspec.json.Decoder(list[msgspec.Raw])


class _Verb(msgspec.Struct, frozen=True):
    do: str = ""
    who: str = ""
    page: int = 1


class Commands:
    """`now_ms` is the agent's time in ms UTC."""

    def __init__(
        self, station: Station, operate: Operate, operations: Operations, recorder: Recorder, now_ms: Callable[[], int]
    ) -> None:
        table = station.file.station
        self._id = table.id
        self._operate = operate
        self._operations = operations
        self._recorder = recorder
        self._now_ms = now_ms
        self._keys = KeyRing(station.folder, station.file.hub.public_key)
        self._ledger = Ledger(station.folder)
        self._papers = Outgoing(station.folder, recorder)
        self._rule_orders = RuleOrders(operations, now_ms)
        self._told: dict[str, tuple[str, float]] = {}
        self._answered: list[tuple[int, Known]] = []
        self._queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(_WAITING)
        self._waiting_bytes = 0
        self._disk = Threads(1, "the hub's words")
        self._writing: Future[None] | None = None
        self._papers_due = asyncio.Event()
        self._take: dict[str, Handler] = {
            topics.order(table.id, topics.HUB_KEY): self._new_key,
            topics.order(table.id, topics.RULES): self._rules,
            topics.order(table.id, topics.COMMAND): self._command,
        }

    @property
    def link(self) -> Link | None:
        """Set once it is there."""
        return self._rule_orders.link

    @link.setter
    def link(self, link: Link) -> None:
        self._rule_orders.link = link

    @property
    def handlers(self) -> dict[str, Handler]:
        return dict.fromkeys(self._take, self.heard) if self._keys.public_key else {}

    async def heard(self, topic: str, payload: bytes) -> None:
        """Never waits: the link brings the hub's other answers too."""
        if payload and self._waiting_bytes + len(payload) <= _WAITING_BYTES:
            with suppress(asyncio.QueueFull):
                self._queue.put_nowait((topic, payload))
                self._waiting_bytes += len(payload)

    async def connected(self) -> None:
        """The broker may have forgotten what stood there."""
        if self._keys.public_key:
            await self._rule_orders.say_state()

    async def run(self) -> None:
        """Until cancelled."""
        self.begin()
        await self.settle()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._take_all(), name="commands")
            tasks.create_task(self._order_all(), name="rules of the hub")
            tasks.create_task(self._send_papers(), name="papers")

    async def _take_all(self) -> None:
        while True:
            topic, payload = await self._queue.get()
            self._waiting_bytes -= len(payload)
            await self.take(topic, payload)

    async def _order_all(self) -> None:
        """Beside the commands: rules may read a long log, and a siren that is to be silenced must not wait for them."""
        while True:
            await self._rule_orders.obey(await self._rule_orders.next())
            self._papers_due.set()

    async def _send_papers(self) -> None:
        """Beside all else: they are read from the disk."""
        while True:
            await self.send_papers()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._papers_due.wait()
            self._papers_due.clear()

    async def send_papers(self) -> None:
        """Where they are not those that the hub has."""
        await self._papers.send(self._operations.station, self._now_ms())

    def begin(self) -> None:
        """What a crash broke off is answered."""
        for broken in self._ledger.begun():
            self._answer(broken, say("broken_off"), done=False)

    async def take(self, topic: str, payload: bytes) -> None:
        """One message. What is wrong with it is told once, and answered where it was the hub who spoke."""
        try:
            await self._take[topic](topic, payload)
        except (SealError, msgspec.DecodeError, RecursionError) as err:
            told, told_s = self._told.get(topic, ("", -_TELL_S))
            now_s = asyncio.get_running_loop().time()
            if str(err) != told and now_s - told_s >= _TELL_S:
                self._told[topic] = str(err), now_s
                log.warning("%s: refused: %s", topic, err)
                self._event(say("order_refused", why=err))
        else:
            self._told[topic] = "", self._told.get(topic, ("", -_TELL_S))[1]

    # commands

    async def _command(self, topic: str, payload: bytes) -> None:
        command = decode(_COMMAND, verify(payload, topic, self._keys.public_key))
        self._ours(command.v, command.station)
        if self._ledger.has(command.id):
            return  # the answer is in the log and on its way
        why = self._why_not(command)
        known = Known(command.id, command.issued)
        try:
            await self._kept(self._ledger.begin, known)
        except (OSError, SaidError) as err:
            self._say(command.id, say("unsafe", why=said_of(err)), done=False)
            return
        if why:
            self._answer(known, why, done=False)
        else:
            await self._do(command, known)
        await self.settle()

    async def _do(self, command: Command, known: Known) -> None:
        verb = _verb_of(command)
        try:
            async with asyncio.timeout(SLOW_WITHIN_S):    # what is behind it may be urgent
                reply = await self._operate.answer(bytes(command.ask), afar=True)
        except TimeoutError:
            self._answer(known, say("endless", seconds=SLOW_WITHIN_S), done=False)
            return
        if not reply.done or verb.do not in LOOKS:
            self._answer(known, fitting(reply.words), done=reply.done)
            return
        try:
            self._answer(known, page_of(reply.words, verb.page), done=True)
        except SaidError as err:
            self._answer(known, err.said, done=False)

    def _why_not(self, command: Command) -> Said | None:
        """Why it is not done; None where nothing stands against it."""
        now_ms = max(self._now_ms(), self._ledger.newest)    # the hub's own clock, heard before, is a lower bound
        verb = _verb_of(command)
        if not 0 < command.expires - command.issued <= LONGEST_COMMAND_MS:
            return say("lives")
        if command.issued <= self._ledger.forgotten:
            return say("too_old", issued=iso(command.issued))
        if now_ms >= command.expires:
            return say("expired", expires=iso(command.expires), now=iso(now_ms))
        if verb.do in LOCAL_ONLY:
            return say("local", do=verb.do)
        if not verb.who.strip():
            return say("no_who")
        return None

    def _answer(self, known: Known, said: Said, *, done: bool) -> None:
        self._answered.append((self._say(known.id, said, done=done), known))

    async def settle(self) -> None:
        """Commands whose answers are on the disk are done with; no sooner, or a crash would leave them without one."""
        waiting, self._answered = self._answered, []
        for seq, known in waiting:
            try:
                async with asyncio.timeout(_SYNCED_S):
                    await self._recorder.synced(seq)
                await self._kept(self._ledger.end, known)
            except (OSError, SaidError) as err:    # the next start answers once more; the first answer counts
                log.warning("a command's end is not remembered: %s", err)

    async def _kept(self, write: Callable[[T], None], what: T) -> None:
        """On the disk. Raises OSError, and SaidError where the disk hangs: what comes behind must not hang with it."""
        if self._writing is None or self._writing.done():
            self._writing = self._disk.submit(write, what)
            with suppress(TimeoutError):
                async with asyncio.timeout(_SYNCED_S):
                    return await asyncio.shield(asyncio.wrap_future(self._writing))
        raise SaidError(say("disk_late", seconds=_SYNCED_S))

    def _say(self, command: str, said: Said, *, done: bool) -> int:
        return self._recorder.add(Obeyed("", 0, self._now_ms(), command, done, said.en, said.own_zh))

    async def _rules(self, topic: str, payload: bytes) -> None:
        order = decode(_RULES, verify(payload, topic, self._keys.public_key))
        self._ours(order.v, order.station)
        self._rule_orders.put(order)

    async def _new_key(self, topic: str, payload: bytes) -> None:
        """A chain from the first key that a station of this hub can know to the newest; the part behind ours counts."""
        chain = decode(_CHAIN, payload)
        before, reached = self._keys.public_key, ""
        for sealed in chain[:LONGEST_WAY]:
            try:
                new = decode(_NEW_KEY, verify(bytes(sealed), topic, self._keys.public_key))
            except SealError:
                reached = _claimed(sealed)
                continue
            self._ours(new.v, new.station)
            try:
                await self._kept(self._keys.change, new.public_key)
            except (OSError, SaidError) as err:
                raise SealError(f"{topic}: the hub's new key cannot be kept: {err}") from err
            reached = new.public_key
        if self._keys.public_key != before:
            self._event(say("new_key", key=self._keys.public_key[:16], before=before[:16]))
        elif chain and reached != before:
            raise SealError(f"{topic}: no signature fits the hub's key")

    def _ours(self, version: int, station: str) -> None:
        if version != VERSION or station != self._id:
            raise SealError(f'version {version} for "{station}"; this is "{self._id}" and speaks {VERSION}')

    def _event(self, detail: Said) -> None:
        self._recorder.add(Event("", 0, self._now_ms(), EventKind.COMMAND, detail.en, zh=detail.zh))


def _verb_of(command: Command) -> _Verb:
    """What it asks for; an ask that cannot be read is refused by who takes it, with the reason."""
    try:
        return msgspec.json.decode(command.ask, type=_Verb)
    except ValueError:
        return _Verb(who="?")


def _claimed(sealed: msgspec.Raw) -> str:
    """The key that a link of the chain leads to, unproved: only to know the end of the way from a stranger's."""

    class Link(msgspec.Struct):
        body: NewKey

    try:
        return msgspec.json.decode(sealed, type=Link).body.public_key
    except ValueError:
        return ""
