"""The only place that touches a port: one owner a port, one exchange at a time, a deadline for each.

After a timeout the line is drained until it is silent, and the unit that owed the answer is not asked again before its
answer came or is too late to come: a late reply is never taken for the answer to another question. A port that broke
is opened again by its owner; a single device's silence never re-opens it.
"""

import asyncio
import contextlib
import errno
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field

import serial

from edge import modbus
from edge.config import BusTable
from tocsin.devices import ListeningDriver, Request, Write
from tocsin.readings import Reading, Reason, RejectedError, Rejection

SIREN_FIRST, POLL = 0, 1
_REOPEN_S = 1.0
_CONNECT_S = 2.0
_SILENCE_S = 0.03        # USB adapters deliver in lumps of 16 ms
_DRAIN_AT_MOST_S = 0.5   # a babbling line is scanned all the same
_TOO_LATE_FACTOR = 4     # a reply later than this many deadlines is held to be lost


class Port:
    """Bytes in and out of a TCP connection or a serial device."""

    def __init__(self, table: BusTable) -> None:
        self._table = table
        self._serial: serial.Serial | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.StreamReader | None = None
        self._arrived = asyncio.Event()
        self._buffer = bytearray()
        self._broken = ""

    async def open(self) -> None:
        """Raises OSError."""
        self._buffer.clear()
        self._broken = ""
        if self._table.address is not None:
            host, port = self._table.address
            async with asyncio.timeout(_CONNECT_S):
                self._reader, self._writer = await asyncio.open_connection(host, port)
            self._pump = asyncio.create_task(self._pump_tcp(self._reader), name=f"bus {self._table.name} reader")
        else:
            self._open_serial()

    def close(self) -> None:
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            self._serial.close()
            self._serial = None
        if self._writer is not None:
            self._pump.cancel()
            self._writer.close()
            self._writer = None

    def write(self, data: bytes) -> None:
        """Raises OSError."""
        self._raise_if_broken()
        if self._serial is not None:
            if self._serial.write(data) != len(data):
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
            self._raise_if_broken()
            return True
        return False

    @property
    def buffer(self) -> bytearray:
        return self._buffer

    def _raise_if_broken(self) -> None:
        if self._broken:
            raise OSError(errno.EPIPE, self._broken)

    def _open_serial(self) -> None:
        table = self._table
        self._serial = serial.Serial(
            table.port, table.baud, parity=table.parity, stopbits=table.stop_bits,
            timeout=0, write_timeout=0, exclusive=True,
        )  # fmt: skip
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._pump_serial)

    def _pump_serial(self) -> None:
        assert self._serial is not None  # noqa: S101 - the reader is removed before the port is
        try:
            data = os.read(self._serial.fileno(), 4096)
        except BlockingIOError:
            return
        except OSError as err:
            data, self._broken = b"", str(err)
        if not data:
            self._broken = self._broken or "the device is gone"
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
        self._buffer += data
        self._arrived.set()

    async def _pump_tcp(self, reader: asyncio.StreamReader) -> None:
        try:
            while data := await reader.read(4096):
                self._buffer += data
                self._arrived.set()
            self._broken = "the other side closed the connection"
        except OSError as err:
            self._broken = str(err)
        self._arrived.set()


@dataclass(order=True)
class _Job:
    priority: int
    number: int
    unit: int = field(compare=False)
    ask: Request | Write = field(compare=False)
    deadline_s: float = field(compare=False)
    answer: "asyncio.Future[list[int]]" = field(compare=False)


