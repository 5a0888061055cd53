"""What can go wrong between an instrument and its reader, one kind at a time; `wires` puts it on the wire."""

from dataclasses import dataclass

from simulators.instruments import Code

_BABBLE = bytes((number * 37 + 11) & 0xFF for number in range(23))


@dataclass(frozen=True, slots=True)
class Silent:
    """No answer, and nothing is done."""


@dataclass(frozen=True, slots=True)
class Refuses:
    """Answers every request with a Modbus exception, and nothing is done."""

    code: int = Code.DEVICE_FAILURE


@dataclass(frozen=True, slots=True)
class Garbage:
    """These bytes instead of an answer."""

    data: bytes = _BABBLE


@dataclass(frozen=True, slots=True)
class WrongCheck:
    """The answer with a wrong CRC (RTU) or checksum (ASCII); Modbus TCP has none."""


@dataclass(frozen=True, slots=True)
class Late:
    """The answer comes this many seconds of real time later; the wire goes on with other requests meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Echo:
    """The request comes back before the answer, as some RS-485 adapters do."""


@dataclass(frozen=True, slots=True)
class Noise:
    """These bytes before the answer."""

    data: bytes = b"\x00\xff"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A whole, well-checked answer in the name of another unit (or ASCII address)."""

    unit: int


Fault = Silent | Refuses | Garbage | WrongCheck | Late | Echo | Noise | Foreign
