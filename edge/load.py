"""Whether a line keeps up with its devices' polls: told once when it does not, with what it would need."""

import asyncio
from collections.abc import Callable

from edge.bus import Bus
from edge.sayings import say
from tocsin.said import Said

_WINDOW_S = 60.0
_TOO_MANY = 0.05    # polls left out, of all
_BUSY = 0.9         # of the time; polls are also left out by a machine that slept, and that is not the line's fault
_ROOM = 1.2


class Load:
    """Of one bus. `polled` is told of every poll; `told` is given words where that changes."""

    def __init__(self, bus: Bus, told: Callable[[Said], None]) -> None:
        self._bus = bus
        self._told = told
        self._since_s, self._busy_s = -_WINDOW_S, 0.0
        self._polls = self._missed = 0
        self._over = False

    def polled(self, missed: int) -> None:
        """One poll is through; before the device's next there were `missed` that had to be left out."""
        now_s = asyncio.get_running_loop().time()
        self._polls += 1
        self._missed += missed
        if now_s - self._since_s >= _WINDOW_S:
            self._judge(now_s - self._since_s)
            self._since_s, self._busy_s = now_s, self._bus.busy_s
            self._polls = self._missed = 0

    def _judge(self, passed_s: float) -> None:
        wanted = self._polls + self._missed
        busy = (self._bus.busy_s - self._busy_s) / passed_s
        if not self._over and self._missed > _TOO_MANY * wanted and busy > _BUSY:
            self._over = True
            need = busy * wanted / self._polls
            self._told(say("overloaded", bus=self._bus.name, missed=self._missed, wanted=wanted, passed=passed_s,
                           need=need, times=need * _ROOM))
        elif self._over and not self._missed:
            self._over = False
            self._told(say("in_time", bus=self._bus.name))
