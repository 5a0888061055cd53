"""A process that lands records as fast as it can and says what is on the disk; its parent kills it.

    python -m tests.hub_lander DATABASE
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from hub.database import Database
from hub.intake import Intake
from tests.hub_messages import BOOT, readings, upload
from tocsin import topics
from tocsin.clock import SystemClock
from tocsin.messages import Committed
from tocsin.signing import unseal

KEY = "11" * 32
STATION = "lin-an-01"


async def land(path: Path) -> None:
    """Prints the last seq of every answered range."""

    async def publish(topic: str, payload: bytes, *, retain: bool = False) -> None:
        answer = msgspec.json.decode(unseal(payload, topic, KEY), type=Committed)
        print(*(number.last for number in answer.ranges), flush=True)

    intake = Intake(Database(path), {STATION: KEY}, SystemClock(), publish)
    landed = asyncio.Event()
    intake.on_landed.append(landed.set)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(intake.run())
        for seq in range(1, 1_000_000):
            await intake.on_message(topics.up(STATION, topics.READINGS), upload(STATION, readings(seq, boot=BOOT)))
            if seq % 5 == 0:
                landed.clear()
                await landed.wait()


if __name__ == "__main__":
    asyncio.run(land(Path(sys.argv[1])))
