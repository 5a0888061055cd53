"""A hub is backed up under load, killed, restored elsewhere: stations offer again what the backup did not know."""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from hub.backup import archives
from simulators.devices import Relay
from simulators.wires import ModbusTcp
from tests.hubs import HubFiles
from tests.processes import Command
from tests.services import Mosquitto
from tests.stations import StationFiles
from tests.test_journey import until
from tests.test_kills import EVERY_S, RULES, Gauge, too_late
from tocsin.messages import Detection, Readings

STATIONS = ("upper-bridge", "mill-creek", "stone-valley")


def device(unit: int) -> str:
    return f"""
[[device]]
name = "gauge"
bus = "field"
driver = "radar_level"
unit = {unit}
every_s = {EVERY_S}
settings = {{ measures = "level", span_m = [-5.0, 30.0] }}
series = {{ stage_m = {{ sensor_height_m = 0.0 }} }}
"""


def stored(path: Path) -> Counter[tuple[str, float]]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute("SELECT station, value FROM readings JOIN series ON series.id = series_id")
        return Counter(rows.fetchall())


def logged(station: StationFiles) -> list[tuple[str, float]]:
    return [(station.id, value) for record in station.log() if isinstance(record, Readings) for value in record.value]


def detections(stations: list[StationFiles]) -> list[tuple[str, int]]:
    return sorted((station.id, one.seq) for station in stations for one in station.log() if isinstance(one, Detection))


def of_the_desk(folder: Path) -> tuple[list[tuple[str, int]], int]:
    """The detections that the second hub has, as (station, seq), and how many warnings they made."""
    path = folder / "elsewhere" / "hub-data" / "hub.sqlite"
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        landed = connection.execute("SELECT station, seq FROM landing WHERE kind = 'detection'").fetchall()
        (warned,) = connection.execute("SELECT count(*) FROM warnings").fetchone()
    return sorted(landed), warned


async def test_a_backup_under_load_restored_elsewhere_loses_nothing(
    tmp_path: Path, new_mosquitto: Callable[..., Mosquitto], count: Callable[[int, int], int]
) -> None:
    for number in range(count(1, 10)):
        await drill(tmp_path / str(number), new_mosquitto(), [Gauge() for _ in STATIONS])


async def drill(folder: Path, broker: Mosquitto, gauges: list[Gauge]) -> None:
    wires = [ModbusTcp({1: gauge, 9: Relay()}, on_served=gauge.on_served) for gauge in gauges]
    for wire in wires:
        await wire.start()
    stations = [StationFiles(folder / name, f"tcp://127.0.0.1:{wire.port}", broker.url, name, devices=device(1),
                             rules=RULES) for name, wire in zip(STATIONS, wires, strict=True)]
    files = HubFiles(folder / "hub", broker.url, [(station.id, station.key) for station in stations])
    first = Command(folder / "first", "hub", str(files.write()))
    agents = [Command(folder / f"agent-{one.id}", "edge", str(one.write())) for one in stations]
    second: Command | None = None
    try:
        for process in (first, *agents):
            process.start()
        await asyncio.gather(*(gauge.reads(60) for gauge in gauges))
        backing_up = Command(folder / "backup", "hub", "backup", str(folder / "hub" / "hub.toml"))
        backing_up.start()
        await asyncio.gather(*(gauge.reads(60) for gauge in gauges))
        assert await asyncio.to_thread(backing_up.wait, 60) == 0, backing_up.said
        await asyncio.gather(*(gauge.reads(60) for gauge in gauges))
        first.kill()
        await asyncio.gather(*(gauge.reads(30) for gauge in gauges))
        (archive,) = archives(folder / "hub" / "hub-backups")
        restoring = Command(folder / "restore", "hub", "restore", str(archive), str(folder / "elsewhere"))
        restoring.start()
        assert await asyncio.to_thread(restoring.wait, 60) == 0, restoring.said
        store = folder / "elsewhere" / "hub-data" / "store.sqlite"
        known = set(stored(store))
        second = Command(folder / "second", "hub", str(folder / "elsewhere" / "hub.toml"))
        second.start()
        await asyncio.gather(*(gauge.reads(30) for gauge in gauges))
        for wire in wires:
            await wire.stop()  # no more readings: what is in the logs now must all arrive

        async def all_there() -> bool:
            return {one for station in stations for one in logged(station)} <= set(stored(store))

        async def weighed() -> bool:
            landed, warned = of_the_desk(folder)
            return landed == detections(stations) and bool(warned)

        await until(all_there, 90.0)
        await until(weighed, 90.0)
    finally:
        for process in (*agents, first, *([second] if second else [])):
            process.stop()
        for wire in wires:
            await wire.stop()
    ledger = Counter(one for station in stations for one in logged(station))
    assert stored(store) == ledger, "each reading of every log once, and no other"
    assert 0 < len(known) < len(ledger), "the backup knew some, and some came after it"
    landed, warned = of_the_desk(folder)
    assert landed == detections(stations)
    assert len(landed) == len(STATIONS), "each has risen above its threshold once, unknown to the backup"
    assert warned == 1, "they are of one village"
    for station, gauge in zip(stations, gauges, strict=True):
        served = {mm / 1000 for mm in gauge.ledger}
        assert {value for _, value in logged(station)} <= served
        in_hand = served - {value for _, value in logged(station)}
        assert len(in_hand) <= 2 + too_late(station.log()), "polls in hand at the end"
