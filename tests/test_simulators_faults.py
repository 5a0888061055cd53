"""Every fault of a simulated wire is seen on it as it is named."""

from collections.abc import AsyncIterator

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from simulators.devices import AsciiLevel, Relay
from simulators.faults import Echo, Fault, Foreign, Garbage, Late, Noise, Refuses, Silent, WrongCheck
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
    until,
    village,
)


@pytest.fixture
async def rtu() -> AsyncIterator[ModbusRtuPty]:
    async with ModbusRtuPty(village()) as wire:
        yield wire


@pytest.fixture
async def tcp() -> AsyncIterator[ModbusTcp]:
    async with ModbusTcp(village()) as wire:
        yield wire


@pytest.mark.parametrize(("fault", "wanted"), [
    (Refuses(6), bytes.fromhex("0284 06") + crc16(bytes.fromhex("0284 06"))),
    (Garbage(b"\x55" * 9), b"\x55" * 9),
    (WrongCheck(), RTU_ANSWER + bytes([crc16(RTU_ANSWER)[0], crc16(RTU_ANSWER)[1] ^ 0xFF])),
    (Late(0.001), RTU_ANSWER + crc16(RTU_ANSWER)),
    (Echo(), RTU_RADAR + RTU_ANSWER + crc16(RTU_ANSWER)),
    (Noise(b"\x00\xfe"), b"\x00\xfe" + RTU_ANSWER + crc16(RTU_ANSWER)),
    (Foreign(7), b"\x07" + RTU_ANSWER[1:] + crc16(b"\x07" + RTU_ANSWER[1:])),
])
async def test_rtu_faults_as_bytes(rtu: ModbusRtuPty, fault: Fault, wanted: bytes) -> None:
    rtu.set_fault(2, fault)
    with line_to(rtu.path) as line:
        line.write(RTU_RADAR)
        assert await line.read(len(wanted)) == wanted
        rtu.set_fault(2, None)
        line.write(RTU_RADAR)
        assert await line.read(11) == RTU_ANSWER + crc16(RTU_ANSWER)
        assert line.rest() == b""


@pytest.mark.parametrize(("fault", "wanted"), [
    (Refuses(4), bytes.fromhex("0001 0000 0003 0284 04")),
    (Garbage(b"\x55" * 9), b"\x55" * 9),
    (Late(0.001), TCP_ANSWER),
    (Echo(), bytes.fromhex("0001 0000 0006") + ASK_RADAR + TCP_ANSWER),
    (Noise(b"\x00"), b"\x00" + TCP_ANSWER),
    (Foreign(7), TCP_ANSWER[:6] + b"\x07" + TCP_ANSWER[7:]),
])
async def test_tcp_faults_as_bytes(tcp: ModbusTcp, fault: Fault, wanted: bytes) -> None:
    tcp.set_fault(2, fault)
    assert await ask_tcp(tcp, bytes.fromhex("0001 0000 0006") + ASK_RADAR, len(wanted)) == wanted


async def test_a_silent_unit_is_silent_and_its_neighbours_are_not(rtu: ModbusRtuPty) -> None:
    rtu.set_fault(2, Silent())
    with line_to(rtu.path) as line:
        line.write(RTU_RADAR)
        await next_request(rtu, line)
        assert line.rest() == b""
    assert rtu.slaves.asked == {1: 1, 2: 1}


async def test_pymodbus_sees_a_refusal_and_a_silence(tcp: ModbusTcp) -> None:
    tcp.set_fault(1, Refuses(4))
    tcp.set_fault(2, Silent())
    async with AsyncModbusTcpClient(tcp.host, port=tcp.port, timeout=0.05, retries=0) as client:
        assert (await client.read_holding_registers(0, count=3, device_id=1)).exception_code == 4
        with pytest.raises(ModbusIOException):
            await client.read_input_registers(0, count=3, device_id=2)


async def test_a_late_answer_falls_into_the_next_exchange(rtu: ModbusRtuPty) -> None:
    rtu.set_fault(2, Late(0.02))
    with line_to(rtu.path) as line:
        line.write(RTU_RADAR)
        await next_request(rtu, line)
        assert await line.read(11) == RTU_ANSWER + crc16(RTU_ANSWER)


@pytest.mark.parametrize(("fault", "on"), [(Silent(), False), (Refuses(), False), (WrongCheck(), True), (None, True)])
async def test_a_write_happens_unless_the_device_is_dead(rtu: ModbusRtuPty, fault: Fault | None, on: bool) -> None:
    rtu.set_fault(3, fault)
    switch = bytes.fromhex("0305 0000 ff00")
    with line_to(rtu.path) as line:
        line.write(switch + crc16(switch))
        await until(lambda: rtu.slaves.asked[3] == 1)
    relay = rtu.slaves.units[3]
    assert isinstance(relay, Relay)
    assert relay.on is on


async def test_ledger_has_what_was_served_and_nothing_else() -> None:
    ledger: list[tuple[int, int, int, tuple[int, ...]]] = []
    units = village()
    async with ModbusTcp(units, on_served=lambda *row: ledger.append(row)) as wire:
        ask = bytes.fromhex("0001 0000 0006") + ASK_RADAR
        for fault in (None, Garbage(), Refuses(), Foreign(9), Noise(), Late(0.001)):
            wire.set_fault(2, fault)
            await ask_tcp(wire, ask, 9)
        await ask_tcp(wire, bytes.fromhex("0002 0000 0006 0204 0009 0001"), 9)
    assert ledger == [(2, 4, 0, (0, 1500, 0))] * 3
    assert units[2].served == 3
    assert wire.slaves.asked[2] == 7


@pytest.mark.parametrize(("fault", "wanted"), [
    (None, b"$LVL,01,+1.500,m*17\r\n"),
    (WrongCheck(), b"$LVL,01,+1.500,m*00\r\n"),
    (Garbage(b"\xff\xfe"), b"\xff\xfe"),
    (Noise(b"\x80"), b"\x80$LVL,01,+1.500,m*17\r\n"),
    (Foreign(2), b"$LVL,02,+1.500,m*14\r\n"),
    (Late(0.001), b"$LVL,01,+1.500,m*17\r\n"),
])
async def test_ascii_lines_and_faults(fault: Fault | None, wanted: bytes) -> None:
    instrument = AsciiLevel(Measures.LEVEL)
    instrument.set("depth_m", 1.5)
    async with AsciiPty(instrument) as wire:
        wire.set_fault(1, fault)
        with line_to(wire.path) as line:
            wire.push()
            assert await line.read(len(wanted)) == wanted
            wire.set_fault(1, Silent())
            wire.push()
            assert line.rest() == b""


@pytest.mark.parametrize(("wire", "unit", "fault", "problem"), [
    (ModbusTcp({1: Relay()}), 1, WrongCheck(), "ModbusTcp: WrongCheck"),
    (ModbusTcp({1: Relay()}), 2, Silent(), "unit 2 is not on this wire; use 1"),
    (AsciiPty(AsciiLevel(Measures.LEVEL, "07")), 7, Echo(), "AsciiPty: Echo"),
    (AsciiPty(AsciiLevel(Measures.LEVEL, "07")), 7, Refuses(), "AsciiPty: Refuses"),
    (AsciiPty(AsciiLevel(Measures.LEVEL, "07")), 1, Silent(), "use 7"),
])
def test_faults_that_a_wire_cannot_have(wire: Wire, unit: int, fault: Fault, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        wire.set_fault(unit, fault)
