"""The one place that speaks MQTT: version 5, QoS 1, last will, and a reconnect of our own.

A PUBACK says that the broker has a message, not that anyone got it; what must arrive is answered by its receiver
(`committed`). paho's own back-off doubles to two minutes; here it is capped at 5 s.
"""

import asyncio
import logging
import math
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tocsin.broker import Broker, TlsError, in_words
from tocsin.client import Client, NotTakenError
from tocsin.link_words import say
from tocsin.messages import LARGEST
from tocsin.said import Said, joined
from tocsin.traffic import Traffic
from tocsin.trust import Trust

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 5.0
KEEPALIVE_S = 10  # a link that lost its far end without a word is noticed within twice that
_UNACKNOWLEDGED_MS = 15_000  # and sooner where something is under way: the kernel then gives the connection up
_TIMEOUT_S = 10.0
_PUBLISH_S = 30.0  # 32 kB on a bad phone link; a link that is gone is noticed by the keep-alive
_HEAR_AGAIN_S = 60.0  # a broker that lets us hear nothing may be told better while we are connected
_AROUND = 16  # bytes of a packet around topic and payload: head, lengths, number, no properties
LARGEST_PACKET = LARGEST + (64 << 10)  # a topic is as long as that at most
_TELL_EVERY_S = 60.0
_AT_ONCE = 10  # messages handled one after the other before others have their turn: some milliseconds

log = logging.getLogger(__name__)


class LinkDownError(Exception):
    """There is no connection, or it broke before the broker took the message."""


class TooLargeError(LinkDownError):
    """A message that would end the connection: it was not sent, and will not go another time."""

    def __init__(self, said: Said) -> None:
        super().__init__(said)
        self.said = said


class RefusedError(LinkDownError):
    """The broker answered that it does not take this message, as one that its list of rights forbids."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when this client is gone without a word."""

    topic: str
    payload: bytes


Handler = Callable[[str, bytes], Awaitable[None]]


