"""What programs are given at /api/v1, page by page, and what they are told where they ask for something else."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from hub.config_api import ApiTable
from hub.health import Health
from hub.web import api_answers
from hub.web.api_access import ROOT
from hub.web.api_words import ZH
from tests.hub_web_view import HOUR, MINUTE, NOW, PlainView, client_of, page_of, station, text_of
from tocsin.quantities import QUANTITIES

Client = httpx.AsyncClient
OXYGEN = "station=plant&device=fence-2&quantity=o2_pct_vol"
STAGE = "station=longtan-upper&device=radar&quantity=stage_m"
TOKEN = "a-token-that-nobody-guesses-0123456789"


async def get(client: Client, path: str) -> Any:
    answer = await client.get(f"{ROOT}/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def walk(client: Client, path: str, rows: str, limit: int) -> list[Any]:
    """All pages of `path`, as a program would read them."""
    found: list[Any] = []
    after: str | None = None
    while True:
        asked = httpx.QueryParams({"limit": limit} | ({"after": after} if after else {}))
        page = await get(client, f"{path}{'&' if '?' in path else '?'}{asked}")
        assert len(page[rows]) <= limit
        found += page[rows]
        after = page["next"]
        if after is None:
            return found


PAGED = [
    ("stations", "stations"), ("latest", "points"), ("warnings", "warnings"), ("episodes", "episodes"),
    (f"readings?{OXYGEN}", "readings"), ("latest?quantity=stage_m", "points"), ("episodes?hazard=flood", "episodes"),
]


@pytest.mark.parametrize("limit", [1, 2, 3, 700])
@pytest.mark.parametrize(("path", "rows"), PAGED)
async def test_pages_of_any_size_give_everything_once_and_in_one_order(
    untouched: tuple[PlainView, Litestar], path: str, rows: str, limit: int
) -> None:
    if path.startswith("readings") and limit < 3:
        path += f"&start={NOW - 10 * MINUTE}"
    async with client_of(*untouched) as client:
        whole = (await get(client, f"{path}{'&' if '?' in path else '?'}limit=5000"))[rows]
        assert len(whole) > 1
        assert await walk(client, path, rows, limit) == whole


async def test_stations_tell_how_fresh_they_are(client: Client) -> None:
    stations = {one["id"]: one for one in (await get(client, "stations"))["stations"]}
    assert list(stations) == sorted(stations)
    assert {name: one["freshness"] for name, one in stations.items()} == {
        "longtan-lower": "silent", "longtan-upper": "fresh", "new-one": "unknown", "plant": "fresh", "quarry": "silent"}
    assert (stations["new-one"]["heard_at"], stations["plant"]["heard_at"]) == (None, NOW - 4_000)
    stage = stations["longtan-lower"]["series"][0]
    assert (stage["unit"], stage["freshness"], stage["t"]) == ("m", "silent", NOW - 25 * MINUTE)
    assert stations["longtan-lower"]["faults"][0]["fault"] == "silent"


@pytest.mark.parametrize(("asked", "found"), [
    ("freshness=silent", ["longtan-lower", "quarry"]),
    ("freshness=unknown", ["new-one"]),
    ("freshness=late", []),
    ("area=330185000000", ["longtan-lower", "longtan-upper", "plant", "quarry"]),
    ("area=440000000000", []),
    ("area=330185101203&freshness=fresh", ["longtan-upper", "plant"]),
    ("after=new-one", ["plant", "quarry"]),
    ("after=zzz", []),
])
async def test_stations_are_found_by_area_and_state(
    untouched: tuple[PlainView, Litestar], asked: str, found: list[str]
) -> None:
    async with client_of(*untouched) as client:
        for limit in (1, 2, 100):
            stations = await walk(client, f"stations?{asked}", "stations", limit) if "after" not in asked else (
                (await get(client, f"stations?{asked}"))["stations"])
            assert [one["id"] for one in stations] == found


async def test_one_station_comes_with_its_heartbeat_but_not_the_mark_of_its_key(
    view: PlainView, client: Client
) -> None:
    view.stations_[2] = station("plant", view.stations_[2].card, mark="0123456789abcdef")
    whole = await get(client, "stations/plant")
    assert whole["station"]["card"]["name"] == "Gas plant, east fence"
    assert (whole["heartbeat"]["t"], whole["heartbeat"]["mark"]) == (NOW - 4_000, "")
    assert (await get(client, "stations/new-one"))["heartbeat"] is None


async def test_quantities_are_those_of_this_version_with_units_and_words(client: Client) -> None:
    quantities = {one["name"]: one for one in (await get(client, "quantities"))["quantities"]}
    assert list(quantities) == list(QUANTITIES)
    rain = quantities["rain_total_mm"]
    assert (rain["unit"], rain["en"], rain["zh"], rain["increments"]) == (
        "mm", "rain, running total", "累计雨量", "rain_mm")


@pytest.mark.parametrize(("asked", "found"), [
    ("station=longtan-upper", ["longtan-upper/gauge", "longtan-upper/radar"]),
    ("quantity=stage_m", ["longtan-lower/radar", "longtan-upper/radar"]),
    ("station=plant&quantity=o2_pct_vol", ["plant/fence-2"]),
    ("area=440000000000", []),
    ("after=longtan-upper/gauge/rain_total_mm&quantity=stage_m", ["longtan-upper/radar"]),
    ("after=longtan-upper/gauge/zzz&quantity=stage_m", ["longtan-upper/radar"]),
])
async def test_the_newest_readings(untouched: tuple[PlainView, Litestar], asked: str, found: list[str]) -> None:
    async with client_of(*untouched) as client:
        points = (await get(client, f"latest?{asked}"))["points"]
    assert [f"{one['station']}/{one['device']}" for one in points] == found


async def test_a_curve_keeps_its_peaks_and_says_whether_it_is_thinned(view: PlainView, client: Client) -> None:
    points = view.store.points["longtan-upper", "radar", "stage_m"]
    spike = points.index(next(one for one in points if one[0] == NOW - 90 * MINUTE))
    points[spike] = (points[spike][0], 9.99)
    thin = await get(client, f"series?{STAGE}&start={NOW - 24 * HOUR}&most=20")
    assert thin["thinned"]
    assert len(thin["points"]) <= 20
    inside = [[t, value] for t, value in points if NOW - 24 * HOUR <= t < NOW]
    assert all(point in inside for point in thin["points"])
    assert [NOW - 90 * MINUTE, 9.99] in thin["points"]
    assert min(thin["points"], key=lambda one: one[1])[1] == min(value for _, value in inside)
    whole = await get(client, f"series?{STAGE}&start={NOW - 24 * HOUR}&most=5000")
    assert (whole["thinned"], whole["points"]) == (False, inside)


async def test_a_time_may_be_said_in_words_or_in_milliseconds(client: Client) -> None:
    words = await get(client, f"series?{STAGE}&start=2024-08-08T15:10:00%2B08:00&end=2024-08-08T07:15:00Z")
    blank = await get(client, f"series?{STAGE}&start=2024-08-08T15:10:00+08:00&end=2024-08-08T07:15:00Z")
    numbers = await get(client, f"series?{STAGE}&start={NOW - 10 * MINUTE}&end={NOW - 5 * MINUTE}")
    assert words == blank == numbers
    assert (numbers["unit"], numbers["start"], len(numbers["points"])) == ("m", NOW - 10 * MINUTE, 5)


async def test_readings_are_all_there_is(view: PlainView, client: Client) -> None:
    readings = await walk(client, f"readings?{STAGE}&start=1970-01-01T00:00:00Z", "readings", 500)
    points = view.store.points["longtan-upper", "radar", "stage_m"]
    assert readings == [[t, value, 0] for t, value in points if t < NOW]


async def test_a_series_that_its_station_has_no_more_is_still_given(view: PlainView, client: Client) -> None:
    view.store.points["longtan-upper", "old-radar", "stage_m"] = [(NOW - HOUR, 1.5)]
    old = await get(client, "readings?station=longtan-upper&device=old-radar&quantity=stage_m")
    assert old["readings"] == [[NOW - HOUR, 1.5, 0]]


@pytest.mark.parametrize(("asked", "found"), [
    ("", ["w-gas", "w-flood", "w-old", "w-late"]),
    ("status=open", ["w-gas", "w-flood"]),
    ("status=closed", ["w-old", "w-late"]),
    ("station=longtan-upper", ["w-flood"]),
    ("hazard=gas", ["w-gas"]),
    ("level=3", ["w-flood", "w-old"]),
    ("level=4&status=closed", []),
    (f"end={NOW - 40 * HOUR}", ["w-late"]),
    (f"start={NOW - 40 * HOUR}&status=closed", ["w-old"]),
])
async def test_warnings(untouched: tuple[PlainView, Litestar], asked: str, found: list[str]) -> None:
    async with client_of(*untouched) as client:
        assert [one["id"] for one in await walk(client, f"warnings?{asked}", "warnings", 2)] == found


async def test_one_warning_with_its_decisions_and_bulletins(view: PlainView, client: Client) -> None:
    whole = await get(client, "warnings/w-flood")
    warning = whole["warning"]
    assert (warning["level"], warning["closed_at"], warning["stations"]) == (4, None, ["longtan-upper"])
    calls = {call["person"]: call["answered_at"] for call in warning["calls"]}
    assert (calls["Wang Jianguo"], calls["Li Mei"]) == (NOW - 8 * MINUTE, None)
    assert (whole["journal"][0]["why"], whole["said"][0]["text_zh"]) == ("first detection", view.said[0].text_zh)
    episodes = (await get(client, "episodes?warning=w-flood"))["episodes"]
    assert {one["episode"] for one in episodes} == set(warning["episodes"]) == {"e1", "e2"}
    first = next(one for one in episodes if one["episode"] == "e1")
    assert (first["peak"], first["since"], first["cleared_at"], first["value"]) == (4, NOW - 41 * MINUTE, None, 4.28)


async def test_the_hub_s_own_health(view: PlainView, client: Client) -> None:
    health = await get(client, "health")
    assert (health["status"], health["store"], health["now"]) == ("ok", True, NOW)
    assert (health["stations"], health["open_warnings"], health["waiting"]) == (5, 2, 3)
    assert health["counts"] == view.counts()
    view.store.down = True
    health = await get(client, "health")
    assert (health["status"], health["store"]) == ("store away", False)
    view.health_ = Health(["no connection to the broker: refused"], ["the store is 1200 s behind"])
    health = await get(client, "health")
    assert (health["status"], health["ready"], health["reasons"], health["troubles"]) == (
        "not ready", False, view.health_.reasons, view.health_.troubles)


async def test_health_is_told_where_the_database_hangs(
    view: PlainView, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs() -> int:
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(view, "behind", hangs)
    monkeypatch.setattr(api_answers, "HEALTH_S", 0.0)
    health = await get(client, "health")
    assert (health["waiting"], health["counts"]) == (None, view.counts())


@pytest.mark.parametrize("lang", ["en", "zh"])
async def test_a_page_for_people_tells_of_every_address_and_parameter(client: Client, lang: str) -> None:
    page = text_of(await page_of(client, f"{ROOT}/docs?lang={lang}"))
    described = (await client.get(f"{ROOT}/openapi.json")).json()
    for path, methods in described["paths"].items():
        operation = methods["get"]
        words = [operation["summary"], *(one["description"] for one in operation.get("parameters", []))]
        assert path in page
        assert all((word if lang == "en" else ZH[word]) in page for word in words)


async def test_the_description_says_where_a_token_is_needed(view: PlainView, client: Client) -> None:
    assert "This machine alone may read" in text_of(await page_of(client, f"{ROOT}/docs"))
    view.config = msgspec.structs.replace(view.config, api=ApiTable([TOKEN]))
    async with client_of(view) as locked:
        assert "A token is needed" in text_of(await page_of(locked, f"{ROOT}/docs"))
        described = (await locked.get(f"{ROOT}/openapi.json")).json()
    assert {str(methods["get"]["security"]) for methods in described["paths"].values()} == {"[{'token': []}]"}
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


async def test_a_client_that_can_only_be_told_of_lists_understands_the_rows(client: Client) -> None:
    shapes = (await client.get(f"{ROOT}/openapi.json")).json()["components"]["schemas"]
    assert "prefixItems" not in str(shapes)
    row = shapes["ReadingsOut"]["properties"]["readings"]["items"]
    assert (row["items"], row["minItems"], row["maxItems"]) == ({"type": "number"}, 3, 3)
