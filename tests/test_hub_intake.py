"""Intake: nothing is answered before it is on the disk, everything on the disk is answered, nothing stops it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import hub.intake
from hub.checks import Delivery
from hub.intake import Intake
from hub.landing import Landed, land
from tests.hub_intakes import KEYS, WITHIN_S, Desk, at_work, range_of
from tests.hub_lander import STATION
from tests.hub_messages import BOOT, NOON_MS, heartbeat, readings, start, upload
from tests.tasks import beside
from tocsin import topics
from tocsin.messages import Committed, Range, Record, digest, digest_of_digests, encode


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


async def test_a_repeat_is_answered_again(desk: Desk) -> None:
    for _ in range(2):
        await desk.tell(readings(1))
        assert (await desk.answer()).ranges == [range_of(readings(1))]
    assert desk.intake.counts["landed"] == desk.intake.counts["repeated"] == 1


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


@pytest.mark.parametrize("err", [OverflowError("too large"), sqlite3.IntegrityError("a constraint")])
async def test_a_message_that_landing_fails_on_keeps_no_other_from_the_disk(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, err: Exception
) -> None:
    """All are in one commit; that one is not answered, so that its station sends it again."""
    def poisoned(connection: sqlite3.Connection, deliveries: Sequence[Delivery], *rest: Any) -> Landed:
        landed = land(connection, deliveries, *rest)
        if any(good.record.seq == 3 for one in deliveries for good in one.good):
            raise err
        return landed

    monkeypatch.setattr(hub.intake, "land", poisoned)
    gate, loop = asyncio.Event(), asyncio.get_running_loop()
    holding = asyncio.create_task(desk.database.run(asyncio.run_coroutine_threadsafe(gate.wait(), loop).result))
    for seq in range(1, 6):
        await desk.tell(readings(seq))
    gate.set()
    await holding
    assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(1, 2), (4, 5)]
    assert desk.on_disk() == {1, 2, 4, 5}
    assert desk.intake.counts[hub.intake.DEFECT] == 1
    assert desk.intake.counts["landed"] == 4
    monkeypatch.setattr(hub.intake, "land", land)
    await desk.tell(readings(3))
    assert [(one.first, one.last) for one in (await desk.answer()).ranges] == [(3, 3)]


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
