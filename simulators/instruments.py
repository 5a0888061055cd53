"""What every simulated instrument is: it can be set, it counts what it said, and it may have Modbus registers."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import IntEnum, StrEnum

Number = float | Decimal


class Code(IntEnum):
    """Modbus exception codes (MODBUS Application Protocol V1.1b3, section 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_ADDRESS = 2
    ILLEGAL_VALUE = 3
    DEVICE_FAILURE = 4
    NO_TARGET = 11


class Measures(StrEnum):
    """What a level instrument tells: the distance down to the water, or the water over its own zero."""

    DISTANCE = "distance"
    LEVEL = "level"

    @property
    def quantity(self) -> str:
        return {"distance": "distance_m", "level": "depth_m"}[self.value]


class Instrument(ABC):
    """Anything that measures. `quantities` are what `set` takes."""

    def __init__(self) -> None:
        self.served = 0

    @property
    @abstractmethod
    def quantities(self) -> tuple[str, ...]:
        """What `set` takes."""

    def set(self, quantity: str, value: Number | None) -> None:
        """Shows a value, or "no value" for None. Raises ValueError for what the instrument cannot show."""
        if quantity not in self.quantities:
            allowed = ", ".join(self.quantities) or "nothing"
            raise ValueError(f'{type(self).__name__} has no "{quantity}"; use {allowed}')
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{type(self).__name__}: {quantity}: {value} is not allowed; use a finite number")
        self._show(quantity, value)

    @abstractmethod
    def _show(self, quantity: str, value: Number | None) -> None:
        """A checked value."""


class ModbusDevice(Instrument):
    """An instrument with registers. `address` is its first register."""

    def __init__(self, address: int = 0) -> None:
        super().__init__()
        self.address = address

    @abstractmethod
    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        """function -> offset from `address` -> the words (or bits) that stand there."""

    def read(self, function: int, address: int, count: int) -> list[int] | Code:
        """`count` words (functions 3, 4) or bits (1, 2) from `address`, or the exception it answers."""
        blocks = self.table().get(function)
        if blocks is None:
            return Code.ILLEGAL_FUNCTION
        for offset, words in blocks.items():
            first = address - self.address - offset
            if 0 <= first < len(words) and count >= 1 and first + count <= len(words):
                return list(words[first:first + count])
        return Code.ILLEGAL_ADDRESS

    def write(self, function: int, address: int, value: int) -> Code | None:  # noqa: ARG002 # what the relay overrides
        """Function 5: value 0 or 1; function 6: a word. None if done, else the exception it answers."""
        return Code.ILLEGAL_FUNCTION


def decimal_of(value: Number) -> Decimal:
    """The number as it is written: 0.1 + 0.2 is 0.3 in a bucket."""
    return value if isinstance(value, Decimal) else Decimal(repr(float(value)))


def whole(quantity: str, value: float, steps: int, bits: int) -> int:
    """The signed register value. Raises ValueError where it does not fit."""
    raw, limit = round(value * steps), 2 ** (bits - 1)
    if not -limit <= raw < limit:
        bounds = f"{-limit / steps} to {(limit - 1) / steps}"
        raise ValueError(f"{quantity}: {value} is not allowed; the register holds {bounds}")
    return raw


def int32(value: int) -> tuple[int, int]:
    return (value >> 16) & 0xFFFF, value & 0xFFFF
