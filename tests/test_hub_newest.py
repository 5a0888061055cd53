"""A page asks for the newest points of many stations: what a store does not say in time is not waited for."""

import asyncio

from hub.newest import newest
from hub.store import Point
from tests.hub_web_store import MemoryStore
from tests.test_hub_stores import STAGE


class Slow(MemoryStore):
    """Says nothing of `silent`, ever."""

    silent = "mill-creek"

    async def latest(self, station: str) -> list[Point]:
        if station == self.silent:
            await asyncio.Event().wait()
        return await super().latest(station)


async def test_one_station_without_an_answer_does_not_hide_the_others() -> None:
    store = Slow()
    await store.write([STAGE])
    async with asyncio.timeout(20):
        found = await newest(store, [STAGE.station, store.silent, "empty"], patience_s=0.1)
    assert found == {STAGE.station: [STAGE], store.silent: None, "empty": []}
    assert len(asyncio.all_tasks()) == 1  # what was not waited for is gone


async def test_a_store_that_is_away_is_unknown_and_no_station_is_no_question() -> None:
    store = MemoryStore()
    store.down = True
    assert await newest(store, ["a", "b"]) == {"a": None, "b": None}
    assert await newest(store, []) == {}
