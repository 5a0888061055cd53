"""Who may use the duty desk: officers by name and password; without any, this machine alone."""

import asyncio
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Litestar

from hub import officers
from hub.answers import token
from hub.config import load_hub
from hub.config_api import ApiTable
from hub.config_officers import OfficerTable
from hub.service import Hub
from hub.web import door
from hub.web.api_access import ROOT
from hub.web.app import app
from hub.web.view import HOW_OFFICER
from tests.hub_web_view import PlainView, page_of, text_of
from tests.hubs import HubFiles
from tests.tasks import beside
from tocsin import __main__ as command
from tocsin.clock import SystemClock
from tocsin.config import ConfigError

PASSWORD = "八个山洪 eight floods"
OFFICER = OfficerTable("孙燕", officers.hash_of(PASSWORD, bytes(16)))
SUN_YAN = httpx.BasicAuth("孙燕", PASSWORD)
TOKEN = "a-token-that-nobody-guesses-0123456789"
FOR_ALL = ["/cap/feed.atom", "/static/style.css", "/healthz", "/readyz", "/metrics", f"{ROOT}/docs",
           f"{ROOT}/openapi.json"]
FOR_OFFICERS = ["/", "/stations", "/stations/plant", "/warnings/w-gas", "/held", "/events?since=-1",
                f"{ROOT}/stations", f"{ROOT}/health"]
FORMS = {"answer": "w-flood", "confirm": "w-gas", "hold": "w-gas"}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.Door.__init__, "__defaults__", (0.0,))


def asking(view: PlainView, place: str = "10.1.2.3", login: httpx.Auth | None = None) -> httpx.AsyncClient:
    return asking_of(app(view), place, login)


def asking_of(hub: Litestar, place: str, login: httpx.Auth | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast("Any", hub), raise_app_exceptions=False, client=(place, 40_000))
    return httpx.AsyncClient(transport=transport, base_url="http://hub", auth=login)


@pytest.fixture
def locked(view: PlainView) -> PlainView:
    view.config = msgspec.structs.replace(view.config, officer=[OFFICER])
    return view


async def test_without_officers_other_machines_are_shown_only_what_is_for_all(view: PlainView) -> None:
    answer_link = f"/answer/{token(view.config, 'w-flood', 'Li Mei')}"
    async with asking(view) as client:
        for path in FOR_OFFICERS:
            answer = await client.get(path, headers={"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"})
            assert answer.status_code == 403, path
            assert "tocsin hub password" in answer.text
        for form, warning in FORMS.items():
            answer = await client.post(f"/warnings/{warning}/{form}", data={"by": "Sun Yan", "person": "Li Mei"})
            assert answer.status_code == 403, form
        for path in (*FOR_ALL, answer_link):
            assert (await client.get(path)).status_code == 200, path
        assert (await client.post(answer_link)).status_code == 303
    assert [one[0] for one in view.answers] == ["Li Mei"]
    assert view.confirmations == []


