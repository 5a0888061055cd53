"""Relay with a feedback contact, on Modbus: the switch of a siren. The table is a generic one, not a maker's.

    coil 0              function 5 writes it     1 on, 0 off
    discrete input 0    function 2 reads it      1 the contact is closed: the relay has pulled in

The settings `coil` and `feedback_input` move both; -1 says that there is no feedback contact.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from tocsin.config import Table
from tocsin.devices import Request, Write
from tocsin.readings import Reason, RejectedError

_NO_FEEDBACK = -1


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    coil: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0
    feedback_input: Annotated[int, Meta(ge=_NO_FEEDBACK, le=0xFFFF)] = 0


class Driver:
    """Output; one coil."""

    def __init__(self, settings: Settings) -> None:
        self._coil = settings.coil
        self._feedback = None
        if settings.feedback_input != _NO_FEEDBACK:
            self._feedback = Request(function=2, address=settings.feedback_input, count=1)

    def command(self, *, on: bool) -> tuple[Write, ...]:
        return (Write(function=5, address=self._coil, value=int(on)),)

    @property
    def feedback(self) -> Request | None:
        return self._feedback

    def is_on(self, answer: Sequence[int]) -> bool:
        """The one bit that `feedback` asks for. Raises RejectedError (FORMAT)."""
        if len(answer) != 1 or answer[0] not in {0, 1}:
            raise RejectedError(Reason.FORMAT, f"feedback {list(answer)[:8]} is not one bit")
        return bool(answer[0])
