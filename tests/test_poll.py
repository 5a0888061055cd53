"""How devices are asked: grid, probes, blocks that a device refuses, adapters that go, polls that become one row."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import pytest

from drivers import registers
from edge import gather
from edge.bus import Bus
from edge.config import BusTable, DeviceTable, load_station
from edge.device import Device
from edge.gather import Gather
from edge.health import Health
from edge.load import Load
from edge.own_log import replayed
from edge.poll import Poller, phases
from tests.edge_bench import Bench
from tests.serial_line import Asked, Pieces, SerialLine, exception
from tests.stations import START_MS, StationFiles, radar_device
from tests.tasks import beside
from tocsin.clock import WoundClock
from tocsin.config import convert
from tocsin.devices import Request
from tocsin.messages import Readings
from tocsin.readings import Reading, Reason, RejectedError, Rejection

Spoil = Callable[[Asked], Pieces]
Heard = list[tuple[float, list[Reading | Rejection]]]


def clean(asked: Asked) -> Pieces:
    return [(0.0, asked.answer)]


def device_of(addresses: Sequence[int], every_s: float = 1.0) -> tuple[Device, registers.Driver]:
    names = ("flow_m3s", "flow_l_s", "flow_l_min")
    entries = [{"quantity": name, "address": at, "span": [0.0, 1e9]}
               for name, at in zip(names, addresses, strict=False)]
    driver = registers.Driver(convert({"registers": entries}, registers.Settings, "settings"))
    return Device(DeviceTable("meter", "field", "registers", 1, every_s, 0.1), driver, {}), driver


class Watched:
    """A poller on a line, its clock wound by hand; `asked` has every question as address and count."""

    def __init__(self, line: SerialLine, clock: WoundClock, heard: Heard, asked: list[tuple[int, int]]) -> None:
        self.line, self.clock, self.heard, self.asked = line, clock, heard, asked

    async def polled(self, at_s: float) -> list[tuple[int, int]]:
        """Winds the clock; what was asked until the next poll was through."""
        seen, before = len(self.heard), len(self.asked)
        self.clock.wind_to(START_MS + round(at_s * 1000))
        async with asyncio.timeout(30):
            while len(self.heard) == seen:
                await asyncio.sleep(0)
        return self.asked[before:]


@asynccontextmanager
async def watched(spoil: Spoil, addresses: Sequence[int] = (0, 1), every_s: float = 1.0) -> AsyncIterator[Watched]:
    clock, heard, asked = WoundClock(START_MS), Heard(), list[tuple[int, int]]()
    device, driver = device_of(addresses, every_s)

    def noted(one: Asked) -> Pieces:
        asked.append((int.from_bytes(one.request[2:4], "big"), int.from_bytes(one.request[4:6], "big")))
        return spoil(one)

    async def hear(_: Device, items: Sequence[Reading | Rejection], _read_s: float) -> bool:
        heard.append((clock.monotonic_s(), list(items)))
        return False

    with SerialLine([1], noted) as line:
        bus = Bus(BusTable("field", "modbus-rtu", line.path))
        bus._owed.meet(1)   # an agent that began just now would probe it first: test_bus_line
        poller = Poller(device, driver, bus, clock, hear, Load(bus, lambda _: None))
        async with beside(bus.run()), beside(poller.run()):
            yield Watched(line, clock, heard, asked)


async def test_registers_side_by_side_are_one_read() -> None:
    async with watched(clean, (0, 1, 30)) as site:
        assert await site.polled(0) == [(0, 2), (30, 1)]
        assert [item.quantity for item in site.heard[0][1]] == ["flow_m3s", "flow_l_s", "flow_l_min"]


async def test_a_device_that_refuses_a_block_is_asked_one_by_one_from_then_on() -> None:
    def no_gaps(asked: Asked) -> Pieces:
        too_wide = int.from_bytes(asked.request[4:6], "big") > 1
        return [(0.0, exception(asked, 2) if too_wide else asked.answer)]

    async with watched(no_gaps, (0, 4)) as site:
        assert await site.polled(0) == [(0, 5), (0, 1), (4, 1)]
        assert all(isinstance(item, Reading) for item in site.heard[0][1])
        assert await site.polled(1) == [(0, 1), (4, 1)]


async def test_an_exception_of_another_kind_is_no_reason_to_ask_one_by_one() -> None:
    async with watched(lambda asked: [(0.0, exception(asked, 6))], (0, 4)) as site:
        assert await site.polled(0) == [(0, 5)]
        assert await site.polled(1) == [(0, 5)], "it costs no more than an answer: no probe, no pause"


async def test_a_silent_device_is_probed_at_growing_pauses_and_polled_at_once_when_it_answers(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.owed._TOO_LATE_FACTOR", 10_000)
    dead = True
    async with watched(lambda asked: [] if dead else clean(asked)) as site:
        assert await site.polled(0) == [(0, 2)]
        assert await site.polled(0) == [(0, 1)], "once more in the same turn"
        for second in (1, 3, 7):
            assert await site.polled(second) == [(0, 1)], "a probe, not the poll"
        dead = False
        assert await site.polled(15) == [(0, 1), (0, 2)]
        assert isinstance(site.heard[-1][1][0], Reading)
        assert await site.polled(16) == [(0, 2)]
    assert [at_s for at_s, _ in site.heard] == [0, 0, 1, 3, 7, 15, 16]


async def test_one_lost_answer_costs_a_probe_and_no_reading() -> None:
    lost = [True, False, False, False]
    async with watched(lambda asked: [] if lost.pop(0) else clean(asked)) as site:
        assert await site.polled(0) == [(0, 2)]
        assert await site.polled(0) == [(0, 1), (0, 2)], "in the same turn"
        assert await site.polled(1) == [(0, 2)]
    assert [(at_s, type(items[0])) for at_s, items in site.heard] == [(0, Rejection), (0, Reading), (1, Reading)]


async def test_a_device_that_says_nothing_to_a_short_read_is_polled_again_all_the_same(
    monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some answer only to the very read that they are made for: no probe ever finds them."""
    monkeypatch.setattr("edge.owed._TOO_LATE_FACTOR", 1)    # in real time, which this clock does not wind
    lost = False

    def proud(asked: Asked) -> Pieces:
        return [] if lost or asked.request[5] != 2 else clean(asked)

    async with watched(proud) as site:
        assert await site.polled(0) == [(0, 2)]
        lost = True
        assert await site.polled(1) == [(0, 2)]
        lost = False
        assert await site.polled(1) == [(0, 1)]
        assert await site.polled(2) == [(0, 1)]
        assert await site.polled(4) == [(0, 1)]
        assert await site.polled(8) == [(0, 2)]
        assert isinstance(site.heard[-1][1][0], Reading)
        assert await site.polled(9) == [(0, 2)]


