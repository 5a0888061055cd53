"""What becomes of readings that look wrong, and of those that do not come."""

import asyncio
from pathlib import Path

from edge.recorder import KINDS, LOCAL_KINDS
from simulators.devices import RainCounter, Relay
from simulators.wires import ModbusTcp
from tests.edge_bench import CHECK, GAUGE, MINUTE_MS, RAIN, STAGE, Bench
from tests.stations import START_MS, StationFiles, rain_device, running, wind
from tests.test_agent import Site
from tocsin import inputs
from tocsin.clock import WoundClock
from tocsin.inputs import Tick
from tocsin.levels import Level
from tocsin.messages import Detection, Event, EventKind, Readings
from tocsin.readings import Quality

HOUR_MS = 60 * MINUTE_MS


# spikes, stuck and silent series


async def test_a_possible_spike_is_asked_again_at_once_and_a_rise_is_told_in_the_same_minute(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.files.rules += CHECK
    async with site.agent() as agent:
        await site.read(agent, 0.6)
        site.stage(2.6)
        await wind(agent, site.clock, [START_MS + 2 * MINUTE_MS], polls=3)
        await agent.recorder.written(agent.recorder.last_seq)
        gauge = [(record.value[0], record.quality[0]) for record in site.files.log()
                 if isinstance(record, Readings) and record.series == [GAUGE]]
        assert gauge[-2:] == [(2.6, int(Quality.SPIKE_HELD)), (2.6, 0)]
        assert site.detections() == [(2, int(Level.ORANGE), 1)]
        health = {one.device: (one.held, one.confirmed) for one in agent._health.report()}
    assert health["gauge"] == (2, 2), "also the very first reading waits for the next"


async def test_a_glitch_of_one_reading_is_asked_again_once_and_raises_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.files.rules += CHECK

    def glitch_is_over(unit: int, _function: int, _address: int, _words: tuple[int, ...]) -> None:
        if unit == 1:
            site.stage(0.6)

    site.wire = ModbusTcp({1: site.gauge, 2: site.other, 9: site.relay}, on_served=glitch_is_over)
    async with site.agent() as agent:
        await site.read(agent, 0.6)
        site.stage(9.0)
        await wind(agent, site.clock, [START_MS + 2 * MINUTE_MS], polls=3)
        await agent.recorder.written(agent.recorder.last_seq)
        health = {one.device: (one.held, one.confirmed) for one in agent._health.report()}
    gauge = [(record.value[0], record.quality[0]) for record in site.files.log()
             if isinstance(record, Readings) and record.series == [GAUGE]]
    assert gauge[-2:] == [(9.0, int(Quality.SPIKE_HELD)), (0.6, 0)]
    assert site.detections() == []
    assert health["gauge"] == (2, 1)


def test_a_dropped_spike_is_counted_and_a_confirmed_one_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE + CHECK)
    for stage in (0.5, 0.5, 0.5):
        bench.read(stage)
    gauge = bench.agent._station.devices[0]
    bench.read(8.0)                       # confirmed by the second reading that the bench gives at once
    assert bench.levels() == [("stage", Level.RED)]
    before = next(one for one in bench.agent._health.report() if one.device == "gauge")
    bench.read(-1.5, again=False)
    bench.read(8.0, again=False)
    after = next(one for one in bench.agent._health.report() if one.device == "gauge")
    assert (after.held - before.held, after.confirmed - before.confirmed) == (1, 0)
    assert gauge.table.name == "gauge"
    bench.stop()


def test_a_stuck_series_is_told_once_when_it_begins_and_once_when_it_moves(tmp_path: Path) -> None:
    bench = Bench(tmp_path, STAGE + '[[check]]\nquantity = "stage_m"\nstuck_after_h = 0.1\n')
    for _ in range(20):
        bench.read(0.5)
    bench.checkpoint()
    bench.kill()
    for _ in range(3):
        bench.read(0.5)
    for stage in (0.6, 0.7):
        bench.read(stage)
    assert [detail for _, detail in bench.events(EventKind.STUCK)] == [
        "its value does not move as it should: look after it", "its value moves again"]
    bench.stop()


def test_silence_says_how_bad_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    bench.tick()
    bench.clock.pass_ms(4 * MINUTE_MS)
    bench.tick()
    assert [reason for reason, _ in bench.events(EventKind.STALE)] == ["", ""]
    bench.read(2.2)
    for _ in range(5):
        bench.read(None)
        bench.tick()
    stale = bench.events(EventKind.STALE)[2:]
    assert stale == [("", "no good reading for 180 s")], "its own level does not make it urgent"
    bench.clock.pass_ms(6 * HOUR_MS)
    bench.tick()
    found = bench.events(EventKind.STALE)[3:]
    assert [reason for reason, _ in found] == ["unconfirmed", "urgent"]
    assert bench.levels() == [("stage", Level.YELLOW)]
    bench.stop()


# the log


def test_what_stays_in_the_log_is_of_a_local_kind() -> None:
    assert {KINDS[kind] for kind in inputs.LOCAL} == LOCAL_KINDS
    assert len(set(KINDS.values())) == len(KINDS)


def test_a_tick_of_which_nothing_followed_is_not_logged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    for _ in range(10):
        bench.clock.pass_ms(10_000)
        bench.tick()
    assert len(bench.of(Tick)) == 1, "the first after a start"
    bench.stop()


async def test_a_rain_counter_is_asked_twice_at_first_to_find_its_base(tmp_path: Path) -> None:
    counter = RainCounter(0.5)
    counter.rain(40.0)
    async with ModbusTcp({3: counter, 9: Relay()}) as wire:
        files = StationFiles(tmp_path, f"tcp://127.0.0.1:{wire.port}", devices=rain_device(), rules=RAIN)
        async with running(files.write(), WoundClock(START_MS)) as agent:
            async with asyncio.timeout(30):
                await agent.pipeline.wait_handled(2)
            await agent.recorder.written(agent.recorder.last_seq)
            found = [record.quality[0] for record in files.log() if isinstance(record, Readings)]
    assert found == [int(Quality.SPIKE_HELD), 0]
    assert [record for record in files.log() if isinstance(record, Event | Detection)] == []
