"""A county's stations are read once for all who look, and looking at them leaves the hub its turns."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from hub import stations
from hub.config import StationTable
from hub.service import Hub
from hub.stations import AT_ONCE, Stations, in_turns
from hub.web.packing import LEAST, LONG, packed
from tests.hub_web_view import PlainView, station
from tests.hubs import hub_on
from tests.village import Village, config
from tocsin.messages import encode

NAMES = [f"st-{n:03d}" for n in range(250)]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    village = Village(tmp_path)
    known = msgspec.structs.replace(config(tmp_path), station=[StationTable(name, "22" * 32) for name in NAMES])
    village.config = known
    async with hub_on(village) as there:
        yield there


def heard(hub: Hub, name: str, at: int) -> None:
    beat = encode(msgspec.structs.replace(_beat(name), t=at)).decode()
    with hub._database.transaction() as connection:
        connection.execute("INSERT OR REPLACE INTO stations (id, card, heartbeat, heard_at) VALUES (?, NULL, ?, ?)",
                           (name, beat, at))


def _beat(name: str) -> Any:
    return station(name, None).heartbeat


async def test_however_many_look_at_all_stations_they_are_read_once(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    genuine = stations.read

    def read(connection: Any, names: Sequence[str]) -> Any:
        asked.append(len(names))
        return genuine(connection, names)

    monkeypatch.setattr(stations, "read", read)
    seen = await asyncio.gather(*(hub.stations() for _ in range(20)))
    assert asked == [len(NAMES)]
    assert [one.id for one in seen[-1]] == NAMES
    monkeypatch.setattr(stations, "KEPT_S", 0.0)
    await hub.stations()
    assert asked == [len(NAMES)] * 2


async def test_who_asks_for_some_is_told_what_is_so_now(hub: Hub) -> None:
    await hub.stations()
    for at in (5_000, 6_000):
        heard(hub, "st-007", at)
        (found,) = await hub.stations(["st-007", "nobody"])
        assert (found.id, found.heard_at, found.heartbeat and found.heartbeat.t) == ("st-007", at, at)


async def test_a_text_is_read_once_while_it_stays_the_same(hub: Hub) -> None:
    heard(hub, "st-007", 5_000)
    kept = Stations(hub._database, hub.store)
    (first,), (again,) = await kept.some(["st-007"]), await kept.some(["st-007"])
    assert first.heartbeat is again.heartbeat
    heard(hub, "st-007", 6_000)
    (later,) = await kept.some(["st-007"])
    assert later.heartbeat is not None
    assert later.heartbeat.t == 6_000


async def test_the_loop_has_its_turn_between_stations() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    assert [one async for one in in_turns(range(10 * AT_ONCE))] == list(range(10 * AT_ONCE))
    beside.cancel()
    assert turns >= 9


async def answered(body: bytes, takes: str, *, pieces: int = 1) -> httpx.Response:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        size = max(1, len(body) // pieces)
        for number in range(pieces):
            part = body[number * size:] if number == pieces - 1 else body[number * size:(number + 1) * size]
            await send({"type": "http.response.body", "body": part, "more_body": number < pieces - 1})

    transport = httpx.ASGITransport(packed(app))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
        return await client.get("/", headers={"accept-encoding": takes})


@pytest.mark.parametrize("size", [0, LEAST - 1, LEAST, LONG - 1, LONG, 10 * LONG])
@pytest.mark.parametrize(("takes", "gets"), [
    ("gzip", True), ("br, gzip;q=0.5", True), ("", False), ("identity", False), ("gzip;q=0", False),
    ("gzip; q=0.000, br", False), ("x-gzipped", False),
])  # fmt: skip
async def test_who_takes_it_packed_gets_the_same_packed(size: int, takes: str, gets: bool) -> None:
    body = (b"0123456789" * (size // 10 + 1))[:size]
    answer = await answered(body, takes)
    assert answer.content == body
    assert ("content-encoding" in answer.headers) == (gets and size >= LEAST)
    assert int(answer.headers["content-length"]) == (
        len(body) if "content-encoding" not in answer.headers else len(gzip.compress(body, 6 if size < LONG else 4)))


async def test_what_comes_in_pieces_is_left_as_it_is() -> None:
    answer = await answered(b"x" * 4_000, "gzip", pieces=4)
    assert (answer.content, "content-encoding" in answer.headers) == (b"x" * 4_000, False)


async def test_pages_and_data_are_packed(view: PlainView, client: httpx.AsyncClient) -> None:
    for path in ("/", "/api/v1/stations", "/static/style.css"):
        assert (await client.get(path)).headers["content-encoding"] == "gzip"
