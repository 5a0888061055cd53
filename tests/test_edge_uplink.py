"""The uplink against a link and a hub made by hand: what is lost on the way comes again, and nothing holds it up."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge import underway
from edge import uplink as module
from edge.recorder import KINDS
from edge.uplink import Uplink
from tests.lines import until
from tocsin import topics
from tocsin.broker import Broker
from tocsin.inputs import Tick
from tocsin.link import Link
from tocsin.log import Entry, Log
from tocsin.messages import (
    VERSION,
    Committed,
    Detection,
    Range,
    Readings,
    digest,
    digest_of_digests,
    encode,
    upload_of,
)
from tocsin.signing import new_station_key, seal

STATION = "bridge"
HUB = "hub-1"
BOOT = "00000000000000aa"


async def ignore(_topic: str, _payload: bytes) -> None:
    """Nothing comes down this link."""


class Wire(Link):
    """Takes every message; `on_record(payload)` is told of each record in it."""

    def __init__(self, on_record: Callable[[bytes], None]) -> None:
        super().__init__(Broker("nowhere", 1), STATION, subscriptions=[], on_message=ignore)
        self.on_record = on_record
        self.sizes: list[int] = []

    @property
    def connected(self) -> bool:
        return True

    async def wait_connected(self) -> None:
        return

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        await asyncio.sleep(0)
        self.sizes.append(len(payload))
        for raw in upload_of(payload).records:
            self.on_record(bytes(raw))


class Hub:
    """Has on its disk what it was given, and says so when asked."""

    def __init__(self, uplink: Uplink, key: str, name: str = HUB) -> None:
        self.has: dict[int, str] = {}
        self.seen: list[int] = []
        self._uplink = uplink
        self._key = key
        self._name = name

    def take(self, raw: bytes) -> None:
        seq = seq_of(raw)
        self.seen.append(seq)
        self.has[seq] = digest(raw)

    async def answer(self, *ranges: Range) -> None:
        parts = list(ranges) or [
            Range(BOOT, seq, seq, digest_of_digests([known])) for seq, known in self.has.items()]
        topic = topics.committed(STATION)
        await self._uplink.committed(topic, seal(encode(Committed(VERSION, self._name, parts)), topic, self._key))



def seq_of(raw: bytes) -> int:
    return int(raw.partition(b'"seq":')[2].partition(b",")[0])


def reading(seq: int) -> Entry:
    return Entry(seq, KINDS[Readings], encode(Readings(BOOT, seq, [seq], ["gauge/stage_m"], [1.0], [0])))


class Rig:
    """A log, its uplink, and the far end."""

    def __init__(self, folder: Path, held: int = 0, segment_bytes: int = 1 << 20) -> None:
        self.key = new_station_key()
        self.log = Log(folder / "log", segment_bytes)
        for seq in range(1, held + 1):
            self.log.append([reading(seq)])
        self.uplink = Uplink(self.log, STATION, self.key)
        self.hub = Hub(self.uplink, self.key)
        self.wire = Wire(self.hub.take)

    def record(self, make: Callable[[int], Entry] = reading) -> None:
        entry = make(self.log.next_seq)
        self.log.append([entry])
        self.uplink.written([entry])

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.uplink.connected()
        task = asyncio.create_task(self.uplink.run(self.wire))
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def all_settled(self) -> None:
        async with asyncio.timeout(30):
            while self.uplink.backlog:
                await self.hub.answer()
                await asyncio.sleep(0.001)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits of seconds become instants."""
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(module, "_URGENT_WITHIN_S", 0.02)
    monkeypatch.setattr(underway, "ANSWER_WITHIN_S", 0.02)
    monkeypatch.setattr(underway, "LONGEST_WAIT_S", 0.1)


async def test_what_was_lost_is_offered_again_though_new_records_never_cease(tmp_path: Path, hasty: None) -> None:
    rig = Rig(tmp_path)
    async with rig.running():
        rig.record()
        await until(lambda: 1 in rig.hub.has)
        rig.hub.has.clear()  # the broker had it, the hub never got it
        async with asyncio.timeout(30):
            while 1 not in rig.hub.has:
                rig.record()
                await rig.hub.answer()
                await asyncio.sleep(0.001)


async def test_a_warning_that_was_lost_is_offered_again_though_new_records_never_cease(
    tmp_path: Path, hasty: None
) -> None:
    rig = Rig(tmp_path)
    async with rig.running():
        rig.record(lambda seq: Entry(seq, KINDS[Detection], b'{"kind":"detection","seq":%d,"t":1}' % seq))
        await until(lambda: 1 in rig.hub.has)
        rig.hub.has.clear()
        async with asyncio.timeout(30):
            while 1 not in rig.hub.has:
                rig.record()
                await asyncio.sleep(0)


