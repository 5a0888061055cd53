"""A shared serial line on which everything goes wrong: no wrong value, and no device pays for another."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from drivers import registers
from edge.bus import Bus
from edge.config import BusTable, DeviceTable
from edge.device import Device
from edge.load import Load
from edge.poll import Poller
from tests.lines import crc16, until
from tests.serial_line import Asked, Mischief, Pieces, SerialLine, converter, exception, words_of
from tests.steady import LoopClock
from tests.tasks import beside
from tocsin.config import convert
from tocsin.devices import Request
from tocsin.readings import Reading, RejectedError

DEADLINE_S = 0.25


async def ask_often(line: SerialLine, bus: Bus, seed: int, count: int) -> tuple[int, int]:
    """How many of the questions were answered with their own values; anything else fails."""
    chance = random.Random(seed)
    good = wrong = 0
    for _ in range(count):
        unit = chance.choice([1, 2, 3])
        ask = Request(3, chance.choice([0, 10]), chance.choice([1, 2]))
        try:
            words = await bus.exchange(unit, ask, DEADLINE_S)
        except RejectedError:
            continue
        good += words == words_of(unit, ask.address, line.number, ask.count)
        wrong += words != words_of(unit, ask.address, line.number, ask.count)
    return good, wrong


async def test_no_wrong_value_whatever_the_line_does(count: Callable[[int, int], int]) -> None:
    """Echo, noise before and behind, single bytes, lumps, flipped bits, torn and foreign frames, late and no answers.

    Every second line is behind a serial server.
    """
    lines = 20
    mischief = [Mischief(seed, DEADLINE_S) for seed in range(lines)]
    async with AsyncExitStack() as stack:
        asking = []
        for seed, spoil in enumerate(mischief):
            line = stack.enter_context(SerialLine([1, 2, 3], spoil))
            port = await stack.enter_async_context(converter(line.path)) if seed % 2 else line.path
            bus = Bus(BusTable("field", "modbus-rtu", port, 115200))
            await stack.enter_async_context(beside(bus.run()))
            asking.append(ask_often(line, bus, seed, count(100, 5_000)))
        found = await asyncio.gather(*asking)
    asked = lines * count(100, 5_000)
    assert sum(wrong for _, wrong in found) == 0
    assert sum(good for good, _ in found) > asked / 3, "a bus that refuses everything proves nothing"
    seen = {kind for spoil in mischief for kind in spoil.seen}
    assert len(seen) == 12, "a kind of fault was never tried"


def hangs(asked: Asked) -> Pieces:
    return [(0.0, asked.answer[:0])]


def babbles(asked: Asked) -> Pieces:
    return [(0.0, bytes((asked.number * 7 + i * 31) & 0xFF for i in range(23)))]


def refuses(asked: Asked) -> Pieces:
    return [(0.0, exception(asked))]


def polled(unit: int, deadline_s: float = 0.5) -> tuple[Device, registers.Driver]:
    entries = [{"quantity": name, "address": at, "span": [0.0, 1e9]}
               for at, name in enumerate(("flow_m3s", "flow_l_s", "flow_l_min", "supply_v", "current_a", "rain_mm",
                                          "ch4_ppm", "co_ppm", "nh3_ppm", "cl2_ppm"))]
    driver = registers.Driver(convert({"registers": entries}, registers.Settings, "settings"))
    return Device(DeviceTable(f"d{unit}", "field", "registers", unit, 1.0, deadline_s), driver, {}), driver


async def poll_all(line: SerialLine, count: int, for_s: float) -> dict[str, list[float]]:
    """When each device gave readings, in seconds from the start, as the agent's pollers ask them."""
    loop, clock = asyncio.get_running_loop(), LoopClock()
    began_s = loop.time()
    bus = Bus(BusTable("field", "modbus-rtu", line.path, 9600))
    read: dict[str, list[float]] = {}

    async def heard(device: Device, items: object, _read_s: float) -> bool:
        assert isinstance(items, list)
        if all(isinstance(item, Reading) for item in items):
            read.setdefault(device.table.name, []).append(loop.time() - began_s)
        return False

    load = Load(bus, lambda _: None)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside(bus.run()))
        for unit in range(1, count + 1):
            device, driver = polled(unit)
            poller = Poller(device, driver, bus, clock, heard, load, (unit - 1) / count)
            await stack.enter_async_context(beside(poller.run()))
        await clock.sleep_until(clock.monotonic_s() + for_s)
    return read


