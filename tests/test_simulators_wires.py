"""Simulated wires, spoken to by pymodbus's own clients and byte by byte."""

import asyncio
import os
import termios
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

from simulators.devices import AsciiLevel, PressureLevel
from simulators.faults import Late
from simulators.instruments import Measures
from simulators.wire import Wire
from simulators.wires import AsciiPty, ModbusRtuPty, ModbusTcp
from tests.lines import (
    ASK_RADAR,
    RTU_ANSWER,
    RTU_RADAR,
    TCP_ANSWER,
    ask_tcp,
    crc16,
    line_to,
    next_request,
    settle,
    until,
    village,
)
from tocsin.clock import WoundClock


@pytest.fixture
async def rtu() -> AsyncIterator[ModbusRtuPty]:
    async with ModbusRtuPty(village()) as wire:
        yield wire


@pytest.fixture
async def tcp() -> AsyncIterator[ModbusTcp]:
    async with ModbusTcp(village()) as wire:
        yield wire


async def test_pymodbus_reads_and_writes_over_tcp(tcp: ModbusTcp) -> None:
    async with AsyncModbusTcpClient(tcp.host, port=tcp.port) as client:
        assert (await client.read_holding_registers(0, count=3, device_id=1)).registers == [5, 0, 0]
        assert (await client.read_input_registers(0, count=4, device_id=2)).registers == [0, 1500, 0, 60]
        assert (await client.write_coil(0, True, device_id=3)).bits == [True]
        assert (await client.read_discrete_inputs(0, count=1, device_id=3)).bits[0] is True
        assert (await client.read_coils(0, count=1, device_id=3)).bits[0] is True


async def test_pymodbus_reads_and_writes_over_the_pty(rtu: ModbusRtuPty) -> None:
    client = AsyncModbusSerialClient(rtu.path, baudrate=9600)
    assert await client.connect()
    try:
        assert (await client.read_holding_registers(0, count=3, device_id=1)).registers == [5, 0, 0]
        assert (await client.read_input_registers(0, count=4, device_id=2)).registers == [0, 1500, 0, 60]
        assert (await client.write_coil(0, True, device_id=3)).bits == [True]
        assert (await client.read_discrete_inputs(0, count=1, device_id=3)).bits[0] is True
    finally:
        client.close()


@pytest.mark.parametrize(("unit", "function", "address", "code"), [
    (1, 4, 0, 1), (1, 3, 1, 2), (1, 3, 3, 2), (2, 3, 0, 1), (9, 3, 0, 11),
])
async def test_what_a_device_refuses(tcp: ModbusTcp, unit: int, function: int, address: int, code: int) -> None:
    async with AsyncModbusTcpClient(tcp.host, port=tcp.port) as client:
        read = client.read_holding_registers if function == 3 else client.read_input_registers
        answer = await read(address, count=3, device_id=unit)
    assert answer.isError()
    assert answer.exception_code == code


@pytest.mark.parametrize(("pdu", "code"), [
    ("05 0000 0001", 3),       # a coil is written with ff00 or 0000
    ("03 0000 0000", 3),       # no registers
    ("03 0000 007e", 3),       # 126 registers
    ("03 0000 0001 00", 3),    # a byte too many
    ("10 0000 0001 02 0000", 1),
    ("41 00", 1),
])
async def test_malformed_requests_get_the_right_exception(tcp: ModbusTcp, pdu: str, code: int) -> None:
    body = b"\x03" + bytes.fromhex(pdu)
    answer = await ask_tcp(tcp, b"\x12\x34\x00\x00" + len(body).to_bytes(2, "big") + body, 9)
    assert answer == bytes([0x12, 0x34, 0, 0, 0, 3, 3, body[1] | 0x80, code])


async def test_tcp_frames_cut_and_joined_anyhow(tcp: ModbusTcp) -> None:
    ask = [bytes([0, number, 0, 0, 0, 6]) + ASK_RADAR for number in range(3)]
    reader, writer = await asyncio.open_connection(tcp.host, tcp.port)
    for byte in ask[0]:
        writer.write(bytes([byte]))
        await writer.drain()
    writer.write(ask[1] + ask[2])
    async with asyncio.timeout(30):
        answers = await reader.readexactly(3 * 15)
    assert answers == b"".join(bytes([0, number, 0, 0, 0, 9]) + RTU_ANSWER for number in range(3))
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("noise", [b"GET / HTTP/1.0\r\n\r\n", b"\0\1\0\0\xff\xff\1\3\0\0", bytes(8)])
async def test_what_is_not_modbus_tcp_is_hung_up_on(tcp: ModbusTcp, noise: bytes) -> None:
    reader, writer = await asyncio.open_connection(tcp.host, tcp.port)
    writer.write(noise)
    async with asyncio.timeout(30):
        assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()


async def test_rtu_answer_bytes(rtu: ModbusRtuPty) -> None:
    assert crc16(ASK_RADAR) == RTU_RADAR[-2:]
    with line_to(rtu.path) as line:
        line.write(RTU_RADAR)
        assert await line.read(11) == RTU_ANSWER + crc16(RTU_ANSWER)


