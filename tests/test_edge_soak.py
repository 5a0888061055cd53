"""A day of a whole agent in wound time, every task of it: it does not grow, and its schedule does not drift."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.solar import MINUTE_MS, Solar
from tests.stations import START_MS
from tocsin.inputs import Tick
from tocsin.messages import Event, EventKind, Readings

PAGE_MB = os.sysconf("SC_PAGESIZE") / 1e6


def rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB


async def test_a_day_leaves_memory_flat_and_the_schedule_without_drift(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    minutes = count(30, 24 * 60)
    solar = Solar(tmp_path)
    async with solar.agent() as agent:
        await solar.minutes(minutes // 3)
        settled = rss_mb()
        for _ in range(minutes - minutes // 3):
            await solar.minutes(1)
            await agent.recorder.written(agent.recorder.last_seq)
        grown = rss_mb() - settled
        assert agent.failures == {}
        assert agent.care.watchdog.stalled() == ""
    assert grown < 4.0
    log = solar.files.log()
    for series in ("gauge/stage_m", "charger/battery_v"):
        read = [record.t[0] - START_MS for record in log if isinstance(record, Readings) and series in record.series]
        assert read == [minute * MINUTE_MS for minute in range(minutes + 1)]
    ticks = [record.t - START_MS for record in log if isinstance(record, Tick)]
    assert all(t % 10_000 == 0 for t in ticks)
    assert [record for record in log if isinstance(record, Event) and record.what is EventKind.FAULT] == []
    print(f"{minutes} minutes: {grown:+.2f} MB")
