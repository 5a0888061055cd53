"""The waits of a loop that must never be missed: it is woken at once, and others see whether it still comes round."""

import asyncio
import math
import time
from typing import Any

from tocsin.clock import Clock

ROUND_S = 10.0


class Rounds:
    """`begin` each round, `rest` within it; `wake` ends a rest, or the next one of this round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._woken = asyncio.Event()
        self._at_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """For how many real seconds it has not come round; a rest of any length counts as rounds of ROUND_S."""
        return time.monotonic() - self._at_s

    @property
    def woken(self) -> bool:
        return self._woken.is_set()

    def wake(self) -> None:
        self._woken.set()

    def begin(self) -> None:
        self._woken.clear()

    async def rest(self, until_s: float, at_most_s: float, *ends: "asyncio.Future[bool]") -> None:
        """Until the moment of the agent's clock, a new command, one of `ends`, or so many real seconds."""
        waits: set[asyncio.Future[Any]] = {asyncio.ensure_future(self._woken.wait())}
        if until_s < math.inf:
            waits.add(asyncio.ensure_future(self._clock.sleep_until(until_s)))
        done: set[asyncio.Future[Any]] = set()
        try:
            while not done and at_most_s >= 0:
                self._at_s = time.monotonic()
                left_s, at_most_s = min(at_most_s, ROUND_S), at_most_s - ROUND_S
                done, _ = await asyncio.wait({*waits, *ends}, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
