"""What the hub has goes from the log by its age only where the clock says what is old."""

import time
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import load_station
from edge.recorder import KINDS
from tests.stations import START_MS, SetClock, StationFiles
from tests.test_edge_disk import writing
from tests.test_edge_uplink import BOOT
from tocsin.inputs import Tick
from tocsin.log import Entry, Log
from tocsin.messages import encode

MONTH_MS = 30 * 86_400_000


@pytest.mark.parametrize(("in_sync", "goes"), [(True, True), (None, True), (False, False)])
async def test_by_a_clock_that_nothing_sets_no_record_is_old(
    tmp_path: Path, *, in_sync: bool | None, goes: bool
) -> None:
    """Weeks ahead at a start, it would take what the hub has had for an hour."""
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9").write()
    log = Log(tmp_path / "station-data" / "log", segment_bytes=500)
    for seq in range(1, 101):
        log.append([Entry(seq, KINDS[Tick], encode(Tick(BOOT, seq, START_MS + seq)))])
    log.move_cursor(100, "hub")
    log.close()
    clock = SetClock(START_MS + 60_000)
    clock.set_by(round(time.time() * 1000) - START_MS + MONTH_MS)
    clock.in_sync = in_sync
    agent = Agent(load_station(path), clock)
    before = len(agent._log.sealed)
    assert before > 3
    async with writing(agent.recorder):
        await agent._watch._save()
    assert (len(agent._log.sealed) < before) is goes
    agent.recorder.close()
    agent._lock.close()
