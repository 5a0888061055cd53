"""Intake: nothing is answered before it is on the disk, everything on the disk is answered, nothing stops it."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

import hub.intake
from hub.checks import RecordId
from hub.committed import APART_S, MOST_RANGES, Answers, ranges_of
from hub.database import Database
from hub.intake import Intake
from hub.landing import Landed, land
from tests.hub_lander import KEY, STATION
from tests.hub_messages import BOOT, NOON_MS, OTHER_BOOT, heartbeat, readings, start, upload
from tests.tasks import beside
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.link import LinkDownError
from tocsin.messages import Committed, Range, Record, digest, digest_of_digests, encode
from tocsin.signing import SealError, unseal

OTHER = "lin-an-02"
OTHER_KEY = "22" * 32
KEYS = {STATION: KEY, OTHER: OTHER_KEY}
WITHIN_S = 20.0


def range_of(*records: Record) -> Range:
    digests = [digest(encode(record)) for record in records]
    return Range(records[0].boot, records[0].seq, records[-1].seq, digest_of_digests(digests))


@dataclass
class Desk:
    """An intake at work, and what it said."""

    database: Database
    clock: WoundClock = field(default_factory=lambda: WoundClock(NOON_MS))
    said: asyncio.Queue[tuple[float, str, Committed]] = field(default_factory=asyncio.Queue)
    seen: list[set[int]] = field(default_factory=list)
    links_down: int = 0

    def __post_init__(self) -> None:
        self.intake = Intake(self.database, KEYS, self.clock, self.publish)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        at = asyncio.get_running_loop().time()
        assert not retain
        if self.links_down:
            self.links_down -= 1
            raise LinkDownError("not connected")
        station = topic.split("/")[2]
        answer = msgspec.json.decode(unseal(payload, topic, KEYS[station]), type=Committed)
        self.seen.append(self.on_disk())
        self.said.put_nowait((at, station, answer))

    def on_disk(self) -> set[int]:
        """The seqs that another process would find."""
        other = sqlite3.connect(self.database.path)
        found = {seq for (seq,) in other.execute("SELECT seq FROM landing")}
        other.close()
        return found

    async def tell(self, *records: Record | bytes, station: str = STATION) -> None:
        await self.intake.on_message(topics.up(station, topics.READINGS), upload(station, *records))

    async def answer(self) -> Committed:
        async with asyncio.timeout(WITHIN_S):
            return (await self.said.get())[2]

    async def landed(self, many: int) -> None:
        """Returns when that many records have been landed or refused since the start."""
        more = asyncio.Event()
        self.intake.on_landed.append(more.set)
        async with asyncio.timeout(WITHIN_S):
            while sum(count for name, count in self.intake.counts.items() if name != "not answered") < many:
                more.clear()
                await more.wait()


@asynccontextmanager
async def at_work(path: Path) -> AsyncIterator[Desk]:
    desk = Desk(Database(path))
    task = asyncio.create_task(desk.intake.run())
    try:
        yield desk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        desk.database.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_work(tmp_path / "hub.sqlite") as made:
        yield made


async def test_what_is_answered_is_on_the_disk(desk: Desk) -> None:
    records: list[Record] = [start(1), readings(2), readings(3)]
    await desk.tell(*records)
    answer = await desk.answer()
    assert answer == Committed(1, desk.database.hub_id, [range_of(*records)], desk.clock.now_ms())
    assert desk.seen == [{1, 2, 3}]


async def test_an_answer_fits_only_its_station(desk: Desk) -> None:
    payloads: list[tuple[str, bytes]] = []

    async def keep(topic: str, payload: bytes, *, retain: bool = False) -> None:
        payloads.append((topic, payload))
        desk.said.put_nowait((0.0, "", Committed(1, "", [])))

    intake = Intake(desk.database, KEYS, desk.clock, keep)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(intake.run())
        await intake.on_message(topics.up(OTHER, topics.READINGS), upload(OTHER, readings(1)))
        await desk.answer()
        task.cancel()
    ((topic, payload),) = payloads
    assert topic == topics.committed(OTHER)
    assert unseal(payload, topic, OTHER_KEY)
    with pytest.raises(SealError):
        unseal(payload, topics.committed(STATION), OTHER_KEY)
    with pytest.raises(SealError):
        unseal(payload, topic, KEY)


async def test_a_repeat_is_answered_again(desk: Desk) -> None:
    for _ in range(2):
        await desk.tell(readings(1))
        assert (await desk.answer()).ranges == [range_of(readings(1))]
    assert desk.intake.counts["landed"] == desk.intake.counts["repeated"] == 1


async def test_ranges_end_at_gaps_and_boots(desk: Desk) -> None:
    ours = [readings(seq) for seq in (3, 4, 6)]
    other = [readings(seq, boot=OTHER_BOOT) for seq in (7, 9)]
    await desk.tell(*ours, *other)
    assert (await desk.answer()).ranges == [
        range_of(ours[0], ours[1]), range_of(ours[2]), range_of(other[0]), range_of(other[1])
    ]


async def test_messages_that_meet_a_running_commit_share_the_next(desk: Desk) -> None:
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()
    commits: list[str] = []
    desk.intake.on_landed.append(lambda: commits.append("done"))
    held = desk.database.run(asyncio.run_coroutine_threadsafe(gate.wait(), loop).result)
    holding = asyncio.create_task(held)
    await desk.tell(readings(1))
    await asyncio.sleep(0)  # the first commit is under way, behind what holds the disk
    for seq in (2, 3, 4):
        await desk.tell(readings(seq))
    gate.set()
    await holding
    await desk.landed(4)
    assert commits == ["done", "done"]


async def test_answers_to_one_station_are_few_and_leave_nothing_out(desk: Desk) -> None:
    await desk.tell(readings(1), station=OTHER)
    for seq in range(1, 31):
        await desk.tell(readings(seq))
        await desk.landed(1 + seq)
    ranges: list[Range] = []
    at: list[float] = []
    while sum(one.last - one.first + 1 for one in ranges) < 30:
        async with asyncio.timeout(WITHIN_S):
            when, station, answer = await desk.said.get()
        if station == STATION:
            at.append(when)
            ranges += answer.ranges
    assert 2 <= len(at) <= 1 + (at[-1] - at[0]) / APART_S
    assert all(later - earlier >= APART_S for earlier, later in itertools.pairwise(at))
    for one in ranges:
        assert one == range_of(*(readings(seq) for seq in range(one.first, one.last + 1)))


async def test_many_ranges_are_said_in_several_answers(desk: Desk) -> None:
    many = MOST_RANGES + 5
    await desk.tell(*(readings(2 * number) for number in range(1, many + 1)))
    first, second = await desk.answer(), await desk.answer()
    assert len(first.ranges) == MOST_RANGES
    assert [one.first for one in first.ranges + second.ranges] == [2 * number for number in range(1, many + 1)]


async def test_a_cloned_card_gets_answers_of_its_own(desk: Desk) -> None:
    original = [readings(seq, [1.0]) for seq in (1, 2)]
    clone = [readings(seq, [2.0]) for seq in (2, 3)]
    await desk.tell(*original)
    await desk.tell(*clone)
    await desk.tell(*original)
    await desk.landed(7)
    ranges: list[Range] = []
    while len(ranges) < 3:
        ranges += (await desk.answer()).ranges
    assert ranges == [range_of(*original), range_of(*clone), range_of(*original)]
    assert desk.intake.counts["clone"] == 1
    assert desk.intake.counts["repeated"] == 2


async def test_answers_that_wait_together_do_not_mix_a_clone_with_its_original(desk: Desk) -> None:
    answers = Answers(desk.database.hub_id, KEYS, desk.publish)
    one, clone, two = ([readings(seq, [value]) for seq in (1, 2)] for value in (1.0, 2.0, 3.0))
    for records, cloned in ((one, False), (clone, True), (two, False)):
        answers.add(STATION, [RecordId(BOOT, one.seq, digest(encode(one))) for one in records], clone=cloned)
    running = asyncio.create_task(answers.run())
    assert (await desk.answer()).ranges == [range_of(*one), range_of(*clone), range_of(*two)]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_refused_records_are_answered_and_kept(desk: Desk) -> None:
    bad = encode(readings(2, [1.0])).replace(b'"t":[1723118400000]', b'"t":[5]')
    await desk.tell(readings(1), bad, readings(3))
    digests = [digest(encode(readings(1))), digest(bad), digest(encode(readings(3)))]
    assert (await desk.answer()).ranges == [Range(BOOT, 1, 3, digest_of_digests(digests))]
    kept = desk.database.connection.execute("SELECT arrived, topic, reason, payload FROM quarantine").fetchall()
    assert kept == [(NOON_MS, topics.up(STATION, topics.READINGS), "impossible time", bad)]
    assert desk.on_disk() == {1, 3}
    assert desk.intake.counts["quarantined: impossible time"] == 1


async def test_refused_messages_are_kept_without_an_answer_and_the_rest_goes_on(desk: Desk) -> None:
    await desk.intake.on_message(topics.up(STATION, topics.READINGS), upload("nobody", readings(1)))
    await desk.intake.on_message(topics.up(STATION, topics.READINGS), b"{")
    await desk.intake.on_message("weather", b"\xff")
    await desk.tell(readings(1))
    assert (await desk.answer()).ranges == [range_of(readings(1))]
    assert desk.said.empty()
    reasons = {row[0] for row in desk.database.connection.execute("SELECT reason FROM quarantine")}
    assert reasons == {"another station's name inside", "malformed", "not an uplink topic"}
    assert {desk.intake.counts[f"quarantined: {reason}"] for reason in reasons} == {1}


async def test_a_heartbeat_is_kept_and_not_answered(desk: Desk) -> None:
    woken = asyncio.Event()
    desk.intake.on_landed.append(woken.set)
    await desk.intake.on_message(topics.up(STATION, topics.HEARTBEAT), heartbeat(STATION))
    async with asyncio.timeout(WITHIN_S):
        await woken.wait()
    found = desk.database.connection.execute("SELECT id, heartbeat, heard_at FROM stations").fetchall()
    assert found == [(STATION, heartbeat(STATION).decode(), NOON_MS)]
    assert desk.on_disk() == set()
    assert desk.said.empty()


async def test_an_answer_without_a_link_is_dropped_and_the_repeat_is_answered(desk: Desk) -> None:
    desk.links_down = 1
    await desk.tell(readings(1))
    await desk.landed(1)
    await desk.tell(readings(1))
    assert (await desk.answer()).ranges == [range_of(readings(1))]
    assert desk.intake.counts["not answered"] == 1


async def test_an_answer_that_the_broker_does_not_take_holds_up_no_other_station(desk: Desk) -> None:
    held, gate = asyncio.Event(), asyncio.Event()

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        if topic == topics.committed(STATION):
            held.set()
            await gate.wait()
        await desk.publish(topic, payload, retain=retain)

    answers = Answers(desk.database.hub_id, KEYS, publish)
    async with beside(answers.run()), asyncio.timeout(WITHIN_S):
        answers.add(STATION, [RecordId(BOOT, 1, "aa")], clone=False)
        await held.wait()
        answers.add(STATION, [RecordId(BOOT, 2, "bb")], clone=False)
        for seq in (1, 2):
            answers.add(OTHER, [RecordId(BOOT, seq, "cc")], clone=False)
            assert (await desk.said.get())[1] == OTHER
        assert desk.said.empty(), "one answer at a time to a station"
        gate.set()
        assert [one.first for _ in (1, 2) for one in (await desk.said.get())[2].ranges] == [1, 2]


async def test_answers_that_were_cut_off_begin_again(desk: Desk) -> None:
    held = asyncio.Event()

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        if not held.is_set():
            held.set()
            await asyncio.Event().wait()
        await desk.publish(topic, payload, retain=retain)

    answers = Answers(desk.database.hub_id, KEYS, publish)
    answers.add(STATION, [RecordId(BOOT, 1, "aa")], clone=False)
    async with beside(answers.run()), asyncio.timeout(WITHIN_S):
        await held.wait()
    answers.add(STATION, [RecordId(BOOT, 2, "bb")], clone=False)
    async with beside(answers.run()):
        assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(2, 2)]


async def test_a_full_disk_is_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def full(*arguments: Any) -> Landed:
        land(*arguments)
        monkeypatch.setattr(hub.intake, "land", land)
        loop.call_soon_threadsafe(failed.set)
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(hub.intake, "land", full)
    await desk.tell(readings(1))
    async with asyncio.timeout(WITHIN_S):
        await failed.wait()
        while desk.said.empty():
            desk.clock.wind_to(desk.clock.now_ms() + 1_000)
            await asyncio.sleep(0.001)
    assert desk.on_disk() == {1}
    assert desk.intake.counts["failed commits"] == 1
    assert desk.intake.counts["landed"] == 1


async def test_a_link_waits_while_too_much_waits_for_the_disk(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub.intake, "MOST_PENDING", 100)
    for seq in range(1, 6):
        await desk.tell(readings(seq))
    await desk.landed(5)
    assert desk.on_disk() == {1, 2, 3, 4, 5}


async def test_what_waits_when_landing_fails_lands_as_soon_as_it_runs_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.intake, "MOST_COMMITTED", 1)
    intake = Intake(desk.database, KEYS, desk.clock, desk.publish)

    def fail() -> None:
        intake.on_landed.clear()
        raise OSError(28, "No space left on device")

    intake.on_landed.append(fail)
    for seq in (1, 2):
        await intake.on_message(topics.up(STATION, topics.READINGS), upload(STATION, readings(seq)))
    with pytest.raises(BaseExceptionGroup):
        await intake.run()
    assert desk.on_disk() == {1}
    async with beside(intake.run()):
        assert (await desk.answer()).ranges == [range_of(readings(2))]


def test_no_ids_make_no_ranges() -> None:
    assert ranges_of([]) == []
    two = [RecordId(BOOT, 1, "aa"), RecordId(BOOT, 1, "bb")]
    assert [(one.first, one.last) for one in ranges_of(two)] == [(1, 1), (1, 1)]
