"""Weeks without a hub, in wound time: the log grows, the agent does not, and all of it comes to the hub at the end."""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from edge.backward import remembered
from edge.checkpoint import CHECKPOINT
from edge.recorder import KINDS
from edge.uplink import Uplink
from tests.edge_bench import Bench
from tests.lines import until
from tests.services import Mosquitto
from tests.shared_data import REPOSITORY
from tests.tasks import beside
from tests.test_edge_uplink import BOOT, STATION, Hub, Rig, Wire, reading
from tocsin.broker import Broker
from tocsin.inputs import Tick
from tocsin.link import Link
from tocsin.log import Entry, Log, segments_of
from tocsin.messages import VERSION, Detection, Readings, Upload, encode
from tocsin.signing import new_station_key

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


def test_a_start_on_a_long_log_reads_only_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    fill(tmp_path / "station-data" / "log", count(5_000, 1_100_000))
    before_mb, begun_s = peak_mb(), time.monotonic()
    bench = Bench(tmp_path)    # nothing is remembered anywhere: it looks through all of it
    looked_s, grown_mb = time.monotonic() - begun_s, peak_mb() - before_mb
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
    begun_s = time.monotonic()
    bench.kill()
    print(f"looked through in {looked_s:.1f} s, {grown_mb:.0f} MB more; started in {time.monotonic() - begun_s:.2f} s")
    assert bench.operations.levels().en == levels.en == "orange: stage on gauge/stage_m"
    assert grown_mb < 30
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


def wide(seq: int) -> Entry:
    """20 series in one record: 0.9 kB."""
    names = [f"gauge-{index:02}/stage_m" for index in range(20)]
    return Entry(seq, KINDS[Readings], encode(Readings(BOOT, seq, [60_000 * seq] * 20, names, [1.234] * 20, [0] * 20)))


def fill(folder: Path, count: int) -> None:
    """A log of so many thousands of them: 1.1 million are 1 GB."""
    filled = Log(folder)
    for first in range(1, count + 1, 1000):
        filled.append([wide(seq) for seq in range(first, first + 1000)])
    filled.close()


@contextmanager
def committing(port: int, key: str) -> Iterator[None]:
    """The least of a hub, in a process of its own: it has what it got, and says so five times a second."""
    command = [sys.executable, "-m", "benchmarks._committer", str(port), STATION, key]
    with subprocess.Popen(command, cwd=REPOSITORY) as hub:
        yield
        hub.kill()


async def late_of(entry: Entry, storage: Log, uplink: Uplink, answered: asyncio.Event) -> float:
    """Seconds from a new record to the hub's word that it has it."""
    begun_s = time.monotonic()
    storage.append([entry])
    uplink.written([entry])
    while not uplink.has(entry.seq):
        answered.clear()
        await answered.wait()
    return time.monotonic() - begun_s


async def hub_answers(link: Link, answered: asyncio.Event) -> None:
    """It says so to a record that no log has."""
    message = encode(Upload(VERSION, STATION, [msgspec.Raw(encode(Tick("00000000000000ff", 1, 1)))]))
    while not answered.is_set():
        await link.publish(f"tocsin/1/{STATION}/readings", message)
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await answered.wait()


async def test_a_log_of_a_gigabyte_drains_over_a_real_broker_and_delays_nothing_new(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    """For a minute at most. At 20 readings a minute, each a record, 50 times real time is 17 records a second."""
    held, key = count(10_000, 1_100_000), new_station_key()
    fill(tmp_path / "log", held)
    before_mb, begun_s = peak_mb(), time.monotonic()
    storage = Log(tmp_path / "log")
    uplink = Uplink(storage, STATION, key)
    opened_s = time.monotonic() - begun_s
    broker, answered, late_s = Mosquitto(tmp_path / "broker"), asyncio.Event(), list[float]()
    uplink.on_answer = lambda _answer: answered.set()
    broker.start()
    link = Link(Broker("127.0.0.1", broker.port), STATION, subscriptions=[f"tocsin/1/{STATION}/committed"],
                on_message=uplink.committed, on_connect=uplink.connected)
    with committing(broker.port, key):
        async with beside(link.run()), asyncio.timeout(120):
            await link.wait_connected()
            await hub_answers(link, answered)
            answered.clear()
            async with beside(uplink.run(link)):
                begun_s = time.monotonic()
                await answered.wait()
                while uplink.backlog and time.monotonic() - begun_s < 60:
                    late_s.append(await late_of(wide(storage.next_seq), storage, uplink, answered))
                took_s = time.monotonic() - begun_s
    sent = storage.next_seq - 1 - uplink.backlog
    broker.stop()
    uplink.close()
    grown_mb = peak_mb() - before_mb
    print(f"{held} records: opened in {opened_s:.2f} s, {sent} sent in {took_s:.1f} s; live answered after "
          f"{statistics.median(late_s):.2f} s (median), {max(late_s):.2f} s (most); {grown_mb:.0f} MB more")
    assert opened_s < count(30, 1)
    assert sent / took_s > 17
    assert sent == storage.next_seq - 1 or took_s >= 60
    assert max(late_s) < count(30, 5)
    assert grown_mb < 30
