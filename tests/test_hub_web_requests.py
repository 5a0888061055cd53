"""Bad requests of every kind."""

import asyncio
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from lxml import etree, html

from hub.web.serving import serve_web
from tests.hub_web_view import PlainView, client_of
from tests.services import free_port
from tests.tasks import beside

Client = httpx.AsyncClient


FORM = "application/x-www-form-urlencoded"
BAD = [
    ("GET", "/nowhere", "", 404, 'there is no page "/nowhere"'),
    ("GET", "/?lang=fr", "", 400, 'lang "fr" is not allowed; use en, zh'),
    ("GET", "/stations/mars", "", 404, 'station "mars" is not allowed; use longtan-lower, longtan-upper'),
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
    ("GET", "/api/v1/nowhere", "", 404, "there is no page"),
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
        assert any("\u4e00" <= letter <= "\u9fff" for letter in answer.json()["allowed_zh"] or "无")
    else:
        assert words in str(html.document_fromstring(answer.text).xpath("string()"))
        assert path.startswith(("/nowhere", "/?", "/stations", "/warnings", "/answer")) or path == "/"
    assert (view.answers, view.confirmations) == ([], [])


async def test_who_asks_with_head_gets_what_get_gives_without_its_body(view: PlainView) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with beside(serve_web(view, address)), httpx.AsyncClient(base_url=f"http://{address}") as client:
        await asyncio.sleep(0)  # it listens from its first step on
        for path in ["/", "/readyz", "/healthz", "/metrics", "/cap/feed.atom", "/api/v1/stations", "/nowhere"]:
            told, whole = await client.head(path), await client.get(path)
            assert (told.status_code, told.content) == (whole.status_code, b""), path
            assert told.headers["content-type"] == whole.headers["content-type"]
        for path in ["/events", "/events/", "/events//?since=3", "/%65vents"]:    # all are one page
            assert (await client.head(path)).status_code == 405, "has no end"


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
    assert answer.status_code == 500
    assert (answer.json()["error"], answer.json()["error_zh"]) == (
        "the hub could not do this; its log says why", "处理失败，原因见中心日志")
    assert "GET /healthz failed" in caplog.text
    assert "division by zero" in caplog.text


async def test_cap_messages_are_given_as_they_were_written(view: PlainView, client: Client) -> None:
    written = b'<?xml version="1.0"?><alert/>'
    (view.cap_folder / "330185101203-8.xml").write_bytes(written)
    (view.cap_folder.parent / "outside.xml").write_bytes(b"<secret/>")
    answer = await client.get("/cap/330185101203-8.xml")
    assert (answer.content, answer.headers["content-type"]) == (written, "application/cap+xml; charset=utf-8")
    feed = await client.get("/cap/feed.atom")
    assert feed.headers["content-type"] == "application/atom+xml; charset=utf-8"
    assert etree.fromstring(feed.content).tag == "{http://www.w3.org/2005/Atom}feed"


async def test_the_feed_is_made_anew_only_when_the_folder_changed(
    view: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def feed(folder: Path, title: str) -> bytes:
        made.append(len(list(folder.iterdir())))
        return b"<feed/>"

    monkeypatch.setattr("hub.broadcast.cap.feed", feed)
    async with client_of(view) as client:
        async def asked(changed_ago_s: float) -> None:
            then = time.time_ns() - int(changed_ago_s * 1e9)
            os.utime(view.cap_folder, ns=(then, then))
            for _ in range(3):
                assert (await client.get("/cap/feed.atom")).content == b"<feed/>"

        await asked(60)
        assert made == [0]
        (view.cap_folder / "one.xml").write_bytes(b"<alert/>")
        await asked(30)
        assert made == [0, 1]
        await asked(0.1)
        assert made == [0, 1, 1, 1, 1], "another file within the same tick must not be missed"


async def test_a_disk_that_hangs_under_the_feed_holds_up_nothing_else(
    view: PlainView, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody may ask for the feed; the broker's link and the landing use the default threads."""
    answers, begun = threading.Event(), threading.Event()

    def hang(_folder: Path, _title: str) -> bytes:
        begun.set()
        answers.wait(60)
        return b"<feed/>"

    monkeypatch.setattr("hub.broadcast.cap.feed", hang)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    async with client_of(view) as client, asyncio.TaskGroup() as tasks:
        tasks.create_task(client.get("/cap/feed.atom"))
        while not begun.is_set():
            await asyncio.sleep(0)
        try:
            async with asyncio.timeout(30):
                assert await asyncio.to_thread(answers.is_set) is False
        finally:
            answers.set()


OUTSIDE = ["../outside.xml", "..%2Foutside.xml", "%2e%2e%2foutside.xml", "....//outside.xml", "%2Fetc%2Fpasswd"]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_nothing_outside_the_cap_folder_is_given(view: PlainView, client: Client, path: str) -> None:
    (view.cap_folder.parent / "outside.xml").write_bytes(b"<secret/>")
    answer = await client.get(f"/cap/{path}")
    assert answer.status_code == 404
    assert b"secret" not in answer.content


async def test_a_chinese_reader_is_refused_in_chinese(client: Client) -> None:
    answer = await client.get("/stations/mars", headers={"accept-language": "zh"})
    assert answer.status_code == 404
    assert "station “mars” 无效；可用：longtan-lower, longtan-upper" in answer.text
