"""The siren obeys what is wanted now, whatever became of the command before."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from edge import siren as sirens
from edge.bus import Bus
from edge.config import BusTable, DeviceTable
from edge.siren import Siren
from tests.lines import until
from tocsin.devices import Request, Write
from tocsin.levels import Level
from tocsin.readings import Reason, RejectedError


class Line(Bus):
    """Answers commands as told; `on` is what the relay does, whether it answers or not."""

    def __init__(self) -> None:
        super().__init__(BusTable("field", "modbus-tcp", "tcp://127.0.0.1:9"))
        self.answers = True
        self.writes: list[int] = []

    async def exchange(self, unit: int, ask: Request | Write, deadline_s: float, priority: int = 1) -> list[int]:
        assert isinstance(ask, Write)
        self.writes.append(ask.value)
        await asyncio.sleep(0)
        if not self.answers:
            raise RejectedError(Reason.SILENT, "no answer")
        return []


class Relay:
    """The simplest output."""

    feedback = None

    def command(self, *, on: bool) -> tuple[Write, ...]:
        return (Write(5, 0, int(on)),)

    def is_on(self, answer: object) -> bool:
        raise AssertionError


@asynccontextmanager
async def siren_on(line: Line, told: list[str]) -> AsyncIterator[Siren]:
    table = DeviceTable("siren", "field", "relay_output")
    siren = Siren(table, Relay(), line, Level.ORANGE, lambda level, _why, _ms: told.append(level.word), told.append)
    task = asyncio.create_task(siren.run())
    yield siren
    assert not task.done()
    task.cancel()


async def test_a_siren_that_obeyed_without_an_answer_is_silenced_all_the_same() -> None:
    line, told = Line(), list[str]()
    async with siren_on(line, told) as siren:
        siren.command(Level.CLEAR, "start", 0.0)
        await until(lambda: told == ["clear"])
        line.answers = False
        siren.command(Level.RED, "a rise", 0.0)
        await until(lambda: len(told) == 2)
        line.answers = True
        siren.command(Level.CLEAR, "a fall", 0.0)
        await until(lambda: told[-1] == "clear" and len(told) == 3)
    assert line.writes == [0, 1, 0]


async def test_a_siren_that_must_sound_is_told_so_again_and_a_silent_one_is_left_alone(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sirens, "_HOLD_S", 0.001)
    line, told = Line(), list[str]()
    async with siren_on(line, told) as siren:
        siren.command(Level.RED, "a rise", 0.0)
        await until(lambda: line.writes.count(1) > 3)
        siren.command(Level.CLEAR, "a fall", 0.0)
        await until(lambda: "clear" in told)
        before = list(line.writes)
        siren.command(Level.CLEAR, "still", 0.0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert line.writes == before
    assert told == ["red", "clear"]


async def test_a_dead_siren_is_told_once_and_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sirens, "_AGAIN_S", 0.0)
    line, told = Line(), list[str]()
    line.answers = False
    async with siren_on(line, told) as siren:
        siren.command(Level.RED, "a rise", 0.0)
        await until(lambda: len(line.writes) > 5)
        assert told == ["cannot be switched on: silent: no answer"]
        line.answers = True
        await until(lambda: len(told) == 2)
    assert told[1] == "red"
