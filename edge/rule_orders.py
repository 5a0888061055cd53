"""Rules that the hub sends: one after the other, beside its commands, each answered: in force, or refused and why."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import msgspec

from edge.config import Station
from edge.operations import Operations
from edge.rule_source import put_back
from edge.sayings import say
from tocsin import topics
from tocsin.link import Link, LinkDownError
from tocsin.messages import VERSION, encode
from tocsin.orders import LONGEST_TEXT, RulesOrder, RulesState
from tocsin.said import Said, SaidError

_MOST_PROBLEMS = 30
_LONGEST_PROBLEM = 500
log = logging.getLogger(__name__)


class RuleOrders:
    """`put` takes what was heard, `next` gives the newest of it, `obey` does it. `now_ms` is the agent's time."""

    def __init__(self, operations: Operations, now_ms: Callable[[], int]) -> None:
        self.link: Link | None = None
        self._id = operations.station.file.station.id
        self._operations = operations
        self._now_ms = now_ms
        self._refused = RulesState(VERSION, self._id, 0, 0, "")
        self._waiting: asyncio.Queue[RulesOrder] = asyncio.Queue(1)

    def put(self, order: RulesOrder) -> None:
        """One waits, the newest: the same words over and over must not fill the memory."""
        if self._waiting.full():
            order = max(self._waiting.get_nowait(), order, key=lambda one: one.version)
        self._waiting.put_nowait(order)

    async def next(self) -> RulesOrder:
        """Waits for one."""
        return await self._waiting.get()

    @property
    def idle(self) -> bool:
        return self._waiting.empty()

    async def obey(self, order: RulesOrder) -> None:
        """Rules that the hub has signed: taken or refused, and answered either way."""
        version = self._operations.station.source.version
        if order.version < version:
            if order.version > self._refused.refused:
                self._refuse(order.version, [say("older", version=order.version, there=version)])
        elif order.version not in {version, self._refused.refused}:
            await self._bring_in(order)
        await self.say_state()

    async def _bring_in(self, order: RulesOrder) -> None:
        before = self._operations.station
        if len(order.text) > LONGEST_TEXT:
            self._refuse(order.version, [say("too_long", length=len(order.text), most=LONGEST_TEXT)])
            return
        try:
            await self._operations.bring_in(lambda station: station.ordered(order))
        except SaidError as err:
            self._refuse(order.version, _few(err.said))
            await asyncio.to_thread(_put_back, before)
        else:
            self._refuse(0, [])

    def _refuse(self, version: int, why: list[Said]) -> None:
        self._refused = msgspec.structs.replace(
            self._refused, refused=version, problems=[one.en for one in why], problems_zh=[one.zh for one in why])

    async def say_state(self) -> None:
        """To the hub, which retains it."""
        source = self._operations.station.source
        state = msgspec.structs.replace(
            self._refused, t=self._now_ms(), version=source.version, hash=source.plan.rules.hash)
        if self.link is not None:
            with suppress(LinkDownError):  # said again at the next connection
                await self.link.publish(topics.rules_state(self._id), encode(state), retain=True)


def _few(problems: Said) -> list[Said]:
    """Its lines: a file that is all wrong must not fill the link. The Chinese has a heading in front."""
    en = problems.en.splitlines()
    lines = [Said(one[:_LONGEST_PROBLEM], other[:_LONGEST_PROBLEM])
             for one, other in zip(en, problems.zh.splitlines()[-len(en):], strict=True)]
    more = len(lines) - _MOST_PROBLEMS
    return [*lines[:_MOST_PROBLEMS], say("more_problems", more=more)] if more > 0 else lines


def _put_back(station: Station) -> None:
    try:
        put_back(station.files, station.source)
    except OSError as err:
        log.error("the hub's rules before: %s", err)
