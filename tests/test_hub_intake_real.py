"""Intake with what it has in the field: a process that is killed, and a real broker."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from hub.database import Database
from hub.intake import Intake
from hub.landing import read
from tests.hub_intakes import KEYS, WITHIN_S, range_of
from tests.hub_lander import KEY, STATION
from tests.hub_messages import NOON_MS, readings, upload
from tests.services import Mosquitto
from tests.shared_data import REPOSITORY
from tocsin import topics
from tocsin.broker import Broker
from tocsin.clock import WoundClock
from tocsin.link import Link
from tocsin.messages import Committed
from tocsin.signing import unseal


def answered(lines: Iterable[str]) -> int:
    return max((int(number) for line in lines if line.endswith("\n") for number in line.split()), default=0)


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    for round_number in range(count(3, 60)):
        path = tmp_path / f"{round_number}.sqlite"
        with subprocess.Popen(
            [sys.executable, "-m", "tests.hub_lander", str(path)], cwd=REPOSITORY, stdout=subprocess.PIPE, text=True
        ) as lander:
            assert lander.stdout is not None
            said = [lander.stdout.readline() for _ in range(round_number % 3 + 1)]
            lander.kill()
            said += lander.stdout.readlines()
        database = Database(path)
        seqs = [row.seq for row in read(database.connection, 0, 1_000_000)]
        database.close()
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(seqs) >= answered(said) > 0


async def test_a_record_goes_through_a_real_broker_and_its_answer_comes_back(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(topic: str, payload: bytes) -> None:
        answers.put_nowait(unseal(payload, topic, KEY))

    database = Database(tmp_path / "hub.sqlite")
    broker = Broker.of(mosquitto.url)
    down = topics.committed(STATION)
    station = Link(broker, "intake-test-station", subscriptions=[down], on_message=hear)

    async def take(topic: str, payload: bytes) -> None:
        await intake.on_message(topic, payload)

    server = Link(broker, "intake-test-hub", subscriptions=[topics.up(STATION, "+")], on_message=take)
    intake = Intake(database, KEYS, WoundClock(NOON_MS), server.publish)
    async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part.run()) for part in (station, server, intake)]
        await station.wait_connected()
        await server.wait_connected()
        await station.publish(topics.up(STATION, topics.READINGS), upload(STATION, readings(1), readings(2)))
        answer = msgspec.json.decode(await answers.get(), type=Committed)
        for task in running:
            task.cancel()
    database.close()
    assert answer == Committed(1, database.hub_id, [range_of(readings(1), readings(2))], NOON_MS)