async def test_the_grid_does_not_drift_over_a_day_and_missed_polls_are_left_out() -> None:
    async with watched(clean, every_s=60.0) as site:
        for minute in range(1440):
            late_s = minute % 7 * 3.1
            await site.polled(minute * 60 + late_s)
        await site.polled(1440 * 60 + 130)
        await site.polled(1440 * 60 + 180)
    due = [round(at_s - site.heard[0][0], 3) for at_s, _ in site.heard]
    assert due == [round(minute * 60 + minute % 7 * 3.1, 3) for minute in range(1440)] + [86530.0, 86580.0]


async def test_an_adapter_that_goes_and_comes_back_under_its_name_is_found_again(tmp_path: Path) -> None:
    """As udev does it in /dev/serial/by-id: the link goes with the adapter, and comes back to another device."""
    link = tmp_path / "usb-adapter"
    bus = Bus(BusTable("field", "modbus-rtu", str(link)))

    async def read() -> list[int] | str:
        try:
            return (await bus.exchange(1, Request(3, 7, 1), 0.5))[:1]
        except RejectedError as err:
            return str(err)

    async with beside(bus.run()):
        for _ in range(2):
            with SerialLine([1], clean) as line:
                link.symlink_to(line.path)
                assert await read() == [0x107]
            link.unlink()
            gone = await read()
            assert isinstance(gone, str)
            assert gone.startswith(f"link: bus field, {link}: ")