async def test_rtu_unit_that_is_not_there_is_silent(rtu: ModbusRtuPty) -> None:
    stranger = bytes.fromhex("0904 0000 0003")
    with line_to(rtu.path) as line:
        line.write(stranger + crc16(stranger))
        await next_request(rtu, line)
        assert line.rest() == b""


async def test_rtu_request_with_a_wrong_crc_is_not_answered(rtu: ModbusRtuPty) -> None:
    with line_to(rtu.path) as line:
        line.write(ASK_RADAR + b"\0\0")
        await next_request(rtu, line)
        assert line.rest() == b""
    assert rtu.slaves.asked[2] == 0


async def test_rtu_forgets_half_a_request(rtu: ModbusRtuPty, monkeypatch: pytest.MonkeyPatch) -> None:
    with line_to(rtu.path) as line:
        line.write(RTU_RADAR[:5])
        await until(lambda: rtu.heard == 5)
        monkeypatch.setattr("simulators.wires.RTU_SILENCE_S", -1.0)
        line.write(RTU_RADAR)
        assert await line.read(11) == RTU_ANSWER + crc16(RTU_ANSWER)


async def test_ascii_instrument_speaks_every_period_of_its_clock() -> None:
    clock, said = WoundClock(0), list[bytes]()
    instrument = AsciiLevel(Measures.DISTANCE, address="42")
    async with AsciiPty(instrument, period_s=60, clock=clock, on_line=said.append) as wire:
        with line_to(wire.path):
            for minute in range(1, 4):
                await settle()
                assert len(said) == minute
                clock.wind_to(minute * 60_000)
            await settle()
    assert said == [b"$LVL,42,E1,m*65\r\n"] * 4
    assert instrument.served == 4


async def test_a_line_that_nobody_reads_is_bounded() -> None:
    instrument = AsciiLevel(Measures.LEVEL)
    async with AsciiPty(instrument) as wire:
        for _ in range(5000):
            wire.push()
        assert instrument.served < 5000


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def later_than(wire: ModbusTcp | ModbusRtuPty, asked: int) -> bool:
    return wire.slaves.asked[2] > asked


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    link = tmp_path / "gauge"
    before = open_files()
    clock = WoundClock(0)
    tcp = ModbusTcp(village())
    ascii_pty = AsciiPty(AsciiLevel(Measures.LEVEL), period_s=1, clock=clock)
    rtu = ModbusRtuPty(village(), link)
    wires: list[Wire] = [tcp, rtu, ascii_pty]
    for _ in range(2):
        for wire in wires:
            await wire.start()
        for wire in wires:
            wire.set_fault(1 if wire is ascii_pty else 2, Late(60))
        with line_to(rtu.path) as line:
            asked = rtu.slaves.asked[2]
            line.write(RTU_RADAR)
            await until(partial(later_than, rtu, asked))
        reader, writer = await asyncio.open_connection(tcp.host, tcp.port)
        asked = tcp.slaves.asked[2]
        writer.write(bytes.fromhex("0001 0000 0006") + ASK_RADAR)
        await until(partial(later_than, tcp, asked))
        assert link.is_symlink()
        ascii_pty.push()
        assert all(wire._timers.waiting for wire in wires)
        for wire in wires:
            await wire.stop()
            await wire.stop()
            assert wire._timers.waiting == 0
        async with asyncio.timeout(30):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
    assert open_files() == before
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not link.is_symlink()
    assert not link.exists()


async def test_tcp_comes_back_on_the_same_port(tcp: ModbusTcp) -> None:
    port = tcp.port
    await tcp.stop()
    await tcp.start()
    assert tcp.port == port
    assert await ask_tcp(tcp, bytes.fromhex("0001 0000 0006") + ASK_RADAR, 15) == TCP_ANSWER


async def test_link_never_replaces_a_file(tmp_path: Path) -> None:
    link = tmp_path / "gauge"
    link.write_text("precious")
    with pytest.raises(FileExistsError, match="no symlink"):
        await ModbusRtuPty({}, link).start()
    assert link.read_text() == "precious"


async def test_pty_is_raw(rtu: ModbusRtuPty) -> None:
    fd = os.open(rtu.path, os.O_RDWR | os.O_NOCTTY)
    try:
        flags = termios.tcgetattr(fd)
    finally:
        os.close(fd)
    assert not flags[3] & (termios.ECHO | termios.ICANON)
    assert not flags[1] & termios.OPOST


@given(st.binary(max_size=40))
def test_any_bytes_on_the_bus_are_survived(noise: bytes) -> None:
    async def scenario() -> None:
        async with ModbusRtuPty({2: PressureLevel((0, 1))}) as wire:
            failures = list[object]()
            asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
            with line_to(wire.path) as line:
                line.write(noise)
                await until(lambda: wire.heard == len(noise))
            assert failures == []

    asyncio.run(scenario())
