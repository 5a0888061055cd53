"""The many stations of benchmarks and proofs: what they do where no hub answers."""

import asyncio

from simulators.fleet import AHEAD, Fleet, Orders
from tests.services import Mosquitto
from tests.tasks import beside

WITHIN_S = 30.0


async def test_where_nobody_answers_the_stations_repeat_what_they_have_and_send_nothing_new(
    mosquitto: Mosquitto,
) -> None:
    fleet = Fleet(Orders(mosquitto.port, 2, "11" * 32, points=10, every_s=0.002, secs=WITHIN_S, again_s=0.01))
    async with asyncio.timeout(WITHIN_S), beside(fleet.run()):
        while sum(fleet.last) < 2 * AHEAD:
            await asyncio.sleep(0.001)
        before = fleet.written
        while fleet.written < before + 4 * AHEAD:
            await asyncio.sleep(0.001)
    assert fleet.last == [AHEAD, AHEAD]
    assert (fleet.answered, fleet.again > 2 * AHEAD) == (0, True)
