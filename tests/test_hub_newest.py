"""A page asks for the newest points of all stations: what a store does not say in time is not waited for."""

import asyncio

from hub.newest import newest
from hub.store import Point
from tests.hub_web_store import MemoryStore
from tests.test_hub_stores import STAGE


class Silent(MemoryStore):
    """Never answers."""

    async def latest_all(self) -> list[Point]:
        await asyncio.Event().wait()
        return []


async def test_newest_by_station() -> None:
    store = MemoryStore()
    assert await newest(store) == {}
    await store.write([STAGE])
    assert await newest(store) == {STAGE.station: [STAGE]}


async def test_a_store_without_an_answer_is_not_waited_for() -> None:
    async with asyncio.timeout(20):
        assert await newest(Silent(), patience_s=0.1) is None
    assert len(asyncio.all_tasks()) == 1  # what was not waited for is gone


async def test_a_store_that_is_away_is_unknown() -> None:
    store = MemoryStore()
    store.down = True
    assert await newest(store) is None