class Link:
    """A connection that comes back by itself. `on_message(topic, payload)` is called one message after the other."""

    def __init__(
        self,
        broker: Broker,
        client_id: str,
        *,
        subscriptions: Sequence[str],
        on_message: Handler,
        on_connect: Callable[[], Awaitable[None]] | None = None,
        will: Callable[[], Will] | None = None,
        keepalive_s: int = KEEPALIVE_S,
    ) -> None:
        """`traffic` counts what goes over it; `dropped` the messages that came and that there was no room for in
        memory: what was not committed is sent again."""
        self.traffic = Traffic(keepalive_s)
        self.dropped = 0
        self._told_dropped_s = -math.inf
        self._away = say("never")
        self._unheard: dict[str, str] = {}  # topics that the broker does not let us hear, and why
        self._taken_s = 0.0
        self._keepalive_s = keepalive_s
        self._broker = broker
        self._trust = Trust(broker)
        self._client_id = client_id
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_connect = on_connect
        self._will = will
        self._largest = LARGEST_PACKET
        self._client: Client | None = None
        self._lost: asyncio.Future[None] | None = None
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def trouble(self) -> Said:
        """Why there is no connection, or what the broker refuses while there is one; "" where all is well."""
        if self._client is None:
            return self._away
        refused = [say("unheard", topic=topic, why=why) for topic, why in self._unheard.items()]
        if self._client.refused:
            refused.append(say("untaken", why=self._client.refused))
        return joined(refused)

    def room(self, topic: str) -> int:
        """Bytes of the largest payload that goes there; while there is no connection, as the last one was told."""
        return self._largest - len(topic.encode()) - _AROUND

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def run(self) -> None:
        """Until cancelled: connect, serve, and on a break wait 0.25 s, then twice as long each time up to 5 s."""
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                context = await self._trust.context() if self._broker.tls else None
                async with self._new_client(context) as client:
                    wait_s = _FIRST_WAIT_S
                    await self._serve(client)
            except (aiomqtt.MqttError, TlsError) as err:
                self._away = in_words(err, self._broker)
                log.warning("broker %s:%d: %s; next try in %g s",
                            self._broker.host, self._broker.port, self._away, wait_s)
            except Exception:  # a fault of a library must not end the link for good
                log.exception("link: failed; next try in %g s", wait_s)
            finally:
                self._client = None
                self._up.clear()
                if self._lost is not None and not self._lost.done():
                    self._lost.set_result(None)
            _raise_if_cancelled()
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Returns when the broker has it. Raises LinkDownError, TooLargeError and RefusedError for what it does not
        take.

        A broker that takes nothing any more though it answers pings is hung up on: what it was given would pile up.
        """
        client, lost = self._client, self._lost
        if client is None or lost is None:
            raise LinkDownError("not connected")
        most, size = self._largest, len(payload) + len(topic.encode()) + _AROUND
        if size > most:
            key = "too_large_there" if most < LARGEST_PACKET else "too_large"
            raise TooLargeError(say(key, size=size, host=self._broker.host, most=most))
        begun_s = time.monotonic()
        publishing = asyncio.ensure_future(client.put(topic, payload, retain=retain))
        try:
            await asyncio.wait({publishing, lost}, timeout=_PUBLISH_S, return_when=asyncio.FIRST_COMPLETED)
            if not publishing.done():
                if not lost.done() and self._taken_s < begun_s:
                    client.hang_up()
                why = "the connection broke" if lost.done() else f"the broker did not take it in {_PUBLISH_S:g} s"
                raise LinkDownError(why)
            publishing.result()
            self._taken_s = time.monotonic()
            self.traffic.published(topic, payload, self._taken_s)
        except NotTakenError as err:
            self._taken_s = time.monotonic()  # it answers
            raise RefusedError(str(err)) from err
        except aiomqtt.MqttError as err:
            raise LinkDownError(str(err)) from err
        finally:
            publishing.cancel()

    async def _serve(self, client: Client) -> None:
        self._largest = min(LARGEST_PACKET, client.largest or LARGEST_PACKET)
        await self._subscribe(client, self._subscriptions)
        self._client = client
        self._lost = asyncio.get_running_loop().create_future()
        self.traffic.connected(time.monotonic(), tls=self._broker.tls)
        log.info("broker %s:%d: connected as %s", self._broker.host, self._broker.port, self._client_id)
        after = asyncio.create_task(self._after_connect(client), name="link after connect")
        try:
            await asyncio.sleep(0)  # who waits for us sends nothing before what follows a connection is begun
            self._up.set()
            async for first in client.messages:
                await self._take(first)
                for _ in range(_AT_ONCE):
                    if (message := client.waiting()) is None:
                        break
                    await self._take(message)
        finally:
            after.cancel()
            with suppress(asyncio.CancelledError):
                await after

    async def _take(self, message: aiomqtt.Message) -> None:
        topic, payload = str(message.topic), message.payload if isinstance(message.payload, bytes) else b""
        self.traffic.received(topic, payload, time.monotonic())
        try:
            await self._on_message(topic, payload)
        except Exception:  # one message that its handler fails on must not end the connection of all others
            log.exception("link: the handler of %s failed", topic)

    async def _subscribe(self, client: Client, topics: Sequence[str]) -> None:
        unheard: dict[str, str] = {}
        for topic in topics:
            for code in await client.subscribe(topic, qos=1):
                if isinstance(code, ReasonCode) and code.is_failure:
                    unheard[topic] = str(code)
                    log.error("broker %s:%d: does not let us hear %s: %s",
                              self._broker.host, self._broker.port, topic, code)
            _raise_if_cancelled()
        self._unheard = unheard

    async def _after_connect(self, client: Client) -> None:
        """Ended with the connection; until then what fails is done again."""
        wait_s = _FIRST_WAIT_S
        while not await self._greet():
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _HEAR_AGAIN_S)
        while self._unheard:
            await asyncio.sleep(_HEAR_AGAIN_S)
            with suppress(aiomqtt.MqttError):
                await self._subscribe(client, list(self._unheard))

    async def _greet(self) -> bool:
        if self._on_connect is not None:
            try:
                await self._on_connect()
            except LinkDownError as err:
                log.warning("link: what follows a connection did not go through: %s", err)
                return False
            except Exception:  # it must not end silently, nor the link with it
                log.exception("link: what follows a connection failed")
                return False
        return True

    def _drop(self) -> None:
        self.dropped += 1
        if (now_s := time.monotonic()) - self._told_dropped_s > _TELL_EVERY_S:
            self._told_dropped_s = now_s
            log.error("link: more comes than is handled: %d messages were dropped, and must come again", self.dropped)

    def _new_client(self, context: ssl.SSLContext | None) -> Client:
        will = self._will() if self._will else None
        return Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.user,
            password=self._broker.password,
            identifier=self._client_id,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=self._keepalive_s,
            timeout=_TIMEOUT_S,
            dropped=self._drop,
            max_inflight_messages=200,
            options=[
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),  # else a warning waits 40 ms for an ACK
                (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS),
            ],
            will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
            tls_context=context,
            properties=_properties(),
        )


def _properties() -> Properties:
    """Of the connection: what is larger than any message of ours is not sent to us."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = LARGEST_PACKET
    return properties


def _raise_if_cancelled() -> None:
    """asyncio.wait_for before Python 3.12, which aiomqtt uses, can swallow a cancellation that meets its result."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
