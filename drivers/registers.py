"""Any Modbus device by its manual's register list, given in the settings: for what has no driver of its own.

Each entry of `registers` is one quantity:

    uint16, int16    1 register
    uint32, int32    2 registers, high word first; with low_word_first the other way round

The value is the number times `scale`, in the unit of the quantity's name. One outside the entry's `span` is refused
(RANGE): the raw numbers that a manual gives for a broken sensor belong outside it. A status register that a device may
have is not looked at; where it has one, a driver of its own is the better way.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from drivers._spans import Span, check_span, within
from drivers._words import check_answers, int16, int32, uint32
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.quantities import quantity
from tocsin.readings import Reading, Rejection

_MOST = 60
_DIGITS = 9  # takes float noise away: 126 steps of 0.1 are 12.6


class Type(StrEnum):
    """How a number stands in its registers."""

    UINT16 = "uint16"
    INT16 = "int16"
    UINT32 = "uint32"
    INT32 = "int32"

    @property
    def words(self) -> int:
        return 2 if self in {Type.UINT32, Type.INT32} else 1


class Register(Table, frozen=True, kw_only=True):
    """One entry of `registers`. `span` is in the unit of the quantity."""

    quantity: str
    address: Annotated[int, Meta(ge=0, le=0xFFFF)]
    span: Span
    type: Type = Type.UINT16
    scale: Annotated[float, Meta(ge=-1e6, le=1e6)] = 1.0
    low_word_first: bool = False

    def __post_init__(self) -> None:
        quantity(self.quantity)
        check_span("span", self.span)
        if self.scale == 0.0:
            raise ValueError("scale: 0 is not allowed; use what one step of the register is worth")
        if self.address + self.type.words > 0x1_0000:
            raise ValueError(f"address: {self.address} is not allowed for {self.type}; use up to 65534")


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    registers: Annotated[list[Register], Meta(min_length=1, max_length=_MOST)]
    function: Literal[3, 4] = 3

    def __post_init__(self) -> None:
        names = [register.quantity for register in self.registers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"registers: {', '.join(twice)} is not allowed twice; give one entry for a quantity")


class Driver:
    """Polled; one request a quantity. Those that lie side by side go over the wire as one read."""

    def __init__(self, settings: Settings) -> None:
        self._registers = tuple(settings.registers)
        self._requests = tuple(Request(settings.function, one.address, one.type.words) for one in self._registers)

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(one.quantity for one in self._registers)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Each entry's words to its value, or its refusal (RANGE). Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        return [_value(one, words) for one, words in zip(self._registers, answers, strict=True)]


def _number(one: Register, words: Sequence[int]) -> int:
    if one.type is Type.UINT16:
        return words[0]
    if one.type is Type.INT16:
        return int16(words[0])
    high, low = reversed(words) if one.low_word_first else words
    return uint32(high, low) if one.type is Type.UINT32 else int32(high, low)


def _value(one: Register, words: Sequence[int]) -> Reading | Rejection:
    return within(one.quantity, round(_number(one, words) * one.scale, _DIGITS), one.span)
