"""Thousands of stations in one process, so cheap that they do not hide what the hub costs.

    python -m simulators.fleet '{"port": 1883, "stations": 2000, "key": "...", "points": 50, "every_s": 5, "secs": 60}'

All stations speak over a few connections, each message put together from pieces that are encoded once. They keep a
ledger: what was sent and when, until the hub's sealed answer names it; what is not answered in time is sent again, as
a station does. At the end it says as one line of JSON what was sent and answered, and how long answers took.

`every_s` 0: as fast as it is answered, `window` messages a station under way. `until_answered`: after `secs` wait for
the answers that are missing. Commands on standard input, one a line: `stop` ends sending early.
"""

import asyncio
import os
import sys
import time
from collections import deque
from collections.abc import Callable

import msgspec

from tocsin import topics
from tocsin.messages import VERSION, Committed
from tocsin.signing import unseal

SERIES = 10
START_MS = 1_723_118_400_000  # 2024-08-08T12:00:00Z
BOOT = "00000000000000f1"
CONNECTIONS = 8
RECEIVE_MAXIMUM = 20  # messages that Mosquitto bears unacknowledged on one connection, unless set
_TICK_S = 0.005
AHEAD = 20
_CONNACK, _PUBLISH, _PUBACK = 2, 3, 4
_COMMITTED = msgspec.json.Decoder(Committed)


class Orders(msgspec.Struct, frozen=True):
    """What the fleet is to do."""

    port: int
    stations: int
    key: str
    points: int = 200
    every_s: float = 0.0
    secs: float = 10.0
    window: int = 2
    again_s: float = 10.0
    until_answered_s: float = 60.0
    boot: str = BOOT


class Report(msgspec.Struct, frozen=True):
    """What it did. Latencies in ms, from the write to the broker to the hub's answer; `took_s` until the last one."""

    sent: int
    answered: int
    again: int
    points: int
    took_s: float
    p50_ms: float
    p99_ms: float
    most_ms: float
    cpu_s: float


def station_name(number: int) -> str:
    return f"fleet-{number:04d}"


