"""Who asks for what is not allowed, has no token, or has the answer already: told in one form, and at little cost."""

from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from hub.config_api import ApiTable
from hub.errors import TransientError
from hub.web.api_access import ROOT
from tests.hub_web_view import MINUTE, NOW, PlainView, client_of

Client = httpx.AsyncClient
OXYGEN = "station=plant&device=fence-2&quantity=o2_pct_vol"
STAGE = "station=longtan-upper&device=radar&quantity=stage_m"
TOKEN = "a-token-that-nobody-guesses-0123456789"


async def get(client: Client, path: str) -> Any:
    answer = await client.get(f"{ROOT}/{path}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


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
    ("latest?after=plant", 400, "after", "plant", "what the page before gave as next"),
    ("warnings?after=12", 400, "after", "12", "what the page before gave as next"),
    ("warnings?after=x/w-gas", 400, "after", "x", "what the page before gave as next"),
    ("episodes?after=-1", 400, "after", "-1", "what the page before gave as next"),
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
    (f"readings?{OXYGEN}&after=x", 400, "after", "x", "what the page before gave as next"),
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
