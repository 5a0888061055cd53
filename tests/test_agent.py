"""The agent of one station, from real wires to the siren and the log."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.checkpoint import CHECKPOINT
from simulators.devices import RadarLevel, Relay
from simulators.faults import Refuses, Silent
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.lines import settle, until
from tests.stations import START_MS, StationFiles, radar_device, running, wind
from tocsin.clock import WoundClock
from tocsin.levels import Level
from tocsin.log import Log
from tocsin.messages import Detection, Event, EventKind, Readings, Siren, Start
from tocsin.readings import Quality

MINUTE_MS = 60_000


class Site:
    """Two radars, a relay, and an agent's files."""

    def __init__(self, folder: Path) -> None:
        self.clock = WoundClock(START_MS)
        self.gauge = RadarLevel(Measures.LEVEL)
        self.other = RadarLevel(Measures.LEVEL)
        self.relay = Relay()
        self.wire = ModbusTcp({1: self.gauge, 2: self.other, 9: self.relay})
        devices = "".join(radar_device(name, unit, deadline_s=0.4) for name, unit in (("gauge", 1), ("other", 2)))
        self.files = StationFiles(folder, "", devices=devices)
        self.minute = 0
        self.stage(0.5)
        self.other.set("depth_m", 0.1)

    def stage(self, metres: float) -> None:
        self.gauge.set("depth_m", metres)

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        """Runs until the end of the block, with the first poll of both devices done."""
        async with self.wire:
            self.files.port = f"tcp://127.0.0.1:{self.wire.port}"
            async with running(self.files.write(), self.clock) as agent:
                async with asyncio.timeout(30):
                    await agent.pipeline.wait_handled(2)
                yield agent

    async def read(self, agent: Agent, *stages: float) -> None:
        """One minute and one poll of both devices for each stage."""
        for metres in stages:
            self.stage(metres)
            self.minute += 1
            await wind(agent, self.clock, [START_MS + self.minute * MINUTE_MS], polls=2)
        await agent.recorder.written(agent.recorder.last_seq)

    def of(self, *kinds: type) -> list[object]:
        return [record for record in self.files.log() if isinstance(record, kinds)]

    def detections(self) -> list[tuple[int, int, int]]:
        """(minute, level, revision) of every detection in the log."""
        return [((record.t - START_MS) // MINUTE_MS, record.level, record.revision)
                for record in self.files.log() if isinstance(record, Detection)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


async def siren_is(site: Site, *, on: bool) -> None:
    """The relay has been switched so, by whatever came last."""
    async with asyncio.timeout(30):
        while site.relay.on is not on:
            await asyncio.sleep(0.001)


async def logged(site: Site, fits: Callable[[object], bool]) -> None:
    """Such a record stands in the log."""
    async with asyncio.timeout(30):
        while not any(fits(record) for record in site.files.log()):
            await asyncio.sleep(0.005)


async def test_a_rise_sounds_the_siren_and_a_fall_silences_it(site: Site) -> None:
    async with site.agent() as agent:
        await siren_is(site, on=False)
        await site.read(agent, 1.9, 2.1)
        assert not site.relay.on
        await site.read(agent, 3.2)
        await siren_is(site, on=True)
        await site.read(agent, 2.9, 2.2, 1.0)
        await siren_is(site, on=False)
    assert site.detections() == [(2, 2, 1), (3, 4, 2), (5, 2, 3), (6, 0, 4)]
    first = next(record for record in site.files.log() if isinstance(record, Detection))
    assert (first.value, first.threshold, first.series, first.rule) == (2.1, 2.0, "gauge/stage_m", "stage")


async def test_the_log_holds_every_reading_once_in_order(site: Site) -> None:
    async with site.agent() as agent:
        await site.read(agent, 0.6, 0.7)
    gauge = [(record.t[0], record.value[0]) for record in site.files.log()
             if isinstance(record, Readings) and record.series == ["gauge/stage_m"]]
    assert gauge == [(START_MS, 0.5), (START_MS + MINUTE_MS, 0.6), (START_MS + 2 * MINUTE_MS, 0.7)]
    start = site.files.log()[0]
    assert isinstance(start, Start)
    assert [series.key for series in start.card.series] == ["gauge/stage_m", "other/stage_m"]
    assert start.card.rules[0].levels == {"yellow": 2.0, "orange": 2.5, "red": 3.0}


@pytest.mark.parametrize("checkpoint", ["kept", "lost", "damaged"])
async def test_a_restart_clears_nothing_decides_nothing_twice_and_sounds_again(site: Site, checkpoint: str) -> None:
    path = site.files.folder / "station-data" / CHECKPOINT
    async with site.agent() as agent:
        await site.read(agent, 3.2)
        await siren_is(site, on=True)
        await site.read(agent, 3.3)
        await until(path.exists)
    if checkpoint == "lost":
        path.unlink()
    elif checkpoint == "damaged":
        path.write_bytes(path.read_bytes()[:-1])
    site.relay.write(5, 0, 0)
    before = site.detections()
    async with site.agent() as agent:
        await siren_is(site, on=True)
        await agent.recorder.written(agent.recorder.last_seq)
        assert site.detections() == before
        await site.read(agent, 1.0)
        await siren_is(site, on=False)
    assert [level for _, level, _ in site.detections()] == [Level.RED, Level.CLEAR]
    assert [revision for _, _, revision in site.detections()] == [1, 2]


async def test_a_silent_and_a_refusing_device_are_events_and_the_other_goes_on(site: Site) -> None:
    async with site.agent() as agent:
        site.wire.set_fault(1, Silent())
        await site.read(agent, 0.6, 0.6)
        site.wire.set_fault(1, Refuses(4))
        await site.read(agent, 0.6)
        site.wire.set_fault(1, None)
        await site.read(agent, 0.7)
    events = [(event.what, event.device, event.reason)
              for event in site.of(Event) if isinstance(event, Event) and event.device == "gauge"]
    assert events == [
        (EventKind.REFUSED, "gauge", "silent"),
        (EventKind.REFUSED, "gauge", "exception"),
        (EventKind.BACK, "gauge", ""),
    ]
    others = [record for record in site.files.log()
              if isinstance(record, Readings) and record.series == ["other/stage_m"]]
    assert len(others) == 5


async def test_an_impossible_value_is_kept_flagged_told_and_decides_nothing(site: Site) -> None:
    async with site.agent() as agent:
        await site.read(agent, 25.0)
    flagged = [record for record in site.files.log() if isinstance(record, Readings) and record.value == [25.0]]
    assert [record.quality for record in flagged] == [[int(Quality.RANGE)]]
    event = next(event for event in site.of(Event) if isinstance(event, Event) and event.device == "gauge")
    assert (event.what, event.reason) == (EventKind.REFUSED, "implausible")
    assert event.detail == "stage_m 25 is outside the plausible -2 to 10"
    assert site.detections() == []


async def test_a_level_that_a_person_must_confirm_does_not_silence_the_one_below(site: Site) -> None:
    site.files.rules += '[rule.authority]\nred = "confirm"\n'
    async with site.agent() as agent:
        await site.read(agent, 2.6)
        await siren_is(site, on=True)
        await site.read(agent, 3.2, 3.3)
    assert [level for _, level, _ in site.detections()] == [Level.ORANGE, Level.RED]
    assert [on for _, on in site.relay.changes] == [True]


async def test_silence_is_an_event_and_never_clears(site: Site) -> None:
    async with site.agent() as agent:
        await site.read(agent, 2.6)
        site.wire.set_fault(1, Silent())
        await site.read(agent, *[0.1] * 5)
    stale = [event.series for event in site.of(Event) if isinstance(event, Event) and event.what is EventKind.STALE]
    assert stale == ["gauge/stage_m"]
    assert [level for _, level, _ in site.detections()] == [Level.ORANGE]


async def test_the_siren_that_cannot_be_switched_is_told_and_tried_again(site: Site) -> None:
    async with site.agent() as agent:
        await siren_is(site, on=False)
        site.wire.set_fault(9, Silent())
        await site.read(agent, 3.2)
        await logged(site, lambda record: isinstance(record, Event) and record.what is EventKind.SIREN)
        site.wire.set_fault(9, None)
        await logged(site, lambda record: isinstance(record, Siren) and record.level > 0)
        assert site.relay.on
    switched = [(record.level, record.device) for record in site.of(Siren) if isinstance(record, Siren)]
    assert switched == [(0, "siren"), (int(Level.RED), "siren")]


async def test_a_silence_ends_in_time_while_the_disk_hangs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = threading.Event()
    called = threading.Event()

    def drop(*_: object) -> int:
        called.set()
        hangs.wait(60)
        return 0

    monkeypatch.setattr(Log, "drop", drop)
    async with site.agent() as agent:
        try:
            await site.read(agent, 3.2)
            await siren_is(site, on=True)
            agent.operations.silence(4, "Li Wei")
            await siren_is(site, on=False)
            await until(called.is_set)
            for _ in range(30):
                site.clock.wind_to(site.clock.now_ms() + 10_000)
                await settle()
            await siren_is(site, on=True)
        finally:
            hangs.set()
