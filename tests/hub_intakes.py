"""An intake at work, for tests: what it is told, what it says, and what is on the disk then."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from hub.database import Database
from hub.intake import Intake
from tests.hub_lander import KEY, STATION
from tests.hub_messages import NOON_MS, upload
from tocsin import topics
from tocsin.clock import WoundClock
from tocsin.link import LinkDownError
from tocsin.messages import Committed, Range, Record, digest, digest_of_digests, encode
from tocsin.signing import unseal

OTHER = "lin-an-02"
OTHER_KEY = "22" * 32
KEYS = {STATION: KEY, OTHER: OTHER_KEY}
WITHIN_S = 30.0


def range_of(*records: Record) -> Range:
    digests = [digest(encode(record)) for record in records]
    return Range(records[0].boot, records[0].seq, records[-1].seq, digest_of_digests(digests))


@dataclass
class Desk:
    """An intake at work, and what it said."""

    database: Database
    clock: WoundClock = field(default_factory=lambda: WoundClock(NOON_MS))
    said: asyncio.Queue[tuple[float, str, Committed]] = field(default_factory=asyncio.Queue)
    seen: list[set[int]] = field(default_factory=list)
    links_down: int = 0

    def __post_init__(self) -> None:
        self.intake = Intake(self.database, KEYS, self.clock, self.publish)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        at = asyncio.get_running_loop().time()
        assert not retain
        if self.links_down:
            self.links_down -= 1
            raise LinkDownError("not connected")
        station = topic.split("/")[2]
        answer = msgspec.json.decode(unseal(payload, topic, KEYS[station]), type=Committed)
        self.seen.append(self.on_disk())
        self.said.put_nowait((at, station, answer))

    def on_disk(self) -> set[int]:
        """The seqs that another process would find."""
        other = sqlite3.connect(self.database.path)
        found = {seq for (seq,) in other.execute("SELECT seq FROM landing")}
        other.close()
        return found

    async def tell(self, *records: Record | bytes, station: str = STATION) -> None:
        await self.intake.on_message(topics.up(station, topics.READINGS), upload(station, *records))

    async def answer(self) -> Committed:
        async with asyncio.timeout(WITHIN_S):
            return (await self.said.get())[2]

    async def landed(self, many: int) -> None:
        """Returns when that many records have been landed or refused since the start."""
        more = asyncio.Event()
        self.intake.on_landed.append(more.set)
        async with asyncio.timeout(WITHIN_S):
            while sum(count for name, count in self.intake.counts.items() if name != "not answered") < many:
                more.clear()
                await more.wait()


@asynccontextmanager
async def at_work(path: Path, now_ms: int = NOON_MS) -> AsyncIterator[Desk]:
    desk = Desk(Database(path), WoundClock(now_ms))
    task = asyncio.create_task(desk.intake.run())
    try:
        yield desk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        desk.database.close()
