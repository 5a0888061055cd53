"""The way to the hub is cut without a word, or narrow: nothing is lost, and the new does not wait for the old."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.recorder import KINDS
from edge.uplink import Uplink
from hub.service import Hub
from simulators.devices import RadarLevel
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, running_hub
from tests.netns import FarMosquitto, far_broker
from tests.stations import StationFiles, radar_device, running
from tests.tasks import beside
from tests.test_edge_uplink import BOOT, HUB, STATION, seq_of
from tocsin import link as link_module
from tocsin import topics
from tocsin.broker import Broker
from tocsin.clock import SystemClock
from tocsin.link import Link
from tocsin.log import Entry, Log
from tocsin.messages import VERSION, Committed, Range, Readings, digest, digest_of_digests, encode, upload_of
from tocsin.signing import new_station_key, seal


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[FarMosquitto]:
    with far_broker(tmp_path) as server:
        yield server


async def until(done: Callable[[], Awaitable[bool]], within_s: float) -> float:
    """Seconds until it is so."""
    begun_s = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await done():
            await asyncio.sleep(0.01)
    return time.monotonic() - begun_s


class Reach:
    """A station that reads a gauge twice a second, and its hub, which is near the broker."""

    def __init__(self, agent: Agent, hub: Hub, gauge: RadarLevel, files: StationFiles) -> None:
        self.agent, self.hub, self.gauge, self.files = agent, hub, gauge, files

    async def newest_ms(self) -> int:
        return max((point.t_ms for point in await self.hub.store.latest("bridge")), default=0)

    async def stored(self) -> list[int]:
        return [t for t, _ in await self.hub.store.series("bridge", "gauge", "stage_m", 0, 1 << 42, 1 << 30)]

    def landed(self) -> list[tuple[str, int]]:
        """(kind, first time) in the order in which the hub got them."""
        rows = self.hub._database.connection.execute("SELECT kind, t_first FROM landing ORDER BY id").fetchall()
        return [(kind, t) for kind, t in rows if t is not None]


@asynccontextmanager
async def reach(folder: Path, broker: FarMosquitto) -> AsyncIterator[Reach]:
    gauge = RadarLevel(Measures.LEVEL)
    gauge.set("depth_m", 1.0)
    network, clock = broker.network, SystemClock()
    async with ModbusTcp({1: gauge}) as wire:
        files = StationFiles(folder / "edge", f"tcp://127.0.0.1:{wire.port}", f"mqtt://{network.station}:{broker.port}",
                             devices=radar_device(every_s=0.5), siren=False)
        hub_files = HubFiles(folder / "hub", f"mqtt://{network.hub}:{broker.port}", [(files.id, files.key)])
        async with running_hub(hub_files.write(), clock) as hub:
            await hub.link.wait_connected()
            async with running(files.write(), clock) as agent:
                await agent.link.wait_connected()
                yield Reach(agent, hub, gauge, files)


async def test_a_link_whose_far_end_is_gone_without_a_word_is_noticed_and_comes_back_with_warnings_first(
    tmp_path: Path, broker: FarMosquitto, monkeypatch: pytest.MonkeyPatch, count: Callable[[int, int], int]
) -> None:
    if count(0, 1) == 0:    # the same in less time
        monkeypatch.setattr(link_module, "_UNACKNOWLEDGED_MS", 1_500)
    away_s, back_s = count(6, 60), count(30, 5)
    notice_s = count(30, 20)    # the kernel looks at its clock when it sends once more
    async with reach(tmp_path, broker) as there:

        async def fresh() -> bool:
            return await there.newest_ms() >= mended_ms - 500

        async def warned() -> bool:
            return bool(await there.hub.open_warnings())

        async def noticed() -> bool:
            return not there.agent.link.connected

        async def delivered() -> bool:
            return there.agent.uplink.backlog == 0 and await there.hub.behind() == 0

        mended_ms = SystemClock().now_ms()
        await until(fresh, 30)
        cut_s = time.monotonic()
        broker.network.cut()
        there.gauge.set("depth_m", 2.7)
        took_s = await until(noticed, notice_s)
        await asyncio.sleep(max(0.0, cut_s + away_s - time.monotonic()))
        assert not await there.hub.open_warnings()
        broker.network.mend()
        mended_ms = SystemClock().now_ms()
        warned_s = await until(warned, back_s)
        fresh_s = await until(fresh, back_s - warned_s)
        await until(delivered, 60)
        landed, stored = there.landed(), await there.stored()
    print(f"noticed after {took_s:.1f} s; after the return warned {warned_s:.1f} s, live {warned_s + fresh_s:.1f} s")
    first = next(number for number, (kind, _) in enumerate(landed) if kind == "detection")
    late = [number for number, (kind, t) in enumerate(landed) if kind == "readings" and t > landed[first][1]]
    assert late, "the history came"
    assert first < min(late)
    logged = [t for record in there.files.log() if isinstance(record, Readings) for t in record.t]
    written = [t for t in logged if t <= max(stored)]
    assert stored == written, "everything once, in order"


# --- a narrow way ---------------------------------------------------------------------------------------------------


def readings_at(seq: int, t: int) -> Entry:
    dice = random.Random(seq)
    many = 5
    record = Readings(BOOT, seq, [t] * many, [f"gauge-{i}/stage_m" for i in range(many)],
                      [round(dice.uniform(0, 5), 3) for _ in range(many)], [0] * many)
    return Entry(seq, KINDS[Readings], encode(record))


class FarHub:
    """Beside the broker: notes when what arrives, and answers five times a second."""

    def __init__(self, url: str, key: str) -> None:
        self.arrived_s: dict[int, float] = {}
        self._fresh: list[tuple[int, str]] = []
        self._key = key
        self.link = Link(Broker.of(url), "far-hub", subscriptions=[topics.up(STATION, topics.READINGS)],
                         on_message=self._on_message)

    async def _on_message(self, topic: str, payload: bytes) -> None:
        for raw in upload_of(payload).records:
            self.arrived_s.setdefault(seq_of(bytes(raw)), time.monotonic())
            self._fresh.append((seq_of(bytes(raw)), digest(bytes(raw))))

    async def answer_for_ever(self) -> None:
        topic = topics.committed(STATION)
        while True:
            await asyncio.sleep(0.2)
            fresh, self._fresh = sorted(set(self._fresh)), []
            runs: list[list[tuple[int, str]]] = []
            for one in fresh:
                if runs and runs[-1][-1][0] + 1 == one[0]:
                    runs[-1].append(one)
                else:
                    runs.append([one])
            ranges = [Range(BOOT, run[0][0], run[-1][0], digest_of_digests([name for _, name in run])) for run in runs]
            if ranges:
                await self.link.publish(topic, seal(encode(Committed(VERSION, HUB, ranges)), topic, self._key))


async def test_on_a_narrow_link_what_is_new_does_not_wait_for_the_backlog(
    tmp_path: Path, broker: FarMosquitto, count: Callable[[int, int], int]
) -> None:
    """3 kB/s, as on a bad phone link, and five series every second while a day's backlog drains."""
    backlog, seconds, key = 10_000, count(12, 60), new_station_key()
    log = Log(tmp_path / "log")
    log.append([readings_at(seq, seq) for seq in range(1, backlog + 1)])
    uplink = Uplink(log, STATION, key)
    network = broker.network
    far = FarHub(f"mqtt://{network.hub}:{broker.port}", key)
    link = Link(Broker.of(f"mqtt://{network.station}:{broker.port}"), STATION,
                subscriptions=[topics.committed(STATION)], on_message=uplink.committed, on_connect=uplink.connected)
    written_s: dict[int, float] = {}
    network.slow(24)
    async with beside(far.link.run()), beside(link.run()), beside(uplink.run(link)):
        await far.link.wait_connected()
        async with beside(far.answer_for_ever()):
            await link.wait_connected()
            for _ in range(seconds):
                entry = readings_at(log.next_seq, log.next_seq)
                log.append([entry])
                written_s[entry.seq] = time.monotonic()
                uplink.written([entry])
                await asyncio.sleep(1)

            async def all_there() -> bool:
                return written_s.keys() <= far.arrived_s.keys()

            await until(all_there, 30)
    late_s = sorted(far.arrived_s[seq] - at for seq, at in written_s.items())
    drained = len([seq for seq in far.arrived_s if seq <= backlog])
    speed = drained / seconds    # records of a second each
    print(f"live: median {late_s[len(late_s) // 2]:.2f} s, longest {late_s[-1]:.2f} s; "
          f"backlog: {drained} records in {seconds} s, {speed:.0f} times real time")
    assert late_s[-1] <= count(30, 5)
    assert speed >= 10
