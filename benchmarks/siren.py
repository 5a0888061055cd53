"""From the sensor to the siren on a shared serial line, and by a pin

The agent runs in this process, with rules and log, and has no hub. On the shared line of 9600 baud stand 20 radars,
read each second, and the siren's relay; the line is a pty that takes as long as such a line. The clock starts when the
last byte of the deciding answer is there and ends when the relay has heard its command. The peer is the longest
exchange of the line: the siren goes before all polls that wait, not before the one that is on the wire. The pin is
gpiozero's mock pin; its radar stands on Modbus TCP.
"""

import asyncio
import random
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from gpiozero.pins.mock import MockFactory

from benchmarks._rows import BenchError, Row, repeats_of
from edge.agent import Agent
from edge.config import load_station
from edge.noise import Pin
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusRtuPty, ModbusTcp
from tests.stations import StationFiles, radar_device
from tests.tasks import beside
from tocsin.clock import SystemClock
from tocsin.levels import Stage

BAUD, BITS = 9600, 10
QUESTION, ANSWER = 8, 13  # bytes of a radar's exchange
EXCHANGE_MS = (QUESTION + ANSWER) * BITS / BAUD * 1000
OVER_MS, PIN_MS = 40.0, 20.0
RELAY, RADARS = 9, 21
LOW_M, HIGH_M = 0.5, 2.7
WITHIN_S = 20.0


def run(quick: bool) -> list[Row]:
    """Rows of the line and of the pin. Raises BenchError where the siren does not sound in time."""
    cycles, repeats = 2 if quick else 20, 1 if quick else 3
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        try:
            line = [asyncio.run(_line(Path(folder) / f"line-{number}", cycles)) for number in range(repeats)]
            pin = [asyncio.run(_pin(Path(folder) / f"pin-{number}", cycles * 5)) for number in range(repeats_of(quick))]
        except TimeoutError as err:
            raise BenchError(f"the siren did not sound within {WITHIN_S:g} s") from err
    times = sorted(ms for part in line for ms in part)
    pins = sorted(ms for part in pin for ms in part)
    exchange = "the exchange in flight"
    return [
        Row("shared 9600 baud line, p50", _rank(times, 0.5), EXCHANGE_MS, exchange, "ms", repeats, floor=True),
        Row("shared 9600 baud line, p99", _rank(times, 0.99), EXCHANGE_MS, exchange, "ms", repeats, floor=True,
            bar=EXCHANGE_MS + OVER_MS),
        Row("pin, p99", _rank(pins, 0.99), PIN_MS, "the bar", "ms", len(pin), floor=True, bar=PIN_MS),
    ]


def _rank(times: list[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


class _Gauge:
    """A radar whose deciding answer is timed: `served_s` is when its last byte is on the wire."""

    def __init__(self, late_s: float) -> None:
        self.radar = RadarLevel(Measures.LEVEL)
        self.radar.set("depth_m", LOW_M)
        self.served_s = 0.0
        self._late_s = late_s

    def served(self, unit: int, _function: int, _address: int, words: tuple[int, ...]) -> None:
        if unit == 1 and (words[0] << 16 | words[1]) == round(HIGH_M * 1000) and not self.served_s:
            self.served_s = time.monotonic() + self._late_s

    async def cycles(self, count: int, switched: "asyncio.Queue[tuple[float, bool]]") -> list[float]:
        """Milliseconds from the answer to the siren."""
        found = []
        for _ in range(count):
            self.served_s = 0.0
            self.radar.set("depth_m", HIGH_M)
            async with asyncio.timeout(WITHIN_S):
                found.append((await _next(switched, on=True) - self.served_s) * 1000)
                self.radar.set("depth_m", LOW_M)
                await _next(switched, on=False)
            await asyncio.sleep(random.uniform(0, 0.2))
        return found


async def _next(switched: "asyncio.Queue[tuple[float, bool]]", *, on: bool) -> float:
    while True:
        at_s, is_on = await switched.get()
        if is_on is on:
            return at_s


async def _line(folder: Path, cycles: int) -> list[float]:
    gauge, relay, switched = _Gauge(ANSWER * BITS / BAUD), Relay(), asyncio.Queue[tuple[float, bool]]()
    relay.on_change = lambda at_s, on: switched.put_nowait((at_s, on))
    units: dict[int, Any] = {unit: RadarLevel(Measures.LEVEL) for unit in range(2, RADARS + 1) if unit != RELAY}
    for radar in units.values():
        radar.set("depth_m", LOW_M)
    devices = "".join(radar_device(f"radar-{unit}", unit, every_s=1.0, deadline_s=0.5)
                      for unit in range(1, RADARS + 1) if unit != RELAY)
    wire = ModbusRtuPty(units | {1: gauge.radar, RELAY: relay}, on_served=gauge.served, baud=BAUD)
    async with wire:
        files = StationFiles(folder, wire.path, speaks="modbus-rtu", devices=devices)
        async with beside(Agent(load_station(files.write()), SystemClock()).run()):
            return await gauge.cycles(cycles, switched)


class _TimedPin(Pin):
    """Tells when it was switched."""

    def __init__(self, switched: "asyncio.Queue[tuple[float, bool]]") -> None:
        super().__init__("gpio17", 17, high=True, factory=MockFactory())
        self._switched = switched

    async def switch(self, *, on: bool, stage: Stage) -> None:
        await super().switch(on=on, stage=stage)
        self._switched.put_nowait((time.monotonic(), on))


async def _pin(folder: Path, cycles: int) -> list[float]:
    gauge, switched = _Gauge(0.0), asyncio.Queue[tuple[float, bool]]()
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(ModbusTcp({1: gauge.radar}, on_served=gauge.served))
        files = StationFiles(folder, f"tcp://127.0.0.1:{wire.port}", devices=radar_device(every_s=0.05))
        path = files.write()
        path.write_text(path.read_text().replace('[siren]\ndevice = "siren"', "[siren]\ngpio = 17"))
        agent = Agent(load_station(path), SystemClock())
        assert agent.pipeline.siren is not None
        agent.pipeline.siren.output = _TimedPin(switched)
        await stack.enter_async_context(beside(agent.run()))
        return await gauge.cycles(cycles, switched)
