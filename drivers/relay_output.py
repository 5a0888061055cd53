"""Relay with a feedback contact, on Modbus: the switch of a siren. The table is a generic one, not a maker's.

    coil 0              function 5 writes it     1 on, 0 off
    discrete input 0    function 2 reads it      1 the contact is closed: the relay has pulled in
    discrete input n    function 2 reads it      1 the line to the siren is whole (`line_input`, where it is supervised)
    input register n    function 4 reads it      the siren's current, in the module's own unit (`current_register`)
    holding register n  function 6 writes it     after so long without a word to it the relay lets go by itself

The settings `coil` and `feedback_input` move the first two; -1 says that there is no such contact or register. Where
the current is measured it is the feedback instead of the contact: from `sounds_from` on the siren itself draws what it
needs to sound, and a relay that pulled in for a dead horn is found out. A silent line carries at least `line_from`.

What `watchdog_register` and `watchdog_value` are stands in the relay's manual: 0x1120 in ms for the couplers of one
maker. With a watchdog a station that dies does not leave its siren sounding. It runs out in calm too, while nobody
speaks to the relay: one that refuses commands from then on until it is reset must not have it on. Not confirmed on an
instrument.
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
    current_register: Input = _NONE
    sounds_from: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    line_from: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    watchdog_register: Input = _NONE
    watchdog_value: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    hold_s: Annotated[float, Meta(ge=0.1, le=60)] = 10.0

    def __post_init__(self) -> None:
        if (self.watchdog_register == _NONE) != (self.watchdog_value == 0):
            raise ValueError(f"watchdog_value: {self.watchdog_value} is not allowed with watchdog_register "
                             f"{self.watchdog_register}; give both: the relay's time without a word, in its own unit")
        if (self.current_register == _NONE) != (self.sounds_from == 0):
            raise ValueError(f"sounds_from: {self.sounds_from} is not allowed with current_register "
                             f"{self.current_register}; give both: the least that the siren draws while it sounds")
        if self.line_from and (self.line_from >= self.sounds_from or self.line_input != _NONE):
            raise ValueError(f"line_from: {self.line_from} is not allowed; it is under sounds_from "
                             f"({self.sounds_from}), and needs no line_input beside it")


class Driver:
    """Output; one coil."""

    def __init__(self, settings: Settings) -> None:
        self._coil = settings.coil
        current = None if settings.current_register == _NONE else Request(4, settings.current_register, 1)
        self._feedback = current or _contact(settings.feedback_input)
        self._line = current if settings.line_from else _contact(settings.line_input)
        self._sounds_from, self._line_from = settings.sounds_from, settings.line_from
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
        """The one bit, or the current, that `feedback` asks for. Raises RejectedError (FORMAT)."""
        return _is_from("feedback", answer, self._sounds_from)

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
        """The one bit, or the current, that `line` asks for. Raises RejectedError (FORMAT)."""
        return _is_from("line", answer, self._line_from)


def _contact(address: int) -> Request | None:
    return None if address == _NONE else Request(function=2, address=address, count=1)


def _is_from(what: str, answer: Sequence[int], least: int) -> bool:
    """`least`: of a current; 0 for a contact."""
    most, kind = (0xFFFF, "word") if least else (1, "bit")
    if len(answer) != 1 or not 0 <= answer[0] <= most:
        raise RejectedError(Reason.FORMAT, f"{what} {list(answer)[:8]} is not one {kind}")
    return answer[0] >= max(least, 1)
