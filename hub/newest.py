"""The newest points of many stations, for pages: a store that is slow or away must not hold them up."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress

from hub.errors import TransientError
from hub.store import Point, Store

PATIENCE_S = 2.0    # for all stations together; without an answer by then a page says that it does not know
_AT_ONCE = 16


async def newest(
    store: Store, stations: Iterable[str], patience_s: float = PATIENCE_S
) -> dict[str, Sequence[Point] | None]:
    """By station; None where the store did not say in time."""
    few = asyncio.Semaphore(_AT_ONCE)

    async def ask(station: str) -> Sequence[Point] | None:
        with suppress(TransientError):
            async with few:
                return await store.latest(station)
        return None

    asked = {station: asyncio.create_task(ask(station)) for station in stations}
    if asked:
        _, late = await asyncio.wait(asked.values(), timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return {station: None if task.cancelled() else task.result() for station, task in asked.items()}
