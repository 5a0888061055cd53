"""Modbus frames, bytes in and bytes out (Modbus Application Protocol 1.1b3; Modbus over Serial Line 1.02).

A codec of our own, because the discipline of a shared line is what keeps a late or foreign reply from being taken for
an answer: a frame is looked for inside whatever came, and only the one that fits the open question is taken.
Checked in the tests against pymodbus.
"""

import struct
from typing import NamedTuple

from tocsin.devices import Request, Write
from tocsin.readings import Reason, RejectedError

_EXCEPTIONS = {
    1: "illegal function", 2: "illegal data address", 3: "illegal data value", 4: "server device failure",
    5: "acknowledge, still busy", 6: "server device busy", 8: "memory parity error", 10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}  # fmt: skip
_BY_GATEWAY = {10, 11}
_NOT_SO_MANY = {2, 3}
BIT_FUNCTIONS = {1, 2}
_FUNCTIONS = {1, 2, 3, 4, 5, 6}
_MBAP = struct.Struct(">HHHB")
MAX_FRAME = 260


class DeviceRefusedError(RejectedError):
    """The device answered with a Modbus exception; carries its code."""

    def __init__(self, code: int) -> None:
        super().__init__(Reason.EXCEPTION, f"exception {code}: {_EXCEPTIONS.get(code, 'not in the standard')}")
        self.code = code

    @property
    def by_gateway(self) -> bool:
        """It is a gateway that says so, because the device did not answer."""
        return self.code in _BY_GATEWAY

    @property
    def not_so_many(self) -> bool:
        """It is of the address or the count: what was read together may be there one by one."""
        return self.code in _NOT_SO_MANY


class Frame(NamedTuple):
    """Whose answer it is, and to what kind of question; `length` is that of its PDU in bytes."""

    unit: int
    function: int
    length: int


class Found(NamedTuple):
    """What a buffer holds: an answer's data bytes, or why a whole frame was refused; and how many bytes were used.

    `stray` says that it belongs to no open question, so that the answer may still follow; `frame` is what a foreign
    frame says of itself. `echoed` says that the question itself stood before the answer.
    """

    used: int
    data: bytes = b""
    refused: RejectedError | None = None
    stray: bool = False
    frame: Frame | None = None
    echoed: bool = False


def question(ask: Request | Write) -> bytes:
    """The request's PDU."""
    last = ask.count if isinstance(ask, Request) else (0xFF00 * ask.value if ask.function == 5 else ask.value)
    return struct.pack(">BHH", ask.function, ask.address, last)


