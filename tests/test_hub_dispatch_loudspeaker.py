"""The loudspeaker's bulletins: signed, retained, and there again after the broker lost them."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from hub.broadcast import loudspeaker
from hub.errors import TransientError
from tests.channels import make
from tests.conftest import NewMosquitto
from tests.test_hub_cap import flood
from tests.village import PRIVATE_KEY, VILLAGE, Village, config
from tocsin import topics
from tocsin.broker import Broker
from tocsin.levels import Level
from tocsin.link import Link, LinkDownError
from tocsin.messages import Bulletin, BulletinKind, encode
from tocsin.signing import SealError, public_key_of, verify

GOLDEN = Path(__file__).parent / "golden" / "loudspeaker"


async def test_loudspeaker_golden() -> None:
    published: list[tuple[str, bytes, bool]] = []

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        if payload:
            published.append((topic, payload, retain))

    channel = loudspeaker.Channel(config(), publish)
    for name, (warning, bulletin) in flood(config()).items():
        assert await channel.send(bulletin, warning) == f"tocsin/1/area/{VILLAGE}/bulletin/flood"
        topic, payload, retain = published.pop()
        assert (topic, retain) == (f"tocsin/1/area/{VILLAGE}/bulletin/flood", True)
        assert verify(payload, topic, public_key_of(PRIVATE_KEY)) == encode(bulletin)
        assert json.loads(payload) == json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


async def test_loudspeaker_signature_is_for_its_area_alone() -> None:
    published: list[bytes] = []

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        published.append(payload)

    warning, bulletin = flood(config())["alert"]
    await loudspeaker.Channel(config(), publish).send(bulletin, warning)
    with pytest.raises(SealError, match="does not fit"):
        verify(published[0], topics.bulletin("330112100202", "flood"), public_key_of(PRIVATE_KEY))


async def test_loudspeaker_without_a_broker_is_worth_another_try() -> None:
    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        raise LinkDownError("not connected")

    warning, bulletin = flood(config())["alert"]
    with pytest.raises(TransientError, match="not connected"):
        await loudspeaker.Channel(config(), publish).send(bulletin, warning)


async def test_what_an_older_hub_retained_for_all_hazards_stands_no_longer(
    village: Village, new_mosquitto: NewMosquitto
) -> None:
    """It would be told for ever to who still listens there: nobody says anything on that topic any more."""
    mosquitto = new_mosquitto()
    old, seen = f"tocsin/1/area/{VILLAGE}/bulletin", list[str]()
    alone = asyncio.Event()

    async def hear(topic: str, payload: bytes) -> None:
        seen.append(topic)
        if topic == "last":
            alone.set()

    link_up = Link(Broker.of(mosquitto.url), "hub", subscriptions=[], on_message=hear)
    tasks = [asyncio.create_task(link_up.run())]
    try:
        await asyncio.wait_for(link_up.wait_connected(), 30)
        await link_up.publish(old, b"said by an older hub", retain=True)
        channel = loudspeaker.Channel(config(), link_up.publish)
        warning, bulletin = flood(config())["alert"]
        await channel.send(bulletin, warning)
        late = Link(Broker.of(mosquitto.url), "speaker", subscriptions=[old, f"{old}/+", "last"], on_message=hear)
        tasks.append(asyncio.create_task(late.run()))
        await asyncio.wait_for(late.wait_connected(), 30)
        await link_up.publish("last", b"x", retain=True)
        await asyncio.wait_for(alone.wait(), 30)
        assert seen == [f"{old}/flood", "last"]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_an_areas_old_topic_is_emptied_once_and_again_where_the_broker_was_away() -> None:
    published: list[str] = []
    away = True

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        assert bool(payload) == topic.endswith("/flood")
        assert retain
        if away and not payload:
            raise LinkDownError("gone")
        published.append(topic.rpartition("/")[2])

    warning, bulletin = flood(config())["alert"]
    channel = loudspeaker.Channel(config(), publish)
    with pytest.raises(TransientError, match="gone"):
        await channel.send(bulletin, warning)
    away = False
    for _ in range(2):
        await channel.send(bulletin, warning)
    assert published == ["flood", "flood", "bulletin", "flood"]


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
    await village.alarm(Level.ORANGE, 1)
    newest = await village.alarm(Level.RED, 2)
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
    topic = topics.bulletin(VILLAGE, "+")
    got: asyncio.Future[Bulletin] = asyncio.get_running_loop().create_future()

    async def hear(name: str, payload: bytes) -> None:
        body = verify(payload, name, public_key_of(PRIVATE_KEY))
        bulletin = msgspec.json.decode(body, type=Bulletin)
        if bulletin.id == wanted and not got.done():
            got.set_result(bulletin)

    task = asyncio.create_task(Link(Broker.of(url), "speaker", subscriptions=[topic], on_message=hear).run())
    try:
        return await asyncio.wait_for(got, 30)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
