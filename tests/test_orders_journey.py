"""Rules and commands from the hub's command line to a station and back, and a dead station's successor: real parts."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge.agent import Agent
from edge.config import check
from hub import forward, send
from hub.model import WarningState
from hub.orders import CommandState
from hub.service import Hub
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, running_hub
from tests.services import Mosquitto
from tests.stations import AREA, STAGE_RULES, START_MS, StationFiles, radar_device, running, wind
from tests.test_journey import until
from tocsin.__main__ import main
from tocsin.clock import WoundClock
from tocsin.messages import Detection, Event, EventKind
from tocsin.signing import new_signing_key, public_key_of

MINUTE_MS = 60_000
PEOPLE = f'[[person]]\nname = "Li Wei"\nrole = "village head"\ntier = "village"\narea = "{AREA}"\n'
HIGHER = STAGE_RULES.replace("orange = 2.5", "orange = 2.7")


@pytest.fixture(autouse=True)
def forwarded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still while the forwarder would let what lands gather."""
    monkeypatch.setattr(forward, "GATHER_S", 0.0)


@dataclass
class Valley:
    """A hub, a broker, and one station that knows its hub."""

    gauge: RadarLevel
    clock: WoundClock
    broker: Mosquitto
    station: StationFiles
    files: HubFiles
    minute: int = 0

    async def stages(self, agent: Agent, *metres: float) -> None:
        for stage in metres:
            self.gauge.set("depth_m", stage)
            self.minute += 1
            await wind(agent, self.clock, [START_MS + self.minute * MINUTE_MS])

    async def arrived(self, hub: Hub, agent: Agent) -> None:
        async def done() -> bool:
            return not agent.uplink.backlog and not await hub.behind()

        await agent.recorder.written(agent.recorder.last_seq)
        await until(done)

    async def say(self, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
        """`tocsin send` as another process would be: only the database joins it to the hub."""
        capsys.readouterr()
        code = await asyncio.to_thread(send.run, [str(self.files.folder / "hub.toml"), self.station.id, *words])
        said = capsys.readouterr()
        return code, (said.out or said.err).strip()

    def rules(self, text: str) -> str:
        place = self.files.folder / "new-rules.toml"
        place.write_text(text)
        return str(place)


@pytest.fixture
async def valley(tmp_path: Path, new_mosquitto: Callable[[], Mosquitto]) -> AsyncIterator[Valley]:
    gauge, broker = RadarLevel(Measures.LEVEL), new_mosquitto()
    gauge.set("depth_m", 0.5)
    async with ModbusTcp({1: gauge, 9: Relay()}) as wire:
        private, public = new_signing_key()
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", broker.url, devices=radar_device(),
                               public_key=public)
        files = HubFiles(tmp_path / "hub", broker.url, [(station.id, station.key)], people=PEOPLE, private_key=private)
        station.write()
        files.write()
        yield Valley(gauge, WoundClock(START_MS), broker, station, files)


@asynccontextmanager
async def both(valley: Valley) -> AsyncIterator[tuple[Hub, Agent]]:
    async with (running_hub(valley.files.folder / "hub.toml", valley.clock) as hub,
                running(valley.station.folder / "station.toml", valley.clock) as agent):
        await agent.link.wait_connected()
        await agent.pipeline.wait_handled(1)
        yield hub, agent


WHO = ("--who", "Zhao Min")