class Bus:
    """A Modbus line with its queue. `run` is its owner; others call `exchange`."""

    def __init__(self, table: BusTable) -> None:
        self.name = table.name
        self._table = table
        self._port = Port(table)
        self._open = False
        self._jobs: asyncio.PriorityQueue[_Job] = asyncio.PriorityQueue()
        self._numbers = itertools.count(1)
        self._owes: dict[int, float] = {}

    async def exchange(self, unit: int, ask: Request | Write, deadline_s: float, priority: int = POLL) -> list[int]:
        """The answer's bits or words. Raises RejectedError with the reason why there is none."""
        answer: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(priority, next(self._numbers), unit, ask, deadline_s, answer))
        return await answer

    async def run(self) -> None:
        """Serves the queue until cancelled."""
        try:
            while True:
                job = await self._jobs.get()
                if not job.answer.done():
                    await self._serve(job)
        finally:
            self._port.close()

    async def _serve(self, job: _Job) -> None:
        try:
            words = await self._exchange(job)
        except RejectedError as err:
            result: list[int] | RejectedError = err
        except (OSError, serial.SerialException) as err:
            self._hang_up()
            result = RejectedError(Reason.LINK, f"bus {self.name}, {self._table.port}: {err}")
        else:
            result = words
        if job.answer.done():
            return
        if isinstance(result, RejectedError):
            job.answer.set_exception(result)
        else:
            job.answer.set_result(result)

    async def _exchange(self, job: _Job) -> list[int]:
        if not self._open:
            await self._connect()
        loop = asyncio.get_running_loop()
        number = job.number & 0xFFFF
        is_tcp = self._table.speaks == "modbus-tcp"
        if not is_tcp:
            await self._settle(job.unit, job.deadline_s)
        pdu = modbus.question(job.ask)
        self._port.write(modbus.tcp_frame(number, job.unit, pdu) if is_tcp else modbus.rtu_frame(job.unit, pdu))
        until = loop.time() + job.deadline_s
        refused: RejectedError | None = None
        while True:
            found = self._find(is_tcp, number, job)
            if found is None:
                if loop.time() >= until or not await self._port.more(until - loop.time()):
                    raise self._no_answer(job, refused, is_tcp)
                continue
            del self._port.buffer[: found.used]
            if found.refused is None:
                return modbus.values(job.ask, found.data)
            if found.refused.reason is not Reason.FOREIGN:
                raise found.refused
            refused = found.refused

    def _find(self, is_tcp: bool, number: int, job: _Job) -> modbus.Found | None:
        buffer = bytes(self._port.buffer)
        if not is_tcp:
            return modbus.rtu_find(buffer, job.unit, job.ask)
        try:
            return modbus.tcp_find(buffer, number, job.unit, job.ask)
        except RejectedError:  # the stream is out of step for good: only a new connection mends it
            self._hang_up()
            raise

    def _no_answer(self, job: _Job, refused: RejectedError | None, is_tcp: bool) -> RejectedError:
        if not is_tcp:
            self._owes[job.unit] = asyncio.get_running_loop().time() + _TOO_LATE_FACTOR * job.deadline_s
        if self._port.buffer:
            came = bytes(self._port.buffer[:32]).hex()
            return RejectedError(Reason.CHECKSUM, f"no whole frame within {job.deadline_s:g} s, only {came}")
        return refused or RejectedError(Reason.SILENT, f"no answer within {job.deadline_s:g} s")

    async def _settle(self, unit: int, deadline_s: float) -> None:
        """Drains what is still coming, and waits out a unit that owes an answer to an earlier question."""
        loop = asyncio.get_running_loop()
        if not self._owes and not self._port.buffer:
            return
        until = loop.time() + _DRAIN_AT_MOST_S
        while self._port.buffer or self._owes:
            self._forget_frames()
            if loop.time() >= until or not await self._port.more(_SILENCE_S):
                break
        self._forget_frames()
        now = loop.time()
        self._owes = {other: late for other, late in self._owes.items() if late > now}
        if unit in self._owes:
            raise RejectedError(Reason.SILENT, f"still owes an answer that {deadline_s:g} s were given for")

    def _forget_frames(self) -> None:
        """What came between questions answers none; a unit heard so owes nothing any more."""
        if self._port.buffer:
            self._owes.pop(self._port.buffer[0], None)
            self._port.buffer.clear()

    async def _connect(self) -> None:
        await self._port.open()
        self._open = True
        self._owes.clear()

    def _hang_up(self) -> None:
        self._port.close()
        self._open = False


Heard = Callable[[list[Reading | Rejection]], None]


async def listen(table: BusTable, driver: ListeningDriver, heard: Heard) -> None:
    """Serves a port whose instrument speaks by itself, until cancelled; a port that broke is opened again."""
    while True:
        port = Port(table)
        try:
            await port.open()
            await _hear(port, driver, heard)
        except (OSError, serial.SerialException) as err:
            heard([Rejection(Reason.LINK, f"bus {table.name}, {table.port}: {err}")])
        finally:
            port.close()
        await asyncio.sleep(_REOPEN_S)


async def _hear(port: Port, driver: ListeningDriver, heard: Heard) -> None:
    rest = b""
    while True:
        await port.more(3600.0)
        frames, rest = driver.split(rest + bytes(port.buffer))
        port.buffer.clear()
        for frame in frames:
            try:
                heard(driver.decode(frame))
            except RejectedError as err:
                heard([Rejection(err.reason, err.detail)])