class Content:
    """Messages of `points` readings of SERIES series, a reading a second of each; one boot, seq from 1."""

    def __init__(self, points: int, boot: str = BOOT) -> None:
        self._points, self._boot = points, boot
        names = [f"gauge-{number % SERIES}/stage_m" for number in range(points)]
        values = [round(1.5 + number * 0.013, 3) for number in range(points)]
        columns = [msgspec.json.encode(column) for column in (names, values, [0] * points)]
        self._fixed = b',"series":%b,"value":%b,"quality":%b}]}' % tuple(columns)
        self._tails: dict[int, bytes] = {}

    def of(self, station: str, seq: int) -> bytes:
        if (tail := self._tails.get(seq)) is None:
            first = START_MS + seq * 1_000 * -(-self._points // SERIES)
            times = [first + 1_000 * (number // SERIES) for number in range(self._points)]
            if len(self._tails) > 64:
                self._tails.clear()
            self._tails[seq] = tail = b'"seq":%d,"t":%b%b' % (seq, msgspec.json.encode(times), self._fixed)
        head = f'{{"v":{VERSION},"station":"{station}","records":[{{"kind":"readings","boot":"{self._boot}",'
        return head.encode() + tail


class Line(asyncio.Protocol):
    """One MQTT 5 connection that publishes with QoS 1, and hears with QoS 0. `room` messages may go at once."""

    def __init__(self, name: str, on_publish: Callable[[bytes, bytes], None], subscribe: str = "") -> None:
        self._name, self._on_publish, self._subscribe = name, on_publish, subscribe
        self._data = bytearray()
        self._waiting: deque[Callable[[], tuple[bytes, bytes]]] = deque()
        self._packet = 0
        self.room = RECEIVE_MAXIMUM
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        name = self._name.encode()
        body = b"\x00\x04MQTT\x05\x02\x00\x00\x00" + len(name).to_bytes(2, "big") + name
        transport.write(b"\x10" + _length(len(body)) + body)

    def publish(self, make: Callable[[], tuple[bytes, bytes]]) -> None:
        """`make` gives topic and payload at the moment when they go."""
        self._waiting.append(make)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._data += data
        while packet := self._packet_of():
            kind, body = packet
            if kind == _CONNACK:
                if self._subscribe:
                    topic = self._subscribe.encode()
                    body = b"\x00\x01\x00" + len(topic).to_bytes(2, "big") + topic + b"\x00"
                    self._transport.write(b"\x82" + _length(len(body)) + body)
                self.ready.set_result(None)
            elif kind == _PUBACK:
                self.room += 1
                self._go_on()
            elif kind == _PUBLISH:
                end = 2 + int.from_bytes(body[:2], "big")
                self._on_publish(body[2:end], body[end + 1 + body[end] :])  # no properties of 128 bytes come here

    def close(self) -> None:
        self._transport.close()

    def _go_on(self) -> None:
        while self.room and self._waiting:
            topic, payload = self._waiting.popleft()()
            self.room -= 1
            self._packet = self._packet % 65_535 + 1
            head = len(topic).to_bytes(2, "big") + topic + self._packet.to_bytes(2, "big") + b"\x00"
            self._transport.write(b"\x32" + _length(len(head) + len(payload)) + head + payload)

    def _packet_of(self) -> tuple[int, bytes] | None:
        size = 0
        for place in range(1, min(5, len(self._data))):
            size |= (self._data[place] & 0x7F) << 7 * (place - 1)
            if self._data[place] < 0x80:
                end = place + 1 + size
                if len(self._data) < end:
                    return None
                packet = self._data[0] >> 4, bytes(self._data[place + 1 : end])
                del self._data[:end]
                return packet
        return None


def _length(size: int) -> bytes:
    """MQTT's variable byte integer."""
    found = bytearray()
    while True:
        size, seven = size >> 7, size & 0x7F
        found.append(seven | (0x80 if size else 0))
        if not size:
            return bytes(found)


class Fleet:
    """The stations and their ledger: by station, what is under way by seq, with when it went first and last.

    `written` counts what went to the broker, repeats too: it rises as long as the broker lives, while `last` stands
    still where nobody answers for long.
    """

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.names = [station_name(number) for number in range(orders.stations)]
        self.ledger: list[dict[int, list[float]]] = [{} for _ in self.names]
        self.last = [0] * orders.stations
        self.written = 0
        self.answered = 0
        self.again = 0
        self.took_ms: list[float] = []
        self.stopped = False
        self._content = Content(orders.points, orders.boot)
        self._numbers = {name: number for number, name in enumerate(self.names)}
        self._lines: list[Line] = []
        self._ears: list[Line] = []

    async def run(self) -> Report:
        """Sends for `secs`, then waits for answers that are missing."""
        began_s, began_cpu = time.monotonic(), time.process_time()
        try:
            await self._connect()
            await self._send_all(time.monotonic() + self.orders.secs)
            end_s = time.monotonic() + self.orders.until_answered_s
            while any(self.ledger) and time.monotonic() < end_s:
                self._send_again()
                await asyncio.sleep(_TICK_S)
        finally:
            for line in (*self._lines, *self._ears):
                line.close()
        took_s = time.monotonic() - began_s
        times = sorted(self.took_ms) or [0.0]
        return Report(sum(self.last), self.answered, self.again, sum(self.last) * self.orders.points, took_s,
                      times[len(times) // 2], times[int(len(times) * 0.99)], times[-1],
                      time.process_time() - began_cpu)

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(CONNECTIONS + 1):
            hears = f"{topics.ROOT}/+/{topics.COMMITTED}" if number == CONNECTIONS else ""
            _, line = await loop.create_connection(
                lambda hears=hears, number=number: Line(  # type: ignore[misc]
                    f"fleet-{os.getpid()}-{number}", self._hear, hears), "127.0.0.1", self.orders.port)
            await line.ready
            (self._ears if hears else self._lines).append(line)

    async def _send_all(self, end_s: float) -> None:
        orders, began_s = self.orders, time.monotonic()
        sent = 0
        while (now_s := time.monotonic()) < end_s and not self.stopped:
            if orders.every_s:
                due = int((now_s - began_s) / orders.every_s * orders.stations)
                for number in range(sent, due):
                    # a station sends so far ahead of the hub's answers and no further: else its repeats are the load
                    if len(self.ledger[number % orders.stations]) < AHEAD:
                        self._send_next(number % orders.stations)
                sent = due
            else:
                for number, waiting in enumerate(self.ledger):
                    for _ in range(orders.window - len(waiting)):
                        self._send_next(number)
            self._send_again()
            await asyncio.sleep(_TICK_S)

    def _send_next(self, number: int) -> None:
        self.last[number] += 1
        self.ledger[number][self.last[number]] = [0.0, float("inf")]
        self._send(number, self.last[number])

    def _send_again(self) -> None:
        late_s = time.monotonic() - self.orders.again_s
        for number, waiting in enumerate(self.ledger):
            for seq, entry in waiting.items():
                if entry[1] > late_s:
                    break
                self.again += 1
                entry[1] = float("inf")
                self._send(number, seq)

    def _send(self, number: int, seq: int) -> None:
        def make() -> tuple[bytes, bytes]:
            now_s = time.monotonic()
            entry = self.ledger[number].get(seq)
            if entry is not None:
                entry[0] = entry[0] or now_s
                entry[1] = now_s
            self.written += 1
            name = self.names[number]
            return topics.up(name, topics.READINGS).encode(), self._content.of(name, seq)

        self._lines[number % CONNECTIONS].publish(make)

    def _hear(self, topic: bytes, payload: bytes) -> None:
        now_s = time.monotonic()
        words = topic.decode()
        number = self._numbers[words.split("/")[2]]
        waiting = self.ledger[number]
        for one in _COMMITTED.decode(unseal(payload, words, self.orders.key)).ranges:
            for seq in range(one.first, one.last + 1):
                if (entry := waiting.pop(seq, None)) is not None:
                    self.answered += 1
                    self.took_ms.append((now_s - entry[0]) * 1000)


async def _main(orders: Orders) -> Report:
    fleet = Fleet(orders)

    def obey() -> None:
        fleet.stopped = fleet.stopped or sys.stdin.readline().strip() in {"stop", ""}

    asyncio.get_running_loop().add_reader(sys.stdin, obey)
    try:
        return await fleet.run()
    finally:
        asyncio.get_running_loop().remove_reader(sys.stdin)


if __name__ == "__main__":
    print(msgspec.json.encode(asyncio.run(_main(msgspec.json.decode(sys.argv[1], type=Orders)))).decode(), flush=True)
