"""What stations say of their rules, and what somebody else may say in their name."""

import asyncio

import msgspec
import pytest

from hub import orders
from hub.checks import inspect
from hub.courier import RULES_AGAIN_S
from tests.test_hub_orders import BOOT, STATION, Desk, desk
from tests.village import at
from tocsin import topics
from tocsin.messages import VERSION, Upload, encode
from tocsin.orders import LARGEST_VERSION, Papers, RulesState

__all__ = ["desk"]


async def test_rules_that_a_station_does_not_speak_of_are_sent_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.rules("a")
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    for hours, sent in ((0, 1), (0.9, 1), (1.1, 2), (1.2, 2), (2.2, 3)):
        monkeypatch.setattr(loop, "time", lambda at_s=begun_s + hours * RULES_AGAIN_S: at_s)
        await desk.courier.step()
        assert desk.topics == ["rules"] * sent, "whoever overwrote what the broker retained wins an hour"
    await desk.courier.heard(topics.rules_state(STATION), encode(RulesState(VERSION, STATION, at("14:00"), 0, "", 1)))
    monkeypatch.setattr(loop, "time", lambda: begun_s + 9 * RULES_AGAIN_S)
    await desk.courier.step()
    assert len(desk.sent) == 3


async def test_a_word_on_rules_that_cannot_be_kept_is_counted_and_ends_nothing(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.database.connection.execute("DROP TABLE rules_states")
    await desk.courier.heard(topics.rules_state(STATION), encode(RulesState(VERSION, STATION, 1, 1, "")))
    assert desk.courier.counts["failed"] == 1
    assert "cannot be kept" in caplog.text


async def test_numbers_that_somebody_made_up_do_not_keep_the_hub_from_sending_rules(desk: Desk) -> None:
    for version, refused in ((1 << 70, 0), (0, 1 << 63), (-1, 0), (LARGEST_VERSION, 0)):
        await desk.courier.heard(
            topics.rules_state(STATION), encode(RulesState(VERSION, STATION, 1, version, "", refused)))
    assert desk.courier.counts["impossible value"] == 4
    for version in (1 << 70, -1):
        papers = encode(Papers(BOOT, 3, at("14:00"), "", {}, "", version))
        upload = encode(Upload(VERSION, STATION, [msgspec.Raw(papers)]))
        (refusal,) = inspect(topics.up(STATION, topics.READINGS), upload, desk.roster).refused
        assert refusal.reason == "impossible value"
    assert desk.rules("a") == 1
    desk.lands(Papers(BOOT, 3, at("14:00"), "", {}, "", LARGEST_VERSION - 1))
    with pytest.raises(ValueError, match="has spoken in this station's name"):
        desk.rules("b")


@pytest.mark.parametrize(("topic", "payload"), [
    (topics.rules_state(STATION), b"{"),
    (topics.rules_state(STATION), encode(RulesState(VERSION, STATION, 1, 1, "", 2, ["x" * (1 << 20)]))),
    (topics.rules_state(STATION), b"[" * 100_000),
    (topics.rules_state("stranger"), encode(RulesState(VERSION, "stranger", 1, 1, ""))),
    (topics.rules_state("mill-creek"), encode(RulesState(VERSION, STATION, 1, 1, ""))),
    (topics.rules_state(STATION), encode(RulesState(2, STATION, 1, 1, ""))),
])
async def test_a_word_on_rules_that_cannot_be_believed_is_counted(desk: Desk, topic: str, payload: bytes) -> None:
    await desk.courier.heard(topic, payload)
    assert orders.state_of(desk.database.connection, STATION) is None
    assert sum(desk.courier.counts.values()) == 1
