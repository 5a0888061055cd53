"""Modbus slaves on a pty, byte by byte and with the time that a line takes; what can go wrong is the test's to say.

A slave answers in the order in which it was asked: while a late answer is due, those behind it wait. Every answer
carries its unit, its address and the number of the question, so that no value can be taken for another's.
"""

import asyncio
import os
import random
import tty
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

from tests.lines import crc16

# what a slave puts on the wire for an answer: pieces, each so many seconds after the one before
Pieces = list[tuple[float, bytes]]
Spoil = Callable[["Asked"], Pieces]


@dataclass(frozen=True, slots=True)
class Asked:
    """One question as the line saw it, and its answer."""

    number: int
    unit: int
    request: bytes
    answer: bytes


def words_of(unit: int, address: int, number: int, count: int) -> list[int]:
    """What a slave says: who it is, what was asked, and the number of the question, over and over."""
    return ([unit << 8 | address & 0xFF, number & 0xFFFF] * count)[:count]


@dataclass
class SerialLine:
    """`spoil` says what comes of an answer; `character_s` is the time of a character, 0 for none."""

    units: Iterable[int]
    spoil: Spoil
    character_s: float = 0.0
    number: int = 0
    asked: dict[int, int] = field(default_factory=dict)

    def __enter__(self) -> Self:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._buffer = b""
        self._free_s: dict[int, float] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._master, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)
        self._master = -1

    def _readable(self) -> None:
        self._buffer += os.read(self._master, 4096)
        while len(self._buffer) >= 8:
            request, self._buffer = self._buffer[:8], self._buffer[8:]
            if crc16(request[:6]) != request[6:]:
                raise AssertionError(f"the bus asked {request.hex()}")
            if request[0] in self.units:
                self._take(request)

    def _take(self, request: bytes) -> None:
        self.number += 1
        unit, function = request[0], request[1]
        self.asked[unit] = self.asked.get(unit, 0) + 1
        address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        words = b"".join(word.to_bytes(2, "big") for word in words_of(unit, address, self.number, count))
        body = bytes([unit, function, 2 * count]) + words
        now_s = self._loop.time()
        at_s = max(now_s + len(request) * self.character_s, self._free_s.get(unit, 0.0))
        for wait_s, piece in self.spoil(Asked(self.number, unit, request, body + crc16(body))):
            at_s += wait_s + len(piece) * self.character_s
            self._loop.call_at(at_s, self._write, piece)
        self._free_s[unit] = at_s

    def _write(self, piece: bytes) -> None:
        if self._master >= 0:
            os.write(self._master, piece)


@asynccontextmanager
async def converter(path: str) -> AsyncIterator[str]:
    """A serial server: passes bytes on between TCP and the line; gives the port as a station file has it."""
    loop = asyncio.get_running_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        loop.add_reader(line, lambda: writer.write(os.read(line, 4096)))
        try:
            while data := await reader.read(4096):
                os.write(line, data)
        finally:
            loop.remove_reader(line)
            os.close(line)
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def exception(asked: Asked, code: int = 4) -> bytes:
    body = bytes([asked.unit, asked.request[1] | 0x80, code])
    return body + crc16(body)


class Mischief:
    """Every fault in turn, by chance: `late_s` is longer than the line's deadline; `part` of the answers are spoilt."""

    def __init__(self, seed: int, late_s: float, part: float = 0.5) -> None:
        self._random = random.Random(seed)
        self._late_s = late_s
        self.part = part
        self.seen: dict[str, int] = {}

    def __call__(self, asked: Asked) -> Pieces:
        kinds = [self._clean] if self._random.random() >= self.part else [
            self._echo, self._noise, self._bytes, self._lumps, self._flipped, self._cut, self._foreign, self._behind,
            *([self._late, self._silent, self._exception] if self._random.random() < 0.5 else []),
        ]
        kind = self._random.choice(kinds)
        self.seen[kind.__name__] = self.seen.get(kind.__name__, 0) + 1
        return kind(asked)

    def _any(self, most: int) -> bytes:
        return self._random.randbytes(self._random.randint(1, most))

    def _clean(self, asked: Asked) -> Pieces:
        return [(0.0, asked.answer)]

    def _echo(self, asked: Asked) -> Pieces:
        return [(0.0, asked.request), (0.0, asked.answer)]

    def _noise(self, asked: Asked) -> Pieces:
        return [(0.0, self._any(6) + asked.answer)]

    def _bytes(self, asked: Asked) -> Pieces:
        return [(0.0, bytes([one])) for one in asked.answer]

    def _lumps(self, asked: Asked) -> Pieces:
        """As a USB adapter: every 16 ms what has come."""
        cut = self._random.randrange(1, len(asked.answer))
        return [(0.016, asked.answer[:cut]), (0.016, asked.answer[cut:])]

    def _flipped(self, asked: Asked) -> Pieces:
        spoilt = bytearray(asked.answer)
        spoilt[self._random.randrange(len(spoilt))] ^= 1 << self._random.randrange(8)
        return [(0.0, bytes(spoilt))]

    def _cut(self, asked: Asked) -> Pieces:
        return [(0.0, asked.answer[:self._random.randrange(1, len(asked.answer))])]

    def _foreign(self, asked: Asked) -> Pieces:
        other = bytes([asked.unit + 100]) + asked.answer[1:-2]
        return [(0.0, other + crc16(other)), (0.0, asked.answer)]

    def _behind(self, asked: Asked) -> Pieces:
        return [(0.0, asked.answer + self._any(4))]

    def _late(self, asked: Asked) -> Pieces:
        return [(self._late_s * self._random.uniform(0.7, 1.5), asked.answer)]

    def _silent(self, asked: Asked) -> Pieces:
        return [(0.0, asked.answer[:0])]

    def _exception(self, asked: Asked) -> Pieces:
        return [(0.0, exception(asked))]
