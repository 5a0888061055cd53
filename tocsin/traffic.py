"""How many bytes a link takes: what MQTT says, and an estimate of what the network counts for it. Both directions.

The network's bill is higher than the messages: every segment has 40 bytes of TCP and IP, and so has its
acknowledgement; TLS adds 22 a record and some 5 kB a connection; a silent link pings.
"""

from dataclasses import dataclass

_SEGMENT = 1400        # bytes of data in one
_HEADERS = 40          # IPv4 20, TCP 20, without options
_TLS_RECORD = 22       # TLS 1.3
_TLS_CONNECTION = 5000
_CONNECTION = 300      # three-way handshake, CONNECT, CONNACK, SUBSCRIBE, SUBACK
_PUBLISH = 6           # fixed header 2 to 3, length of the topic 2, packet id 2, no properties 1: as seen on a wire
_PUBACK = 4
_PING = 2


@dataclass(slots=True)
class Traffic:
    """`mqtt` and `network` are bytes since the start. Times are monotonic seconds."""

    keepalive_s: float
    mqtt: int = 0
    network: int = 0
    _tls: bool = False
    _last_s: float = 0.0

    def connected(self, now_s: float, *, tls: bool) -> None:
        self._tls, self._last_s = tls, now_s
        self.network += _CONNECTION + (_TLS_CONNECTION if tls else 0)

    def published(self, topic: str, payload: bytes, now_s: float) -> None:
        self._message(len(topic.encode()) + len(payload), now_s)

    def received(self, topic: str, payload: bytes, now_s: float) -> None:
        self._message(len(topic.encode()) + len(payload), now_s)

    def _message(self, size: int, now_s: float) -> None:
        """A message and its acknowledgement, and the pings of the silence before it."""
        pings = max(0, int((now_s - self._last_s) // self.keepalive_s))
        self._packets(_PUBLISH + size)
        self._packets(_PUBACK)
        self._packets(_PING, 2 * pings)
        self._last_s = now_s

    def _packets(self, size: int, count: int = 1) -> None:
        segments = -(-size // _SEGMENT)
        self.mqtt += count * size
        self.network += count * (size + segments * (2 * _HEADERS + (_TLS_RECORD if self._tls else 0)))