@pytest.mark.parametrize("place", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
async def test_without_officers_this_machine_has_the_desk(view: PlainView, place: str) -> None:
    async with asking(view, place) as client:
        assert [(await client.get(path)).status_code for path in FOR_OFFICERS[:4]] == [200] * 4
        assert (await client.post("/warnings/w-gas/confirm", data={"by": "Sun Yan"})).status_code == 303
    assert view.confirmations == [("w-gas", "Sun Yan")]


@pytest.mark.parametrize(("host", "status"), [
    ("127.0.0.1:8080", 200), ("[::1]:8080", 200), ("localhost:8080", 200), ("hub", 200), ("10.1.2.3", 200),
    ("Warn.example.org", 200),
    ("evil.example:8080", 403), ("127.0.0.1.evil.example", 403), ("warn.example.org.evil.example", 403), ("[::1", 403),
    ("localhost.", 403), ("warn.example.org@evil.example", 403),
])  # fmt: skip
async def test_a_name_of_another_site_that_leads_here_is_not_taken_for_ours(
    view: PlainView, host: str, status: int
) -> None:
    public = msgspec.structs.replace(view.config.hub, public_url="https://warn.example.org/")
    view.config = msgspec.structs.replace(view.config, hub=public)
    async with asking(view, "127.0.0.1") as client:
        own = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
        assert (await client.get("/", headers=own)).status_code == status
        assert (await client.post("/warnings/w-gas/confirm", data={"by": "x"}, headers=own)).status_code == (
            303 if status == 200 else status)
        view.config = msgspec.structs.replace(view.config, officer=[OFFICER])
    async with asking(view, "127.0.0.1", SUN_YAN) as client:
        assert (await client.get("/", headers=own)).status_code == 200, "no browser gives it to them of itself"


@pytest.mark.parametrize("place", ["10.1.2.3", "::ffff:10.1.2.3", "128.0.0.1", "", "no address"])
async def test_whatever_is_not_this_machine_is_not_taken_for_it(view: PlainView, place: str) -> None:
    async with asking(view, place) as client:
        assert (await client.get("/")).status_code == 403


@pytest.mark.parametrize("place", ["127.0.0.1", "10.1.2.3"])
async def test_officers_log_in_wherever_they_are(locked: PlainView, place: str) -> None:
    async with asking(locked, place) as client:
        for path in FOR_OFFICERS:
            answer = await client.get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == 'Basic realm="tocsin", charset="UTF-8"'
        for form, warning in FORMS.items():
            assert (await client.post(f"/warnings/{warning}/{form}", data={"by": "x"})).status_code == 401
        for path in FOR_ALL:
            assert (await client.get(path)).status_code == 200, path
    async with asking(locked, place, SUN_YAN) as client:
        for path in (path for path in FOR_OFFICERS if not path.startswith("/events")):
            assert (await client.get(path)).status_code == 200, path


async def test_who_is_logged_in_stands_in_the_journal_whatever_the_form_says(locked: PlainView) -> None:
    async with asking(locked, login=SUN_YAN) as client:
        page = await page_of(client, "/warnings/w-gas?lang=zh")
        (form,) = [form for form in page.forms if str(form.get("action")).endswith("/confirm")]
        assert form.xpath("input") == []
        assert text_of(form).startswith("确认人（值班员）姓名：孙燕")
        await client.post("/warnings/w-gas/confirm", data={"by": "Zhao Min"})
        await client.post("/warnings/w-flood/answer", data={"person": "Li Mei", "note": "woken at the door"})
        await client.post("/warnings/w-flood/answer", data={"person": "陈志强"})
    assert locked.confirmations == [("w-gas", "孙燕")]
    assert locked.answers == [("Li Mei", "w-flood", HOW_OFFICER, "孙燕: woken at the door"),
                              ("陈志强", "w-flood", HOW_OFFICER, "孙燕")]


WRONG = [
    ("孙燕", ""), ("孙燕", PASSWORD[:-1]), ("孙燕", PASSWORD + " "), ("", PASSWORD), ("Sun Yan", PASSWORD),
    ("孙燕", "x" * 10_000),
]


@pytest.mark.parametrize(("name", "password"), WRONG)
async def test_a_wrong_name_or_password_lets_nobody_in(locked: PlainView, name: str, password: str) -> None:
    async with asking(locked, login=httpx.BasicAuth(name, password)) as client:
        assert (await client.get("/")).status_code == 401
    async with asking(locked, login=SUN_YAN) as client:
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("given", ["Basic", "Basic %%%", "Basic /////w==", "Basic YWJj", f"Bearer {TOKEN}", "Digest x"])
async def test_what_is_no_login_is_refused_without_a_failure(locked: PlainView, given: str) -> None:
    async with asking(locked) as client:
        assert (await client.get("/", headers={"authorization": given})).status_code == 401


async def test_an_officer_moves_people_however_the_name_is_written(view: PlainView) -> None:
    name = "孙\u3000燕"  # a blank as Chinese keyboards make it
    view.config = msgspec.structs.replace(view.config, officer=[msgspec.structs.replace(OFFICER, name=name)])
    async with asking(view, login=httpx.BasicAuth(name, PASSWORD)) as client:
        assert (await client.post("/warnings/w-gas/confirm")).status_code == 303
    assert view.confirmations == [("w-gas", name)]


async def test_an_officer_gets_in_while_every_other_thread_hangs(locked: PlainView) -> None:
    hanging = threading.Event()
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(1))
    stuck = loop.run_in_executor(None, hanging.wait)
    try:
        async with asking(locked, login=SUN_YAN) as client:
            assert (await asyncio.wait_for(client.get("/warnings/w-gas"), 30)).status_code == 200
    finally:
        hanging.set()
        await stuck


