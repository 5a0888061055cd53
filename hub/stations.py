"""The stations as last heard: what they said of themselves stands in the database, their newest points in the store."""

import asyncio
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress

import msgspec

from hub.errors import TransientError
from hub.store import Point, Store
from hub.web.view import StationView
from tocsin.messages import Heartbeat, StationCard

FEW = 5             # so many are asked for one by one
PATIENCE_S = 2.0    # without an answer by then a page says that it does not know

Row = tuple[str, str | None, str | None, int]  # id, card and heartbeat in JSON, heard_at


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
            found: dict[str, list[Point]] = {name: [] for name in names}
            for point in await store.latest_all():
                if point.station in found:
                    found[point.station].append(point)
            return found
    return None


def view(name: str, row: Row | None, points: Sequence[Point] | None) -> StationView:
    _, card, heartbeat, heard_at = row or (name, None, None, 0)
    return StationView(
        name,
        msgspec.json.decode(card, type=StationCard) if card else None,
        msgspec.json.decode(heartbeat, type=Heartbeat) if heartbeat else None,
        heard_at,
        points,
    )
