"""An embedded store in tests: points, what landed, rollups by a plain loop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hub import landing
from hub.checks import inspect
from hub.database import Database
from hub.embedded import Mending, SqliteStore
from hub.rollups import RAW, STEPS_MS, Rollup
from hub.store import Point
from tests.hub_messages import NOON_MS, readings, upload
from tocsin.times import DAY_MS
from tocsin.topics import up

MINUTE_MS = 60_000
MIDNIGHT_MS = NOON_MS // DAY_MS * DAY_MS
STAGE = Point("bridge", "gauge", "stage_m", MIDNIGHT_MS, 2.5, 0)
ALL = (RAW, *STEPS_MS)


def point(t_ms: int, value: float) -> Point:
    return replace(STAGE, t_ms=t_ms, value=value)


def land(database: Database, seqs: range) -> None:
    """A record of one reading each, a second apart."""
    payload = upload("bridge", *(readings(seq, [float(seq)], at=NOON_MS + seq * 1_000) for seq in seqs))
    with database.transaction() as connection:
        landing.land(connection, [inspect(up("bridge", "readings"), payload, {"bridge"})], NOON_MS)


def sql(store: SqliteStore, text: str, *values: object) -> list[Any]:
    """In the open file, beside the store."""
    assert store._file is not None
    return store._file.connection.execute(text, values).fetchall()


@asynccontextmanager
async def opened(path: Path, mending: Mending | None = None) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, mending)
    try:
        yield store
    finally:
        await store.close()


def plain(readings: dict[int, float], step: int) -> list[tuple[int, float, float, float, int]]:
    """Rollups by a plain loop: (begin, lowest, highest, sum, number)."""
    cells: dict[int, list[float]] = {}
    for t, value in readings.items():
        cells.setdefault(t - t % step, []).append(value)
    return [(t, min(values), max(values), sum(values), len(values)) for t, values in sorted(cells.items())]


async def rolled(store: SqliteStore, step: int) -> list[Any]:
    """As `plain`, to rounding."""
    found: list[Rollup] = await store.rollups(STAGE, step, 0, 1 << 50)
    assert [one.mean for one in found] == pytest.approx([(one.sum or 0) / one.number for one in found])
    return [(one.t_ms, one.low, one.high, pytest.approx(one.sum, abs=1e-6), one.number) for one in found]
