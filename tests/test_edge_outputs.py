"""Every output of the siren does the same: a relay on a real wire, a pin, the sound card."""

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
from gpiozero.pins.mock import MockFactory

from drivers import relay_output
from edge import noise
from edge.bus import Bus
from edge.config import BusTable, DeviceTable
from edge.noise import RATE, TONES_HZ, Pin, Tones, header, tone
from edge.outputs import Output, Relay
from simulators.faults import Refuses, Silent
from simulators.relays import CabinetRelay
from simulators.wires import ModbusRtuPty, ModbusTcp
from tests.hung import hung_programs
from tests.lines import until
from tests.tasks import beside
from tocsin.levels import Stage
from tocsin.readings import RejectedError

WATCHDOG = {"watchdog_register": CabinetRelay.WATCHDOG, "watchdog_value": 5000, "line_input": CabinetRelay.LINE}


@dataclass
class Rig:
    """An output, whether it is on by what stands behind it, and what breaks it."""

    output: Output
    is_on: Callable[[], bool]
    breaks: Callable[[], None]


def relay_on(bus: Bus, **settings: float) -> Relay:
    table = DeviceTable("siren", "field", "relay_output", unit=9, deadline_s=0.2)
    return Relay(table, relay_output.Driver(relay_output.Settings(**settings)), bus)  # type: ignore[arg-type] # of one kind each


