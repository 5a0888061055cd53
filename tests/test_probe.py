"""What answers on a bus, asked on real wires."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from serial import Serial

from edge import probe
from simulators.devices import RadarLevel, Relay
from simulators.faults import Noise
from simulators.instruments import Measures
from simulators.wires import ModbusRtuPty, ModbusTcp
from tests.services import free_port

Wire = ModbusTcp | ModbusRtuPty


def radar(mm: int) -> RadarLevel:
    device = RadarLevel(Measures.LEVEL)
    device.set("depth_m", mm / 1000)
    return device


@contextmanager
def wired(wire: Wire) -> Iterator[Wire]:
    """The instruments in a loop of their own: the command has its own too."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(wire.start(), loop).result(30)
    try:
        yield wire
    finally:
        asyncio.run_coroutine_threadsafe(wire.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def test_a_modbus_tcp_bus(capsys: pytest.CaptureFixture[str]) -> None:
    with wired(ModbusTcp({1: radar(1111), 5: Relay()})) as wire:
        assert isinstance(wire, ModbusTcp)
        assert probe.run([f"tcp://127.0.0.1:{wire.port}", "--units", "1-3,5", "--count", "2"]) == 0
    said = capsys.readouterr().out
    assert "unit   1  input registers: 0 1111\n" in said
    assert "unit   5  coils: 0\n" in said
    assert "unit   2" not in said
    assert "unit   3" not in said


def test_a_serial_bus_with_noise(capsys: pytest.CaptureFixture[str]) -> None:
    with wired(ModbusRtuPty({2: radar(2222)})) as wire:
        assert isinstance(wire, ModbusRtuPty)
        wire.set_fault(2, Noise())
        assert probe.run([f"serial:{wire.path}", "--units", "1-3", "--count", "2", "--deadline", "0.15"]) == 0
    said = capsys.readouterr().out
    assert "unit   2  input registers: 0 2222\n" in said
    assert "unit   1" not in said


def test_a_bus_on_which_nothing_answers_and_a_port_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with wired(ModbusTcp({})) as wire:
        assert isinstance(wire, ModbusTcp)
        assert probe.run([f"tcp://127.0.0.1:{wire.port}", "--units", "1-2"]) == 1
    assert "nothing answered" in capsys.readouterr().out
    assert probe.run([f"tcp://127.0.0.1:{free_port()}", "--units", "1"]) == 1
    assert "tocsin probe: bus probe, tcp://127.0.0.1:" in capsys.readouterr().err
    assert probe.run(["serial:/dev/tty-of-nobody", "--units", "1"]) == 1
    assert capsys.readouterr().err == (
        "tocsin probe: bus probe, /dev/tty-of-nobody: No such file or directory\n")


def test_a_port_that_is_taken_or_not_allowed_says_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with wired(ModbusRtuPty({1: radar(1)})) as wire:
        assert isinstance(wire, ModbusRtuPty)
        with Serial(str(wire.path), exclusive=True):
            for words in (["--units", "1"], ["--listen", "1"]):
                assert probe.run([f"serial:{wire.path}", *words]) == 1
                assert "another program has it open; stop that first\n" in capsys.readouterr().err
    opened = os.open

    def refused(path: str, *args: int, **more: int) -> int:
        if path == "/dev/ttyS9":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path, *args, **more)

    monkeypatch.setattr("os.open", refused)
    assert probe.run(["serial:/dev/ttyS9", "--units", "1"]) == 1
    assert "Permission denied: who runs this must be in the port's group, often dialout" in capsys.readouterr().err


def test_a_line_that_speaks_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    ours, theirs = os.openpty()
    over = threading.Event()

    def speak() -> None:
        while not over.wait(0.02):
            os.write(ours, b"+01.234 m\r\n")

    speaker = threading.Thread(target=speak)
    speaker.start()
    assert probe.run([f"serial:{os.ttyname(theirs)}", "--listen", "2"]) == 0
    over.set()
    speaker.join()
    said = capsys.readouterr().out
    assert "2b 30 31 2e 32 33 34" in said
    assert "+01.234 m" in said
    assert probe.run([f"serial:{os.ttyname(theirs)}", "--listen", "0.05"]) == 1
    assert "nothing was heard" in capsys.readouterr().out
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(("words", "told"), [
    (["tcp://127.0.0.1"], 'port: "tcp://127.0.0.1" is not allowed'),
    (["usb0"], 'port: "usb0" is not allowed for modbus-rtu'),
    (["tcp://127.0.0.1:502", "--units", "0-3"], '--units "0-3" is not allowed; use numbers from 1 to 247'),
    (["tcp://127.0.0.1:502", "--units", "a"], '--units "a" is not allowed'),
    (["serial:/dev/ttyS0", "--baud", "12"], "baud"),
])
def test_what_is_wrong_with_the_command_line_is_said(words: list[str], told: str,
                                                     capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.run(words) == 2
    assert told in capsys.readouterr().err
