"""Puts polls that come in quick succession into one row: the kernel, the log and the link work by the row.

Each goes through at once and is a record of its own, until more than MANY devices were heard within SLOT_S. Then, and
until that has not been so for LASTING_S, they wait up to HOLD_S for each other; twice as long where they were more than
CROWD, because half of what a small row costs does not depend on its size. With a data budget none waits: a record goes
up whole, and one that moves would take along those that do not.
"""

import asyncio
from collections.abc import Sequence

from edge.device import Device
from edge.pipeline import Pipeline, Poll
from tocsin.readings import Reading, Rejection

HOLD_S = 0.005
SLOT_S = 0.1
MANY = 8
CROWD = 64
LASTING_S = 5.0


class Gather:
    """In front of a pipeline. Of one device at most one poll may wait."""

    def __init__(self, pipeline: Pipeline, *, singly: bool) -> None:
        self._pipeline = pipeline
        self._singly = singly
        self._waiting: list[tuple[Poll, asyncio.Future[bool]]] = []
        self._slot_s = self._many_until_s = float("-inf")
        self._seen: set[str] = set()
        self._seen_before = 0

    async def heard(self, device: Device, items: Sequence[Reading | Rejection], read_s: float) -> bool:
        """As Pipeline.heard."""
        poll = Poll.of(device, items, read_s)  # here: a defect in it is its own device's alone
        loop = asyncio.get_running_loop()
        if not self._are_many(device.table.name, loop.time()):
            return self._pipeline.heard_together([poll])[0]
        answer: asyncio.Future[bool] = loop.create_future()
        if not self._waiting:
            loop.call_later(HOLD_S if self._seen_before <= CROWD else 2 * HOLD_S, self.pass_on)
        self._waiting.append((poll, answer))
        return await answer

    def _are_many(self, device: str, now_s: float) -> bool:
        """Whether polls of so many devices come together, this one counted."""
        if now_s - self._slot_s >= SLOT_S:
            self._slot_s, self._seen_before = now_s, len(self._seen)
            self._seen.clear()
        self._seen.add(device)
        if len(self._seen) > MANY:
            self._many_until_s = now_s + LASTING_S
        return now_s < self._many_until_s and not self._singly

    def pass_on(self) -> None:
        """What waits goes through now, also at the end, when nobody waits for it any more: it was decoded.

        A defect is an error for each that waits: one that was cancelled instead would never be polled again.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            again = self._pipeline.heard_together([poll for poll, _ in waiting])
        except Exception as err:  # noqa: BLE001 - raised by each of them
            for _, answer in waiting:
                if not answer.done():
                    answer.set_exception(err)
            return
        for (_, answer), one in zip(waiting, again, strict=True):
            if not answer.done():
                answer.set_result(one)
