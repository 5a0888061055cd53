"""The outbox and its channels: what was decided is said, in order, again if need be, and never kept back in silence."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

import hub.broadcast
from hub.answers import link, person_of, token
from hub.broadcast import loudspeaker
from hub.broadcast._channel import AnyChannel
from hub.dispatch import CLOSING_KEPT_MS, Dispatch
from hub.errors import PermanentError, TransientError
from hub.model import Warning as HubWarning
from hub.model import Why
from tests.conftest import NewMosquitto
from tests.test_hub_cap import flood
from tests.village import PRIVATE_KEY, VILLAGE, Village, at, config, detection
from tocsin import plugins, topics
from tocsin.levels import Level
from tocsin.link import Broker, Link, LinkDownError
from tocsin.messages import Bulletin, BulletinKind, encode
from tocsin.signing import SealError, public_key_of, verify

GOLDEN = Path(__file__).parent / "golden" / "loudspeaker"


class FakeChannel:
    """Gives back or raises what a test has laid out, one a send; then a receipt each time."""

    def __init__(self, *, retained: bool = False) -> None:
        self.retained = retained
        self.script: list[Exception] = []
        self.sent: list[str] = []
        self.tries = 0

    async def send(self, bulletin: Bulletin, warning: HubWarning) -> str:
        assert warning.id == bulletin.warning
        self.tries += 1
        if self.script:
            raise self.script.pop(0)
        self.sent.append(bulletin.id)
        return f"receipt {bulletin.id}"


@pytest.fixture
async def village(tmp_path: Path) -> AsyncIterator[Village]:
    there = Village(tmp_path)
    for station in ("upper-bridge", "next-door"):
        there.starts(station)
    yield there
    there.close()


def make(village: Village, **channels: AnyChannel) -> Dispatch:
    """Every channel of the outbox is there: those that a test does not name always succeed."""
    return Dispatch(village.database, {"cap": FakeChannel(), "loudspeaker": FakeChannel()} | channels, village.clock)


async def alarm(village: Village, level: Level, revision: int, station: str = "upper-bridge") -> str:
    """The id of the bulletin that follows."""
    now = village.clock.now_ms()
    found = detection(level, "14:00", revision, seq=revision)
    village.finds(msgspec.structs.replace(found, t=now), station)
    await village.reads()
    (newest,) = village.database.connection.execute(
        "SELECT json_extract(bulletin, '$.id') FROM outbox ORDER BY id DESC LIMIT 1"
    ).fetchone()
    return str(newest)


def rows(village: Village, channel: str) -> list[tuple[str, int, str]]:
    return village.database.connection.execute(
        "SELECT state, attempts, receipt FROM outbox WHERE channel = ? ORDER BY id", (channel,)
    ).fetchall()


async def test_sent_once_with_a_receipt(village: Village) -> None:
    cap = FakeChannel()
    dispatch = make(village, cap=cap)
    first = await alarm(village, Level.ORANGE, 1)
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
    await alarm(village, Level.ORANGE, 1)
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
    first = await alarm(village, Level.ORANGE, 1)
    second = await alarm(village, Level.RED, 2)
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
    first = await alarm(village, Level.ORANGE, 1)
    second = await alarm(village, Level.RED, 2)
    elsewhere = await alarm(village, Level.BLUE, 1, "next-door")
    due = await dispatch.send_due("loudspeaker")
    assert (speaker.sent, due) == ([elsewhere], at("14:00:01"))
    village.clock.wind_to(at("14:00:01"))
    await dispatch.send_due("loudspeaker")
    assert speaker.sent == [elsewhere, first, second]


async def test_what_waits_survives_a_restart(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    first = await alarm(village, Level.ORANGE, 1)
    await make(village, cap=cap).send_due("cap")
    village.restart()
    village.clock.wind_to(at("14:00:01"))
    await make(village, cap=cap).send_due("cap")
    assert cap.sent == [first]


async def test_clock_that_was_set_back_does_not_keep_a_bulletin_waiting(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    await alarm(village, Level.ORANGE, 1)
    await make(village, cap=cap).send_due("cap")
    village.clock = type(village.clock)(at("12:00"))
    assert await make(village, cap=cap).send_due("cap") is None
    assert len(cap.sent) == 1


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("did not happen")


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
    await alarm(village, Level.ORANGE, 1)
    dispatch.wake()
    await _until(lambda: dispatch.counts.get("cap retried") == 1)
    await alarm(village, Level.RED, 2)
    dispatch.wake()
    await asyncio.sleep(0)
    village.clock.wind_to(at("14:00:01"))
    dispatch.wake()
    await _until(lambda: len(cap.sent) == 2)
    assert [state for state, _, _ in rows(village, "loudspeaker")] == ["pending", "pending"]
    gate.set()
    await _until(lambda: dispatch.counts.get("loudspeaker sent") == 2)
    task.cancel()


async def test_retry_comes_by_itself(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [TransientError("disk full")]
    dispatch = make(village, cap=cap)
    await alarm(village, Level.ORANGE, 1)
    task = asyncio.create_task(dispatch.run())
    await _until(lambda: dispatch.counts.get("cap retried") == 1)
    await _until(lambda: bool(village.clock._sleepers))
    village.clock.wind_to(at("14:00:01"))
    await _until(lambda: len(cap.sent) == 1)
    task.cancel()


async def test_channel_that_breaks_on_one_bulletin_still_says_the_others(village: Village) -> None:
    cap = FakeChannel()
    cap.script = [RuntimeError("a mistake in the channel")]
    dispatch = make(village, cap=cap)
    await alarm(village, Level.ORANGE, 1)
    elsewhere = await alarm(village, Level.RED, 1, "next-door")
    task = asyncio.create_task(dispatch.run())
    await _until(lambda: dispatch.counts.get("cap restarts") == 1)
    await _until(lambda: bool(village.clock._sleepers))
    village.clock.wind_to(village.clock.now_ms() + 1000)
    await _until(lambda: len(cap.sent) == 1)
    assert cap.sent == [elsewhere]
    await _until(lambda: bool(village.clock._sleepers))
    village.clock.wind_to(village.clock.now_ms() + 1000)
    await _until(lambda: len(cap.sent) == 2)
    task.cancel()


async def test_republish_says_the_newest_of_each_area_and_closing_ones_for_seven_days(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    dispatch = make(village, loudspeaker=speaker)
    await alarm(village, Level.ORANGE, 1)
    newest = await alarm(village, Level.RED, 2)
    elsewhere = await alarm(village, Level.BLUE, 1, "next-door")
    closing = await alarm(village, Level.CLEAR, 2, "next-door")
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
    first = await alarm(village, Level.ORANGE, 1)
    for _ in range(6):
        due = await dispatch.send_due("loudspeaker")
        assert due is not None
        village.clock.wind_to(due)
    village.clock.wind_to(village.clock.now_ms())
    await dispatch.republish()
    assert speaker.sent == [first, first]


async def test_republish_stops_quietly_when_the_broker_goes_again(village: Village) -> None:
    speaker = FakeChannel(retained=True)
    dispatch = make(village, loudspeaker=speaker)
    await alarm(village, Level.ORANGE, 1)
    await alarm(village, Level.BLUE, 1, "next-door")
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


# ---- the loudspeaker


async def test_loudspeaker_golden() -> None:
    published: list[tuple[str, bytes, bool]] = []

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        published.append((topic, payload, retain))

    channel = loudspeaker.Channel(config(), publish)
    for name, (warning, bulletin) in flood(config()).items():
        assert await channel.send(bulletin, warning) == f"tocsin/1/area/{VILLAGE}/bulletin"
        topic, payload, retain = published.pop()
        assert (topic, retain) == (f"tocsin/1/area/{VILLAGE}/bulletin", True)
        assert verify(payload, topic, public_key_of(PRIVATE_KEY)) == encode(bulletin)
        assert json.loads(payload) == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


async def test_loudspeaker_signature_is_for_its_area_alone() -> None:
    published: list[bytes] = []

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        published.append(payload)

    warning, bulletin = flood(config())["alert"]
    await loudspeaker.Channel(config(), publish).send(bulletin, warning)
    with pytest.raises(SealError, match="does not fit"):
        verify(published[0], topics.bulletin("330112100202"), public_key_of(PRIVATE_KEY))


async def test_loudspeaker_without_a_broker_is_worth_another_try() -> None:
    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        raise LinkDownError("not connected")

    warning, bulletin = flood(config())["alert"]
    with pytest.raises(TransientError, match="not connected"):
        await loudspeaker.Channel(config(), publish).send(bulletin, warning)


async def test_bulletin_is_on_the_broker_again_after_the_broker_was_wiped(
    village: Village, new_mosquitto: NewMosquitto
) -> None:
    mosquitto = new_mosquitto()

    async def ignore(topic: str, payload: bytes) -> None: ...

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        await link_up.publish(topic, payload, retain=retain)

    dispatch = make(village, loudspeaker=loudspeaker.Channel(village.config, publish))
    link_up = Link(
        Broker.of(mosquitto.url), "hub", subscriptions=[], on_message=ignore, on_connect=dispatch.republish
    )
    tasks = [asyncio.create_task(link_up.run()), asyncio.create_task(dispatch.run())]
    await alarm(village, Level.ORANGE, 1)
    newest = await alarm(village, Level.RED, 2)
    dispatch.wake()
    try:
        assert (await _retained(mosquitto.url, newest)).level == Level.RED
        mosquitto.kill()
        mosquitto.wipe()
        mosquitto.start()
        assert (await _retained(mosquitto.url, newest)).kind is BulletinKind.UPDATE
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _retained(url: str, wanted: str) -> Bulletin:
    """The bulletin that a loudspeaker switched on now is given, as soon as it is the one that is wanted."""
    topic = topics.bulletin(VILLAGE)
    got: asyncio.Future[Bulletin] = asyncio.get_running_loop().create_future()

    async def hear(name: str, payload: bytes) -> None:
        body = verify(payload, name, public_key_of(PRIVATE_KEY))
        bulletin = msgspec.json.decode(body, type=Bulletin)
        if bulletin.id == wanted and not got.done():
            got.set_result(bulletin)

    task = asyncio.create_task(Link(Broker.of(url), "speaker", subscriptions=[topic], on_message=hear).run())
    try:
        return await asyncio.wait_for(got, 20)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# ---- answer links


async def test_answer_links_are_for_one_person_and_one_warning(village: Village) -> None:
    await alarm(village, Level.ORANGE, 1)
    await alarm(village, Level.ORANGE, 1, "next-door")
    warnings = await village.desk.open_warnings()
    tokens = {
        (warning.id, person.name): token(village.config, warning.id, person.name)
        for warning in warnings
        for person in village.config.person
    }
    assert len(set(tokens.values())) == len(tokens) == 10
    for (warning_id, person), text in tokens.items():
        found = person_of(village.config, text, warnings)
        assert found is not None
        assert (found[0].id, found[1]) == (warning_id, person)
    other = msgspec.structs.replace(village.config.hub, private_key="33" * 32)
    assert token(msgspec.structs.replace(village.config, hub=other), *next(iter(tokens))) not in tokens.values()


@pytest.mark.parametrize("given", ["", "a", "A" * 22, "\ud800", "中文", "A" * 100_000])
async def test_other_text_is_nobodys_link(village: Village, given: str) -> None:
    await alarm(village, Level.ORANGE, 1)
    assert person_of(village.config, given, await village.desk.open_warnings()) is None


def test_link_is_an_address_that_needs_no_quoting() -> None:
    with_url = link(config(public_url="https://warn.example.org/"), "flood-1", "李明")
    assert with_url.startswith("https://warn.example.org/answer/")
    text = with_url.rpartition("/")[2]
    assert len(text) == 22
    assert text.replace("-", "").replace("_", "").isalnum()
    assert link(config(), "flood-1", "李明") == f"/answer/{text}"
