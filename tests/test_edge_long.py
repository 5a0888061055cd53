"""Weeks without a hub, in wound time: the log grows, the agent does not, and all of it comes to the hub at the end."""

import asyncio
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.backward import remembered
from edge.checkpoint import CHECKPOINT
from edge.uplink import Uplink
from tests.edge_bench import Bench
from tests.lines import until
from tests.test_edge_uplink import Hub, Rig, Wire, reading
from tocsin.log import segments_of
from tocsin.messages import Detection, Readings

MINUTE_MS = 60_000


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def test_days_without_a_hub_leave_memory_as_it_was_and_the_schedule_of_what_is_remembered(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    hours = count(6, 72)
    bench = Bench(tmp_path)
    settled = 0.0
    for minute in range(hours * 60):
        bench.read(2.6 if minute % 480 == 300 else 1.0)
        bench.tick()
        bench.flush()
        bench.agent._log.sync()
        if minute % 60 == 59:
            bench.agent.pipeline.remember(after_ms=24 * 60 * MINUTE_MS)
            settled = settled or peak_mb()
    assert peak_mb() - settled < 4.0
    rises = len([minute for minute in range(hours * 60) if minute % 480 == 300])
    assert hours * 120 <= len(bench.of(Readings)) <= hours * 120 + rises  # what looks like a spike is asked again
    assert len(list(remembered(bench.folder / "log"))) == (hours - 1) // 24
    assert len(bench.of(Detection)) == 2 * rises
    bench.stop()


def test_a_start_on_a_long_log_reads_only_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path)
    bench.agent._log._segment_bytes = 4_000
    for _ in range(200):
        bench.read(1.0)
        bench.flush()
        bench.agent._log.sync()
    bench.agent.pipeline.remember()
    bench.read(2.6)
    bench.flush()
    bench.agent._log.sync()
    (bench.folder / CHECKPOINT).unlink(missing_ok=True)
    paths = segments_of(bench.folder / "log")
    read: set[Path] = set()
    read_bytes = Path.read_bytes

    def watched(self: Path) -> bytes:
        read.add(self)
        return read_bytes(self)

    levels = bench.operations.levels()
    monkeypatch.setattr(Path, "read_bytes", watched)
    bench.kill()
    assert bench.operations.levels().en == levels.en == "orange: stage on gauge/stage_m"
    assert len(paths) > 10
    assert not read & set(paths[:-4])
    bench.stop()


async def test_a_long_log_drains_fast_beside_live_readings(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    """At 20 readings a minute, 50 times real time is 17 records a second."""
    held = count(5_000, 500_000)
    rig = Rig(tmp_path, segment_bytes=4 << 20)
    for first in range(1, held + 1, 1000):
        rig.log.append([reading(seq) for seq in range(first, min(first + 1000, held + 1))])
    rig.uplink = Uplink(rig.log, "bridge", rig.key)
    rig.hub = Hub(rig.uplink, rig.key)
    rig.wire = Wire(rig.hub.take)
    before, begun_s = peak_mb(), time.monotonic()
    late = 0
    async with rig.running():
        await until(lambda: bool(rig.hub.seen))
        while rig.uplink.backlog and late < 200:
            live = rig.log.next_seq
            rig.record()
            sent = len(rig.hub.seen)
            while live not in rig.hub.has:
                await asyncio.sleep(0)
            late = max(late, (len(rig.hub.seen) - sent) // 500)
            await rig.hub.answer()
            rig.hub.has.clear()
    assert late <= 3, "a live reading waits for three messages of history at most"
    assert held / (time.monotonic() - begun_s) > 17
    assert peak_mb() - before < 30
