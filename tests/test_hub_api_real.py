"""The interface on the real hub: what landed is given, and whoever asks holds up nothing."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from hub.archive import Archive
from hub.service import Hub
from hub.web.app import app
from tests.hubs import hub_on
from tests.village import VILLAGE, Village, at, detection
from tocsin.levels import Level
from tocsin.messages import Readings

BOOT = "00000000000000aa"


@pytest.fixture
async def village(tmp_path: Path) -> Village:
    return Village(tmp_path)


@pytest.fixture
async def hub(village: Village) -> AsyncIterator[Hub]:
    async with hub_on(village) as hub:
        yield hub


@pytest.fixture
async def client(hub: Hub) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(cast("Any", app(hub)))
    async with httpx.AsyncClient(transport=transport, base_url="http://hub/api/v1/") as client:
        yield client


async def get(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_landed_is_given(village: Village, hub: Hub, client: httpx.AsyncClient) -> None:
    assert (await get(client, "health"))["waiting"] == 0
    village.starts("upper-bridge")
    times = [at("14:00") + 1_000 * n for n in range(100)]
    series = ["radar/stage_m"] * 100
    village.lands("upper-bridge", Readings(BOOT, 1, times, series, [n / 7 for n in range(100)], [0] * 100), "readings")
    village.finds(detection(Level.RED, "14:01", 2))
    assert (await get(client, "health"))["waiting"] == 4
    while await hub._forwarder.step():
        pass
    while await hub._desk.process():
        pass
    assert (await get(client, "health"))["waiting"] == 0
    stations = (await get(client, "stations"))["stations"]
    assert [(one["id"], one["area"]) for one in stations] == [
        ("mill-creek", ""), ("next-door", ""), ("upper-bridge", VILLAGE)]
    points = (await get(client, "latest"))["points"]
    assert [(one["station"], one["t"], one["value"]) for one in points] == [("upper-bridge", times[-1], 99 / 7)]
    name = f"station=upper-bridge&device=radar&quantity=stage_m&start={times[0]}&end={times[-1] + 1}"
    assert (await get(client, f"readings?{name}"))["readings"] == [[t, n / 7, 0] for n, t in enumerate(times)]
    thin = await get(client, f"series?{name}&most=6")
    assert (thin["thinned"], thin["points"][0], thin["points"][-1]) == (True, [times[0], 0.0], [times[-1], 99 / 7])
    (episode,) = (await get(client, "episodes"))["episodes"]
    (warning,) = (await get(client, "warnings?status=open"))["warnings"]
    assert (episode["warning"], episode["peak"], warning["level"]) == (warning["id"], 4, 4)
    assert (await get(client, f"warnings/{warning['id']}"))["journal"][0]["why"] == "first detection"


async def test_who_looks_through_years_of_warnings_does_not_hold_up_a_new_one(
    village: Village, hub: Hub, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()
    read = Archive._read

    def slowly(self: Archive, *question: Any) -> list[Any]:
        asked.set()
        go_on.wait(60)
        return read(self, *question)

    monkeypatch.setattr(Archive, "_read", slowly)
    village.starts("upper-bridge")
    looking = asyncio.create_task(client.get("warnings"))
    await asyncio.to_thread(asked.wait, 20)
    village.finds(detection(Level.RED, "14:00", 1))
    async with asyncio.timeout(30):
        while await hub._desk.process():
            pass
        assert [one.level for one in await hub.open_warnings()] == [4]
    assert not looking.done()
    go_on.set()
    assert len((await looking).json()["warnings"]) == 1