async def test_one_of_twenty_that_fails_costs_the_others_nothing(count: Callable[[int, int], int]) -> None:
    """On a line of 9600 baud, five sixths full; the three faults side by side, each on a line of its own."""
    secs, good_s = count(16, 69), 9.0
    failed: Counter[str] = Counter()

    async def one(fault: Callable[[Asked], Pieces]) -> dict[str, list[float]]:
        began_s = asyncio.get_running_loop().time()

        def spoil(asked: Asked) -> Pieces:
            failing = asked.unit == 3 and asyncio.get_running_loop().time() - began_s > good_s
            failed[fault.__name__] += failing
            return fault(asked) if failing else [(0.008, asked.answer)]

        with SerialLine(range(1, 21), spoil, character_s=10 / 9600) as line:
            return await poll_all(line, 20, secs + 0.5)

    for read in await asyncio.gather(*map(one, (hangs, babbles, refuses))):
        assert [at for at in read["d3"] if at > good_s + 1] == []
        for name in set(read) - {"d3"}:
            times = [at for at in read[name] if at > good_s]
            assert len(times) >= int(0.98 * (secs - good_s)), name
            assert max(then - at for at, then in pairwise([good_s, *times])) <= 2.0, name
    asked_at_most = 5 + (secs - good_s) / 10
    assert failed["hangs"] <= asked_at_most, "a device that hangs is probed at growing pauses"
    assert failed["babbles"] <= asked_at_most
    assert failed["refuses"] > asked_at_most, "an exception costs nothing"


async def test_frames_stand_apart_by_three_and_a_half_characters() -> None:
    """Modbus over Serial Line 1.02, 2.5.1.1: a slave knows by the silence that a frame is over."""
    asked_s: list[float] = []

    def noted(asked: Asked) -> Pieces:
        asked_s.append(asyncio.get_running_loop().time())
        return [(0.0, asked.answer)]

    with SerialLine([1, 2, 3], noted) as line:
        bus = Bus(BusTable("field", "modbus-rtu", line.path, 9600))
        async with beside(bus.run()):
            await asyncio.gather(*(bus.exchange(unit, Request(3, 0, 1), 1.0) for unit in (1, 2, 3) * 3))
    assert len(asked_s) == 3 + 9, "each is probed first"
    assert min(then - at for at, then in pairwise(asked_s)) >= 3.5 * 11 / 9600


async def test_what_the_agent_before_asked_is_never_taken_for_an_answer() -> None:
    """It was killed while a slow unit had its question: the answer comes into the first questions of the next agent."""
    def slow(asked: Asked) -> Pieces:
        return [(DEADLINE_S * 0.6 if asked.number == 1 else 0.0, asked.answer)]

    with SerialLine([1], slow) as line:
        table = BusTable("field", "modbus-rtu", line.path, 115200)
        before = Bus(table)
        async with beside(before.run()):
            dead = asyncio.create_task(before.exchange(1, Request(3, 10, 2), DEADLINE_S))
            await until(lambda: line.number == 1)
        dead.cancel()
        bus = Bus(table)
        async with beside(bus.run()):
            assert await bus.exchange(1, Request(3, 0, 2), DEADLINE_S) == words_of(1, 0, line.number, 2)
            assert await bus.exchange(1, Request(3, 4, 2), DEADLINE_S) == words_of(1, 4, line.number, 2)
        assert line.number == 4, "one probe, and no more once the unit has answered it"


async def test_what_was_asked_when_a_converter_hung_up_is_never_taken_for_an_answer() -> None:
    """It answers into the next connection: a serial server passes on whatever comes on its line."""
    asked, writers = list[bytes](), list[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while request := await reader.read(8):
            asked.append(request)
            if len(asked) == 3:     # the answer to 2, which was asked on the connection before
                body = bytes.fromhex("0103 04") + bytes(value for word in words_of(1, 10, 2, 2)
                                                        for value in word.to_bytes(2, "big"))
                writer.write(body + crc16(body))
            elif len(asked) == 1:
                body = bytes.fromhex("0103 02 0001")
                writer.write(body + crc16(body))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        bus = Bus(BusTable("field", "modbus-rtu", port))
        async with beside(bus.run()):
            await bus.probe(1, Request(3, 0, 1), DEADLINE_S)
            broken = asyncio.create_task(bus.exchange(1, Request(3, 10, 2), 5.0))
            await until(lambda: len(asked) == 2)
            writers[0].transport.abort()
            with pytest.raises(RejectedError, match=r"^link: "):
                await broken
            with pytest.raises(RejectedError, match="still owes an answer"):
                await bus.exchange(1, Request(3, 0, 2), DEADLINE_S)
        for writer in writers:
            writer.transport.abort()
