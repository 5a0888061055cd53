"""Real wires for simulated instruments: Modbus TCP, Modbus RTU on a pty, and an instrument that pushes lines on a pty.

Every wire is started and stopped, or used with `async with`. A stopped wire holds no task and no file; it can be
started again. `set_fault(unit, fault)` may be called at any time; None takes the fault away.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from simulators.devices import AsciiLevel
from simulators.faults import Echo, Foreign, Garbage, Late, Noise, Refuses, Silent, WrongCheck
from simulators.instruments import ModbusDevice
from simulators.modbus import Served, Slaves
from simulators.ptys import Pty
from simulators.wire import Timers, Wire
from tocsin.clock import Clock

MBAP_MAX = 260     # MODBUS Messaging on TCP/IP V1.0b, section 3.1.3
RTU_MAX = 256      # MODBUS over Serial Line V1.02, section 2.5.1
_BITS = 10          # of a character of 8N1 on the line
RTU_SILENCE_S = 0.05  # what is left of a broken frame is forgotten after this; real: 3.5 characters, a pty has none


class ModbusTcp(Wire):
    """Modbus TCP server with many units on one port; port 0 takes a free one, which `port` then has for good.

    A unit that is not there answers with exception 11, as gateways do.
    """

    CANNOT = (WrongCheck,)

    def __init__(self, units: Mapping[int, ModbusDevice], host: str = "127.0.0.1", port: int = 0,
                 on_served: Served | None = None) -> None:
        super().__init__(units)
        self.host = host
        self.port = port
        self.slaves = Slaves(units, self.faults, FramerSocket(DecodePDU(is_server=True)), on_served)
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    @property
    def where(self) -> str:
        return f"modbus tcp {self.host}:{self.port}"

    async def start(self) -> None:
        """Raises OSError where the port cannot be had."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self.slaves, self._timers, self._connections), self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._timers.drop()
        if self._server is None:
            return
        self._server.close()
        await self.cut()
        await self._server.wait_closed()
        self._server = None

    async def cut(self) -> None:
        """Breaks every open connection; new ones are taken."""
        gone = [connection.cut() for connection in self._connections]
        if gone:
            await asyncio.wait(gone)


class _Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, slaves: Slaves, timers: Timers, connections: "set[_Connection]") -> None:
        self._slaves = slaves
        self._timers = timers
        self._connections = connections
        self._framer = FramerSocket(DecodePDU(is_server=True))
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 # asyncio's signature
        self._connections.discard(self)
        if not self._lost.done():
            self._lost.set_result(None)

    def cut(self) -> asyncio.Future[None]:
        assert self._transport is not None
        self._transport.abort()
        return self._lost

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= FramerSocket.MIN_SIZE:
            length = int.from_bytes(self._buffer[4:6], "big") + 6
            if self._buffer[2:4] != b"\x00\x00" or not FramerSocket.MIN_SIZE <= length <= MBAP_MAX:
                self.cut()
                return
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if len(frame) < length:
                self._buffer = frame
                return
            _, unit, transaction, pdu = self._framer.decode(frame)
            self._slaves.answer(frame, unit, transaction, pdu, self._send, self._timers.later)

    def _send(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class ModbusRtuPty(Wire):
    """Modbus RTU slaves on a pty; `path` is what a client opens. A unit that is not there stays silent.

    `heard` counts the bytes that came in since it was made. A pty takes no time; with `baud` a question is heard, and
    an answer comes, as late as on a line of that speed with 8N1.
    """

    def __init__(self, units: Mapping[int, ModbusDevice], link: Path | None = None,
                 on_served: Served | None = None, baud: int = 0) -> None:
        super().__init__(units)
        self._baud = baud
        self._framer = FramerRTU(DecodePDU(is_server=True))
        self.slaves = Slaves(units, self.faults, self._framer, on_served)
        self._pty = Pty(link)
        self.heard = 0
        self._master = -1
        self._buffer = b""
        self._last_s = 0.0

    @property
    def path(self) -> str:
        return self._pty.path

    @property
    def where(self) -> str:
        return f"modbus rtu {self.path}"

    async def start(self) -> None:
        self._master = self._pty.open()
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    async def stop(self) -> None:
        self._timers.drop()
        if self._master >= 0:
            asyncio.get_running_loop().remove_reader(self._master)
            self._master = -1
        self._buffer = b""
        self._pty.close()

    def _readable(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._last_s > RTU_SILENCE_S:
            self._buffer = b""
        self._last_s = now
        data = self._pty.read()
        self.heard += len(data)
        self._buffer += data
        used, unit, _, pdu = self._framer.decode(self._buffer)
        request, self._buffer = self._buffer[:used], self._buffer[used:][-RTU_MAX:]
        if pdu and unit in self.slaves.units:
            answer = partial(self.slaves.answer, request, unit, 0, pdu, self._send, self._timers.later)
            if self._baud:
                self._timers.later(self._takes_s(request), answer)
            else:
                answer()

    def _takes_s(self, data: bytes) -> float:
        return len(data) * _BITS / self._baud

    def _send(self, data: bytes) -> None:
        if self._baud:
            self._timers.later(self._takes_s(data), partial(self._write, data))
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._pty.write(data)


class AsciiPty(Wire):
    """One instrument that pushes a line a period on a pty, along the clock; `push` sends one at once, for lock-step.

    `on_line(line)` is told every good line that went out. Its unit, for faults, is its address as a number.
    """

    CANNOT = (Refuses, Echo)

    def __init__(self, device: AsciiLevel, link: Path | None = None, period_s: float = 0.0, clock: Clock | None = None,
                 on_line: Callable[[bytes], None] | None = None) -> None:
        self._unit = int(device.address)
        super().__init__([self._unit])
        if period_s and clock is None:
            raise ValueError("AsciiPty: a period needs a clock")
        self.device = device
        self.on_line = on_line
        self._period_s = period_s
        self._clock = clock
        self._pty = Pty(link)
        self._task: asyncio.Task[None] | None = None

    @property
    def path(self) -> str:
        return self._pty.path

    @property
    def where(self) -> str:
        return f"ascii {self.path}"

    async def start(self) -> None:
        self._pty.open()
        if self._period_s and self._clock:
            self._task = asyncio.create_task(self._run(self._clock), name=f"ascii instrument {self.path}")

    async def stop(self) -> None:
        self._timers.drop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._pty.close()

    async def _run(self, clock: Clock) -> None:
        due_s = clock.monotonic_s()
        while True:
            self.push()
            due_s += self._period_s
            await clock.sleep_until(due_s)

    def push(self) -> None:
        """Sends the line of now, as the fault has it."""
        line = self.device.line()
        match self.faults.get(self._unit):
            case Silent():
                pass
            case Garbage(data):
                self._pty.write(data)
            case WrongCheck():
                self._pty.write(line[:-4] + (b"00" if line[-4:-2] != b"00" else b"FF") + b"\r\n")
            case Foreign(unit):
                self._pty.write(self.device.line(f"{unit:02d}"))
            case Late(seconds):
                self._timers.later(seconds, lambda: self._say(line))
            case Noise(data):
                self._say(line, data)
            case _:
                self._say(line)

    def _say(self, line: bytes, noise: bytes = b"") -> None:
        if self._pty.write(noise + line):
            self.device.served += 1
            if self.on_line:
                self.on_line(line)
