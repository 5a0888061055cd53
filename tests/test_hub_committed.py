"""The answer `committed`: its ranges, its seal, how often it is said, and who waits for it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hub.checks import RecordId
from hub.committed import APART_S, MOST_RANGES, Answers, ranges_of
from hub.intake import Intake
from tests.hub_intakes import KEYS, OTHER, OTHER_KEY, WITHIN_S, Desk, at_work, range_of
from tests.hub_lander import KEY, STATION
from tests.hub_messages import BOOT, OTHER_BOOT, readings, upload
from tests.lines import until
from tests.tasks import beside
from tocsin import topics
from tocsin.messages import Committed, Range, digest, encode
from tocsin.signing import SealError, unseal


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with at_work(tmp_path / "hub.sqlite") as made:
        yield made


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


async def test_ranges_end_at_gaps_and_boots(desk: Desk) -> None:
    ours = [readings(seq) for seq in (3, 4, 6)]
    other = [readings(seq, boot=OTHER_BOOT) for seq in (7, 9)]
    await desk.tell(*ours, *other)
    assert (await desk.answer()).ranges == [
        range_of(ours[0], ours[1]), range_of(ours[2]), range_of(other[0]), range_of(other[1])
    ]


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


async def test_nothing_is_kept_of_a_station_that_was_answered(desk: Desk) -> None:
    answers = Answers(desk.database.hub_id, KEYS, desk.publish)
    async with beside(answers.run()):
        for seq in (1, 2):
            answers.add(STATION, [RecordId(BOOT, seq, "aa")], clone=False)
            assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(seq, seq)]
            await until(lambda: not answers._waiting and not answers._answered)


async def test_a_station_that_left_the_roster_ends_no_answers_of_others(desk: Desk) -> None:
    keys = dict(KEYS)
    answers = Answers(desk.database.hub_id, keys, desk.publish)
    async with beside(answers.run()):
        del keys[STATION]
        answers.add(STATION, [RecordId(BOOT, 1, "aa")], clone=False)
        await until(lambda: not answers._waiting)
        answers.add(OTHER, [RecordId(BOOT, 2, "bb")], clone=False)
        assert [one.first for one in (await desk.answer()).ranges] == [2]


def test_no_ids_make_no_ranges() -> None:
    assert ranges_of([]) == []
    two = [RecordId(BOOT, 1, "aa"), RecordId(BOOT, 1, "bb")]
    assert [(one.first, one.last) for one in ranges_of(two)] == [(1, 1), (1, 1)]
