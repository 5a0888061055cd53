"""The siren in a whole agent, on real wires and in processes: alone, answered, tested, and when the agent dies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from edge.agent import Agent
from edge.operate import Ask, Operate
from simulators.devices import RadarLevel, Relay
from simulators.faults import Late, Refuses
from simulators.instruments import Measures
from simulators.relays import CabinetRelay
from simulators.wires import ModbusRtuPty, ModbusTcp
from tests.lines import settle, until
from tests.processes import Command
from tests.stations import START_MS, StationFiles, radar_device, running
from tocsin.__main__ import main
from tocsin.clock import WoundClock
from tocsin.levels import Level
from tocsin.messages import Answer, Event, EventKind, Siren

WATCHDOG_MS = 60_000
CABINET = (f"line_input = {CabinetRelay.LINE}, watchdog_register = {CabinetRelay.WATCHDOG}, "
           f"watchdog_value = {WATCHDOG_MS}, hold_s = 5.0")


class Site:
    """A gauge, a cabinet with siren and button, and the files of a station whose broker is not there."""

    def __init__(self, folder: Path, every_s: float = 60.0) -> None:
        self.clock = WoundClock(START_MS)
        self.now_s = 0.0
        self.gauge, self.box = RadarLevel(Measures.LEVEL), CabinetRelay(lambda: self.now_s)
        self.gauge.set("depth_m", 0.5)
        self.wire = ModbusTcp({1: self.gauge, 9: self.box})
        self.files = StationFiles(folder, "", devices=radar_device(every_s=every_s), relay_settings=CABINET,
                                  siren_keys=f"button_input = {CabinetRelay.BUTTON}\n")

    def write(self) -> Path:
        self.files.port = f"tcp://127.0.0.1:{self.wire.port}"
        return self.files.write()

    @asynccontextmanager
    async def agent(self) -> AsyncIterator[Agent]:
        async with self.wire, running(self.write(), self.clock) as agent:
            async with asyncio.timeout(30):
                await agent.pipeline.wait_handled(1)
            yield agent

    async def rises(self, agent: Agent, metres: float) -> None:
        """To the next poll, which sees it."""
        self.gauge.set("depth_m", metres)
        wanted = agent.pipeline.handled + 1
        passed = (self.clock.now_ms() - START_MS) % 60_000
        self.clock.wind_to(self.clock.now_ms() + 60_000 - passed)
        async with asyncio.timeout(30):
            await agent.pipeline.wait_handled(wanted)
        await self.sounds(on=True)

    async def sounds(self, *, on: bool) -> None:
        async with asyncio.timeout(30):
            while self.box.is_loud() is not on:
                await asyncio.sleep(0.001)

    async def passes(self, seconds: float) -> None:
        """In quarters of a second, each until everybody has done what is due."""
        for _ in range(round(seconds * 4)):
            self.clock.wind_to(self.clock.now_ms() + 250)
            for _ in range(3):
                await asyncio.sleep(0.001)
                await settle()

    def events(self, kind: EventKind) -> list[str]:
        return [record.detail for record in self.files.log() if isinstance(record, Event) and record.what is kind]

    async def told(self, kind: EventKind, words: str) -> None:
        async with asyncio.timeout(30):
            while not any(words in detail for detail in self.events(kind)):
                await asyncio.sleep(0.01)


async def ask(agent: Agent, **what: str | float) -> str:
    """As over the agent's socket."""
    operate = Operate(Path("/nowhere"), agent.operations, agent.recorder)
    return (await operate.answer(msgspec.json.encode(what))).said


