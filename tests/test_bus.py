"""The bus against simulated instruments on real wires: TCP, and RTU on a pty."""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers import ascii_level
from edge import modbus
from edge.bus import SIREN_FIRST, Bus
from edge.config import BusTable
from edge.listening import listen
from edge.port import Port
from simulators.devices import AsciiLevel, RadarLevel, Relay
from simulators.faults import Echo, Foreign, Garbage, Late, Noise, Refuses, Silent, WrongCheck
from simulators.instruments import Measures
from simulators.wires import AsciiPty, ModbusRtuPty, ModbusTcp
from tests.lines import until
from tests.services import free_port
from tocsin.config import convert
from tocsin.devices import Request, Write
from tocsin.lookups import Loop
from tocsin.readings import Reading, Reason, RejectedError, Rejection

LEVEL = Request(4, 0, 2)
DEADLINE_S = 0.15


def radar(mm: int) -> RadarLevel:
    device = RadarLevel(Measures.LEVEL)
    device.set("depth_m", mm / 1000)
    return device


@asynccontextmanager
async def serving(bus: Bus) -> AsyncIterator[Bus]:
    task = asyncio.create_task(bus.run())
    try:
        yield bus
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@asynccontextmanager
async def line(kind: str) -> AsyncIterator[tuple[Bus, ModbusTcp | ModbusRtuPty]]:
    """Units 1 and 2 show 1111 mm and 2222 mm, unit 9 is a relay."""
    units = {1: radar(1111), 2: radar(2222), 9: Relay()}
    wire = ModbusTcp(units) if kind == "tcp" else ModbusRtuPty(units)
    async with wire:
        port = f"tcp://127.0.0.1:{wire.port}" if isinstance(wire, ModbusTcp) else wire.path
        table = BusTable("field", "modbus-tcp" if kind == "tcp" else "modbus-rtu", port)
        async with serving(Bus(table)) as bus:
            yield bus, wire


async def read(bus: Bus, unit: int) -> int | Reason:
    try:
        high, low = await bus.exchange(unit, LEVEL, DEADLINE_S)
    except RejectedError as err:
        return err.reason
    return high << 16 | low


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
async def test_two_devices_share_a_line_and_a_relay_is_switched(kind: str) -> None:
    async with line(kind) as (bus, _):
        assert await asyncio.gather(*(read(bus, unit) for unit in (1, 2, 1, 2))) == [1111, 2222, 1111, 2222]
        assert await bus.exchange(9, Write(5, 0, 1), DEADLINE_S) == []
        assert await bus.exchange(9, Request(2, 0, 1), DEADLINE_S) == [1]


@pytest.mark.parametrize("kind", ["tcp", "rtu"])
@pytest.mark.parametrize(("fault", "reason"), [
    (Silent(), Reason.SILENT), (Refuses(4), Reason.EXCEPTION), (Foreign(2), Reason.FOREIGN)])
async def test_a_faulty_device_is_refused_by_its_reason_and_the_other_goes_on(
    kind: str, fault: Silent | Refuses | Foreign, reason: Reason
) -> None:
    async with line(kind) as (bus, wire):
        wire.set_fault(1, fault)
        answers: list[int | Reason] = [await read(bus, unit) for unit in (1, 2, 2)]
        assert answers == [reason, 2222, 2222]


@pytest.mark.parametrize("fault", [Garbage(), WrongCheck()])
async def test_noise_for_an_answer_on_a_serial_line_is_a_checksum_refusal(fault: Garbage | WrongCheck) -> None:
    async with line("rtu") as (bus, wire):
        wire.set_fault(1, fault)
        answers: list[int | Reason] = [await read(bus, unit) for unit in (1, 2)]
        assert answers == [Reason.CHECKSUM, 2222]


@pytest.mark.parametrize("fault", [Echo(), Noise()])
async def test_echo_and_noise_before_an_answer_do_no_harm(fault: Echo | Noise) -> None:
    async with line("rtu") as (bus, wire):
        wire.set_fault(1, fault)
        assert [await read(bus, 1), await read(bus, 2), await read(bus, 1)] == [1111, 2222, 1111]


