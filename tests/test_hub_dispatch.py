"""The outbox and its channels: what was decided is said, in order, again if need be, and never kept back in silence."""

import asyncio

import hub.broadcast
from hub.broadcast._channel import AnyChannel
from hub.dispatch import CLOSING_KEPT_MS
from hub.errors import PermanentError, TransientError
from hub.model import Warning as HubWarning
from hub.model import Why
from tests.channels import FakeChannel, make, rows, until
from tests.village import Village, at, config
from tocsin import plugins
from tocsin.levels import Level
from tocsin.link import LinkDownError
from tocsin.messages import Bulletin


async def test_sent_once_with_a_receipt(village: Village) -> None:
    cap = FakeChannel()
    dispatch = make(village, cap=cap)
    first = await village.alarm(Level.ORANGE, 1)
    assert await dispatch.send_due("cap") is None
    assert await dispatch.send_due("cap") is None
    assert cap.sent == [first]
    assert rows(village, "cap") == [("sent", 1, f"receipt {first}")]
    assert [state for state, _, _ in rows(village, "loudspeaker")] == ["pending"]
    assert dispatch.counts == {"cap sent": 1}


async def test_transient_failure_is_tried_again_after_1_2_4_seconds_and_at_most_30(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("gateway: 503")] * 8
    dispatch = make(village, cap=cap)
    await village.alarm(Level.ORANGE, 1)
    waits = []
    for _ in range(8):
        due = await dispatch.send_due("cap")
        assert due is not None
        waits.append((due - village.clock.now_ms()) / 1000)
        village.clock.wind_to(due - 1)
        tries = cap.tries
        assert await dispatch.send_due("cap") == due
        assert cap.tries == tries, "not before its time"
        village.clock.wind_to(due)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert await dispatch.send_due("cap") is None
    assert rows(village, "cap") == [("sent", 9, f"receipt {cap.sent[0]}")]