async def test_a_steady_stream_does_not_hold_up_the_history(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held=3000)

    def take_and_bring_another(raw: bytes) -> None:
        rig.hub.take(raw)
        if rig.log.next_seq < 200_000 and seq_of(raw) > 3000:
            rig.record()

    rig.wire.on_record = take_and_bring_another
    async with rig.running():
        await until(lambda: rig.uplink._link is not None)
        rig.record()
        async with asyncio.timeout(60):
            while set(range(1, 3001)) - rig.hub.has.keys():
                fresh = [Range(BOOT, seq, seq, digest_of_digests([rig.hub.has[seq]])) for seq in rig.hub.seen]
                rig.hub.seen.clear()
                if fresh:  # a hub that answers nothing gets no more than it can hold
                    await rig.hub.answer(*fresh)
                await asyncio.sleep(0.001)
    assert rig.log.next_seq < 200_000, "the history came beside the stream, not after it"


async def test_the_cursor_passes_what_is_no_longer_in_the_log_when_a_new_hub_is_offered_everything(
    tmp_path: Path
) -> None:
    rig = Rig(tmp_path, held=60, segment_bytes=2000)
    rig.log.move_cursor(60, HUB)
    oldest, *_ = sorted(rig.log.folder.glob("segment-*.log"))
    oldest.unlink()  # dropped by age
    rig.uplink = Uplink(rig.log, STATION, rig.key)
    rig.hub = Hub(rig.uplink, rig.key, "hub-2")
    rig.wire.on_record = rig.hub.take
    async with rig.running():
        rig.record()
        await rig.all_settled()
    rig.uplink.close()
    assert (rig.log.cursor, rig.log.cursor_hub) == (61, "hub-2")
    assert min(rig.hub.seen) > 1


async def test_a_damaged_record_does_not_hold_up_the_cursor(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held=30)
    oldest, *_ = sorted(rig.log.folder.glob("segment-*.log"))
    data = bytearray(oldest.read_bytes())
    data[30] ^= 1
    oldest.write_bytes(data)
    async with rig.running():
        rig.record()
        await rig.all_settled()
    assert len(set(rig.hub.seen)) == 30


async def test_a_disk_that_takes_no_cursor_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, held=3)

    def no_room(seq: int, hub: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rig.log, "move_cursor", no_room)
    async with rig.running():
        await until(lambda: 3 in rig.hub.has)
        await rig.all_settled()
    rig.uplink.close()
    assert rig.log.cursor == 0


async def test_a_log_that_cannot_be_read_for_a_while_does_not_end_the_live_lane(
    tmp_path: Path, hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, held=3)

    class BadSector(Iterator[Entry]):
        def __next__(self) -> Entry:
            raise OSError(5, "Input/output error")

    with monkeypatch.context() as bad:
        bad.setattr(rig.log, "read", lambda after=0: BadSector())
        await rig.uplink.connected()
    task = asyncio.create_task(rig.uplink.run(rig.wire))
    rig.record()
    await until(lambda: 4 in rig.hub.has)
    await rig.all_settled()
    assert not task.done()
    task.cancel()


async def test_an_answer_that_comes_late_still_counts(tmp_path: Path, hasty: None) -> None:
    rig = Rig(tmp_path, held=2)
    async with rig.running():
        await until(lambda: rig.hub.seen.count(1) > 2)  # offered again and again, as over a very slow link
        await rig.uplink.connected()
        await rig.hub.answer()
        assert rig.uplink.backlog == 0


async def test_a_range_without_an_end_settles_nothing_and_takes_no_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path, held=1)
    async with rig.running():
        await until(lambda: 1 in rig.hub.has)
        await rig.hub.answer(Range(BOOT, 1, 1 << 60, rig.hub.has[1]), Range(BOOT, 5, 1, digest_of_digests([])))
        assert rig.uplink.backlog == 1


async def test_a_backlog_of_warnings_goes_in_messages_of_bearable_size(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    entries = [Entry(seq, KINDS[Detection], b'{"kind":"detection","seq":%d,"rule":"%s"}' % (seq, b"r" * 1000))
               for seq in range(1, 301)]
    rig.log.append(entries)
    rig.uplink.written(entries)
    async with rig.running():
        await until(lambda: len(rig.hub.has) == 300)
    assert max(rig.wire.sizes) < 40_000


async def test_with_the_hub_away_for_weeks_the_memory_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.0)
    for name, value in (("ANSWER_WITHIN_S", 0.0), ("LONGEST_WAIT_S", 0.0), ("GIVEN_UP", 100)):
        monkeypatch.setattr(underway, name, value)
    rig = Rig(tmp_path)
    async with rig.running():
        for _ in range(2000):
            rig.record()
            rig.record(lambda seq: Entry(seq, KINDS[Tick], encode(Tick(BOOT, seq, seq))))
            await asyncio.sleep(0)
        await until(lambda: not rig.uplink._live)
        rig.uplink._look_for_lost()
        assert len(rig.uplink._underway.sent) + len(rig.uplink._underway.given_up) < 1000
