"""The stations as last heard: what they said of themselves, from the database, and their newest points, from the store."""

import sqlite3
from collections.abc import Collection, Sequence
from contextlib import suppress

import msgspec

from hub.errors import TransientError
from hub.store import Point, Store
from hub.web.view import StationView
from tocsin.messages import Heartbeat, StationCard

FEW = 5  # whose newest points are asked for one by one

Row = tuple[str, str | None, str | None, int]  # id, card and heartbeat in JSON, heard_at


def read(connection: sqlite3.Connection) -> dict[str, Row]:
    """By id, those that were ever heard."""
    rows = connection.execute("SELECT id, card, heartbeat, heard_at FROM stations").fetchall()
    return {row[0]: row for row in rows}


async def latest(store: Store, names: Collection[str]) -> dict[str, list[Point]] | None:
    """The newest points of each of these stations, in one question where they are many; None while the store is away."""
    with suppress(TransientError):
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
