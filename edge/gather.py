"""Puts polls that come in quick succession into one row: the kernel, the log and the link work by the row.

Each goes through at once and is a record of its own, until more than MANY devices were heard within SLOT_S. Then, and
until that has not been so for LASTING_S, they wait up to HOLD_S for each other. With a data budget none waits: a record
goes up whole, and one that moves would take along those that do not.
"""

import asyncio
from collections.abc import Sequence

from edge.config import Device
from edge.pipeline import Pipeline, Poll
from tocsin.readings import Reading, Rejection

HOLD_S = 0.005
SLOT_S = 0.1
MANY = 8
LASTING_S = 5.0


class Gather:
    """In front of a pipeline. Of one device at most one poll may wait."""

    def __init__(self, pipeline: Pipeline, *, singly: bool) -> None:
        self._pipeline = pipeline
        self._singly = singly
        self._waiting: list[tuple[Poll, asyncio.Future[bool]]] = []
        self._slot_s = self._many_until_s = float("-inf")
        self._seen: set[str] = set()

    async def heard(self, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> bool:
        """As Pipeline.heard."""
        poll = Poll.of(device, items, read_s)  # here: a defect in it is its own device's alone
        loop = asyncio.get_running_loop()
        if not self._are_many(device.table.name, loop.time()):
            return self._pipeline.heard_together([poll])[0]
        answer: asyncio.Future[bool] = loop.create_future()
        self._waiting.append((poll, answer))
        if len(self._waiting) == 1:
            await self._pass_on()
        return await answer

    def _are_many(self, device: str, now_s: float) -> bool:
        """Whether polls of so many devices come together, this one counted."""
        if now_s - self._slot_s >= SLOT_S:
            self._slot_s = now_s
            self._seen.clear()
        self._seen.add(device)
        if len(self._seen) > MANY:
            self._many_until_s = now_s + LASTING_S
        return now_s < self._many_until_s and not self._singly

    async def _pass_on(self) -> None:
        """The first that waits does it for all."""
        again: list[bool] = []
        waiting: list[tuple[Poll, asyncio.Future[bool]]] = []
        try:
            await asyncio.sleep(HOLD_S)
            waiting, self._waiting = self._waiting, []
            again = self._pipeline.heard_together([poll for poll, _ in waiting])
        finally:
            if not waiting:
                waiting, self._waiting = self._waiting, []
            _settle(waiting, again)


def _settle(waiting: list[tuple[Poll, asyncio.Future[bool]]], again: list[bool]) -> None:
    """Whatever happened: who waits must not wait for ever, nor be cancelled, or its device is never read again."""
    for number, (_, answer) in enumerate(waiting):
        if not answer.done():
            if again:
                answer.set_result(again[number])
            else:
                answer.set_exception(RuntimeError("a poll of another device, taken together with this one, failed"))
                answer.exception()  # the first one's own is awaited by nobody
