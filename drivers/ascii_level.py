r"""Level instrument that pushes a line of text a period on a plain serial port, 9600 8N1. A generic one, not a maker's.

    $LVL,<address>,<value>,m*<check>\r\n

    address   two digits
    value     sign, digits, point, digits, in m: +1.234, -0.330; or E1: sensor fault
    check     XOR of the bytes between $ and *, two upper-case hex digits (as in NMEA 0183)

Gives distance_m (measures = "distance") or depth_m (measures = "level", over the instrument's own zero).
A frame ends after \n, before the next $, or at 82 bytes, whichever comes first. So a torn line costs only itself,
noise without an end is refused piece by piece, and where the bytes were cut on their way does not matter.
"""

import functools
import operator
import re
from typing import Annotated

from msgspec import Meta

from drivers._spans import Measures, Span, check_span, within
from tocsin.config import Table
from tocsin.readings import Reading, Reason, RejectedError, Rejection

# NMEA 0183: a sentence has at most 82 characters, from $ to the line feed.
LONGEST = 82
_SHORTEST = len(b"$LVL,01,E1,m*00\r\n")
_LINE = re.compile(rb"\$([^$*\r\n]*)\*([0-9A-F]{2})\r\n")
_BODY = re.compile(rb"LVL,([0-9]{2}),([^,]+),m")
_VALUE = re.compile(rb"[+-][0-9]+\.[0-9]+")
_FAULT = b"E1"


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    measures: Measures
    span_m: Span
    address: Annotated[str, Meta(pattern=r"\A[0-9]{2}\Z", description='two digits, such as "01"')] = "01"

    def __post_init__(self) -> None:
        check_span("span_m", self.span_m)


class Driver:
    """Listening."""

    def __init__(self, settings: Settings) -> None:
        self._quantity = settings.measures.quantity
        self._span_m = settings.span_m
        self._address = settings.address.encode()

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self._quantity,)

    def split(self, buffer: bytes) -> tuple[list[bytes], bytes]:
        """Frames of at most LONGEST bytes, garbage among them, and a rest shorter than LONGEST."""
        frames = []
        start = 0
        while end := _end(buffer, start):
            frames.append(buffer[start:end])
            start = end
        return frames, buffer[start:]

    def decode(self, frame: bytes) -> list[Reading | Rejection]:
        """One line to one value in m, or its refusal (STATUS, RANGE).

        Raises RejectedError: FORMAT, CHECKSUM, or FOREIGN for the line of another address.
        """
        address, value = _fields(_body(frame))
        if address != self._address:
            detail = f"line of address {address.decode()}, not {self._address.decode()}"
            raise RejectedError(Reason.FOREIGN, detail)
        if value == _FAULT:
            return [Rejection(Reason.STATUS, "E1, sensor fault", self._quantity)]
        if not _VALUE.fullmatch(value):
            raise RejectedError(Reason.FORMAT, f"{value!r} is not a value")
        # + 0.0 turns -0.000 into a plain zero.
        return [within(self._quantity, float(value) + 0.0, self._span_m)]


def _end(buffer: bytes, start: int) -> int:
    """Where the frame that begins at `start` ends, or 0 where that cannot be known yet."""
    limit = start + LONGEST
    newline = buffer.find(b"\n", start, limit)
    dollar = buffer.find(b"$", start + 1, limit)
    ends = [end for end in (newline + 1, dollar) if end > 0]
    if ends:
        return min(ends)
    return limit if len(buffer) >= limit else 0


def _body(frame: bytes) -> bytes:
    """What stands between $ and *, its check done."""
    if not _SHORTEST <= len(frame) <= LONGEST:
        detail = f"{len(frame)} bytes, a line has {_SHORTEST} to {LONGEST}: {frame[:LONGEST]!r}"
        raise RejectedError(Reason.FORMAT, detail)
    line = _LINE.fullmatch(frame)
    if line is None:
        raise RejectedError(Reason.FORMAT, f"not a line of the form $...*HH: {frame!r}")
    body, check = line.groups()
    wanted = functools.reduce(operator.xor, body, 0)
    if int(check, 16) != wanted:
        raise RejectedError(Reason.CHECKSUM, f"got {check.decode()}, the bytes make {wanted:02X}: {frame!r}")
    return body


def _fields(body: bytes) -> tuple[bytes, bytes]:
    """Address and value."""
    fields = _BODY.fullmatch(body)
    if fields is None:
        raise RejectedError(Reason.FORMAT, f"not LVL,<address>,<value>,m: {body!r}")
    address, value = fields.groups()
    return address, value
