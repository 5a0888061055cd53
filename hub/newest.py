"""The newest points of all stations, for pages: a store that is slow or away must not hold them up."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import groupby

from hub.errors import TransientError
from hub.store import Point, Store

PATIENCE_S = 2.0    # without an answer by then a page says that it does not know


async def newest(store: Store, patience_s: float = PATIENCE_S) -> Mapping[str, Sequence[Point]] | None:
    """By station, of those that have any; None where the store did not say in time."""
    try:
        async with asyncio.timeout(patience_s):
            points = await store.latest_all()
    except (TransientError, TimeoutError):
        return None
    return {station: list(some) for station, some in groupby(points, lambda point: point.station)}
