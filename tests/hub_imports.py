"""An embedded store filled, imported into and exported from, for tests."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

from hub import export, importing
from hub.embedded import SqliteStore
from hub.store import AnyPoint, Point
from tests.hub_messages import NOON_MS
from tocsin.times import iso

MINUTE_MS = 60_000
STAGE = Point("bridge", "radar", "stage_m", NOON_MS, 1.5, 0)


def store_of(hub: Path) -> Path:
    return hub.parent / "hub-data" / "store.sqlite"


def write(hub: Path, *points: AnyPoint) -> None:
    async def put() -> None:
        store = SqliteStore(store_of(hub))
        await store.write(points)
        await store.close()

    asyncio.run(put())


def held(hub: Path, table: str = "readings") -> list[tuple[Any, ...]]:
    """(device, quantity, time less NOON in ms, value, marks) of what the store has."""
    sql = ("SELECT s.device, s.quantity, r.t_ms - ?, r.value, r.quality FROM readings r JOIN series s"
           " ON s.id = r.series_id ORDER BY 1, 2, 3") if table == "readings" else (
           "SELECT device, quantity, t_ms - ?, text FROM labels ORDER BY 3, 1, 2")
    connection = sqlite3.connect(store_of(hub))
    try:
        return connection.execute(sql, (NOON_MS,)).fetchall()
    finally:
        connection.close()


def sheet(hub: Path, *lines: str, name: str = "bridge.csv") -> Path:
    path = hub.parent / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def at(minutes: float) -> str:
    return iso(NOON_MS + round(minutes * MINUTE_MS))


def taken(hub: Path, *words: str | Path) -> int:
    return importing.run([str(hub), *map(str, words)])


def out(hub: Path, *words: str) -> Path:
    assert export.run([str(hub), "--csv", str(hub.parent / "out"), *words]) == 0
    return hub.parent / "out"
