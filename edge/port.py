"""A port: bytes in and out of a TCP connection or a serial device. Its users are `edge.bus` and `edge.listening`."""

import asyncio
import contextlib
import errno
import os
import socket
import termios
from collections.abc import Callable
from typing import TYPE_CHECKING

from edge.config import BusTable
from tocsin.lookups import PATIENCE_S

if TYPE_CHECKING:
    import serial

_CONNECT_S = 2.0
_MOST_KEPT = 4096  # bytes that nobody has read; of a babbling line the newest are kept
# A peer gone without a word is noticed within 25 s idle, 15 s with bytes under way; Linux alone takes 15 min.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 15_000),
)
# what a technician can do about it
_NOT_OPENED = {
    errno.EAGAIN: "another program has it open; stop that first",
    errno.EACCES: "Permission denied: who runs this must be in the port's group, often dialout",
}


class _Reader(asyncio.Protocol):
    """A TCP connection's bytes, handed on as they come: no task stands between them and a deadline."""

    def __init__(self, keep: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self.dropped = False  # what a connection says after its owner left it concerns nobody
        self._keep = keep
        self._lost = lost

    def data_received(self, data: bytes) -> None:
        if not self.dropped:
            self._keep(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.dropped:
            self._lost(str(exc) if exc else "the other side closed the connection")


class Port:
    """Bytes in and out of a TCP connection or a serial device.

    `buffer` holds what came and nobody took; `heard_s` is the loop's time of its last byte.
    """

    def __init__(self, table: BusTable) -> None:
        self.buffer = bytearray()
        self.heard_s = 0.0
        self._table = table
        self._loop: asyncio.AbstractEventLoop | None = None
        self._serial: serial.Serial | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = _Reader(self._keep, self._lost)
        self._waiting: asyncio.Future[bool] | None = None
        self._broken = ""
        self._looked_up: asyncio.Future[list[str]] | None = None

    async def open(self) -> None:
        """Raises OSError."""
        self._loop = asyncio.get_running_loop()
        self.buffer.clear()
        self._broken = ""
        if self._table.address is not None:
            await self._open_tcp(*self._table.address)
        else:
            self._open_serial()

    def close(self) -> None:
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            with contextlib.suppress(OSError, termios.error):
                self._serial.reset_output_buffer()  # else the kernel may wait half a minute for it to go out
            self._serial.close()
            self._serial = None
        self._reader.dropped = True
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def write(self, data: bytes) -> None:
        """Raises OSError."""
        self._raise_if_broken()
        if self._serial is not None:
            # not pyserial's own write: on a line that takes nothing it turns in a circle for ever
            if os.write(self._serial.fileno(), data) != len(data):
                raise OSError(errno.EIO, "the serial port did not take the whole frame")
        elif self._transport is not None:
            self._transport.write(data)

    async def more(self, within_s: float) -> bool:
        """Waits for bytes to be added to `buffer`; False when none came in time. Raises OSError."""
        self._raise_if_broken()
        loop = asyncio.get_running_loop()
        waiting = self._waiting = loop.create_future()
        handle = loop.call_later(max(0.0, within_s), _settle, waiting, False)
        try:
            came: bool = await waiting
        finally:
            handle.cancel()
            self._waiting = None
        if came and not self.buffer:  # what came before the end is still an answer
            self._raise_if_broken()
        return came

    @property
    def broken(self) -> bool:
        """Whether it must be opened anew."""
        return bool(self._broken)

    def _raise_if_broken(self) -> None:
        if self._broken:
            raise OSError(errno.EPIPE, self._broken)

    def _keep(self, data: bytes) -> None:
        self.buffer += data
        del self.buffer[:-_MOST_KEPT]
        if self._loop is not None:
            self.heard_s = self._loop.time()
        if self._waiting is not None:
            _settle(self._waiting, True)

    def _open_serial(self) -> None:
        import serial  # 2 MB, which a station without a serial line does not need

        table = self._table
        try:
            self._serial = serial.Serial(
                table.port, table.baud, parity=table.parity, stopbits=table.stop_bits, timeout=0, exclusive=True,
            )  # fmt: skip
        except termios.error as err:  # a USB adapter that goes while it is being opened
            raise OSError(*err.args) from err
        except serial.SerialException as err:  # says the path twice, and of a port in use that it is unavailable
            if err.errno is None:
                raise
            raise OSError(err.errno, _NOT_OPENED.get(err.errno, os.strerror(err.errno))) from err
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._pump_serial)

    def _pump_serial(self) -> None:
        assert self._serial is not None  # noqa: S101 - the reader is removed before the port is
        try:
            data = os.read(self._serial.fileno(), _MOST_KEPT)
        except BlockingIOError:
            return
        except OSError as err:
            data, self._broken = b"", str(err)
        if not data:
            self._broken = self._broken or "the device is gone"
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
        self._keep(data)

    async def _open_tcp(self, host: str, port: int) -> None:
        self._reader = _Reader(self._keep, self._lost)
        try:
            async with asyncio.timeout(_CONNECT_S):
                transport = await self._connected(await self._addresses(host), port)
        except TimeoutError as err:
            raise OSError(errno.ETIMEDOUT, f"no connection within {_CONNECT_S:g} s") from err
        self._transport = transport
        connection = transport.get_extra_info("socket")
        for option in _KEEP_ALIVE:
            connection.setsockopt(*option)

    async def _addresses(self, host: str) -> list[str]:
        """A look-up may hang for half a minute: one that ends between two attempts counts for the next."""
        looked_up = self._looked_up = self._looked_up or asyncio.ensure_future(_look_up(host))
        try:
            return await asyncio.shield(looked_up)
        finally:
            if looked_up.done():
                self._looked_up = None

    async def _connected(self, addresses: list[str], port: int) -> asyncio.Transport:
        """To the first that takes it. Raises OSError: what the last one said."""
        loop = asyncio.get_running_loop()
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):
                return (await loop.create_connection(lambda: self._reader, address, port))[0]
        return (await loop.create_connection(lambda: self._reader, addresses[-1], port))[0]

    def _lost(self, why: str) -> None:
        self._broken = why
        if self._waiting is not None:
            _settle(self._waiting, True)


async def _look_up(host: str) -> list[str]:
    """In the threads of names: the log and the ticks need the others."""
    async with asyncio.timeout(PATIENCE_S):
        answer = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(found[4][0]) for found in answer))


def _settle(waiting: "asyncio.Future[bool]", came: bool) -> None:
    if not waiting.done():
        waiting.set_result(came)
