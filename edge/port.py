"""A port: bytes in and out of a TCP connection or a serial device. Its only user is `edge.bus`."""

import asyncio
import contextlib
import errno
import os
import socket
import termios

import serial

from edge.config import BusTable

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


class Port:
    """Bytes in and out of a TCP connection or a serial device."""

    def __init__(self, table: BusTable) -> None:
        self._table = table
        self._serial: serial.Serial | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._pump: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()
        self._buffer = bytearray()
        self._broken = ""

    async def open(self) -> None:
        """Raises OSError."""
        self._buffer.clear()
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
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def write(self, data: bytes) -> None:
        """Raises OSError."""
        self._raise_if_broken()
        if self._serial is not None:
            # not pyserial's own write: on a line that takes nothing it turns in a circle for ever
            if os.write(self._serial.fileno(), data) != len(data):
                raise OSError(errno.EIO, "the serial port did not take the whole frame")
        elif self._writer is not None:
            self._writer.write(data)

    async def more(self, within_s: float) -> bool:
        """Waits for bytes to be added to `buffer`; False when none came in time. Raises OSError."""
        self._raise_if_broken()
        self._arrived.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, within_s)):
                await self._arrived.wait()
            if not self._buffer:  # what came before the end is still an answer
                self._raise_if_broken()
            return True
        return False

    @property
    def buffer(self) -> bytearray:
        return self._buffer

    @property
    def broken(self) -> bool:
        """Whether it must be opened anew."""
        return bool(self._broken)

    def _raise_if_broken(self) -> None:
        if self._broken:
            raise OSError(errno.EPIPE, self._broken)

    def _keep(self, data: bytes) -> None:
        self._buffer += data
        del self._buffer[:-_MOST_KEPT]
        self._arrived.set()

    def _open_serial(self) -> None:
        table = self._table
        try:
            self._serial = serial.Serial(
                table.port, table.baud, parity=table.parity, stopbits=table.stop_bits, timeout=0, exclusive=True,
            )  # fmt: skip
        except termios.error as err:  # a USB adapter that goes while it is being opened
            raise OSError(*err.args) from err
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
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, self._writer = await asyncio.open_connection(host, port)
        except TimeoutError as err:
            raise OSError(errno.ETIMEDOUT, f"no connection within {_CONNECT_S:g} s") from err
        connection = self._writer.get_extra_info("socket")
        for option in _KEEP_ALIVE:
            connection.setsockopt(*option)
        self._pump = asyncio.create_task(self._pump_tcp(reader), name=f"bus {self._table.name} reader")

    async def _pump_tcp(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(_MOST_KEPT):
                self._keep(data)
            self._broken = "the other side closed the connection"
        except OSError as err:
            self._broken = str(err)
        self._arrived.set()
