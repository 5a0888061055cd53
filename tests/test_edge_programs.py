"""A program that cannot be read from its disk holds up nothing but who wants it."""

import asyncio
import fcntl
import os
import signal
import time
from pathlib import Path

import pytest

from edge import modem as modems
from edge.modem import command
from tests.hung import hung_programs
from tests.lines import until


async def test_a_command_that_does_not_begin_holds_up_nothing_and_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(modems, "_COMMAND_S", 0.1)
    monkeypatch.setattr(modems, "_LEFT_S", 0.1)
    with hung_programs(monkeypatch) as hung:
        async with asyncio.timeout(30):
            await command(["true"])
        await until(hung.is_set)
    assert "true hangs, and is left alone" in caplog.text


async def test_a_program_on_a_disk_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    """The disk is a file that gives its readers nothing while its owner holds a lease on it (fcntl(2))."""
    program, loop, read = tmp_path / "program", asyncio.get_running_loop(), asyncio.Event()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    loop.add_signal_handler(signal.SIGIO, read.set)
    file = os.open(program, os.O_RDONLY)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        running, begun_s = asyncio.create_task(command([str(program)])), time.monotonic()
        await read.wait()
        assert time.monotonic() - begun_s < 30, "a loop held up hears of it when the lease breaks: 45 s"
        assert not running.done()
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        async with asyncio.timeout(30):
            await running
    finally:
        os.close(file)
        loop.remove_signal_handler(signal.SIGIO)
