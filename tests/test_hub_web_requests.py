"""Bad requests of every kind, and what programs read."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from litestar import Litestar
from lxml import etree, html

from hub.web.app import app
from tests.hub_web_view import NOW, PlainView, client_of, storm
from tocsin.times import iso

Client = httpx.AsyncClient


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    return storm(tmp_path)


@pytest.fixture
async def client(view: PlainView) -> AsyncIterator[Client]:
    async with client_of(view) as client:
        yield client


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlainView, Litestar]:
    """For many requests that must change nothing: building the application takes longer than answering them."""
    view = storm(tmp_path_factory.mktemp("cap"))
    return view, app(view)


FORM = "application/x-www-form-urlencoded"
BAD = [
    ("GET", "/nowhere", "", 404, 'there is no page "/nowhere"'),
    ("GET", "/?lang=fr", "", 400, 'lang "fr" is not allowed; use en, zh'),
    ("GET", "/stations/mars", "", 404, 'station "mars" is not allowed; use longtan-upper, longtan-lower'),
    ("GET", "/stations/plant?range=2h", "", 400, 'range "2h" is not allowed; use 1h, 6h, 24h, 7d'),
    ("GET", "/warnings/none", "", 404, 'warning "none" is not allowed'),
    ("GET", "/answer/AAAAAAAAAAAAAAAAAAAAAA", "", 404, "This answer link is not known."),
    ("POST", "/answer/" + "%F0%9F%8C%8A" * 50, "", 404, "This answer link is not known."),
    ("POST", "/", "", 405, "POST is not allowed for /"),
    ("POST", "/warnings/none/answer", "person=Li+Mei", 404, 'warning "none" is not allowed'),
    ("POST", "/warnings/w-flood/answer", "", 400, "person is missing; give one of Wang Jianguo, Li Mei"),
    ("POST", "/warnings/w-flood/answer", "person=Nobody", 400, 'person "Nobody" is not allowed; use Wang Jianguo'),
    ("POST", "/warnings/w-flood/answer", "person=Li+Mei&note=" + "x" * 201, 400, "note has 201 characters"),
    ("POST", "/warnings/w-flood/answer", "person=%ff%fe", 400, "the form cannot be read"),
    ("POST", "/warnings/w-flood/answer", "&".join("abcdefghijkl"), 400, "the form cannot be read"),
    ("POST", "/warnings/w-flood/answer", "person=" + "x" * 20_000, 413, "the form is longer than"),
    ("POST", "/warnings/w-late/answer", "person=Li+Mei", 400, "use nobody: no one has been called"),
    ("POST", "/warnings/w-old/answer", "person=Li+Mei", 409, "This warning is over."),
    ("POST", "/warnings/none/confirm", "by=Li+Mei", 404, 'warning "none" is not allowed'),
    ("GET", "/warnings/w-gas/confirm", "", 405, "GET is not allowed for /warnings/w-gas/confirm"),
    ("POST", "/warnings/w-gas/confirm", "", 400, "by is missing; give the name of the officer who confirms"),
    ("POST", "/warnings/w-gas/confirm", "by=+%09%0A", 400, "by is missing"),
    ("POST", "/warnings/w-gas/confirm", "name=Li+Mei", 400, "by is missing"),
    ("POST", "/warnings/w-gas/confirm", "by=Li%0AMei", 400, 'by "Li\\nMei" is not allowed; use letters'),
    ("POST", "/warnings/w-gas/confirm", "by=" + "x" * 81, 400, "by has 81 characters; use at most 80"),
    ("POST", "/warnings/w-gas/confirm", "by=%ff", 400, "the form cannot be read"),
    ("POST", "/warnings/w-flood/confirm", "by=Li+Mei", 409, "Nothing in this warning waits for a confirmation."),
    ("POST", "/warnings/w-gas/hold", "", 400, "by is missing; give the name of the officer who holds it"),
    ("POST", "/warnings/w-gas/hold", "by=Li+Mei", 409, "Nothing in this warning can be held"),
    ("GET", "/warnings/w-gas/hold", "", 405, "GET is not allowed for /warnings/w-gas/hold"),
    ("POST", "/warnings/w-old/confirm", "by=Li+Mei", 409, "There is nothing to confirm."),
    ("GET", "/cap/none.xml", "", 404, "a message that /cap/feed.atom lists"),
    ("GET", "/cap/..%2Fhub.toml", "", 404, ""),
    ("GET", "/cap/%2e%2e.xml", "", 404, "..xml"),
    ("GET", "/cap/a%00.xml", "", 404, ""),
    ("GET", "/events?since=x", "", 400, 'since "x" is not allowed; use a whole number'),
    ("GET", "/api/nowhere", "", 404, "there is no page"),
    ("GET", "/api/warnings?limit=many", "", 400, 'limit "many" is not allowed; use a whole number from 1 to 200'),
    ("GET", "/api/warnings?limit=0", "", 400, 'limit "0" is not allowed'),
    ("GET", "/api/warnings?limit=²", "", 400, 'limit "²" is not allowed'),
    ("GET", "/api/series", "", 400, "station is missing"),
    ("GET", "/api/series?station=mars", "", 404, 'station "mars" is not allowed; use longtan-upper'),
    ("GET", "/api/series?station=plant", "", 400, "device is missing"),
    ("GET", "/api/series?station=plant&device=x", "", 404, 'device "x" is not allowed; use fence-2'),
    ("GET", "/api/series?station=new-one&device=x", "", 404, "the station has not reported yet"),
    ("GET", "/api/series?station=plant&device=fence-2", "", 400, "one of ch4_pct_lel, o2_pct_vol"),
]
SERIES = "/api/series?station=plant&device=fence-2&quantity="
BAD += [
    ("GET", f"{SERIES}rain", "", 404, 'quantity "rain" is not allowed; use ch4_pct_lel, o2_pct_vol'),
    ("GET", f"{SERIES}ch4_pct_lel&start=noon", "", 400, 'start "noon" is not allowed; use a time like'),
    ("GET", f"{SERIES}ch4_pct_lel&start=2024-08-08T00:00:00", "", 400, "use a time like 2024-08-08T07:20:00Z"),
    ("GET", f"{SERIES}ch4_pct_lel&end=0001-01-01T00:00:00Z", "", 400, "from year 2000"),
    ("GET", f"{SERIES}ch4_pct_lel&start=2024-08-09T00:00:00Z", "", 400, "start lies before end"),
    ("GET", f"{SERIES}ch4_pct_lel&start=2020-08-09T00:00:00Z", "", 400, "by at most 400 days"),
    ("GET", f"{SERIES}ch4_pct_lel&most=1", "", 400, 'most "1" is not allowed; use a whole number from 2 to 5000'),
]


@pytest.mark.parametrize(("method", "path", "form", "status", "words"), BAD)
async def test_a_bad_request_gets_a_clear_answer(
    untouched: tuple[PlainView, Litestar], method: str, path: str, form: str, status: int, words: str
) -> None:
    view, application = untouched
    headers = {"content-type": FORM} if form else {}
    async with client_of(view, application) as client:
        answer = await client.request(method, path, content=form.encode(), headers=headers)
    assert answer.status_code == status, answer.text
    if answer.headers["content-type"] == "application/json":
        assert words in answer.json()["error"]
    else:
        assert words in str(html.document_fromstring(answer.text).xpath("string()"))
        assert path.startswith(("/nowhere", "/?", "/stations", "/warnings", "/answer")) or path == "/"
    assert (view.answers, view.confirmations) == ([], [])


@pytest.mark.parametrize("form", ["answer", "confirm"])
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain"])
async def test_what_is_not_a_form_is_refused(view: PlainView, client: Client, kind: str, form: str) -> None:
    body, headers = b'{"person": "Li Mei", "by": "Li Mei"}', {"content-type": kind}
    warning = {"answer": "w-flood", "confirm": "w-gas"}[form]
    answer = await client.post(f"/warnings/{warning}/{form}", content=body, headers=headers)
    assert answer.status_code == 415
    assert FORM in answer.text
    assert (view.answers, view.confirmations) == ([], [])


async def test_a_failure_inside_shows_no_inside(
    view: PlainView, client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(view, "counts", lambda: 1 / 0)
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()) == (500, {"error": "the hub could not do this; its log says why"})
    assert "GET /healthz failed" in caplog.text
    assert "division by zero" in caplog.text


async def get(client: Client, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


async def test_programs_read_the_same_as_json(view: PlainView, client: Client) -> None:
    health = await get(client, "/healthz")
    assert health == {"status": "ok", "now": iso(NOW), "counts": view.counts()}
    stations = {station["id"]: station for station in await get(client, "/api/stations")}
    assert stations["new-one"]["heard_at"] is None
    assert [stations[name]["freshness"] for name in ("plant", "quarry")] == ["fresh", "silent"]
    stage = stations["longtan-lower"]["series"][0]
    assert (stage["unit"], stage["freshness"], stage["t"]) == ("m", "silent", "2024-08-08T06:55:00Z")
    warnings = await get(client, "/api/warnings?limit=1")
    assert [warning["id"] for warning in warnings["open"]] == ["w-gas", "w-flood"]
    assert [warning["id"] for warning in warnings["recent"]] == ["w-old"]
    span = {"start": "2024-08-08T15:10:00+08:00", "end": "2024-08-08T07:15:00Z"}
    query = {"station": "longtan-upper", "device": "radar", "quantity": "stage_m", **span}
    series = await get(client, f"/api/series?{urlencode(query)}")
    assert (series["unit"], series["start"], len(series["points"])) == ("m", "2024-08-08T07:10:00Z", 5)
    assert series["points"][0] == [NOW - 600_000, 4.32]


async def test_a_store_that_is_down_is_not_an_empty_series(view: PlainView, client: Client) -> None:
    view.store.down = True
    answer = await client.get(f"{SERIES}ch4_pct_lel")
    assert answer.status_code == 503
    assert "the store cannot be reached now" in answer.json()["error"]


async def test_the_api_is_described_and_only_as_json(client: Client) -> None:
    described = await get_schema(client)
    assert set(described["paths"]) == {"/healthz", "/readyz", "/api/stations", "/api/warnings", "/api/series"}
    for page in ("/schema", "/schema/swagger", "/schema/redoc"):
        answer = await client.get(page)
        assert answer.status_code == 404 or "http" not in answer.text


async def get_schema(client: Client) -> dict[str, Any]:
    answer = await client.get("/schema/openapi.json")
    assert answer.status_code == 200
    schema: dict[str, Any] = json.loads(answer.content)
    return schema


async def test_cap_messages_are_given_as_they_were_written(view: PlainView, client: Client) -> None:
    written = b'<?xml version="1.0"?><alert/>'
    (view.cap_folder / "330185101203-8.xml").write_bytes(written)
    (view.cap_folder.parent / "outside.xml").write_bytes(b"<secret/>")
    answer = await client.get("/cap/330185101203-8.xml")
    assert (answer.content, answer.headers["content-type"]) == (written, "application/cap+xml; charset=utf-8")
    feed = await client.get("/cap/feed.atom")
    assert feed.headers["content-type"] == "application/atom+xml; charset=utf-8"
    assert etree.fromstring(feed.content).tag == "{http://www.w3.org/2005/Atom}feed"


OUTSIDE = ["../outside.xml", "..%2Foutside.xml", "%2e%2e%2foutside.xml", "....//outside.xml", "%2Fetc%2Fpasswd"]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_outside_the_cap_folder_is_given(view: PlainView, client: Client, path: str) -> None:
    (view.cap_folder.parent / "outside.xml").write_bytes(b"<secret/>")
    answer = await client.get(f"/cap/{path}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content