async def test_programs_have_tokens_and_officers_their_names(locked: PlainView) -> None:
    locked.config = msgspec.structs.replace(locked.config, api=ApiTable([TOKEN]))
    async with asking(locked) as client:
        address = f"{ROOT}/stations"
        assert (await client.get(address)).status_code == 401
        assert (await client.get(address, headers={"authorization": f"Bearer {TOKEN}"})).status_code == 200
        assert (await client.get(address, auth=SUN_YAN)).status_code == 200
        assert (await client.get(address, auth=("孙燕", TOKEN))).status_code == 401
        assert (await client.get("/", headers={"authorization": f"Bearer {TOKEN}"})).status_code == 401


FROM = [
    ({}, True), ({"origin": "http://hub"}, True), ({"origin": "https://warn.example.org"}, True),
    ({"origin": "https://warn.example.org", "sec-fetch-site": "same-origin"}, True),
    ({"origin": "null"}, False), ({"origin": "http://evil.example"}, False), ({"origin": ""}, False),
    ({"origin": "http://hub.evil.example"}, False), ({"origin": "http://hub:81"}, False),
    ({"origin": "http://hub", "sec-fetch-site": "cross-site"}, False),
]


@pytest.mark.parametrize(("headers", "taken"), FROM)
async def test_a_form_from_elsewhere_is_refused_also_where_there_is_no_tls(
    view: PlainView, headers: dict[str, str], taken: bool
) -> None:
    public = msgspec.structs.replace(view.config.hub, public_url="https://warn.example.org/")
    view.config = msgspec.structs.replace(view.config, hub=public)
    async with asking(view, "127.0.0.1") as client:
        answer = await client.post("/warnings/w-gas/confirm", data={"by": "Sun Yan"}, headers=headers)
    assert (answer.status_code, bool(view.confirmations)) == ((303, True) if taken else (403, False))


@settings(max_examples=8)  # each costs what a guess costs
@given(st.text(min_size=1, max_size=20).filter(lambda name: name.isprintable() and ":" not in name and name.strip()),
       st.text(st.characters(exclude_categories=["Cs"]), min_size=10, max_size=30))
def test_what_the_command_prints_is_an_entry_that_lets_in(name: str, password: str) -> None:
    kept = officers.hash_of(password, bytes(16))
    assert msgspec.convert({"name": name.strip(), "password": kept}, OfficerTable).password == kept
    assert officers.fits(password, kept)
    assert not officers.fits(password + "x", kept)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("sys.stdin", type("", (), {"isatty": lambda _: False, "readline": lambda _: lines.pop(0)})())
    return lines


def test_an_entry_goes_into_hub_toml(
    typed: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed.append(f"{PASSWORD}\n")
    assert command.main(["hub", "password", 'Sun "the fast" 孙']) == 0
    printed = capsys.readouterr().out
    (entry,) = tomllib.loads(printed)["officer"]
    assert officers.fits(PASSWORD, entry["password"])
    file = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [], people=printed).write()
    assert [officer.name for officer in load_hub(file).officer] == ['Sun "the fast" 孙']
    HubFiles(tmp_path, "mqtt://127.0.0.1:9", [], people=printed * 2).write()
    with pytest.raises(ConfigError, match='officer "Sun'):
        load_hub(file)


@pytest.mark.parametrize(("name", "password", "why"), [
    ("Sun Yan", "too short", "use 10 to 200 letters"), ("Sun Yan", "", "use 10 to 200 letters"),
    ("Sun Yan", "x" * 201, "use 10 to 200 letters"), ("a:b", PASSWORD, '"a:b" is not allowed as a name'),
    ("", PASSWORD, '"" is not allowed as a name'), ("x" * 81, PASSWORD, "is not allowed as a name"),
])  # fmt: skip
def test_the_command_says_what_it_does_not_take(
    typed: list[str], capsys: pytest.CaptureFixture[str], name: str, password: str, why: str
) -> None:
    typed.append(f"{password}\n")
    assert command.main(["hub", "password", name]) == 1
    told = capsys.readouterr()
    assert why in told.err
    assert told.out == ""


async def test_the_running_hub_believes_no_header_about_who_asks(tmp_path: Path) -> None:
    """A web server on this machine says for whom it asks; what it lets through is let in."""
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [])
    hub = Hub(load_hub(files.write()), SystemClock())
    async with beside(hub.run()), httpx.AsyncClient(base_url=files.url, trust_env=False) as client:
        while True:
            try:
                answer = await client.get("/", headers={"x-forwarded-for": "10.1.2.3"})
                break
            except httpx.ConnectError:
                await asyncio.sleep(0.02)
    assert answer.status_code == 200
