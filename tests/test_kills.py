"""kill -9 of the agent, the hub and the broker (its state wiped) in the middle of a rise."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import httpx

from edge.breaker import PATIENCE
from simulators.devices import RadarLevel, Relay
from simulators.instruments import Measures
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles, influx_store
from tests.processes import Command
from tests.services import InfluxDb, Mosquitto
from tests.stations import AREA, StationFiles
from tocsin.messages import Detection, Event, EventKind, Readings, Record

EVERY_S = 0.05
RULES = """
[[rule]]
name = "stage"
quantity = "stage_m"
datum = "gauge zero"
n = 2
m = 3
off_below = 0.2
red = 2.0
"""
PEOPLE = f'[[person]]\nname = "Li Wei"\nrole = "village head"\ntier = "village"\narea = "{AREA}"\n'
DEVICE = f"""
[[device]]
name = "gauge"
bus = "field"
driver = "radar_level"
every_s = {EVERY_S}
settings = {{ measures = "level", span_m = [-5.0, 30.0] }}
series = {{ stage_m = {{ sensor_height_m = 0.0 }} }}
"""


class Gauge(RadarLevel):
    """Shows a millimetre more at each read, so that every reading that was ever served is known by its value."""

    def __init__(self) -> None:
        super().__init__(Measures.LEVEL)
        self.ledger: list[int] = []
        self.next(1850)

    def next(self, mm: int) -> None:
        self.mm = mm
        self.set("depth_m", mm / 1000)

    def on_served(self, unit: int, function: int, address: int, words: tuple[int, ...]) -> None:
        if unit == 1 and len(words) > 1:    # an agent that got no answer in time asks for one register, as a probe
            self.ledger.append(words[0] << 16 | words[1])
            self.next(self.mm + 1)

    async def reads(self, count: int) -> None:
        """Returns when that many more reads were served."""
        wanted = len(self.ledger) + count
        async with asyncio.timeout(60):
            while len(self.ledger) < wanted:
                await asyncio.sleep(0.005)


def too_late(records: Iterable[Record]) -> int:
    """How many polls may be lost at most because the gauge, which shares the test's process, answered late: each such
    time is told, and costs a few polls until only probes are sent."""
    return 2 * PATIENCE * sum(isinstance(one, Event) and one.what is EventKind.REFUSED for one in records)


async def until(fits: Callable[[], Awaitable[bool]], within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await fits():
            await asyncio.sleep(0.05)


async def test_nothing_logged_is_lost_nothing_is_twice_and_the_warning_is_raised_once(
    tmp_path: Path, new_mosquitto: Callable[..., Mosquitto], influxdb: InfluxDb, count: Callable[[int, int], int]
) -> None:
    broker, gauge, chance = new_mosquitto(persistence=True), Gauge(), random.Random(20240808)
    async with ModbusTcp({1: gauge, 9: Relay()}, on_served=gauge.on_served) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", broker.url, "kill-bridge",
                               devices=DEVICE, rules=RULES)
        database = "kills"
        hub_files = HubFiles(tmp_path / "hub", broker.url, [(station.id, station.key)],
                             influx_store(influxdb.url, database), PEOPLE)
        agent = Command(tmp_path / "agent-process", "edge", str(station.write()))
        hub = Command(tmp_path / "hub-process", "hub", str(hub_files.write()))
        kills: Counter[str] = Counter()
        try:
            hub.start()
            agent.start()
            await gauge.reads(30)
            for _ in range(count(9, 200)):
                victim = [agent, hub, broker][kills.total() % 3]
                kills[victim.command if victim is broker else victim.folder.name] += 1
                victim.kill()
                if victim is broker:
                    broker.wipe()
                elif victim is hub:
                    await gauge.reads(chance.randint(0, 20))
                victim.start()
                await gauge.reads(chance.randint(1, 40))
            await gauge.reads(max(0, 2020 - gauge.mm))
            await wire.stop()  # no more readings: what is in the log now must all arrive
            await settled(station, influxdb, database)
            await until(lambda: told(tmp_path / "hub"), 90.0)
            async with httpx.AsyncClient(base_url=hub_files.url, timeout=60) as client:
                warnings = (await client.get("/api/v1/warnings?status=open")).json()["warnings"]
        finally:
            agent.stop()
            hub.stop()
    logged = [value for record in station.log() if isinstance(record, Readings) for value in record.value]

    stored = [row["value"] for row in influxdb.query(database, "SELECT value FROM readings")]
    assert Counter(stored) == Counter(logged), "each logged reading is in the store once"
    served = [mm / 1000 for mm in gauge.ledger]
    in_hand = sorted(set(served) - set(logged))
    assert set(logged) <= set(served)
    at_ends = kills["agent-process"] + 1
    assert len(in_hand) <= at_ends + too_late(station.log()), f"polls in hand when the agent was killed: {in_hand}"
    raised = [record for record in station.log() if isinstance(record, Detection)]
    assert [(record.level, record.revision) for record in raised] == [(4, 1)]
    assert len(warnings) == 1
    assert len(bulletins(tmp_path / "hub")) == 1


def bulletins(hub: Path) -> list[Path]:
    return list((hub / "hub-data" / "cap").glob("*.xml"))


async def told(hub: Path) -> bool:
    """The warning has gone out."""
    return bool(bulletins(hub))


async def settled(station: StationFiles, influxdb: InfluxDb, database: str) -> None:
    """The store has everything that is in the log."""

    async def all_there() -> bool:
        logged = {value for record in station.log() if isinstance(record, Readings) for value in record.value}
        return logged <= {row["value"] for row in influxdb.query(database, "SELECT value FROM readings")}

    await until(all_there, 90.0)