async def test_it_sounds_its_rhythm_with_no_hub_ever_seen(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        await site.rises(agent, 3.2)
        heard = ""
        for _ in range(24):
            await site.passes(0.5)
            heard += "#" if site.box.is_loud() else "."
            await site.passes(0.5)
        assert heard == 2 * (6 * "#" + 6 * ".")
        await agent.recorder.written(agent.recorder.last_seq)
        assert agent.uplink.backlog > 0
    (sounded,) = [record for record in site.files.log() if isinstance(record, Siren) and record.level]
    assert (sounded.level, sounded.pattern, sounded.device) == (Level.RED, "move", "siren")


async def test_prepare_and_move_differ(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        await site.rises(agent, 2.6)
        await site.passes(30)
        assert site.box.is_loud(), "slow"
        await site.rises(agent, 3.2)
        await site.passes(8)
        assert not site.box.is_loud(), "fast"
    patterns = [(record.level, record.pattern) for record in site.files.log() if isinstance(record, Siren)]
    assert patterns == [(0, ""), (3, "prepare"), (4, "move")]


async def test_the_button_answers_and_the_siren_only_chirps_until_a_level_rises(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        site.box.is_pressed = True
        await site.passes(6)
        site.box.is_pressed = False
        await site.passes(6)
        await site.rises(agent, 2.6)
        site.box.is_pressed = True
        await site.passes(4)
        site.box.is_pressed = False
        await agent.recorder.written(agent.recorder.last_seq)
        assert [record.who for record in site.files.log() if isinstance(record, Answer)] == ["button at the siren"]
        assert site.box.is_loud(), "the others must hear it too"
        site.clock.wind_to(site.clock.now_ms() + 180_000)
        await site.passes(2)
        assert not site.box.is_loud()
        await site.rises(agent, 3.2)
        await site.passes(2)
        assert site.box.is_loud()
    assert site.events(EventKind.SIREN) == []
    patterns = [record.pattern for record in site.files.log() if isinstance(record, Siren)]
    assert patterns == ["", "prepare", "answered", "move"]


async def test_a_press_while_it_is_silent_is_told_and_does_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        await site.passes(6)
        site.box.is_pressed = True
        await site.passes(6)
        await agent.recorder.written(agent.recorder.last_seq)
    assert site.events(EventKind.SIREN) == ["the button was pressed: nothing sounds that nobody has answered"]
    assert [record for record in site.files.log() if isinstance(record, Answer)] == []


async def test_a_test_and_a_silence_are_asked_for_by_their_words(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        asked = asyncio.create_task(ask(agent, do="siren_test", who="Li Wei"))
        await site.sounds(on=True)
        await until(lambda: agent.pipeline.siren is not None and agent.pipeline.siren._testing is not None
                    and agent.pipeline.siren._testing.agreed)
        await site.passes(4)
        assert await asked == "the siren sounded for 3 s and obeyed"
        assert agent.operations.proof is not None
        assert agent.operations.proof.health().how == "test"
        await site.sounds(on=False)
        await site.rises(agent, 3.2)
        assert await ask(agent, do="siren_test", who="Li Wei") == "something is above clear: no test now"
        assert await ask(agent, do="silence", minutes=5, who="Li Wei") == "Li Wei silenced the siren for 5 min"
        await site.sounds(on=False)
    assert "Li Wei tested the siren: it sounded for 3 s" in site.events(EventKind.PROOF)


@pytest.mark.parametrize("what", ["siren_test", "silence"])
def test_who_asks_says_who_they_are(what: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="say who you are"):
        msgspec.convert({"do": what}, Ask)


async def test_a_contact_that_does_not_follow_is_an_event_at_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    async with site.agent() as agent:
        site.box.stuck = True
        site.gauge.set("depth_m", 3.2)
        site.clock.wind_to(START_MS + 60_000)
        await agent.pipeline.wait_handled(2)
        await site.told(EventKind.SIREN, "was switched on, but its feedback says off")
        assert agent.operations.proof is not None
        assert "feedback says off" in agent.operations.proof.health().fault
        site.box.stuck = False
        await site.sounds(on=True)
        await site.told(EventKind.SIREN, "its feedback says again what it does")


async def test_a_relay_that_refuses_its_watchdog_sounds_all_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.files.relay_settings = CABINET.replace(str(CabinetRelay.WATCHDOG), "7")
    async with site.agent() as agent:
        await site.rises(agent, 3.2)
        await site.told(EventKind.SIREN, "its watchdog cannot be set")
        await site.passes(3)
        assert site.box.is_loud()


# when the agent dies


async def dead_while_it_sounds(site: Site, tmp_path: Path) -> Path:
    """A real process, killed with -9 while the siren is on."""
    place = site.write()
    agent = Command(tmp_path / "process", "edge", str(place))
    agent.start()
    try:
        await site.sounds(on=False)
        site.gauge.set("depth_m", 3.2)
        await site.sounds(on=True)
        async with asyncio.timeout(30):
            while not site.box.watchdog_ms:
                await asyncio.sleep(0.001)
    finally:
        agent.kill()
    return place


async def test_after_kill_9_the_relay_lets_go_by_its_watchdog(tmp_path: Path) -> None:
    site = Site(tmp_path, every_s=0.05)
    async with site.wire:
        await dead_while_it_sounds(site, tmp_path)
        assert site.box.is_loud()
        site.now_s += WATCHDOG_MS / 1000 + 0.001
        assert not site.box.is_loud()


async def test_after_kill_9_siren_off_switches_it_off_and_not_while_an_agent_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site = Site(tmp_path, every_s=0.05)
    async with site.wire:
        place = await dead_while_it_sounds(site, tmp_path)
        assert site.box.is_loud()
        assert await asyncio.to_thread(main, ["siren-off", str(place)]) == 0
        assert capsys.readouterr().out == "siren is off\n"
        assert not site.box.is_loud()
        site.wire.set_fault(9, Refuses(4))
        assert await asyncio.to_thread(main, ["siren-off", str(place)]) == 1
        assert "exception 4: server device failure" in capsys.readouterr().err
        site.wire.set_fault(9, None)
        async with running(place, site.clock):
            assert await asyncio.to_thread(main, ["siren-off", str(place)]) == 1
        assert "its agent runs; use tocsin operate" in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["station-data/lock", "station-data"])
async def test_siren_off_does_its_work_where_the_disk_takes_nothing(tmp_path: Path, broken: str) -> None:
    site = Site(tmp_path)
    async with site.wire:
        place = site.write()
        site.box.on = True
        if broken == "station-data":
            (tmp_path / broken).write_text("no folder can be made here")
        else:
            (tmp_path / broken).mkdir(parents=True)
        assert await asyncio.to_thread(main, ["siren-off", str(place)]) == 0
        assert not site.box.is_loud()


def test_siren_off_needs_nothing_but_the_siren(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = StationFiles(tmp_path, "tcp://127.0.0.1:9", siren=False)
    place = files.write()
    (tmp_path / "rules.toml").write_text("wrong")
    assert main(["siren-off", str(place)]) == 0
    assert capsys.readouterr().out == "this station has no siren\n"
    files.siren = True
    text = files.write().read_text()
    for device, why in (("gauge", '"gauge" is not an output'), ("horn", '"horn" is not a device of this file')):
        place.write_text(text.replace('device = "siren"', f'device = "{device}"'))
        assert main(["siren-off", str(place)]) == 1
        assert why in capsys.readouterr().err


@pytest.mark.parametrize("gateway", [False, True])
async def test_on_a_shared_line_nothing_goes_between_the_answer_and_the_siren(tmp_path: Path, gateway: bool) -> None:
    """Four gauges are due at once, the first one decides; a gateway takes as long as the line behind it."""
    order: list[int] = []
    gauges = {unit: RadarLevel(Measures.LEVEL) for unit in (1, 2, 3, 4)}
    relay, clock = Relay(), WoundClock(START_MS)
    relay.on_change = lambda _at_s, _on: order.append(9)
    for gauge in gauges.values():
        gauge.set("depth_m", 0.5)
    devices = "".join(radar_device(f"gauge-{unit}", unit) for unit in gauges)

    def served(unit: int, _function: int, _address: int, _words: tuple[int, ...]) -> None:
        if unit in gauges:
            order.append(unit)

    units = {**gauges, 9: relay}
    wire = ModbusTcp(units, on_served=served) if gateway else ModbusRtuPty(units, on_served=served)
    wire.set_fault(1, Late(0.01))
    async with wire:
        port = f"tcp://127.0.0.1:{wire.port}" if isinstance(wire, ModbusTcp) else wire.path
        files = StationFiles(tmp_path, port, speaks="modbus-tcp" if gateway else "modbus-rtu", devices=devices)
        async with running(files.write(), clock) as agent, asyncio.timeout(30):
            await agent.pipeline.wait_handled(4)
            gauges[1].set("depth_m", 3.2)
            await until(lambda: agent.pipeline.siren is not None and agent.pipeline.siren._on is False)
            order.clear()
            clock.wind_to(START_MS + 60_000)
            await agent.pipeline.wait_handled(8)
    assert order[:2] == [1, 9]
