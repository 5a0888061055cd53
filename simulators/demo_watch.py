"""What a person at a demo sees: a timeline from outside, with the delays measured where they are felt.

It looks at the relays, at MQTT and at the hub's pages, as anyone could; it asks no part of the inside.
"""

import asyncio
import time
from collections import defaultdict, deque
from contextlib import suppress
from enum import StrEnum
from functools import partial
from typing import Any

import httpx
import msgspec

from simulators.people import PageError, Person
from simulators.simulation import Simulation, relays
from simulators.wires import ModbusRtuPty, ModbusTcp
from tocsin import topics
from tocsin.broker import Broker
from tocsin.clock import ScaledClock, SystemClock
from tocsin.levels import Level, Stage
from tocsin.link import Link
from tocsin.messages import Bulletin, BulletinKind, Detection, record_of, upload_of
from tocsin.quantities import QUANTITIES
from tocsin.signing import SealError, verify
from tocsin.times import utc

ANSWERS_AFTER_S = 1.5  # real seconds between a call and the press of the button
ASK_S = 0.2
SIREN_UNIT = 10
_BULLETIN = msgspec.json.Decoder(Bulletin)


class Step(StrEnum):
    """What must happen for the journey to be whole."""

    READING = "first reading at the hub"
    CROSSING = "a threshold was crossed"
    SIREN = "the siren sounded"
    BULLETIN = "a bulletin was broadcast"
    CALL = "a person was called"
    ANSWER = "the person answered"
    ALL_CLEAR = "the all-clear was broadcast"
    SILENCE = "the siren fell silent"


