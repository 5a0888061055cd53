"""What a driver is: bytes or registers in, readings out, no I/O.

A driver is one module in `drivers/`, found by its file name. It holds a `Settings` class (the keys of
`[device.settings]` in a station file), and a `Driver` class made from those settings, of one of the kinds below.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from tocsin.readings import Reading, Rejection


@dataclass(frozen=True, slots=True)
class Request:
    """A Modbus read.

    `function` is 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers; `address` counts from 0;
    `count` is the number of bits or 16-bit registers.
    """

    function: int
    address: int
    count: int


@dataclass(frozen=True, slots=True)
class Write:
    """A Modbus write of one value: `function` 5 sets a coil (value 0 or 1), 6 a holding register."""

    function: int
    address: int
    value: int


@runtime_checkable
class PolledDriver(Protocol):
    """A device that answers when asked."""

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities it gives, with these settings."""

    @property
    def requests(self) -> tuple[Request, ...]:
        """What to read in one poll, in order."""

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """One sequence of words (or bits) a request, in order. Raises RejectedError for a frame that is no good."""


@runtime_checkable
class ListeningDriver(Protocol):
    """A device that speaks by itself."""

    @property
    def quantities(self) -> tuple[str, ...]:
        """The quantities it gives, with these settings."""

    def split(self, buffer: bytes) -> tuple[list[bytes], bytes]:
        """Whole frames at the start of `buffer`, and the rest to be kept for the next bytes."""

    def decode(self, frame: bytes) -> list[Reading | Rejection]:
        """One frame. Raises RejectedError for a frame that is no good."""


@runtime_checkable
class OutputDriver(Protocol):
    """A device that is told: the relay of a siren."""

    def command(self, *, on: bool) -> tuple[Write, ...]:
        """What to write to switch the output."""

    @property
    def feedback(self) -> Request | None:
        """What to read to see whether it switched, or None if the device cannot tell."""

    def is_on(self, answer: Sequence[int]) -> bool:
        """The feedback's meaning."""


@runtime_checkable
class GuardedDriver(Protocol):
    """What an output driver may have beside: a relay that lets go when nobody speaks to it, and a supervised line."""

    @property
    def guard(self) -> tuple[Write, ...]:
        """What to write once, so that the relay lets go by itself; empty where it cannot."""

    @property
    def hold_s(self) -> float:
        """While the output is on, it must be told so again within this many seconds."""

    @property
    def line(self) -> Request | None:
        """What to read to see whether the line to the siren is whole, or None if the device cannot tell."""

    def is_whole(self, answer: Sequence[int]) -> bool:
        """The meaning of that. Raises RejectedError (FORMAT)."""


AnyDriver = PolledDriver | ListeningDriver | OutputDriver