def values(ask: Request | Write, data: bytes) -> list[int]:
    """The bits or words of an answer's data bytes; a write's answer has none."""
    if isinstance(ask, Write):
        return []
    if ask.function in BIT_FUNCTIONS:
        return [data[i // 8] >> (i % 8) & 1 for i in range(ask.count)]
    return list(struct.unpack(f">{ask.count}H", data))


def answer_length(ask: Request | Write) -> int:
    """Bytes of the answer's PDU when all is well."""
    if isinstance(ask, Write):
        return 5
    return 2 + ((ask.count + 7) // 8 if ask.function in BIT_FUNCTIONS else 2 * ask.count)


def crc16(data: bytes) -> int:
    """Reflected polynomial A001, start FFFF (Modbus over Serial Line 1.02, 6.2.2)."""
    crc = 0xFFFF
    for byte in data:
        crc = (crc >> 8) ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


def rtu_frame(unit: int, pdu: bytes) -> bytes:
    """Unit, PDU and CRC, low byte first (Modbus over Serial Line 1.02, 2.5.1)."""
    body = bytes([unit]) + pdu
    return body + crc16(body).to_bytes(2, "little")


def rtu_find(buffer: bytes, unit: int, ask: Request | Write, *, echoes: bool = False) -> Found | None:
    """The open question's answer inside `buffer`, past echo and noise; None while more bytes are needed.

    A whole frame of another unit is refused as foreign: it is somebody's late reply. A question that was itself
    heard again is no answer; a relay says the same words, so there `echoes` tells that this line has an echo.
    """
    own = rtu_frame(unit, question(ask))
    echo_at = buffer.find(own) if echoes or isinstance(ask, Request) else -1
    at = 0
    while at + 5 <= len(buffer):
        if at == echo_at:
            at += len(own)
            continue
        found = _rtu_at(buffer, at, unit, ask)
        if found is not None:
            return found._replace(echoed=0 <= echo_at < at) if echo_at >= 0 else found
        at += 1
    return None


def _rtu_at(buffer: bytes, at: int, unit: int, ask: Request | Write) -> Found | None:
    function = buffer[at + 1]
    if function == ask.function | 0x80:
        length = 2
    elif function == ask.function:
        length = answer_length(ask)
    else:
        return _rtu_foreign(buffer, at, unit)
    end = at + 1 + length + 2
    if not _checked(buffer, at, end):
        return _rtu_foreign(buffer, at, unit)
    if buffer[at] != unit:
        detail = f"a frame of unit {buffer[at]} while unit {unit} was asked"
        frame = Frame(buffer[at], function, length)
        return Found(end, refused=RejectedError(Reason.FOREIGN, detail), stray=True, frame=frame)
    return _judged(end, ask, buffer[at + 1:end - 2])


def _checked(buffer: bytes, at: int, end: int) -> bool:
    """Whether a frame from `at` to `end` is there as a whole, and its check fits."""
    return end <= len(buffer) and crc16(buffer[at:end - 2]) == int.from_bytes(buffer[end - 2:end], "little")


def _rtu_foreign(buffer: bytes, at: int, unit: int) -> Found | None:
    """A whole, checked read answer to some other question."""
    if buffer[at + 1] not in {1, 2, 3, 4}:
        return None
    end = at + 3 + buffer[at + 2] + 2
    if not _checked(buffer, at, end):
        return None
    detail = f"unit {buffer[at]}, function {buffer[at + 1]}, {buffer[at + 2]} bytes; unit {unit} was asked otherwise"
    frame = Frame(buffer[at], buffer[at + 1], end - at - 3)
    return Found(end, refused=RejectedError(Reason.FOREIGN, detail), stray=True, frame=frame)


def rtu_frames(buffer: bytes) -> list[Frame]:
    """The whole, checked answers inside `buffer`, whatever was asked."""
    frames: list[Frame] = []
    at = 0
    while at + 5 <= len(buffer):
        end = at + _rtu_length(buffer[at + 1], buffer[at + 2])
        if at < end and _checked(buffer, at, end):
            frames.append(Frame(buffer[at], buffer[at + 1], end - at - 3))
            at = end
        else:
            at += 1
    return frames


def _rtu_length(function: int, count: int) -> int:
    """Bytes of an answer of that function, whose next byte is `count`; 0 for what is none."""
    if function & 0x80:
        return 5 if function & 0x7F in _FUNCTIONS else 0
    return {1: 5 + count, 2: 5 + count, 3: 5 + count, 4: 5 + count, 5: 8, 6: 8}.get(function, 0)


def tcp_frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    """MBAP header and PDU (Modbus Messaging on TCP/IP 1.0b, 3.1.3)."""
    return _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def tcp_find(buffer: bytes, transaction: int, unit: int, ask: Request | Write) -> Found | None:
    """The next frame of the stream; None while more bytes are needed. Another transaction's answer is foreign.

    What is no header is refused (FORMAT) up to the place where the answer itself begins, or all of it: one device
    that babbles through a gateway must not cost the others their connection.
    """
    if len(buffer) < _MBAP.size:
        return None
    got, protocol, length, got_unit = _MBAP.unpack_from(buffer)
    good = protocol == 0 and 2 <= length <= MAX_FRAME
    end = 6 + length
    if not good or len(buffer) < end:
        return _tcp_lost(buffer, good, _tcp_heads(transaction, unit, ask))
    if got != transaction or got_unit != unit:
        detail = f"transaction {got} of unit {got_unit} while {transaction} of unit {unit} was asked"
        frame = Frame(got_unit, buffer[_MBAP.size], length - 1)
        return Found(end, refused=RejectedError(Reason.FOREIGN, detail), stray=True, frame=frame)
    return _judged(end, ask, buffer[_MBAP.size:end])


def _tcp_heads(transaction: int, unit: int, ask: Request | Write) -> list[bytes]:
    """How the answer can begin, when all is well and when it is an exception."""
    return [tcp_frame(transaction, unit, bytes([ask.function]) + bytes(answer_length(ask) - 1))[:8],
            tcp_frame(transaction, unit, bytes([ask.function | 0x80, 0]))[:8]]


def _tcp_lost(buffer: bytes, good: bool, heads: list[bytes]) -> Found | None:
    """What is refused before the answer where the stream is out of step, or seems to be in a frame that never ends."""
    begins = [at for at in (buffer.find(head, 1) for head in heads) if at > 0]
    if good and not begins:
        return None
    used = min(begins, default=len(buffer))
    return Found(used, refused=RejectedError(Reason.FORMAT, f"not a Modbus TCP header: {buffer[:7].hex()}"), stray=True)


def _judged(end: int, ask: Request | Write, pdu: bytes) -> Found:
    if pdu[0] == ask.function | 0x80 and len(pdu) >= 2:
        return Found(end, refused=DeviceRefusedError(pdu[1]))
    if isinstance(ask, Write):
        if pdu == question(ask):
            return Found(end)
        return Found(end, refused=RejectedError(Reason.FORMAT, f"a write was answered with {pdu.hex()}"))
    size = answer_length(ask) - 2
    if pdu[0] != ask.function or len(pdu) != size + 2 or pdu[1] != size:
        detail = f"function {pdu[0]} with {len(pdu)} bytes; function {ask.function} with {size + 2} was asked"
        return Found(end, refused=RejectedError(Reason.FORMAT, detail))
    return Found(end, pdu[2:])


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0xA001 if byte & 1 else 0)
    return byte


_CRC_TABLE = tuple(_crc_entry(byte) for byte in range(256))
