"""What programs are given at /api/v1, page by page, and what they are told where they ask for something else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from hub.config_api import ApiTable
from hub.errors import TransientError
from hub.web.api_access import ROOT
from hub.web.app import app
from tests.hub_web_view import HOUR, MINUTE, NOW, PlainView, client_of, station, storm
from tocsin.quantities import QUANTITIES

Client = httpx.AsyncClient
OXYGEN = "station=plant&device=fence-2&quantity=o2_pct_vol"
STAGE = "station=longtan-upper&device=radar&quantity=stage_m"
TOKEN = "a-token-that-nobody-guesses-0123456789"


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return storm(tmp_path)


@pytest.fixture
async def client(view: PlainView) -> AsyncIterator[Client]:
    async with client_of(view) as client:
        yield client


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlainView, Litestar]:
    """For many requests that must change nothing."""
    view = storm(tmp_path_factory.mktemp("cap"))
    return view, app(view)


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


@pytest.mark.parametrize("path", [f"series?{STAGE}", f"readings?{STAGE}", "latest", "latest?station=plant"])
async def test_a_store_that_is_away_is_said_with_when_to_ask_again(view: PlainView, client: Client, path: str) -> None:
    view.store.down = True
    answer = await client.get(f"{ROOT}/{path}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "the store cannot be reached now" in answer.json()["error"]
    assert "数据库暂时无法访问" in answer.json()["error_zh"]
    view.store.down = False
    await get(client, path)


@pytest.mark.parametrize("path", ["warnings", "episodes"])
async def test_an_archive_that_is_away_too(
    view: PlainView, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> list[Any]:
        raise TransientError("disk I/O error")

    monkeypatch.setattr(f"hub.archive.Archive.{path}", away)
    answer = await client.get(f"{ROOT}/{path}")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_stations_are_told_of_while_the_store_is_away(view: PlainView, client: Client) -> None:
    view.store.down = True
    stations = (await get(client, "stations"))["stations"]
    assert {one["freshness"] for one in stations if one["series"]} == {"unknown"}


WHOLE = "a whole number from"
BAD = [
    ("stations?limit=0", 400, "limit", "0", WHOLE),
    ("stations?limit=many", 400, "limit", "many", WHOLE),
    ("stations?limit=%C2%B2", 400, "limit", "²", WHOLE),
    ("stations?limit=5001", 400, "limit", "5001", "from 1 to 5000"),
    ("stations?limit=1.5", 400, "limit", "1.5", WHOLE),
    ("latest?limit=10001", 400, "limit", "10001", "from 1 to 10000"),
    ("stations?area=33", 400, "area", "33", "12 digits"),
    ("stations?freshness=good", 400, "freshness", "good", "one of fresh, unknown, late, silent"),
    ("stations?state=open", 400, "parameter", "state", "area, freshness, after, limit"),
    ("quantities?limit=1", 400, "parameter", "limit", "takes no parameters"),
    ("stations?limit=1&limit=2", 400, "limit", "1 and 2", "it once"),
    ("stations/mars", 404, "station", "mars", "longtan-lower, longtan-upper, new-one"),
    ("latest?station=mars", 404, "station", "mars", "longtan-lower"),
    ("latest?after=plant", 400, "after", "plant", "what stood in `next`"),
    ("warnings?after=12", 400, "after", "12", "what stood in `next`"),
    ("warnings?after=x/w-gas", 400, "after", "x", "what stood in `next`"),
    ("episodes?after=-1", 400, "after", "-1", "what stood in `next`"),
    ("episodes?level=5", 400, "level", "5", "from 1 to 4"),
    ("episodes?status=over", 400, "status", "over", "one of open, closed"),
    ("episodes?hazard=fire", 400, "hazard", "fire", "flood, gas, tank, slope"),
    (f"episodes?start={NOW}&end={NOW}", 400, "start", str(NOW), "before the end"),
    ("warnings/none", 404, "warning", "none", "the duty desk lists"),
    ("series", 400, "station", "", "the id of a station"),
    ("series?station=plant", 400, "device", "", "a device of that station"),
    ("series?station=plant&device=fence-2", 400, "quantity", "", "a quantity that the device measures"),
    ("series?station=mars&device=x&quantity=y", 404, "station", "mars", "longtan-upper"),
    ("series?station=plant&device=x&quantity=y", 404, "device", "x", "fence-2"),
    ("series?station=new-one&device=x&quantity=y", 404, "device", "x", "the station has not reported yet"),
    ("readings?station=plant&device=fence-2&quantity=rain", 404, "quantity", "rain", "ch4_pct_lel, o2_pct_vol"),
    (f"series?{OXYGEN}&start=noon", 400, "start", "noon", "2024-08-08T07:20:00Z"),
    (f"series?{OXYGEN}&start=2024-08-08T00:00:00", 400, "start", "2024-08-08T00:00:00", "2024-08-08T07:20:00Z"),
    (f"series?{OXYGEN}&end=0001-01-01T00:00:00Z", 400, "end", "0001-01-01T00:00:00Z", "from year 1970"),
    (f"series?{OXYGEN}&end=999999999999999", 400, "end", "999999999999999", "from year 1970"),
    (f"series?{OXYGEN}&start=2024-08-09T00:00:00Z", 400, "start/end", "2024-08-09T00:00:00Z/2024-08-08T07:20:00Z",
     "before the end"),
    (f"series?{OXYGEN}&start=2020-08-09T00:00:00Z", 400, "start/end", "2020-08-09T00:00:00Z/2024-08-08T07:20:00Z",
     "at most 400 days"),
    (f"series?{OXYGEN}&most=1", 400, "most", "1", "from 2 to 5000"),
    (f"readings?{OXYGEN}&after=x", 400, "after", "x", "what stood in `next`"),
    ("stations/" + "x" * 300, 400, "station", "x" * 80 + "…", "the id of a station"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "status", "place", "value", "allowed"), BAD)
async def test_a_refusal_names_place_value_and_what_is_allowed_in_two_languages(
    untouched: tuple[PlainView, Litestar], path: str, status: int, place: str, value: str, allowed: str
) -> None:
    async with client_of(*untouched) as client:
        answer = await client.get(f"{ROOT}/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    told = answer.json()
    assert (told["place"], told["value"]) == (place, value)
    assert allowed in told["allowed"]
    assert all(word in told["error"] for word in (place, value, told["allowed"]))
    assert all(word in told["error_zh"] for word in (place, value, told["allowed_zh"]))
    assert any("\u4e00" <= letter <= "\u9fff" for letter in told["error_zh"])


@pytest.mark.parametrize("path", ["stations", "stations/plant", "quantities", "latest", "episodes", "health"])
@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer é", f"Basic {TOKEN}", f"Bearer {TOKEN}x"])
async def test_where_tokens_are_configured_nothing_is_read_without_one(
    view: PlainView, path: str, given: str | None
) -> None:
    view.config = msgspec.structs.replace(view.config, api=ApiTable(["another-token-0123456789-0123456789", TOKEN]))
    async with client_of(view) as client:
        headers = [] if given is None else [(b"authorization", given.encode())]
        answer = await client.get(f"{ROOT}/{path}", headers=headers)
        assert answer.status_code == 401, answer.text
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert "token" in answer.json()["error"]
        assert TOKEN not in answer.text
        good = await client.get(f"{ROOT}/{path}", headers={"authorization": f"bearer {TOKEN}"})
        assert good.status_code == 200
        assert (await client.get("/healthz")).status_code == 200


async def test_what_has_not_changed_is_not_sent_again(view: PlainView, client: Client) -> None:
    for path in ("latest", "stations?limit=2", "quantities", f"series?{STAGE}"):
        first = await client.get(f"{ROOT}/{path}")
        etag = first.headers["etag"]
        assert first.headers["cache-control"].startswith("private")
        again = await client.get(f"{ROOT}/{path}", headers={"if-none-match": f'"x", {etag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    view.store.points["longtan-upper", "radar", "stage_m"].append((NOW + MINUTE, 4.4))
    etag = (await client.get(f"{ROOT}/latest", headers={"if-none-match": etag})).headers["etag"]
    changed = await client.get(f"{ROOT}/latest", headers={"if-none-match": '"x"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, etag)
    refused = await client.get(f"{ROOT}/stations?limit=0", headers={"if-none-match": "*"})
    assert (refused.status_code, "etag" in refused.headers) == (400, False)


async def test_a_long_answer_is_packed(client: Client) -> None:
    plain = await client.get(f"{ROOT}/series?{STAGE}&most=5000", headers={"accept-encoding": "identity"})
    packed = await client.get(f"{ROOT}/series?{STAGE}&most=5000", headers={"accept-encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (None, "gzip")
    assert packed.json() == plain.json()
    assert packed.headers["etag"] == plain.headers["etag"]
    assert packed.num_bytes_downloaded < len(plain.content) / 2
