"""aiomqtt's client, which says at once, and with the reason, that a broker hung up before it answered, and which reads
many messages at once.

aiomqtt 2.5 waits ten seconds for an answer that cannot come any more, and then says only that the time is over; a
broker that refuses our certificate, and whatever accepts connections in front of one that is down, hang up like that.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from typing import Any

import aiomqtt

from tocsin.inflow import Inflow


class Client(aiomqtt.Client):
    """Takes what aiomqtt.Client takes, but for `logger`."""

    def __init__(self, *args: Any, options: Sequence[tuple[int, int, int]], **named: Any) -> None:
        """`largest`, once connected: the bytes of the largest packet that the broker takes; 0 where it set no limit.

        `refused`: why it did not take the last message that it answered for, "" where it took it. `options` of the
        socket: aiomqtt sets none on one that is not Python's own.
        """
        self.largest = 0
        self.refused = ""
        self._ear = _Ear()
        super().__init__(*args, **named, logger=_logger_to(self._ear))
        connect = self._client._create_socket  # noqa: SLF001 - paho has no other place to put it in

        def create() -> Inflow:
            made: socket.socket = connect()  # type: ignore[assignment]  # a wrapper of its own for websockets alone
            for option in options:
                made.setsockopt(*option)
            return Inflow(made)

        self._client._create_socket = create  # type: ignore[method-assign]  # noqa: SLF001

    def waiting(self) -> aiomqtt.Message | None:
        """A message that is here already, at a fraction of what each costs as the next of `messages`."""
        try:
            return self._queue.get_nowait()
        except asyncio.QueueEmpty:
            return None

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.largest = getattr(properties, "MaximumPacketSize", 0)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def hang_up(self) -> None:
        """Ends the connection, of which whoever waits for messages then hears."""
        self._client.disconnect()

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        self.refused = str(reason_code) if reason_code.is_failure else ""
        super()._on_publish(client, userdata, mid, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        if not self._connected.done():
            said = self._ear.said or f"the broker hung up before it answered: {reason_code}"
            self._connected.set_exception(aiomqtt.MqttError(said))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)


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
