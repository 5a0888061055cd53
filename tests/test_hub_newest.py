"""A page asks for the newest points of stations: what a store does not say in time is not waited for."""

import asyncio

import pytest

from hub.stations import FEW, latest
from hub.store import Point
from tests.hub_web_store import MemoryStore
from tests.test_hub_stores import STAGE

MANY = [STAGE.station, *(f"empty-{number}" for number in range(FEW))]


class Silent(MemoryStore):
    """Never answers."""

    async def latest_all(self) -> list[Point]:
        await asyncio.Event().wait()
        return []


@pytest.mark.parametrize("names", [[STAGE.station, "empty"], MANY])
async def test_newest_by_station(names: list[str]) -> None:
    store = MemoryStore()
    await store.write([STAGE])
    assert await latest(store, names) == {name: [STAGE] if name == STAGE.station else [] for name in names}
    store.down = True
    assert await latest(store, names) is None


@pytest.mark.parametrize("names", [[STAGE.station], MANY])
async def test_a_store_without_an_answer_is_not_waited_for(names: list[str]) -> None:
    async with asyncio.timeout(30):
        assert await latest(Silent(), names, patience_s=0.1) is None
    assert len(asyncio.all_tasks()) == 1  # what was not waited for is gone
