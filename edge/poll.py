"""When each device is read: on a grid that does not drift, each by itself; one that fails costs the others little."""

import time
from collections.abc import Awaitable, Callable, Sequence

from edge import blocks
from edge.breaker import Breaker, is_costly, probe_of
from edge.bus import Bus
from edge.config import Station
from edge.device import Device
from edge.load import Load
from edge.modbus import DeviceRefusedError
from tocsin.clock import Clock
from tocsin.devices import PolledDriver, Request
from tocsin.readings import Reading, RejectedError, Rejection

Items = Sequence[Reading | Rejection]
Heard = Callable[[Device, Items, float], Awaitable[bool]]

_OFTEN_S = 5.0              # devices asked so often can fill a line: spread, none waits for a burst of the others
_SPREAD_S = 1.0             # first polls lie within this, so that a start is not blind for long


def _at_full_rate() -> int:
    return 1


class Poller:
    """Reads one device. `run` goes on for ever; `phase` (0 to 1) is its place among those that share its line.

    `slower` says how many periods on the next poll is, for a station that must save.
    """

    def __init__(self, device: Device, driver: PolledDriver, bus: Bus, clock: Clock, heard: Heard,
                 load: Load, phase: float = 0.0, slower: Callable[[], int] = _at_full_rate) -> None:
        self._device, self._driver, self._bus, self._clock = device, driver, bus, clock
        self._heard = heard
        self._load = load
        self._phase = phase
        self._slower = slower
        self._breaker = Breaker(device.table.every_s)
        self._requests = driver.requests
        self._blocks = blocks.blocks_of(self._requests, device.table.max_registers)

    @property
    def every_s(self) -> float:
        """How often it is read now, if it answers."""
        return self._device.table.every_s * self._slower()

    @property
    def probing(self) -> bool:
        """Whether it has failed so often that it is only asked at growing pauses."""
        return self._breaker.open

    async def run(self) -> None:
        """Every `every_s` of the clock, on a grid from the start; missed ones are left out.

        Where `heard` says that a reading is held as a possible spike, the device is read once more at once.
        """
        every_s = self._device.table.every_s
        due_s = self._clock.monotonic_s() + (self._phase * min(every_s, _SPREAD_S) if every_s <= _OFTEN_S else 0.0)
        while True:
            await self._clock.sleep_until(due_s)
            behind, again = await self._read_once(due_s)
            if again:
                behind, _ = await self._read_once(due_s)
            self._load.polled(behind)
            due_s += every_s * max(self._periods(), self._slower(), behind + 1)

    async def _read_once(self, due_s: float) -> tuple[int, bool]:
        """How many polls the line has made late by now, and whether to read again.

        One answer that was missed costs no reading: it is told, and the device asked once more in the same turn.
        """
        items = await self._poll()
        if self._breaker.stumbled:
            await self._heard(self._device, items, time.monotonic())
            items = await self._poll()
        behind = max(0, int((self._clock.monotonic_s() - due_s) // self._device.table.every_s))
        return behind, await self._heard(self._device, items, time.monotonic())

    def _periods(self) -> int:
        if not self._breaker.open:
            return 1
        table = self._device.table
        return self._breaker.periods(self._bus.deadline_s(table.unit, probe_of(self._requests[0]), table.deadline_s))

    async def _poll(self) -> Items:
        try:
            if not (self._breaker.in_earnest and self._bus.may_ask(self._device.table.unit, self._blocks[0].request)):
                await self._probe()
            answers = await self._read()
        except RejectedError as err:
            self._breaker.failed(err)
            return [Rejection(err.reason, err.detail)]
        self._breaker.good()
        try:
            return self._driver.decode(answers)
        except RejectedError as err:
            return [Rejection(err.reason, err.detail)]

    async def _probe(self) -> None:
        """Raises RejectedError where the device is as bad as it was. An exception is a sign of life."""
        try:
            await self._bus.probe(self._device.table.unit, probe_of(self._blocks[0].request),
                                  self._device.table.deadline_s)
        except RejectedError as err:
            if not isinstance(err, DeviceRefusedError) or is_costly(err):
                raise

    async def _read(self) -> list[list[int]]:
        """What the driver asked for, in its order. Raises RejectedError."""
        answers: dict[int, list[int]] = {}
        for block in tuple(self._blocks):
            answers |= await self._read_block(block)
        return [answers[i] for i in range(len(self._requests))]

    async def _read_block(self, block: blocks.Block) -> dict[int, list[int]]:
        try:
            return blocks.cut(self._requests, block, await self._ask(block.request))
        except DeviceRefusedError as err:
            if not err.not_so_many or len(block.parts) == 1:
                raise
        answers: dict[int, list[int]] = {}
        alone = blocks.singles(self._requests, block)
        for single in alone:
            answers |= blocks.cut(self._requests, single, await self._ask(single.request))
        at = self._blocks.index(block)  # only now, when it is sure that the device wants it so
        self._blocks[at:at + 1] = alone
        return answers

    async def _ask(self, request: Request) -> list[int]:
        return await self._bus.exchange(self._device.table.unit, request, self._device.table.deadline_s)


def phases(station: Station) -> dict[str, float]:
    """By its name, each polled device's place among those on its bus, from 0 to below 1.

    All 0 on a connection, where an exchange takes less than a millisecond: what is asked in one go costs a small
    machine half of what it costs spread (docs/performance.md).
    """
    on: dict[str, list[str]] = {}
    for device in station.devices:
        if isinstance(device.driver, PolledDriver):
            on.setdefault(device.table.bus, []).append(device.table.name)
    return {name: place / len(names) if station.buses[bus].speaks == "modbus-rtu" else 0.0
            for bus, names in on.items() for place, name in enumerate(names)}
