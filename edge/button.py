"""The button at the siren: a press while it sounds is an answer. It is read, not waited for, like any other input.

A press counts once it was seen twice in a row (contacts bounce, a wire in the storm picks up a spark), so it is held
for a second. A button that never opens again is a fault, told once, and answers nothing.
"""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from edge.contact import Contact
from edge.sayings import say
from tocsin.clock import Clock
from tocsin.said import Said

_SOUNDING_S = 0.4
_QUIET_S = 2.0
STUCK_S = 60.0


class Press(StrEnum):
    """What became of the button."""

    PRESSED = "pressed"
    STUCK = "stuck"
    FREED = "freed"


class Debounce:
    """What single looks at a contact come to. One that is closed from the first look on is no press."""

    def __init__(self) -> None:
        self._closed = True
        self._before = True
        self._since_s: float | None = None
        self._stuck = False

    def take(self, closed: bool, now_s: float) -> Press | None:
        """One look, in order of time."""
        twice, self._before = closed is self._before, closed
        self._since_s = (now_s if self._since_s is None else self._since_s) if closed else None
        if twice and closed is not self._closed:
            self._closed = closed
            if closed:
                return Press.PRESSED
            if self._stuck:
                self._stuck = False
                return Press.FREED
        if self._since_s is not None and now_s - self._since_s > STUCK_S and not self._stuck:
            self._stuck = True
            return Press.STUCK
        return None


class ButtonWatch:
    """`run` looks at the contact. `on_press` is told of presses, `on_fault` of what is wrong with it, once."""

    def __init__(
        self, contact: Callable[[], Awaitable[bool]], clock: Clock,
        *, is_sounding: Callable[[], bool], on_press: Callable[[], None], on_fault: Callable[[Said], None],
    ) -> None:  # fmt: skip
        self._contact = Contact(contact, clock, on_fault, lost=lambda why: say("answer_unread", why=why),
                                back=say("answer_read"))
        self._clock = clock
        self._is_sounding = is_sounding
        self._press = on_press
        self._fault = on_fault
        self._debounce = Debounce()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.look()
            wait_s = _SOUNDING_S if self._is_sounding() else _QUIET_S
            await self._clock.sleep_until(self._clock.monotonic_s() + wait_s)

    async def look(self) -> None:
        """One look at the contact."""
        closed = await self._contact.closed()
        if closed is None:
            return
        match self._debounce.take(closed, self._clock.monotonic_s()):
            case Press.PRESSED:
                self._press()
            case Press.STUCK:
                self._fault(say("answer_stuck", seconds=STUCK_S))
            case Press.FREED:
                self._fault(say("answer_freed"))
