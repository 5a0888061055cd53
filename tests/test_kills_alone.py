"""kill -9 of an agent that never met a broker, in the middle of a storm."""

import random
from collections.abc import Callable
from pathlib import Path

from edge.own_log import replayed
from simulators.devices import Relay
from simulators.wires import ModbusTcp
from tests.processes import Command
from tests.stations import StationFiles
from tests.test_kills import DEVICE, RULES, Gauge, too_late
from tocsin.log import read_log
from tocsin.messages import Detection, Readings, record_of


def logged(station: StationFiles) -> dict[int, bytes]:
    """What stands in the log now, by its number."""
    return {entry.seq: entry.payload for entry in read_log(station.folder / "station-data" / "log")}


async def test_nothing_logged_is_lost_or_changed_and_no_decision_is_another_one(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    gauge, chance, kills = Gauge(), random.Random(20241013), count(6, 200)
    async with ModbusTcp({1: gauge, 9: Relay()}, on_served=gauge.on_served) as wire:
        station = StationFiles(tmp_path / "edge", f"tcp://127.0.0.1:{wire.port}", id="alone", devices=DEVICE,
                               rules=RULES)
        agent = Command(tmp_path / "agent", "edge", str(station.write()))
        before: dict[int, bytes] = {}
        try:
            for number in range(kills):
                agent.start()
                await gauge.reads(chance.randint(1, 12))
                agent.kill()
                now = logged(station)
                assert {seq: now.get(seq) for seq in before} == before
                before = now
                # a flood comes and goes: whoever is killed has something to decide, and to remember
                gauge.next(chance.choice((1500, 2050)) + number)
            agent.start()
            await gauge.reads(10)
        finally:
            agent.stop()
    now = logged(station)
    assert {seq: now.get(seq) for seq in before} == before
    records = [record_of(payload) for payload in now.values()]
    values = [value for record in records if isinstance(record, Readings) for value in record.value]
    served = [mm / 1000 for mm in gauge.ledger]
    assert set(values) <= set(served)
    assert len(served) - len(values) <= kills + 1 + too_late(records), "at most the poll in hand at each end"
    own = replayed(station.folder / "station-data")
    assert (own.damage, own.parted, own.thinned) == ([], [], 0)
    assert own.decided == own.told
    told = [record for record in records if isinstance(record, Detection)]
    assert [record.revision for record in told] == list(range(1, len(told) + 1))
    assert told