async def test_a_late_reply_is_never_taken_for_the_answer_to_another_question() -> None:
    """The same unit, another register, an answer of the same length: only waiting tells them apart."""
    status = Request(4, 2, 2)
    async with line("rtu") as (bus, wire):
        wire.set_fault(1, Late(DEADLINE_S * 1.3))
        assert await read(bus, 1) is Reason.SILENT
        wire.set_fault(1, Silent())  # the only answer that will come is the late one, while this question is open
        with pytest.raises(RejectedError, match=r"^silent: "):
            await bus.exchange(1, status, DEADLINE_S)
        wire.set_fault(1, None)
        assert await read(bus, 2) == 2222, "others are asked meanwhile"
        async with asyncio.timeout(30):
            while (answer := await ask_or_none(bus, 1, status)) is None:
                pass
        assert answer == [0, 60], "the unit answers again once its late reply was drained"


async def ask_or_none(bus: Bus, unit: int, ask: Request | Write) -> list[int] | None:
    with contextlib.suppress(RejectedError):
        return await bus.exchange(unit, ask, DEADLINE_S)
    return None


async def test_garbage_on_tcp_is_refused_and_the_connection_made_anew() -> None:
    async with line("tcp") as (bus, wire):
        wire.set_fault(1, Garbage())
        assert await read(bus, 1) is Reason.FORMAT
        assert await read(bus, 2) == 2222


