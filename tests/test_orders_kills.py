"""kill -9 of a station at any moment while its hub tells it what to do: done once at most, and always answered."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hub.database import Database
from hub.orders import CommandState, commands_of, state_of
from hub.send import Sender
from simulators.devices import RadarLevel
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, running_hub
from tests.processes import Command
from tests.services import Mosquitto
from tests.stations import STAGE_RULES, StationFiles, radar_device
from tests.test_journey import until
from tocsin.clock import SystemClock
from tocsin.inputs import Service
from tocsin.orders import Obeyed
from tocsin.signing import new_signing_key

EVERY = 5    # each so manieth command other rules are sent too


async def test_a_station_killed_at_any_moment_does_nothing_twice_and_answers_everything(
    tmp_path: Path, new_mosquitto: Callable[[], Mosquitto], count: Callable[[int, int], int]
) -> None:
    draw, kills = random.Random(20261122), count(5, 200)
    gauge, broker, clock = RadarLevel(Measures.LEVEL), new_mosquitto(), SystemClock()
    gauge.set("depth_m", 0.5)
    private, public = new_signing_key()
    async with ModbusTcp({1: gauge}) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", broker.url, siren=False,
                               devices=radar_device(every_s=1.0), public_key=public)
        files = HubFiles(tmp_path / "hub", broker.url, [(station.id, station.key)], private_key=private)
        agent = Command(tmp_path / "agent", "edge", str(station.write()))
        async with running_hub(files.write(), clock) as hub:
            other = Database(tmp_path / "hub" / "hub-data" / "hub.sqlite")
            sender = Sender(other, hub.config, station.id, clock.now_ms)
            try:
                version, names = 0, {}
                for number in range(kills):
                    agent.start()
                    if number % EVERY == 0:
                        version = sender.rules(STAGE_RULES.replace("2.5", f"2.{6 + number % 3}"), "Zhao Min")
                    ask: dict[str, object] = {"do": "service", "device": "gauge", "minutes": 1, "who": f"n{number}"}
                    names[sender.command(ask, 60)] = f"n{number}"
                    await asyncio.sleep(draw.uniform(0.3, 1.8))    # the moment of the kill
                    agent.kill()
                agent.start()

                async def all_answered() -> bool:
                    (left,) = other.connection.execute("SELECT count(*) FROM commands WHERE answered = 0").fetchone()
                    state = state_of(other.connection, station.id)
                    return not left and state is not None and state.version == version

                await until(all_answered, within_s=60)
                rows = commands_of(other.connection, station.id, kills)
            finally:
                agent.stop()
                other.close()
    done = Counter(record.who for record in station.log() if isinstance(record, Service) and record.who)
    answers = Counter(record.id for record in station.log() if isinstance(record, Obeyed))
    assert len(rows) == kills
    assert set(answers) == set(names)
    assert max(done.values()) == 1, "nothing twice"
    for row in rows:
        assert row.state is not CommandState.DONE or done[names[row.id]] == 1, "what was said to be done was"
        assert row.state is CommandState.DONE or "not known" in row.said
