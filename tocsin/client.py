"""aiomqtt's client, made for a link that lives for years.

aiomqtt 2.5 waits ten seconds for an answer that cannot come any more, and then says only that the time is over; a
broker that refuses our certificate, and whatever accepts connections in front of one that is down, hang up like that.
It takes a message that the broker refused for one that was taken. It reads until nothing more is there, however long
that goes on, and it may watch a file number whose socket is closed, which is another file's by then.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from typing import Any, Self

import aiomqtt
from paho.mqtt.enums import MQTTErrorCode

from tocsin.inflow import Inflow

MOST_WAITING = 64 << 20  # bytes of messages that came and wait to be handled
_MOST_MESSAGES = 20_000
_PACKETS = 100  # read before others have their turn: some milliseconds


class NotTakenError(aiomqtt.MqttError):
    """The broker has answered that it does not take a message, and why."""


class Waiting(asyncio.Queue[aiomqtt.Message]):
    """Messages that came. It is full where they are too many, or too many bytes: memory is bounded by both."""

    bytes = 0

    def _put(self, item: aiomqtt.Message) -> None:
        super()._put(item)
        self.bytes += _size(item)

    def _get(self) -> aiomqtt.Message:
        item = super()._get()
        self.bytes -= _size(item)
        return item

    def full(self) -> bool:
        return self.bytes >= MOST_WAITING or super().full()


class Client(aiomqtt.Client):
    """Takes what aiomqtt.Client takes, but for `logger` and the queue."""

    def __init__(
        self, *args: Any, options: Sequence[tuple[int, int, int]], dropped: Callable[[], None], **named: Any
    ) -> None:
        """`largest`, once connected: the bytes of the largest packet that the broker takes; 0 where it set no limit.

        `refused`: why it did not take the last message that it answered for, "" where it took it. `options` of the
        socket: aiomqtt sets none on one that is not Python's own. `dropped` hears of each message that there was no
        room for.
        """
        self.largest = 0
        self.refused = ""
        self._ear = _Ear()
        self._dropped = dropped
        self._answers: dict[int, asyncio.Future[str]] = {}
        self._turn: asyncio.Handle | None = None
        super().__init__(*args, **named, logger=_logger_to(self._ear), queue_type=Waiting,
                         max_queued_incoming_messages=_MOST_MESSAGES)
        connect = self._client._create_socket  # noqa: SLF001 - paho has no other place to put it in

        def create() -> Inflow:
            made: socket.socket = connect()  # type: ignore[assignment]  # a wrapper of its own for websockets alone
            for option in options:
                made.setsockopt(*option)
            return Inflow(made)

        self._client._create_socket = create  # type: ignore[method-assign]  # noqa: SLF001

    async def __aenter__(self) -> Self:
        """As aiomqtt's, which leaves the socket open where the broker refuses us, or where it is cancelled."""
        try:
            return await super().__aenter__()
        except BaseException:
            self._client._sock_close()  # noqa: SLF001 - paho closes only what it says farewell to
            raise

    def waiting(self) -> aiomqtt.Message | None:
        """A message that is here already, at a fraction of what each costs as the next of `messages`."""
        try:
            return self._queue.get_nowait()
        except asyncio.QueueEmpty:
            return None

    async def put(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Returns when the broker has taken it. Raises NotTakenError, and MqttError where there is no connection; one
        that breaks meanwhile is not noticed here."""
        info = self._client.publish(topic, payload, 1, retain)
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message")
        answer = self._answers[info.mid] = self._loop.create_future()
        try:
            if why := await answer:
                raise NotTakenError(f"the broker refuses it: {why}")
        finally:
            del self._answers[info.mid]

    def hang_up(self) -> None:
        """Ends the connection, of which whoever waits for messages then hears."""
        self._client.disconnect()

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", 0)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:  # noqa: ARG002
        self.refused = str(reason_code) if reason_code.is_failure else ""
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(self.refused)

    def _on_message(self, client: Any, userdata: Any, message: Any) -> None:
        if self._queue.full():
            self._dropped()
        else:
            super()._on_message(client, userdata, message)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done():
            said = self._ear.said or f"the broker hung up before it answered: {reason_code}"
            self._connected.set_exception(aiomqtt.MqttError(said))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - paho's way to call it
        self._loop.call_soon_threadsafe(self._begin, sock)  # paho connects in a thread

    def _begin(self, sock: Inflow) -> None:
        if self._client.socket() is sock:
            self._loop.add_reader(sock.fileno(), self._read, sock)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _read(self, sock: Inflow) -> None:
        """Some packets; where more were read from the socket already it goes on after others had their turn, since
        the socket itself may say nothing of them."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        try:
            for _ in range(_PACKETS):
                self._client.loop_read()
                if self._client.socket() is not sock or not sock.pending():
                    return
        except Exception as err:  # noqa: BLE001 - whatever it is, this connection reads no more
            self._broke(err)
            return
        self._turn = self._loop.call_soon(self._read, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ARG002 - as above
        self._loop.call_soon_threadsafe(self._begin_to_write, sock)

    def _begin_to_write(self, sock: Inflow) -> None:
        if self._client.socket() is sock:
            self._loop.add_writer(sock.fileno(), self._write)

    def _write(self) -> None:
        try:
            self._client.loop_write()
        except Exception as err:  # noqa: BLE001 - whatever it is, this connection writes no more
            self._broke(err)

    def _broke(self, err: Exception) -> None:
        if not self._disconnected.done():
            self._disconnected.set_exception(err)


class _Ear(logging.Handler):
    """Keeps the last error that paho tells: of a refusal inside TLS nothing else speaks."""

    said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()


def _logger_to(ear: _Ear) -> logging.Logger:
    """One of its own, outside of the program's tree: what it says is told by the link."""
    logger = logging.Logger("mqtt", logging.ERROR)
    logger.addHandler(ear)
    return logger


def _size(message: aiomqtt.Message) -> int:
    return len(message.payload) if isinstance(message.payload, bytes) else 0