async def test_rules_and_commands_go_out_and_are_answered(valley: Valley, capsys: pytest.CaptureFixture[str]) -> None:
    async with both(valley) as (hub, agent):
        code, said = await valley.say(capsys, "rules", valley.rules(HIGHER), *WHO)
        assert (code, said) == (0, f"version 1 is in force, rules {agent.operations.station.plan.rules.hash[:8]}")
        await valley.stages(agent, 2.6)
        assert agent.pipeline.decider.live.memory.level.tolist() == [2]
        code, said = await valley.say(capsys, "rules", valley.rules(HIGHER.replace('"gauge zero"', '"sea"')), *WHO)
        assert code == 1
        assert said.startswith("version 2 is refused; version 1 stays in force\nrules version 2 of the hub: ")
        code, said = await valley.say(capsys, "rules", valley.rules(HIGHER.replace("red", "rad")), *WHO)
        assert (code, said.count("\n")) == (1, 0)
        assert 'did you mean "red"?' in said, "seen before it is sent"
        assert await valley.say(capsys, "rollback", "9", *WHO) == (
            1, 'version 9 was never sent to "bridge"; use 2, 1')
        code, said = await valley.say(capsys, "rollback", "1", *WHO)
        assert (code, said[:24]) == (0, "version 3 is in force, r")
        service = ("command", "service", "device=gauge", "--minutes", "30", *WHO)
        code, said = await valley.say(capsys, *service)
        assert (code, said[:29]) == (1, "not while a warning is open: ")
        await valley.stages(agent, 0.5)
        assert await valley.say(capsys, *service) == (
            0, "gauge: Zhao Min works on it for at most 30 min")
        assert await valley.say(capsys, "command", "clear", "rule=stage", "series=gauge/stage_m", *WHO) == (
            1, '"clear" can only be done at the station')
        orders = await hub.orders("bridge")
        assert (orders.sent, orders.state and orders.state.version) == (3, 3)
        assert [row.state for row in orders.commands] == [
            CommandState.REFUSED, CommandState.DONE, CommandState.REFUSED]
        code, said = await valley.say(capsys, "history")
        assert [line.split("  ")[1:3] for line in said.splitlines()[:3]] == [
            ["refused", "Zhao Min"], ["sent", "Zhao Min"], ["command", "Zhao Min"]]


