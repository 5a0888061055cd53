"""Relay with a feedback contact, on Modbus: the switch of a siren. The table is a generic one, not a maker's.

    coil 0              function 5 writes it     1 on, 0 off
    discrete input 0    function 2 reads it      1 the contact is closed: the relay has pulled in
    discrete input n    function 2 reads it      1 the line to the siren is whole (`line_input`, where it is supervised)
    holding register n  function 6 writes it     after so long without a word to it the relay lets go by itself

The settings `coil` and `feedback_input` move the first two; -1 says that there is no such contact or register. What
`watchdog_register` and `watchdog_value` are stands in the relay's manual: 0x1120 in ms for the couplers of one maker.
With a watchdog a station that dies does not leave its siren sounding. It runs out in calm too, while nobody speaks to
the relay: one that refuses commands from then on until it is reset must not have it on. Not confirmed on an instrument.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from tocsin.config import Table
from tocsin.devices import Request, Write
from tocsin.readings import Reason, RejectedError

_NONE = -1
Input = Annotated[int, Meta(ge=_NONE, le=0xFFFF)]


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    coil: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    feedback_input: Input = 0
    line_input: Input = _NONE
    watchdog_register: Input = _NONE
    watchdog_value: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    hold_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0

    def __post_init__(self) -> None:
        if (self.watchdog_register == _NONE) != (self.watchdog_value == 0):
            raise ValueError(f"watchdog_value: {self.watchdog_value} is not allowed with watchdog_register "
                             f"{self.watchdog_register}; give both: the relay's time without a word, in its own unit")


class Driver:
    """Output; one coil."""

    def __init__(self, settings: Settings) -> None:
        self._coil = settings.coil
        self._feedback = _contact(settings.feedback_input)
        self._line = _contact(settings.line_input)
        self._hold_s = settings.hold_s
        self._guard: tuple[Write, ...] = ()
        if settings.watchdog_register != _NONE:
            self._guard = (Write(function=6, address=settings.watchdog_register, value=settings.watchdog_value),)

    def command(self, *, on: bool) -> tuple[Write, ...]:
        return (Write(function=5, address=self._coil, value=int(on)),)

    @property
    def feedback(self) -> Request | None:
        return self._feedback

    def is_on(self, answer: Sequence[int]) -> bool:
        """The one bit that `feedback` asks for. Raises RejectedError (FORMAT)."""
        return _bit("feedback", answer)

    @property
    def guard(self) -> tuple[Write, ...]:
        return self._guard

    @property
    def hold_s(self) -> float:
        return self._hold_s

    @property
    def line(self) -> Request | None:
        return self._line

    def is_whole(self, answer: Sequence[int]) -> bool:
        """The one bit that `line` asks for. Raises RejectedError (FORMAT)."""
        return _bit("line", answer)


def _contact(address: int) -> Request | None:
    return None if address == _NONE else Request(function=2, address=address, count=1)


def _bit(what: str, answer: Sequence[int]) -> bool:
    if len(answer) != 1 or answer[0] not in {0, 1}:
        raise RejectedError(Reason.FORMAT, f"{what} {list(answer)[:8]} is not one bit")
    return bool(answer[0])