@asynccontextmanager
async def tcp() -> AsyncIterator[Rig]:
    box = CabinetRelay()
    async with ModbusTcp({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{wire.port}"))
        async with beside(bus.run()):
            yield Rig(relay_on(bus, **WATCHDOG), box.is_loud, lambda: wire.set_fault(9, Silent()))


@asynccontextmanager
async def rtu() -> AsyncIterator[Rig]:
    box = CabinetRelay()
    async with ModbusRtuPty({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-rtu", wire.path))
        async with beside(bus.run()):
            yield Rig(relay_on(bus), box.is_loud, lambda: wire.set_fault(9, Refuses(4)))


@asynccontextmanager
async def pin(*, high: bool = True) -> AsyncIterator[Rig]:
    factory = MockFactory()
    output = Pin("gpio17", 17, high=high, factory=factory)

    def breaks() -> None:
        output.close()
        output._number = 99

    yield Rig(output, lambda: factory.pin(17).state is high, breaks)
    output.close()


@asynccontextmanager
async def low_pin() -> AsyncIterator[Rig]:
    async with pin(high=False) as rig:
        yield rig


@asynccontextmanager
async def tones() -> AsyncIterator[Rig]:
    output = Tones(("cat", "-"))

    def breaks() -> None:
        output._player = ("/nowhere/aplay",)

    yield Rig(output, output._is_alive, breaks)
    await output.switch(on=False, stage=Stage.MOVE)


RIGS = {"tcp": tcp, "rtu": rtu, "pin": pin, "low pin": low_pin, "tones": tones}


@pytest.fixture(params=RIGS)
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with RIGS[request.param]() as made:
        yield made


@pytest.mark.parametrize("stage", list(Stage))
async def test_it_does_what_it_is_told_also_twice_and_says_so_where_it_can(rig: Rig, stage: Stage) -> None:
    for on in (False, True, True, False, False, True):
        await rig.output.switch(on=on, stage=stage)
        await rig.output.guard()
        assert rig.is_on() is on
        assert await rig.output.is_on() in {None, on}
        assert await rig.output.is_whole() in {None, True}


async def test_what_cannot_be_switched_says_why(rig: Rig) -> None:
    await rig.output.switch(on=False, stage=Stage.MOVE)
    rig.breaks()
    with pytest.raises(RejectedError) as refused:
        await rig.output.switch(on=True, stage=Stage.MOVE)
    assert refused.value.detail
    assert not rig.is_on()


@pytest.mark.parametrize("name", ["pin", "low pin", "tones"])
async def test_what_this_computer_does_itself_ends_with_the_agent(name: str) -> None:
    async with RIGS[name]() as rig:
        await rig.output.switch(on=True, stage=Stage.MOVE)
        assert rig.is_on()
        rig.output.close()
        await until(lambda: not rig.is_on())


# the relay's own watchdog


async def test_a_relay_with_a_watchdog_lets_go_when_nobody_speaks_to_it_and_not_before() -> None:
    now = [0.0]
    box = CabinetRelay(lambda: now[0])
    async with ModbusTcp({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{wire.port}"))
        async with beside(bus.run()):
            relay = relay_on(bus, **WATCHDOG, hold_s=2.0)
            assert relay.hold_s == 2.0
            await relay.switch(on=True, stage=Stage.MOVE)
            await relay.guard()
            assert box.watchdog_ms == 5000
            for _ in range(5):
                now[0] += 4.0
                assert box.is_loud()
                await relay.switch(on=True, stage=Stage.MOVE)
            box.power_cut()
            wire.set_fault(9, Silent())
            with pytest.raises(RejectedError):
                await relay.switch(on=True, stage=Stage.MOVE)
            wire.set_fault(9, None)
            await relay.switch(on=True, stage=Stage.MOVE)
            await relay.guard()
            assert box.watchdog_ms == 5000, "after a failure it is set again"
            await relay.switch(on=False, stage=Stage.MOVE)
            box.power_cut()
            await relay.switch(on=True, stage=Stage.MOVE)
            await relay.guard()
            assert box.watchdog_ms == 5000, "it may have lost its power in the calm, unseen"
    now[0] += 5.1
    assert not box.is_loud()


async def test_the_line_and_the_button_of_the_cabinet_are_read() -> None:
    box = CabinetRelay()
    async with ModbusTcp({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{wire.port}"))
        async with beside(bus.run()):
            relay = relay_on(bus, **WATCHDOG)
            assert await relay.is_whole() is True
            box.line_is_whole = False
            assert await relay.is_whole() is False
            assert await relay_on(bus).is_whole() is None
            assert not await relay.contact(CabinetRelay.BUTTON)
            box.is_pressed = True
            assert await relay.contact(CabinetRelay.BUTTON)


async def test_a_relay_without_a_contact_is_asked_at_least_whether_it_is_there() -> None:
    box = CabinetRelay()
    async with ModbusTcp({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{wire.port}"))
        async with beside(bus.run()):
            relay = relay_on(bus, feedback_input=-1)
            assert not relay.tells
            for fault in (None, Refuses(1)):
                wire.set_fault(9, fault)
                assert (await relay.is_on(), await relay.is_whole()) == (None, None), "a refusal is an answer"
            for away in (Silent(), Refuses(11)):
                wire.set_fault(9, away)
                with pytest.raises(RejectedError, match=r"no answer|gateway"):
                    await relay.is_whole()


def test_silence_of_a_sound_card_or_a_pin_proves_nothing() -> None:
    assert not Tones(("cat", "-")).tells
    assert not Pin("gpio17", 17, high=True).tells


async def test_a_relay_that_pulls_in_for_a_dead_horn_is_found_out_by_its_current() -> None:
    box = CabinetRelay()
    async with ModbusTcp({9: box}) as wire:
        bus = Bus(BusTable("field", "modbus-tcp", f"tcp://127.0.0.1:{wire.port}"))
        async with beside(bus.run()):
            relay = relay_on(bus, current_register=CabinetRelay.CURRENT, sounds_from=1000, line_from=20)
            assert (await relay.is_on(), await relay.is_whole()) == (False, True)
            await relay.switch(on=True, stage=Stage.MOVE)
            assert await relay.is_on() is True
            box.horn_is_good = False
            assert await relay.is_on() is False
            await relay.switch(on=False, stage=Stage.MOVE)
            box.line_is_whole = False
            assert (await relay.is_on(), await relay.is_whole()) == (False, False)


def test_the_two_tones_differ_and_join_without_a_click() -> None:
    assert len({TONES_HZ[Stage.PREPARE], TONES_HZ[Stage.MOVE]}) == 2
    for stage in Stage:
        sound = BytesIO(header() + tone(stage, 1.0))
        samples = memoryview(tone(stage, 1.0)).cast("h").tolist()
        assert len(samples) == RATE
        assert abs(samples[-1] - samples[0]) < 28_000 * 0.8, "the next piece begins where this one ends"
        assert all(300 <= hz <= 3000 and (hz * 0.25).is_integer() for hz in TONES_HZ[stage])
        with wave.open(sound) as read:
            assert (read.getframerate(), read.getsampwidth(), read.getnchannels()) == (RATE, 2, 1)


async def test_a_player_without_a_card_is_no_sound_however_soon_it_is_asked() -> None:
    output = Tones(("sh", "-c", "head -c 9 > /dev/null; exit 1"))
    await output.switch(on=True, stage=Stage.MOVE)
    assert await output.is_on() is False
    assert output.hold_s <= 1.0, "one that ends later is soon begun again"


async def test_another_stage_has_its_tone_at_once(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    output = Tones(("sh", "-c", f"head -c 20000 > {heard}.new; mv {heard}.new {heard}; exec cat > /dev/null"))
    for stage in (Stage.PREPARE, Stage.MOVE):
        await output.switch(on=True, stage=stage)
        await until(heard.exists)
        sample = tone(stage, 1.0)
        assert heard.read_bytes()[44:44 + len(sample)] == sample
        heard.unlink()
    await output.switch(on=False, stage=Stage.MOVE)


async def test_a_player_is_fed_as_long_as_it_sounds(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    output = Tones(("sh", "-c", f"exec head -c 100000 > {heard}"))
    await output.switch(on=True, stage=Stage.MOVE)
    await until(lambda: not output._is_alive())
    assert heard.read_bytes()[:44] == header()
    assert heard.stat().st_size == 100_000
    assert await output.is_on() is False, "a player that ended is no sound"
    heard.unlink()
    await output.switch(on=True, stage=Stage.MOVE)
    await until(lambda: heard.exists() and heard.stat().st_size == 100_000)
    await output.switch(on=False, stage=Stage.MOVE)


async def test_a_player_that_does_not_begin_holds_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "_BEGINS_WITHIN_S", 0.2)
    with hung_programs(monkeypatch) as hung:
        output = Tones(("cat", "-"))
        switching = asyncio.create_task(output.switch(on=True, stage=Stage.MOVE))
        await until(hung.is_set)
        with pytest.raises(RejectedError, match="cat hangs"):
            await switching
    await until(lambda: not output._is_alive())