async def test_a_port_that_is_not_there_is_named_and_found_when_it_comes() -> None:
    port = free_port()
    async with serving(Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{port}"))) as bus:
        with pytest.raises(RejectedError, match=f"bus field, tcp://127.0.0.1:{port}: ") as refused:
            await bus.exchange(1, LEVEL, DEADLINE_S)
        assert refused.value.reason is Reason.LINK
        async with ModbusTcp({1: radar(1111)}, port=port) as wire:
            assert await read(bus, 1) == 1111
            await wire.cut()
            await until(lambda: bus._port.broken)
            assert await read(bus, 1) == 1111, "a gateway closes a connection that is idle: no poll may be lost by it"


async def test_the_siren_goes_before_the_polls_that_wait() -> None:
    async with line("rtu") as (bus, _):
        order: list[str] = []

        async def ask(name: str, unit: int, what: Request | Write, priority: int) -> None:
            await bus.exchange(unit, what, DEADLINE_S, priority)
            order.append(name)

        polls = [asyncio.create_task(ask(f"poll {n}", 1, LEVEL, 1)) for n in range(5)]
        await asyncio.sleep(0)
        siren = asyncio.create_task(ask("siren", 9, Write(5, 0, 1), SIREN_FIRST))
        await asyncio.gather(siren, *polls)
        assert order.index("siren") <= 1


async def test_an_instrument_that_speaks_by_itself_is_heard() -> None:
    device = AsciiLevel(Measures.LEVEL)
    device.set("depth_m", 1.234)
    heard: list[Reading | Rejection] = []
    arrived = asyncio.Event()

    def hear(items: list[Reading | Rejection]) -> None:
        heard.extend(items)
        arrived.set()

    async def push_until_heard(wire: AsciiPty) -> None:
        """What is pushed before the port is open is lost, as on a real line."""
        arrived.clear()
        async with asyncio.timeout(30):
            while not arrived.is_set():
                wire.push()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(arrived.wait(), 0.05)

    async with AsciiPty(device) as wire:
        settings = convert({"measures": "level", "span_m": [0.0, 10.0]}, ascii_level.Settings, "settings")
        driver = ascii_level.Driver(settings)
        task = asyncio.create_task(listen(BusTable("text", "lines", wire.path), driver, hear))
        try:
            await push_until_heard(wire)
            wire.set_fault(1, WrongCheck())
            await push_until_heard(wire)
        finally:
            task.cancel()
    assert heard[0] == Reading("depth_m", 1.234)
    assert isinstance(heard[-1], Rejection)
    assert heard[-1].reason is Reason.CHECKSUM


async def test_a_relay_that_owes_an_answer_is_commanded_all_the_same() -> None:
    async with line("rtu") as (bus, wire):
        wire.set_fault(9, Silent())
        with pytest.raises(RejectedError, match=r"^silent: no answer"):
            await bus.exchange(9, Write(5, 0, 1), DEADLINE_S, SIREN_FIRST)
        wire.set_fault(9, None)
        assert await bus.exchange(9, Write(5, 0, 1), DEADLINE_S, SIREN_FIRST) == []


async def test_a_gateway_that_closes_behind_each_answer_is_read_each_time() -> None:
    async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.readexactly(12)
        writer.write(question[:4] + bytes.fromhex("0007 01 0404 0000 0457"))
        writer.close()

    server = await asyncio.start_server(answer_and_close, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, serving(Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{port}"))) as bus:
        for _ in range(5):
            assert await read(bus, 1) == 1111
            await until(lambda: bus._port.broken)


async def test_a_peer_that_goes_without_a_word_is_noticed() -> None:
    async with line("tcp") as (bus, _):
        await read(bus, 1)
        assert bus._port._transport is not None
        connection = bus._port._transport.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 60
        assert 0 < connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 60_000


async def test_a_line_that_babbles_between_polls_does_not_fill_the_memory() -> None:
    was_read = asyncio.Event()

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        question = await reader.readexactly(8)
        writer.write(modbus.rtu_frame(question[0], bytes.fromhex("0404 0000 0457")))
        await was_read.wait()
        for _ in range(100):
            writer.write(b"U" * 10_000)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, serving(Bus(BusTable("field", "modbus-rtu", f"tcp://127.0.0.1:{port}"))) as bus:
        bus._owed.meet(1)
        assert await read(bus, 1) == 1111
        was_read.set()
        await until(lambda: bus._port.broken)
        assert len(bus._port.buffer) < 10_000


async def test_a_line_that_takes_no_bytes_is_refused_and_does_not_stand_still() -> None:
    """The far end of a pty that nobody reads, as an adapter that hangs: what is written piles up until no more goes."""
    master, slave = os.openpty()
    async with serving(Bus(BusTable("field", "modbus-rtu", os.ttyname(slave)))) as bus:
        await read(bus, 1)
        assert bus._port._serial is not None
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(bus._port._serial.fileno(), b"x" * 1000)
        assert await ask_or_none(bus, 9, Write(5, 0, 1)) is None
    os.close(master)
    os.close(slave)


async def test_a_defect_in_an_exchange_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async with line("tcp") as (good, _):
        bus = Bus(good._table)
        monkeypatch.setattr(modbus, "question", lambda _ask: 1 // 0)
        task = asyncio.create_task(bus.run())
        async with asyncio.timeout(30):
            assert await read(bus, 1) is Reason.LINK
        with pytest.raises(ZeroDivisionError):
            await task


async def test_a_slow_line_is_drained_for_as_long_as_its_characters_take() -> None:
    assert Bus(BusTable("slow", "modbus-rtu", "/dev/ttyS0", 300))._silence_s > 11 / 300
    assert Bus(BusTable("fast", "modbus-rtu", "/dev/ttyS0", 9600))._silence_s == 0.03


def test_a_gateway_whose_look_up_never_comes_back_is_looked_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the threads of names, of which the log needs none."""
    goes_on, asked = threading.Event(), list[str]()

    def hang(*_: object, **__: object) -> list[object]:
        asked.append(threading.current_thread().name)
        if len(asked) == 1:
            goes_on.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server")

    async def main() -> None:
        port = Port(BusTable("field", "modbus-tcp", "tcp://gateway.example:502"))
        async with asyncio.timeout(30):
            while len(asked) < 2:
                with pytest.raises(OSError, match=r"no connection within|no name server"):
                    await port.open()

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    for name, seconds in (("edge.port._CONNECT_S", 0.02), ("edge.port.PATIENCE_S", 0.1),
                          ("tocsin.lookups.PATIENCE_S", 0.1)):
        monkeypatch.setattr(name, seconds)
    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
    goes_on.set()
    assert [name.split()[0] for name in asked] == ["names", "names"]


async def test_a_name_server_that_hangs_takes_one_thread_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log, the ticks and the link need theirs."""
    goes_on, asked = threading.Event(), list[object]()

    def hang(*args: object, **_: object) -> list[object]:
        asked.append(args)
        goes_on.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "no name server")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr("edge.port._CONNECT_S", 0.02)
    port = Port(BusTable("field", "modbus-tcp", "tcp://gateway.example:502"))
    for _ in range(3):
        with pytest.raises(OSError, match="no connection within"):
            await port.open()
    goes_on.set()
    await until(lambda: port._looked_up is not None and port._looked_up.done())
    with pytest.raises(OSError, match="no name server"):
        await port.open()
    assert len(asked) == 1
