"""The far end of a simulated wire, byte by byte, and a second opinion on the Modbus CRC."""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from simulators.devices import RadarLevel, RainCounter, Relay
from simulators.instruments import Measures, ModbusDevice
from simulators.wires import ModbusRtuPty, ModbusTcp

HANGS_S = 30.0    # what takes longer will not come any more
ASK_RADAR = bytes.fromhex("0204 0000 0003")            # unit 2, function 4, 3 registers at 0
RTU_RADAR = ASK_RADAR + bytes.fromhex("b038")          # CRC worked with a separate CRC-16/MODBUS
RTU_ANSWER = bytes.fromhex("0204 06 0000 05dc 0000")   # 1500 mm, good
TCP_ANSWER = bytes.fromhex("0001 0000 0009") + RTU_ANSWER


def crc16(data: bytes) -> bytes:
    """CRC-16/MODBUS, bit by bit, low byte first: a second opinion on pymodbus's table."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")


def village() -> dict[int, ModbusDevice]:
    rain, radar, relay = RainCounter(mm_per_tip=0.2), RadarLevel(Measures.LEVEL), Relay()
    rain.rain(1.0)
    radar.set("depth_m", 1.5)
    return {1: rain, 2: radar, 3: relay}


class Line:
    """The far end of a pty, byte by byte."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def write(self, data: bytes) -> None:
        os.write(self._fd, data)

    async def read(self, count: int) -> bytes:
        """Waits for that many bytes."""
        loop, ready, data = asyncio.get_running_loop(), asyncio.Event(), b""
        loop.add_reader(self._fd, ready.set)
        try:
            async with asyncio.timeout(HANGS_S):
                while len(data) < count:
                    await ready.wait()
                    ready.clear()
                    data += self._now(count - len(data))
        finally:
            loop.remove_reader(self._fd)
        return data

    def _now(self, count: int = 4096) -> bytes:
        try:
            return os.read(self._fd, count)
        except BlockingIOError:
            return b""

    def rest(self) -> bytes:
        return self._now()

    def close(self) -> None:
        os.close(self._fd)


@contextmanager
def line_to(path: str) -> Iterator[Line]:
    line = Line(path)
    try:
        yield line
    finally:
        line.close()


async def until(done: Callable[[], bool]) -> None:
    """Lets the loop run until that is so; bounded."""
    async with asyncio.timeout(HANGS_S):
        for _ in itertools.count():
            if done():
                return
            await asyncio.sleep(0)


async def settle() -> None:
    """Lets every task that can run come to its next wait."""
    for _ in range(20):
        await asyncio.sleep(0)


async def ask_tcp(wire: ModbusTcp, request: bytes, count: int) -> bytes:
    """Raw bytes over a connection of its own."""
    reader, writer = await asyncio.open_connection(wire.host, wire.port)
    try:
        writer.write(request)
        async with asyncio.timeout(HANGS_S):
            return await reader.readexactly(count)
    finally:
        writer.close()
        await writer.wait_closed()


async def next_request(wire: ModbusRtuPty, line: Line) -> None:
    """A good exchange with unit 1, after the one frame of 8 bytes before it has been dealt with."""
    await until(lambda: wire.heard == 8)
    line.write(bytes.fromhex("0103 0000 0003") + crc16(bytes.fromhex("0103 0000 0003")))
    answer = bytes.fromhex("0103 06 0005 0000 0000")
    assert await line.read(11) == answer + crc16(answer)
