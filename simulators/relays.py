"""A relay as siren cabinets have it: with a watchdog, a supervised line to the horn, and the button of the box."""

import time
from collections.abc import Callable, Mapping, Sequence

from simulators.devices import Relay
from simulators.instruments import Code


class CabinetRelay(Relay):
    """As `Relay`; discrete input 1 is the line to the horn (1: whole), 2 the button (1: pressed).

    Holding register 0x1120 takes a time in ms: after so long without a word the relay lets go. 0, as it comes: never.
    Input register 7 is the horn's current in mA: 2500 while it sounds, 40 while its line is only supervised, 0 where
    the line is broken or, with the relay pulled in, the horn is dead. `now` is its own clock, in s.
    """

    LINE, BUTTON, WATCHDOG, CURRENT = 1, 2, 0x1120, 7
    SOUNDS_MA, LINE_MA = 2500, 40

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._heard_s = now()
        self.line_is_whole = self.horn_is_good = True
        self.is_pressed = False
        self.watchdog_ms = 0

    def is_loud(self) -> bool:
        """Whether the horn is powered now."""
        if self.on and self.watchdog_ms and self._now() - self._heard_s > self.watchdog_ms / 1000:
            self.on = False
            self.changes.append((time.monotonic(), False))
        return self.on

    def power_cut(self) -> None:
        """For a moment: it comes back off, and knows nothing of a watchdog."""
        self.on, self.watchdog_ms = False, 0

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        inputs = (int(self.on), int(self.line_is_whole), int(self.is_pressed))
        return {1: {0: (int(self.on),)}, 2: {0: inputs}, 3: {self.WATCHDOG: (self.watchdog_ms,)},
                4: {self.CURRENT: (self._current_ma(),)}}

    def _current_ma(self) -> int:
        if not self.line_is_whole:
            return 0
        if self.on:
            return self.SOUNDS_MA if self.horn_is_good else 0
        return self.LINE_MA

    def read(self, function: int, address: int, count: int) -> list[int] | Code:
        self._spoken_to()
        return super().read(function, address, count)

    def write(self, function: int, address: int, value: int) -> Code | None:
        self._spoken_to()
        if function == 6:
            if address != self.WATCHDOG:
                return Code.ILLEGAL_ADDRESS
            self.watchdog_ms = value
            return None
        return super().write(function, address, value)

    def _spoken_to(self) -> None:
        """What is due happens before the word is heard."""
        self.is_loud()
        self._heard_s = self._now()