async def test_permanent_failure_is_given_up_out_loud_and_the_next_bulletin_goes_on(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [PermanentError("refused: no such place")]
    dispatch = make(village, cap=cap)
    first = await village.alarm(Level.ORANGE, 1)
    second = await village.alarm(Level.RED, 2)
    await dispatch.send_due("cap")
    assert cap.sent == [second]
    assert rows(village, "cap")[0] == ("failed", 1, "refused: no such place")
    assert dispatch.counts["cap failed"] == 1
    journal = await village.desk.journal_of((await village.only()).id)
    assert [row.detail for row in journal if row.why is Why.FAILED] == [f"cap: {first}: refused: no such place"]


async def test_an_areas_bulletins_keep_their_order_and_another_area_does_not_wait(village: Village) -> None:
    speaker = FakeChannel()
    speaker.script = [TransientError("no broker")]
    dispatch = make(village, loudspeaker=speaker)
    first = await village.alarm(Level.ORANGE, 1)
    second = await village.alarm(Level.RED, 2)
    elsewhere = await village.alarm(Level.BLUE, 1, "next-door")
    due = await dispatch.send_due("loudspeaker")
    assert (speaker.sent, due) == ([elsewhere], at("14:00:01"))
    village.clock.wind_to(at("14:00:01"))
    await dispatch.send_due("loudspeaker")
    assert speaker.sent == [elsewhere, first, second]


async def test_what_waits_survives_a_restart(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    first = await village.alarm(Level.ORANGE, 1)
    await make(village, cap=cap).send_due("cap")
    village.restart()
    village.clock.wind_to(at("14:00:01"))
    await make(village, cap=cap).send_due("cap")
    assert cap.sent == [first]


async def test_clock_that_was_set_back_does_not_keep_a_bulletin_waiting(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    await village.alarm(Level.ORANGE, 1)
    await make(village, cap=cap).send_due("cap")
    village.clock = type(village.clock)(at("12:00"))
    assert await make(village, cap=cap).send_due("cap") is None
    assert len(cap.sent) == 1


async def test_running_dispatch_is_woken_retries_and_lets_no_channel_wait_for_another(village: Village) -> None:
    cap, stuck = FakeChannel(), FakeChannel()
    gate = asyncio.Event()

    async def wait_for_gate(bulletin: Bulletin, warning: HubWarning) -> str:
        await gate.wait()
        return "late"

    stuck.send = wait_for_gate  # type: ignore[method-assign]
    cap.script = [TransientError("disk full")]
    dispatch = make(village, cap=cap, loudspeaker=stuck)
    task = asyncio.create_task(dispatch.run())
    await village.alarm(Level.ORANGE, 1)
    dispatch.wake()
    await until(lambda: dispatch.counts.get("cap retried") == 1)
    await village.alarm(Level.RED, 2)
    dispatch.wake()
    await asyncio.sleep(0)
    village.clock.wind_to(at("14:00:01"))
    dispatch.wake()
    await until(lambda: len(cap.sent) == 2)
    assert [state for state, _, _ in rows(village, "loudspeaker")] == ["pending", "pending"]
    gate.set()
    await until(lambda: dispatch.counts.get("loudspeaker sent") == 2)
    task.cancel()


async def test_retry_comes_by_itself(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    dispatch = make(village, cap=cap)
    await village.alarm(Level.ORANGE, 1)
    task = asyncio.create_task(dispatch.run())
    await until(lambda: dispatch.counts.get("cap retried") == 1)
    await until(lambda: bool(village.clock._sleepers))
    assert cap.sent == []
    village.clock.wind_to(at("14:00:01"))
    await until(lambda: dispatch.counts.get("cap sent") == 1)
    task.cancel()
    assert len(cap.sent) == 1


async def test_channel_that_breaks_on_one_bulletin_still_says_the_others(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [RuntimeError("a mistake in the channel")]
    dispatch = make(village, cap=cap)
    await village.alarm(Level.ORANGE, 1)
    elsewhere = await village.alarm(Level.RED, 1, "next-door")
    task = asyncio.create_task(dispatch.run())
    await until(lambda: dispatch.counts.get("cap restarts") == 1)
    await until(lambda: bool(village.clock._sleepers))
    village.clock.wind_to(village.clock.now_ms() + 1000)
    await until(lambda: len(cap.sent) == 1)
    assert cap.sent == [elsewhere]
    await until(lambda: bool(village.clock._sleepers))
    village.clock.wind_to(village.clock.now_ms() + 1000)
    await until(lambda: len(cap.sent) == 2)
    task.cancel()


async def test_republish_says_the_newest_of_each_area_and_closing_ones_for_seven_days(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    dispatch = make(village, loudspeaker=speaker)
    await village.alarm(Level.ORANGE, 1)
    newest = await village.alarm(Level.RED, 2)
    elsewhere = await village.alarm(Level.BLUE, 1, "next-door")
    closing = await village.alarm(Level.CLEAR, 2, "next-door")
    await dispatch.send_due("loudspeaker")
    assert speaker.sent[-1] == closing
    assert speaker.sent.index(elsewhere) == 2
    speaker.sent.clear()
    await dispatch.republish()
    assert sorted(speaker.sent) == sorted([newest, closing])
    village.clock.wind_to(village.clock.now_ms() + CLOSING_KEPT_MS + 1)
    speaker.sent.clear()
    await dispatch.republish()
    assert speaker.sent == [newest]


async def test_republish_first_says_what_waited_for_the_broker(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    speaker.script = [TransientError("no broker")] * 6
    dispatch = make(village, loudspeaker=speaker)
    first = await village.alarm(Level.ORANGE, 1)
    due = None
    for _ in range(6):
        due = await dispatch.send_due("loudspeaker", eager=True)
    assert due == at("14:00:30"), "the next try would be in half a minute"
    await dispatch.republish()
    assert speaker.sent == [first, first]


async def test_republish_beside_the_running_dispatch_sends_in_turn(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    gate = asyncio.Event()
    send = speaker.send

    async def slowly(bulletin: Bulletin, warning: HubWarning) -> str:
        receipt = await send(bulletin, warning)
        await gate.wait()
        return receipt

    speaker.send = slowly  # type: ignore[method-assign]
    dispatch = make(village, loudspeaker=speaker)
    first = await village.alarm(Level.ORANGE, 1)
    republishing = asyncio.create_task(dispatch.republish())
    await until(lambda: speaker.tries == 1)
    running = asyncio.create_task(dispatch.run())
    await until(lambda: bool(dispatch._locks["loudspeaker"]._waiters))
    gate.set()
    await republishing
    assert speaker.sent == [first, first]
    assert rows(village, "loudspeaker") == [("sent", 1, f"receipt {first}")]
    running.cancel()


async def test_send_that_was_cut_off_is_sent_again_at_once(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    send = speaker.send
    gate = asyncio.Event()

    async def cut_off(bulletin: Bulletin, warning: HubWarning) -> str:
        receipt = await send(bulletin, warning)
        await gate.wait()
        return receipt

    speaker.send = cut_off  # type: ignore[method-assign]
    dispatch = make(village, loudspeaker=speaker)
    first = await village.alarm(Level.ORANGE, 1)
    republishing = asyncio.create_task(dispatch.republish())
    await until(lambda: speaker.tries == 1)
    republishing.cancel()
    await asyncio.gather(republishing, return_exceptions=True)
    gate.set()
    running = asyncio.create_task(dispatch.run())
    await until(lambda: dispatch.counts.get("loudspeaker sent") == 1)
    assert speaker.sent == [first, first]
    running.cancel()


async def test_republish_stops_quietly_when_the_broker_goes_again(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    dispatch = make(village, loudspeaker=speaker)
    await village.alarm(Level.ORANGE, 1)
    await village.alarm(Level.BLUE, 1, "next-door")
    await dispatch.send_due("loudspeaker")
    speaker.script = [TransientError("no broker")]
    tries = speaker.tries
    await dispatch.republish()
    assert speaker.tries == tries + 1


def test_every_channel_is_found_by_its_file_and_is_one() -> None:
    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        raise LinkDownError("not connected")

    names = plugins.names(hub.broadcast)
    assert {"cap", "loudspeaker"} <= set(names)
    for name in names:
        assert isinstance(plugins.load(hub.broadcast, name).Channel(config(), publish), AnyChannel)
