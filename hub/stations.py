"""The stations as last heard: what they said of themselves stands in the database, their newest points in the store."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from hub.database import Database
from hub.errors import TransientError
from hub.store import Point, Store
from tocsin.messages import Heartbeat, StationCard

FEW = 5             # so many are asked for one by one
PATIENCE_S = 2.0    # without an answer by then a page says that it does not know
AT_ONCE = 100       # stations or points that are looked at before the hub does something else in between
KEPT_S = 1.0        # all stations are read once for all who look within this time

T = TypeVar("T")

Row = tuple[str, str | None, str | None, int]  # id, card and heartbeat in JSON, heard_at


@dataclass(frozen=True, slots=True)
class StationView:
    """One enrolled station as last heard.

    `card` is None until it has started once, `heartbeat` None until the first one; `heard_at` is ms UTC, 0 is never.
    `latest` is the newest point of each series, None while the store cannot be reached.
    """

    id: str
    card: StationCard | None
    heartbeat: Heartbeat | None
    heard_at: int
    latest: Sequence[Point] | None


def read(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, Row]:
    """By id, those of them that were ever heard."""
    asked = "SELECT id, card, heartbeat, heard_at FROM stations"
    if len(names) <= FEW:
        rows = [row for name in names for row in connection.execute(f"{asked} WHERE id = ?", (name,))]
    else:
        rows = connection.execute(asked).fetchall()
    return {row[0]: row for row in rows}


def cards(connection: sqlite3.Connection, names: Collection[str]) -> dict[str, StationCard]:
    """By id, what those of them said of themselves that have started once."""
    rows = connection.execute("SELECT id, card FROM stations WHERE card IS NOT NULL").fetchall()
    known = frozenset(names)
    return {name: msgspec.json.decode(card, type=StationCard) for name, card in rows if name in known}


async def latest(
    store: Store, names: Collection[str], patience_s: float = PATIENCE_S
) -> dict[str, list[Point]] | None:
    """The newest points of each of these stations, many in one question; None where the store did not say in time."""
    with suppress(TransientError, TimeoutError):
        async with asyncio.timeout(patience_s):
            if len(names) <= FEW:
                return {name: await store.latest(name) for name in names}
            points = await store.latest_all()
        found: dict[str, list[Point]] = {name: [] for name in names}
        async for point in in_turns(points):
            if point.station in found:
                found[point.station].append(point)
        return found
    return None


async def in_turns(many: Sequence[T]) -> AsyncIterator[T]:
    """All of them; the loop has its turn again and again in between. A county's stations must not hold up intake."""
    for number, one in enumerate(many):
        if number % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)
        yield one


class Stations:
    """What the pages know of the stations. Cards and heartbeats are read from their text once."""

    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store
        self._cards: dict[str, tuple[str, StationCard]] = {}
        self._beats: dict[str, tuple[str, Heartbeat]] = {}
        self._one = asyncio.Lock()
        self._all: tuple[float, list[str], list[StationView]] | None = None

    async def some(self, names: Sequence[str]) -> list[StationView]:
        """Those of these ids, in their order."""
        rows = await self._database.run(read, self._database.connection, names)
        points = await latest(self._store, names)
        return [self._view(name, rows.get(name), points[name] if points is not None else None)
                async for name in in_turns(names)]

    async def every(self, names: list[str]) -> list[StationView]:
        """All stations, as they were KEPT_S ago at most. By the network's time: a rehearsal at sixty times the speed
        asks no more often."""
        async with self._one:
            now_s = asyncio.get_running_loop().time()
            if self._all is None or now_s - self._all[0] >= KEPT_S or self._all[1] != names:
                self._all = (now_s, names, await self.some(names))
            return self._all[2]

    def _view(self, name: str, row: Row | None, points: Sequence[Point] | None) -> StationView:
        _, card, beat, heard_at = row or (name, None, None, 0)
        return StationView(name, self._card(name, card) if card else None, self._beat(name, beat) if beat else None,
                           heard_at, points)

    def _card(self, name: str, text: str) -> StationCard:
        if name not in self._cards or self._cards[name][0] != text:
            self._cards[name] = (text, msgspec.json.decode(text, type=StationCard))
        return self._cards[name][1]

    def _beat(self, name: str, text: str) -> Heartbeat:
        if name not in self._beats or self._beats[name][0] != text:
            self._beats[name] = (text, msgspec.json.decode(text, type=Heartbeat))
        return self._beats[name][1]
