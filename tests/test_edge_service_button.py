"""The service button: what counts as held, and what it does at a station."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config import check
from edge.sayings import say
from edge.service_button import HELD_S, STUCK_S, Hold, LongPress, ServiceButton
from simulators.devices import RadarLevel, Relay
from simulators.faults import Silent
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.edge_bench import GAUGE, Bench
from tests.stations import START_MS, StationFiles, running
from tocsin.clock import WoundClock
from tocsin.messages import Event, EventKind
from tocsin.readings import Quality, Reason, RejectedError

BUTTON = '[service]\ndevice = "siren"\nbutton_input = 0\nminutes = 20\n'


def looks(*closed: bool) -> list[tuple[int, Hold]]:
    """What came of looks a second apart, with the second."""
    press = LongPress()
    found = [(second, press.take(one, float(second))) for second, one in enumerate(closed)]
    return [(second, hold) for second, hold in found if hold]


def test_it_is_held_once_until_it_is_let_go() -> None:
    assert looks(False, *[True] * 10, False, *[True] * 7) == [(6, Hold.HELD), (17, Hold.HELD)]


def test_a_button_that_is_closed_from_the_first_look_on_is_no_wish() -> None:
    assert looks(*[True] * 30, False, *[True] * 6) == [(36, Hold.HELD)]


def test_a_button_that_stays_closed_is_stuck() -> None:
    assert looks(False, *[True] * 100, False) == [(6, Hold.HELD), (62, Hold.STUCK), (101, Hold.FREED)]
    assert int(HELD_S) + 1 == 6
    assert STUCK_S == 60


@given(st.lists(st.booleans(), max_size=200))
def test_less_than_five_seconds_are_never_a_wish(bits: list[bool]) -> None:
    for second, hold in looks(*bits):
        if hold is Hold.HELD:
            assert all(bits[second - 5:second + 1])
            assert not all(bits[:second])


async def test_what_cannot_be_read_is_told_once_and_breaks_a_hold_off() -> None:
    told: list[str] = []
    held: list[float] = []
    clock = WoundClock(0)
    answers: list[bool | None] = [False, True, True, True, None, True, True, True, *[None] * 40, *[True] * 40, False]

    async def contact() -> bool:
        answer = answers.pop(0)
        if answer is None:
            raise RejectedError(Reason.SILENT, "no answer")
        return answer

    button = ServiceButton(contact, clock, on_held=lambda: held.append(clock.monotonic_s()),
                           tell=lambda said: told.append(said.en))
    while answers:
        await button.look()
        clock.wind_to(clock.now_ms() + 1000)
    assert held == []
    assert told == ["the service button cannot be read: silent: no answer", "the service button can be read again"]


def test_it_takes_all_into_service_and_ends_it_and_is_refused_in_a_warning(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.read(0.5)
    servicing = bench.operations.servicing
    servicing.toggle(20, say("service_button"))
    assert set(bench.agent.pipeline.decider.service) == {"gauge", "bucket"}
    servicing.toggle(20, say("service_button"))
    assert bench.agent.pipeline.decider.service == {}
    bench.operations.service(GAUGE, 5, "Li Wei")
    servicing.toggle(20, say("service_button"))
    assert bench.agent.pipeline.decider.service == {}, "whoever began it"
    bench.read(2.6)
    servicing.toggle(20, say("service_button"))
    assert bench.agent.pipeline.decider.service == {}
    assert bench.events(EventKind.SERVICE)[-1][1].startswith("the service button: refused, not while a warning is open")
    with pytest.raises(ValueError, match="nothing is in service"):
        bench.operations.service("", 0, "Li Wei")
    bench.stop()


async def test_at_a_station_it_is_a_discrete_input(tmp_path: Path) -> None:
    clock, relay, gauge = WoundClock(START_MS), Relay(), RadarLevel(Measures.LEVEL)
    gauge.set("depth_m", 0.5)
    async with ModbusTcp({1: gauge, 9: relay}) as wire:
        files = StationFiles(tmp_path, f"tcp://127.0.0.1:{wire.port}")
        path = files.write()
        path.write_text(path.read_text() + BUTTON)
        async with running(path, clock) as agent, asyncio.timeout(30):
            await agent.pipeline.wait_handled(1)
            wire.set_fault(9, Silent())
            while not any(isinstance(one, Event) and "service button cannot be read: silent" in one.detail
                          for one in files.log()):
                clock.wind_to(clock.now_ms() + 1000)
                await asyncio.sleep(0.001)
            assert agent.pipeline.decider.service == {}
            wire.set_fault(9, None)
            while not any(isinstance(one, Event) and "can be read again" in one.detail for one in files.log()):
                clock.wind_to(clock.now_ms() + 1000)
                await asyncio.sleep(0.001)
            relay.on = True    # its contact is the button
            while not agent.pipeline.decider.service:
                clock.wind_to(clock.now_ms() + 1000)
                await asyncio.sleep(0.001)
            handled = agent.pipeline.handled
            clock.wind_to(clock.now_ms() + 60_000)
            await agent.pipeline.wait_handled(handled + 1)
            assert agent.pipeline.latest[GAUGE].quality == [int(Quality.SERVICE)]


def test_a_button_needs_a_modbus_device(tmp_path: Path) -> None:
    path = StationFiles(tmp_path, "tcp://127.0.0.1:9").write()
    good = path.read_text()
    path.write_text(good + BUTTON)
    assert check(path) == []
    path.write_text(good + BUTTON.replace('"siren"', '"cabinet"'))
    assert check(path) == [f'{path}: service: device: "cabinet" is not a Modbus device of this file; use gauge, siren']
    path.write_text(good + BUTTON.replace("20", "90"))
    assert check(path) == [f"{path}: service: minutes: 90 is not allowed; use a number above 0 and up to 60"]