async def test_who_is_away_gets_it_later_and_a_wiped_broker_loses_nothing(
    valley: Valley, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_hub(valley.files.folder / "hub.toml", valley.clock) as hub:
        code, said = await valley.say(capsys, "rules", valley.rules(HIGHER), *WHO, "--wait", "0")
        assert (code, said) == (1, "no answer from the station yet: version 1 waits for it")
        code, said = await valley.say(capsys, "command", "levels", *WHO, "--wait", "0", "--within", "60")
        assert code == 1

        async def sent() -> bool:
            return bool(hub.counts().get("courier: command sent")) and bool(hub.counts().get("courier: rules sent"))

        await until(sent)
    valley.broker.kill()
    valley.broker.wipe()
    valley.broker.start()
    async with both(valley) as (hub, agent):

        async def answered() -> bool:
            orders = await hub.orders("bridge")
            return orders.state is not None and orders.commands[0].state is CommandState.DONE

        await until(answered)
        assert agent.operations.station.source.version == 1


async def test_a_command_that_nobody_hears_runs_out(valley: Valley, capsys: pytest.CaptureFixture[str]) -> None:
    async with running_hub(valley.files.folder / "hub.toml", valley.clock) as hub:
        await valley.say(capsys, "command", "levels", *WHO, "--wait", "0", "--within", "1")
        (row,) = (await hub.orders("bridge")).commands
        valley.clock.wind_to(row.expires + 2 * MINUTE_MS)

        async def expired() -> bool:
            return (await hub.orders("bridge")).commands[0].state is CommandState.EXPIRED

        await until(expired)
    _, said = await valley.say(capsys, "history")
    assert "expired" in said.splitlines()[0]


async def test_a_hub_with_another_key_is_believed_by_the_old_ones_signature(
    valley: Valley, capsys: pytest.CaptureFixture[str]
) -> None:
    former, valley.files.private_key = valley.files.private_key, new_signing_key()[0]
    place = valley.files.write()
    place.write_text(place.read_text().replace("[cap]", f'former_keys = ["{former}"]\n[cap]', 1))
    async with both(valley) as (_, agent):
        assert await valley.say(capsys, "command", "levels", *WHO) == (0, "everything is clear")
        kept = valley.station.folder / "station-data" / "hub-key"
        assert public_key_of(valley.files.private_key) in kept.read_text()
        await agent.recorder.written(agent.recorder.last_seq)
    told = [one for one in valley.station.log() if isinstance(one, Event) and one.what is EventKind.COMMAND]
    assert len(told) == 1


async def test_a_dead_stations_successor_stands_in_its_place_and_is_heard(
    valley: Valley, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    hub_toml, out = str(valley.files.folder / "hub.toml"), tmp_path / "successor"
    async with running_hub(Path(hub_toml), valley.clock) as hub:
        async with running(valley.station.folder / "station.toml", valley.clock) as agent:
            await agent.pipeline.wait_handled(1)
            assert (await valley.say(capsys, "rules", valley.rules(HIGHER), *WHO))[0] == 0
            await valley.stages(agent, 1.0, 2.8, 3.1)
            await valley.arrived(hub, agent)
            last = agent.recorder.last_seq
        (warning,) = await hub.open_warnings()
        (episode,) = warning.episodes.values()
        # the station is gone for good: washed away with its card
        replace = ["enrol", hub_toml, "bridge", "--replace", "--out", str(out), "--who", "Zhao Min"]
        assert await asyncio.to_thread(main, replace) == 0
        assert check(out / "station.toml") == []
        after = StationFiles(out, valley.station.port)
        old_key = valley.station.key
        assert old_key not in (out / "station.toml").read_text()
        async with running(out / "station.toml", valley.clock) as agent:
            await agent.pipeline.wait_handled(1)
            assert agent.operations.station.source.version == 1, "the hub's rules, and their version"
            assert agent.pipeline.decider.live.memory.level.tolist() == [4], "what stood, stands"
            await valley.stages(agent, 1.0)
            await valley.arrived(hub, agent)
            assert await hub.open_warnings() == [], "its first word is heard"
            await valley.stages(agent, 2.8)
            await valley.arrived(hub, agent)
            (again,) = await hub.open_warnings()
            assert (again.level, again.state) == (3, WarningState.OPEN)
            assert await valley.say(capsys, "command", "levels", *WHO) == (0, "orange: stage on gauge/stage_m")
            await old_comes_back(valley, hub, agent, caplog)
            assert await hub.open_warnings() == [again]
        found = [one for one in after.log() if isinstance(one, Detection)]
        assert [one.revision for one in found] == [episode.revision + 1, episode.revision + 2]
        assert min(one.seq for one in after.log()) > last


async def old_comes_back(valley: Valley, hub: Hub, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
    """From the dead, beside its successor: it neither lands anything nor throws that one out."""
    caplog.clear()
    landed = hub.counts()["intake: landed"]
    async with running(valley.station.folder / "station.toml", valley.clock) as old:
        await old.link.wait_connected()
        await old.pipeline.wait_handled(1)
        await old.recorder.written(old.recorder.last_seq)

        async def refused() -> bool:
            return hub.counts().get("intake: quarantined: a key that counts no more", 0) > 2

        await until(refused)
        assert old.uplink.backlog > 0
        assert agent.link.connected
        assert old.link.connected
    assert "next try" not in caplog.text
    assert hub.counts()["intake: landed"] == landed
    (station,) = await hub.stations()
    assert station.heartbeat is not None
    assert station.heartbeat.online, "nor does its last word stand for the station's"


def test_the_commands_start_fast_and_say_their_use() -> None:
    for command in ("send", "enrol"):
        done = subprocess.run([sys.executable, "-m", "tocsin", command, "--help"], capture_output=True, text=True,
                              check=True, timeout=60)
        assert f"tocsin {command}" in done.stdout


async def test_a_command_does_not_wait_for_rules_that_read_a_long_log(
    valley: Valley, capsys: pytest.CaptureFixture[str]
) -> None:
    async with both(valley) as (_, agent):
        async with agent.operations._lock:    # as if the log were read for minutes
            code, _ = await valley.say(capsys, "rules", valley.rules(HIGHER), *WHO, "--wait", "0")
            assert code == 1

            async def asked() -> bool:
                return bool(agent.operations._lock._waiters)

            await until(asked)
            assert await valley.say(capsys, "command", "levels", *WHO) == (0, "everything is clear")
            assert agent.operations.station.source.version == 0

        async def in_force() -> bool:
            return agent.operations.station.source.version == 1

        await until(in_force)