class Watch:
    """`run` until cancelled. `complete` when every step was seen, `calm` when every warning is closed again."""

    def __init__(
        self, simulation: Simulation, clock: ScaledClock, broker: str, web: str, public_key: str, began_s: float
    ) -> None:
        self._clock = clock
        self._web = web
        self._public_key = public_key
        self._began_s = began_s
        self._seen: dict[Step, float] = {}
        self._served_s: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=1000))
        self._switched_s: dict[str, float] = {}
        self._siren_ms: list[float] = []
        self._broadcast_ms: list[float] = []
        self._open: set[str] = set()
        self._called: set[tuple[str, str, int]] = set()
        self._answers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._link = Link(
            Broker.of(broker), "tocsin-demo",
            subscriptions=[f"{topics.ROOT}/+/detections", f"{topics.ROOT}/+/committed", topics.bulletin("+", "+")],
            on_message=self._on_message,
        )  # fmt: skip
        self._hook(simulation)

    @property
    def complete(self) -> bool:
        return len(self._seen) == len(Step)

    @property
    def calm(self) -> bool:
        return not self._open

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._link.run(), name="demo link")
            group.create_task(self._ask_hub(), name="demo pages")

    def sum_up(self) -> None:
        """The measured delays, and what did not happen."""
        for name, times in (("sensor to siren", self._siren_ms), ("sensor to broadcast", self._broadcast_ms)):
            if times:
                print(f"{name}: {min(times):.1f} to {max(times):.1f} ms, {len(times)} times")
        if Step.READING in self._seen:
            print(f"start to first reading at the hub: {self._seen[Step.READING] - self._began_s:.2f} s")
        missing = [step for step in Step if step not in self._seen]
        print("every step happened" if not missing else f"did not happen: {', '.join(missing)}", flush=True)

    def _say(self, step: Step | None, words: str) -> None:
        if step is not None:
            self._seen.setdefault(step, time.monotonic())
        local = utc(self._clock.now_ms()).astimezone()
        print(f"{time.monotonic() - self._began_s:6.1f} s  {local:%d %H:%M}  {words}", flush=True)

    def _hook(self, simulation: Simulation) -> None:
        """The moments at which readings were put on a wire, and at which a relay switched."""
        for name, wire in simulation.wires.items():
            if isinstance(wire, ModbusTcp | ModbusRtuPty):
                station = name.partition("-")[0]
                wire.slaves.on_served = partial(self._served, station)
        for name, relay in relays(simulation).items():
            relay.on_change = partial(self._switched, name.partition("-")[0])

    def _served(self, station: str, unit: int, *_: object) -> None:
        if unit != SIREN_UNIT:
            self._served_s[station].append(time.monotonic())

    def _switched(self, station: str, at_s: float, on: bool) -> None:
        if on:
            self._switched_s[station] = at_s
        elif Step.SIREN in self._seen:
            self._say(Step.SILENCE, f"siren        {station}: silent")

    def _sounded(self, station: str, decided_ms: int) -> None:
        """Tells a siren once the detection is known that sounded it: from the answer of the sensor to the relay."""
        at_s = self._switched_s.pop(station, None)
        decided_s = self._clock.real_s(decided_ms)
        served_s = [moment for moment in self._served_s[station] if moment <= decided_s]
        if at_s is not None and served_s and at_s >= served_s[-1]:  # else it sounds already, for an earlier reading
            delay_ms = (at_s - served_s[-1]) * 1000
            self._siren_ms.append(delay_ms)
            self._say(Step.SIREN, f"SIREN 警报   {station}: sounded {delay_ms:.1f} ms after the sensor's answer")

    async def _on_message(self, topic: str, payload: bytes) -> None:
        if topics.is_bulletin(topic):
            self._on_bulletin(topic, payload)
        elif topic.endswith("/committed"):
            if Step.READING not in self._seen:
                self._say(Step.READING, f"reading      {topic.split('/')[2]}: the hub has its first readings on disk; "
                                        f"console 控制台 {self._web}")
        else:
            self._on_detections(payload)

    def _on_detections(self, payload: bytes) -> None:
        upload = upload_of(payload)
        for record in map(record_of, upload.records):
            if isinstance(record, Detection):
                level = Level(record.level)
                unit = QUANTITIES[record.series.partition("/")[2]].unit
                sign = "≥" if record.level > record.previous else "<"
                self._say(Step.CROSSING, f"{level.word.upper():<6} {level.zh}  {upload.station}: {record.rule} "
                                         f"{record.value:g} {unit} {sign} {record.threshold:g}")
                self._sounded(upload.station, record.t)

    def _on_bulletin(self, topic: str, payload: bytes) -> None:
        """As a loudspeaker does: nothing is said that the hub has not signed."""
        with suppress(SealError):
            bulletin = _BULLETIN.decode(verify(payload, topic, self._public_key))
            delay_ms = (time.monotonic() - self._clock.real_s(bulletin.cause_t)) * 1000 if bulletin.cause_t else None
            closing = bulletin.kind is BulletinKind.CLOSE
            if delay_ms is not None:
                self._broadcast_ms.append(delay_ms)
            what = "all-clear 解除" if closing else f"{Stage(bulletin.stage).en} {Stage(bulletin.stage).zh}"
            took = f"  ({delay_ms:.0f} ms after the reading)" if delay_ms is not None else ""
            self._say(Step.ALL_CLEAR if closing else Step.BULLETIN,
                      f"BROADCAST 广播 {bulletin.place}: {Level(bulletin.level).word}, {what}{took}")

    async def _ask_hub(self) -> None:
        async with httpx.AsyncClient(base_url=self._web, timeout=5.0, trust_env=False) as client:
            while True:
                with suppress(httpx.HTTPError):
                    warnings = (await client.get("/api/v1/warnings")).json()["warnings"]
                    self._open = {warning["id"] for warning in warnings if warning["status"] == "open"}
                    for warning in warnings:
                        self._look_at(warning["id"], warning["calls"], client)
                await asyncio.sleep(ASK_S)

    def _look_at(self, warning: str, calls: list[dict[str, Any]], client: httpx.AsyncClient) -> None:
        for call in calls:
            person = call["person"]
            key = (warning, person, call["level"])
            if key not in self._called and not call["answered_at"]:
                self._called.add(key)
                self._say(Step.CALL, f"CALL 叫应    {person} must answer, level {Level(call['level']).word}")
                if (warning, person) not in self._answers:  # one press answers what came meanwhile too
                    answering = self._answer(warning, person, client)
                    self._answers[warning, person] = asyncio.create_task(answering, name=f"{person} answers")

    async def _answer(self, warning: str, name: str, client: httpx.AsyncClient) -> None:
        await asyncio.sleep(ANSWERS_AFTER_S)
        del self._answers[warning, name]
        try:
            await Person(name).answer(f"{self._web}/warnings/{warning}", SystemClock(), client)
        except PageError as err:
            self._say(None, f"             {name} could not answer: {err}")
        else:
            self._say(Step.ANSWER, f'ANSWER 应答  {name} pressed "I have heard" 我已听到')
