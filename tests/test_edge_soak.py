"""A day of a whole agent in wound time, every task of it: it does not grow, and its schedule does not drift."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.solar import MINUTE_MS, Solar
from tests.stations import START_MS
from tocsin.messages import Event, EventKind, Readings

STEP_MS = 7_000  # what is due in between is late, and must not shift what comes next
PAGE_MB = os.sysconf("SC_PAGESIZE") / 1e6


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


async def test_a_day_leaves_memory_flat_and_the_schedule_without_drift(
    tmp_path: Path, count: Callable[[int, int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = count(30, 24 * 60) * 60_000 // STEP_MS
    solar = Solar(tmp_path)
    ticks: list[int] = []
    async with solar.agent() as agent:
        tick = agent.pipeline.tick

        def ticked() -> None:
            ticks.append(solar.clock.now_ms() - START_MS)
            tick()

        monkeypatch.setattr(agent.pipeline, "tick", ticked)
        for step in range(steps):
            if step == steps // 3:
                settled_mb = rss_mb()
            solar.clock.wind_to(solar.clock.now_ms() + STEP_MS)
            await solar.at_rest()
            await agent.recorder.written(agent.recorder.last_seq)
        grown_mb = rss_mb() - settled_mb
        assert agent.failures == {}
        assert agent.care.watchdog.stalled() is None
    assert grown_mb < 4.0
    log = solar.files.log()
    for series in ("gauge/stage_m", "charger/battery_v"):
        read = [record.t[0] - START_MS for record in log if isinstance(record, Readings) and series in record.series]
        assert read == at_first_step_after(MINUTE_MS, steps * STEP_MS)
    assert ticks == at_first_step_after(10_000, steps * STEP_MS)[1:]
    assert [record for record in log if isinstance(record, Event) and record.what is EventKind.FAULT] == []


def at_first_step_after(every_ms: int, end_ms: int) -> list[int]:
    """Of a grid that does not drift, though each turn of it comes late by up to a step."""
    return [due for begun in range(0, end_ms + 1, every_ms) if (due := -(-begun // STEP_MS) * STEP_MS) <= end_ms]
