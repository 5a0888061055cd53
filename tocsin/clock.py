"""Time is passed in, never taken: the machine's clock, a faster one for rehearsals, a hand-wound one for tests."""

import asyncio
import ctypes
import heapq
import itertools
import math
import time
from typing import Protocol

_TIMEX_BYTES = 256    # struct timex is 208 bytes; zeros ask and set nothing
_TIME_ERROR = 5


class Clock(Protocol):
    """UTC for what is recorded, a monotonic count for what is waited for."""

    def now_ms(self) -> int:
        """UTC in milliseconds since 1970. May step when the machine's clock is set."""

    def monotonic_s(self) -> float:
        """Seconds since some instant; never steps."""

    async def sleep_until(self, monotonic_s: float) -> None:
        """Returns when `monotonic_s()` has reached that value."""

    def synchronized(self) -> bool | None:
        """Whether UTC is disciplined by a time source now; None where that cannot be known."""


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep_until(self, monotonic_s: float) -> None:
        await asyncio.sleep(max(0.0, monotonic_s - time.monotonic()))

    def synchronized(self) -> bool | None:
        """What the kernel says (adjtimex(2)): whoever sets the time from a network, a GPS or a good RTC tells it so."""
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return None if state < 0 else state != _TIME_ERROR


class ScaledClock:
    """A clock that runs `speed` times as fast from `origin_ms`, for rehearsals: a storm in a minute.

    `started_s` is the machine's monotonic second at which it showed `origin_ms`; processes that share both agree.
    """

    def __init__(self, origin_ms: int, speed: float, started_s: float | None = None) -> None:
        self._origin_ms = origin_ms
        self._speed = speed
        self._started_s = time.monotonic() if started_s is None else started_s

    def now_ms(self) -> int:
        return self._origin_ms + round(self.monotonic_s() * 1000)

    def monotonic_s(self) -> float:
        return (time.monotonic() - self._started_s) * self._speed

    def real_s(self, now_ms: int) -> float:
        """The machine's monotonic second at which this clock shows `now_ms`."""
        return self._started_s + (now_ms - self._origin_ms) / 1000 / self._speed

    async def sleep_until(self, monotonic_s: float) -> None:
        await asyncio.sleep(max(0.0, (monotonic_s - self.monotonic_s()) / self._speed))

    def synchronized(self) -> None:
        return None


class WoundClock:
    """A clock wound by hand: it stands still until `wind_to` is called."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._origin_ms = now_ms
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_s(self) -> float:
        return (self._now_ms - self._origin_ms) / 1000

    async def sleep_until(self, monotonic_s: float) -> None:
        if monotonic_s <= self.monotonic_s():
            await asyncio.sleep(0)
            return
        waiter = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (monotonic_s, next(self._order), waiter))
        await waiter

    def synchronized(self) -> bool | None:
        return None

    def wind_to(self, now_ms: int) -> None:
        """Sets the clock forward and wakes, in order, every sleeper whose time has come."""
        if now_ms < self._now_ms:
            raise ValueError(f"a clock is wound forward: {now_ms} is before {self._now_ms}")
        self._now_ms = now_ms
        while self._sleepers and self._sleepers[0][0] <= self.monotonic_s():
            _, _, waiter = heapq.heappop(self._sleepers)
            if not waiter.done():
                waiter.set_result(None)


def clock_of(spec: str) -> Clock:
    """The clock that a command line asks for: "" or "system", or "scaled:ORIGIN_MS:SPEED[:STARTED_S]". Raises
    ValueError that says what is allowed."""
    if spec in {"", "system"}:
        return SystemClock()
    kind, *parts = spec.split(":")
    try:
        if kind == "scaled" and len(parts) in {2, 3} and 0 < float(parts[1]) < math.inf:
            return ScaledClock(int(parts[0]), float(parts[1]), *(float(part) for part in parts[2:]))
    except ValueError:
        pass
    raise ValueError(f'clock "{spec}": use "system" or "scaled:ORIGIN_MS:SPEED[:STARTED_S]"')
