"""A disk that does not answer: nothing that counts waits for it, and it is not asked again and again."""

import asyncio
import threading
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import load_station
from edge.cursor import Cursor
from tests.stations import START_MS
from tests.test_edge_disk import stocked, writing
from tocsin.clock import WoundClock
from tocsin.log import Log


async def test_ticks_go_on_while_a_disk_hangs_and_it_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.watch._DISK_S", 0.001)
    agent = Agent(load_station(stocked(tmp_path)), WoundClock(START_MS + 60_000))
    answers, asked = threading.Event(), list[float]()

    def hang(*_args: float) -> int:
        asked.append(_args[0])
        answers.wait(10)
        return 0

    monkeypatch.setattr(agent._log, "drop", hang)
    watch = agent._watch
    async with writing(agent.recorder), asyncio.timeout(5):
        for _ in range(3):
            watch._begin("checkpoint", watch._save)
            await asyncio.sleep(0.01)
        assert len(asked) == 1
        answers.set()
        await watch._beside["checkpoint"]
    agent.recorder.close()


async def test_a_cursor_that_the_disk_does_not_take_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, answers = Log(tmp_path), threading.Event()
    move = storage.move_cursor

    def hang(seq: int, hub: str) -> None:
        answers.wait(10)
        move(seq, hub)

    monkeypatch.setattr(storage, "move_cursor", hang)
    cursor = Cursor(storage)
    for seq in range(1, 50):
        cursor.save(seq, "hub-1", 10.0 * seq)
    assert (cursor.seq, storage.cursor) == (1, 0)
    answers.set()
    cursor.close(49)
    assert (Log(tmp_path).cursor, Log(tmp_path).cursor_hub) == (49, "hub-1")