def test_devices_of_a_serial_line_are_spread_and_those_of_a_connection_are_not(tmp_path: Path) -> None:
    devices = "".join(radar_device(name, unit, 1.0) for unit, name in enumerate(("a", "b", "c", "d"), 1))
    for speaks, wanted in (("modbus-rtu", [0.0, 0.25, 0.5, 0.75]), ("modbus-tcp", [0.0] * 4)):
        path = StationFiles(tmp_path, "tcp://127.0.0.1:9", speaks=speaks, devices=devices).write()
        assert list(phases(load_station(path)).values()) == wanted


# --- polls that become one row


def many(device: Device) -> list[Device]:
    """So many devices that those after them wait for each other."""
    return [replace(device, table=msgspec.structs.replace(device.table, name=f"d{n}")) for n in range(gather.MANY)]


def test_polls_that_come_together_are_one_record_and_the_log_gives_the_same_decisions(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    gauge, bucket = bench.agent._station.devices[:2]

    async def burst() -> list[bool]:
        together = Gather(bench.agent.pipeline, singly=False)
        answers = [await together.heard(one, [], 0.0) for one in many(bucket)]
        for stage in (3.5, 3.6):
            answers += await asyncio.gather(
                together.heard(gauge, [Reading("depth_m", stage)], 0.0),
                together.heard(bucket, [Reading("rain_total_mm", 0.0), Rejection(Reason.STATUS, "blocked")], 0.0))
            bench.clock.pass_ms(1000)
        return answers

    assert asyncio.run(burst())[-2:] == [False, False]
    assert bench.agent.pipeline.handled == gather.MANY + 4
    assert [record.series for record in bench.of(Readings)] == [["gauge/stage_m", "bucket/rain_total_mm"]] * 2
    assert bench.sounds == "red"
    bench.flush()
    own = replayed(bench.folder)
    assert own.decided == own.told != []
    bench.stop()


def test_a_defect_in_a_row_ends_no_device_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part fails by itself, is counted, and begins again."""
    bench = Bench(tmp_path)
    gauge, bucket = bench.agent._station.devices[:2]

    async def burst() -> None:
        together = Gather(bench.agent.pipeline, singly=False)
        for one in many(bucket):
            await together.heard(one, [], 0.0)
        monkeypatch.setattr(bench.agent.pipeline, "heard_together", lambda _: 1 // 0)
        async with asyncio.timeout(30), AsyncExitStack() as parts:
            for device in (gauge, bucket):
                part = partial(heard_for_ever, together, device)
                await parts.enter_async_context(beside(bench.agent._keep(device.table.name, part)))
            while not bench.agent.failures.keys() >= {"gauge", "bucket"}:
                await asyncio.sleep(0)

    asyncio.run(burst())
    assert set(bench.agent.failures.values()) == {1}
    bench.stop()


async def heard_for_ever(together: Gather, device: Device) -> None:
    while True:
        await together.heard(device, [], 0.0)


def test_a_stop_loses_nothing_that_was_decoded(tmp_path: Path) -> None:
    """Also what waits for others to make one row."""
    bench = Bench(tmp_path)
    gauge, bucket = bench.agent._station.devices[:2]

    async def stopped_in_a_burst() -> None:
        agent = bench.agent
        async with beside(agent.run()):
            for one in many(bucket):
                await agent._gather.heard(one, [], 0.0)
            async with beside(heard_once(agent._gather, gauge)):
                await asyncio.sleep(0)
                assert bench.of(Readings) == []

    asyncio.run(stopped_in_a_burst())
    assert [record.value for record in bench.files.log() if isinstance(record, Readings)] == [[1.5]]


async def heard_once(together: Gather, device: Device) -> None:
    await together.heard(device, [Reading("depth_m", 1.5)], 0.0)


def test_readings_counted_together_count_as_each_alone() -> None:
    """Of them a fault of a bus and of a sensor is known."""
    one, all_of_it = Health(["meter"]), Health(["meter"])
    for quantity in ("flow_m3s", "flow_l_s"):
        assert one.good("meter", quantity, START_MS) == []
    assert all_of_it.all_good("meter", 2, START_MS)
    assert all_of_it.counts("meter") == one.counts("meter")
    assert all_of_it.report() == one.report()
    all_of_it.refused("meter", "flow_l_s", Reason.RANGE, "6 is outside", 0)
    assert not all_of_it.all_good("meter", 2, START_MS), "each tells which fault it ends"
