"""What the hub tells a station: signed, once, in time, and answered; or refused with a reason."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.orders import KEY, LEDGER, MOST_KNOWN, Known, Ledger
from edge.recorder import KINDS, URGENT_KINDS
from tests.edge_bench import GAUGE, RAIN, STAGE, Bench
from tests.hub_voice import HOUR_MS, HubVoice
from tests.stations import START_MS
from tests.tasks import beside
from tocsin import topics
from tocsin.levels import Level
from tocsin.messages import Event, EventKind
from tocsin.orders import Obeyed
from tocsin.said import Said
from tocsin.signing import SealError, new_signing_key, verify

SERVICE: dict[str, Any] = {"do": "service", "device": "gauge", "minutes": 30}


class Post(Bench):
    """A station that knows its hub, and what the hub says to it."""

    def __init__(self, folder: Path, rules: str = STAGE + RAIN) -> None:
        self.hub = HubVoice()
        self._loop = asyncio.Runner()
        super().__init__(folder, rules, public_key=self.hub.public_key)

    def gets(self, *messages: tuple[str, bytes]) -> None:
        """They arrive, one after the other."""

        async def take() -> None:
            async with beside(self.agent.recorder.run()):
                await self.agent.commands.settle()
                for topic, payload in messages:
                    await self.agent.commands.take(topic, payload)
                    while not self.agent.commands._rule_orders.idle:
                        await self.agent.commands._rule_orders.obey(await self.agent.commands._rule_orders.next())
                await self.agent.recorder.written(self.agent.recorder.last_seq)

        self._loop.run(take())

    def stop(self) -> None:
        self._loop.close()
        super().stop()

    def again(self) -> None:
        """kill -9 with everything written, and the next start."""
        self.kill(len(self.agent.recorder._pending))
        self.agent.commands.begin()

    def sends_papers(self) -> None:
        self._loop.run(self.agent.commands.send_papers())

    @property
    def answers(self) -> list[tuple[str, bool, str]]:
        return [(one.id, one.done, one.said) for one in self.of(Obeyed)]

    @property
    def complaints(self) -> list[str]:
        return [event.detail for event in self.of(Event) if event.what is EventKind.COMMAND]


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


def test_a_command_is_done_once_and_answered(post: Post) -> None:
    post.read(0.5)
    command = post.hub.command(**SERVICE)
    post.gets(command, command)
    assert post.answers == [("c1", True, "gauge: Zhao Min works on it for at most 30 min")]
    post.again()
    post.gets(command)
    assert len(post.answers) == 1
    assert post.agent.pipeline.decider.in_service("gauge", post.clock.now_ms())
    assert KINDS[Obeyed] in URGENT_KINDS, "answers go before readings"
    post.stop()


@pytest.mark.parametrize(("ask", "why"), [
    ({"do": "service", "device": "pump", "minutes": 5}, '"pump" is not a device'),
    ({"do": "clear", "rule": "stage", "series": GAUGE}, "can only be done at the station"),
    ({"do": "calibrate", "series": GAUGE, "set": {"offset": 1.0}}, "can only be done at the station"),
    ({"do": "explode"}, "explode"),
    ({"do": "levels", "who": " "}, "who wants it"),
    ({"do": "levels", "more": 1}, "more"),
    ({"do": 5}, "Expected `str`"),
])
def test_what_cannot_be_done_is_answered_with_a_reason(post: Post, ask: dict[str, Any], why: str) -> None:
    post.read(2.6)
    post.gets(post.hub.command(**ask))
    ((_, done, said),) = post.answers
    assert not done
    assert why in said
    assert post.levels() == [("stage", Level.ORANGE)]
    post.stop()


@pytest.mark.parametrize(("message", "why"), [
    (lambda hub: HubVoice(keys=[new_signing_key()[0]]).command(**SERVICE), "signature"),
    (lambda hub: (hub.command(**SERVICE)[0], hub.command(**SERVICE)[1].replace(b'"minutes":30', b'"minutes":60')),
     "signature"),
    (lambda hub: (topics.order("bridge", topics.COMMAND), HubVoice("weir", hub.keys).command(**SERVICE)[1]),
     "signature"),
    (lambda hub: hub.command(station="weir", **SERVICE), 'for "weir"'),
    (lambda hub: (topics.order("bridge", topics.COMMAND), b"{}"), "not a sealed message"),
    (lambda hub: (topics.order("bridge", topics.COMMAND), b'{"v":1,"sig":"","body":' + b"[" * 10_000), "refused: "),
    (lambda hub: hub.signed(topics.COMMAND, {"v": 1}), "missing required field"),
    (lambda hub: (topics.order("bridge", topics.RULES), hub.command(**SERVICE)[1]), "signature"),
])
def test_what_the_hub_has_not_signed_for_this_station_moves_nothing_and_is_told_once(
    post: Post, message: Callable[[HubVoice], tuple[str, bytes]], why: str
) -> None:
    topic, payload = message(post.hub)
    post.gets((topic, payload), (topic, payload))
    assert post.answers == []
    assert not post.agent.pipeline.decider.service
    (complaint,) = post.complaints
    assert why in complaint
    post.gets(post.hub.command("c2", **SERVICE))
    assert [done for _, done, _ in post.answers] == [True]
    post.stop()


@given(place=st.integers(0, 10_000), mask=st.integers(1, 255))
def test_one_changed_byte_is_refused_or_changes_nothing(place: int, mask: int) -> None:
    hub = HubVoice()
    topic, payload = hub.command(**SERVICE)
    changed = bytearray(payload)
    changed[place % len(payload)] ^= mask
    try:
        body = verify(bytes(changed), topic, hub.public_key)
    except SealError:
        return
    assert body == verify(payload, topic, hub.public_key)


@pytest.mark.parametrize(("issued", "lives_ms", "why"), [
    (START_MS - 2 * HOUR_MS, HOUR_MS, "it expired at 2024-08-07T23:00:00Z; here it is 2024-08-08T00:00:00Z"),
    (START_MS, 25 * HOUR_MS, "longer than a day"),
    (START_MS, 0, "or not at all"),
])
def test_a_command_has_its_time(post: Post, issued: int, lives_ms: int, why: str) -> None:
    post.gets(post.hub.command(issued=issued, lives_ms=lives_ms, **SERVICE))
    ((_, done, said),) = post.answers
    assert not done
    assert why in said
    post.stop()


def test_a_clock_that_lags_does_not_make_an_old_command_young(post: Post) -> None:
    post.clock.set_by(-30 * 86_400_000)
    post.gets(post.hub.command("new", issued=START_MS, do="levels"),
              post.hub.command("old", issued=START_MS - 2 * HOUR_MS, **SERVICE))
    assert [(name, done) for name, done, _ in post.answers] == [("new", True), ("old", False)]
    assert "it expired" in post.answers[1][2]
    post.again()
    post.gets(post.hub.command("older", issued=START_MS - 3 * HOUR_MS, **SERVICE))
    assert not post.answers[-1][1]
    post.stop()


def test_of_a_command_that_a_crash_broke_off_nobody_knows(post: Post) -> None:
    Ledger(post.folder).begin(Known("c7", START_MS))
    post.again()
    assert post.answers == [("c7", False, "the agent was stopped while it did this; how far it came is not known")]
    post.gets(post.hub.command("c7", **SERVICE))
    post.again()
    assert len(post.answers) == 1, "neither done after all nor answered twice"
    post.stop()


def test_an_answer_that_a_crash_took_is_given_again(post: Post) -> None:
    known = Known("c7", START_MS)
    post.agent.commands._ledger.begin(known)
    post.agent.commands._answer(known, Said("as told", "照办"), done=True)
    post.kill(0)    # the record was not yet in the log
    post.agent.commands.begin()
    assert [(name, done) for name, done, _ in post.answers] == [("c7", False)]
    post.stop()


def test_what_cannot_be_remembered_is_not_done(post: Post) -> None:
    (post.folder / (LEDGER + ".new")).mkdir()
    post.gets(post.hub.command(**SERVICE))
    ((_, done, said),) = post.answers
    assert not done
    assert "cannot be remembered" in said
    assert not post.agent.pipeline.decider.service
    post.stop()


def test_the_ledger_is_bounded_and_what_it_forgot_is_never_done_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for number in range(MOST_KNOWN + 3):
        ledger.begin(Known(f"c{number}", START_MS + number))
    again = Ledger(tmp_path)
    assert (again.has("c2"), again.has("c3"), again.forgotten) == (False, True, START_MS + 2)
    assert again.newest == START_MS + MOST_KNOWN + 2
    again.begin(Known("ancient", 5))
    assert again.forgotten == START_MS + 2
    (tmp_path / LEDGER).write_bytes(b"\x00torn")
    assert not Ledger(tmp_path).begun()


def test_the_ledger_is_on_the_disk_at_each_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    ledger = Ledger(tmp_path)
    ledger.begin(Known("c1", START_MS))
    begun = len(synced)
    ledger.end(Known("c1", START_MS))
    assert len(synced) == 2 * begun > 0
    assert Ledger(tmp_path).begun() == []


def test_a_command_from_before_the_ledger_is_refused(post: Post) -> None:
    for number in range(MOST_KNOWN + 1):
        post.agent.commands._ledger.begin(Known(f"c{number}", START_MS, ended=True))
    post.gets(post.hub.command("c-late", issued=START_MS, **SERVICE))
    assert "may have been done already" in post.answers[0][2]
    post.stop()


def test_the_hubs_key_moves_on_by_its_own_signature_alone(post: Post) -> None:
    stranger = HubVoice()
    post.gets(stranger.new_key())
    assert "no signature fits" in post.complaints[0]
    post.hub.new_key()
    way = post.hub.new_key()
    post.gets(way, way)
    assert len(post.complaints) == 2
    assert f"now; it was {post.hub.public_key[:16]}" in post.complaints[1]
    post.again()
    post.gets(way, post.hub.command(**SERVICE))
    assert [done for _, done, _ in post.answers] == [True], "also after a restart"
    post.gets(HubVoice(keys=post.hub.keys[:1]).command("c2", **SERVICE))
    assert len(post.answers) == 1, "the first key is no longer one"
    post.stop()


def test_a_key_that_cannot_be_kept_breaks_nothing_and_is_told(post: Post) -> None:
    (post.folder / (KEY + ".new")).mkdir()
    post.gets(post.hub.new_key())
    assert "hub-key" in post.complaints[0]
    (post.folder / (KEY + ".new")).rmdir()
    post.hub.keys = post.hub.keys[:1]
    post.gets(post.hub.command(**SERVICE))
    assert [done for _, done, _ in post.answers] == [True]
    post.stop()


def test_who_sends_ever_other_nonsense_does_not_fill_the_log(post: Post) -> None:
    topic = topics.order("bridge", topics.COMMAND)
    command = post.hub.command(do="levels")
    for number in range(20):
        post.gets((topic, b" " * number), command)
    assert len(post.complaints) == 1
    post.stop()


def test_a_key_pinned_anew_counts(post: Post) -> None:
    post.gets(post.hub.new_key())
    other = HubVoice()
    post.files.public_key = other.public_key
    post.files.write()
    post.again()
    post.gets(other.command(**SERVICE))
    assert [done for _, done, _ in post.answers] == [True]
    post.stop()


def test_a_station_without_the_hubs_key_hears_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.agent.commands.handlers == {}
    bench.stop()


async def test_words_that_come_faster_than_they_are_done_hold_up_nothing(tmp_path: Path) -> None:
    post = Post(tmp_path)
    async with asyncio.timeout(30):
        for number in range(150):
            await post.agent.commands.heard(*post.hub.command(f"c{number}", **SERVICE))
        await post.agent.commands.heard(topics.order("bridge", topics.RULES), b"")
        assert post.agent.commands._queue.qsize() == 100
        post.again()
        for _ in range(10):
            await post.agent.commands.heard(topics.order("bridge", topics.RULES), b"x" * (1 << 20))
        assert post.agent.commands._queue.qsize() == 4, "nor do large ones fill the memory"
    post.stop()


async def test_rules_that_wait_are_one_the_newest(tmp_path: Path) -> None:
    post = Post(tmp_path)
    for version in (2, 5, *[3] * 100):
        await post.agent.commands.take(*post.hub.rules(version, STAGE))
    waiting = post.agent.commands._rule_orders
    assert (await waiting.next()).version == 5
    assert waiting.idle
    post.stop()
