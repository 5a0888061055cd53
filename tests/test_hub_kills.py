"""kill -9 of the hub at random moments under load, broker and store alive, checked against the stations' ledger."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from simulators.fleet import Fleet, Orders, station_name
from tests.hubs import HubFiles, influx_store
from tests.processes import Command
from tests.services import InfluxDb, Mosquitto
from tests.test_kills import until

KEY = "11" * 32
STATIONS = 20
POINTS = 40
EVERY_S = 0.4  # 50 messages, 2,000 points a second in all
WITHIN_S = 90.0


async def test_what_the_stations_sent_is_in_the_store_once_through_kills_of_the_hub(
    tmp_path: Path, new_mosquitto: Callable[..., Mosquitto], influxdb: InfluxDb, count: Callable[[int, int], int]
) -> None:
    broker, chance = new_mosquitto(), random.Random(5)
    names = [station_name(number) for number in range(STATIONS)]
    store = influx_store(influxdb.url, "hub_kills")
    hub = Command(tmp_path / "hub-process", "hub",
                  str(HubFiles(tmp_path / "hub", broker.url, [(name, KEY) for name in names], store).write()))
    orders = Orders(broker.port, STATIONS, KEY, POINTS, EVERY_S, secs=3_600, again_s=2.0, until_answered_s=WITHIN_S)
    fleet, kills = Fleet(orders), count(4, 200)
    sending = asyncio.create_task(fleet.run())
    try:
        hub.start()
        for _ in range(kills):
            # most kills meet a hub at work, some one that only starts
            await further(lambda: fleet.answered, chance.randint(1, 60) if chance.random() < 0.9 else 0)
            await further(lambda: fleet.written, chance.randint(0, 25))
            hub.kill()
            await further(lambda: fleet.written, chance.randint(0, 25))
            hub.start()
        fleet.stopped = True
        async with asyncio.timeout(2 * WITHIN_S):
            report = await sending
        expected = {name: last * POINTS for name, last in zip(names, fleet.last, strict=True)}
        await until(lambda: all_there(influxdb, expected), WITHIN_S)
    finally:
        hub.kill()
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
    assert report.sent == report.answered == sum(fleet.last)
    assert report.again > 0, "the kills were felt"
    assert stored(influxdb) == expected, "each reading is in the store, and none a second time beside itself"
    assert report.sent >= kills


async def further(number: Callable[[], int], by: int) -> None:
    """Returns when it is higher by that much."""
    wanted = number() + by
    async with asyncio.timeout(WITHIN_S):
        while number() < wanted:
            await asyncio.sleep(0.002)


def stored(influxdb: InfluxDb) -> dict[str, int]:
    rows = influxdb.query("hub_kills", "SELECT count(value) FROM readings GROUP BY station")
    return {row["station"]: row["count"] for row in rows}


async def all_there(influxdb: InfluxDb, expected: dict[str, int]) -> bool:
    found = stored(influxdb)
    return all(found.get(name, 0) >= count for name, count in expected.items())
