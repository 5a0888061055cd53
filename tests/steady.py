"""The event loop of the tests: its time does not pass while the machine gives this process no turn.

A simulated device, the line to it and the bus that asks share one loop. On a machine with other work they stand still
together, for a second at times, and deadlines of a tenth of that would then find the device silent. Here what lies
between two looks at the time counts as 6 ms at most, and somebody looks every 2 ms.
"""

import asyncio
import selectors
import time
from collections.abc import Callable

from tocsin.clock import SystemClock

LOOK_S = 0.002
STEP_S = 0.006

_Events = list[tuple[selectors.SelectorKey, int]]


class SteadyLoop(asyncio.SelectorEventLoop):
    """`time()` is monotonic, and never ahead of `time.monotonic()`."""

    def __init__(self) -> None:
        self._looked_s = time.monotonic()
        self._lost_s = 0.0
        super().__init__(_Looking(self.time))

    def time(self) -> float:
        now_s = time.monotonic()
        self._lost_s += max(0.0, now_s - self._looked_s - STEP_S)
        self._looked_s = now_s
        return now_s - self._lost_s


class _Looking(selectors.DefaultSelector):
    """Waits in short pieces, and looks at the time after each."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        super().__init__()
        self._now_s = now_s

    def select(self, timeout: float | None = None) -> _Events:
        until_s = None if timeout is None else self._now_s() + timeout
        while True:
            left_s = LOOK_S if until_s is None else max(0.0, until_s - self._now_s())
            events = super().select(min(left_s, LOOK_S))
            if events or left_s == 0.0:
                return events
            self._now_s()


class LoopClock(SystemClock):
    """What waits for this clock waits in the loop's own time."""

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep_until(self, monotonic_s: float) -> None:
        await asyncio.sleep(max(0.0, monotonic_s - self.monotonic_s()))
