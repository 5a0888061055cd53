"""A person with a phone: opens the page, fills in the form as it stands, presses its button."""

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest

from simulators.people import PageError, Person
from tests.lines import settle
from tocsin.clock import WoundClock

PAGE = """<html><body><h1>山洪 flood</h1>
<form method="get" action="/language"><button>English</button></form>
<form method="post" action="answer">
  <input type="hidden" name="token" value="t-1&amp;2">
  <input name="who" value="">
  <input type="checkbox" name="safe" value="yes" checked>
  <button name="said" value="heard">我已知晓 I have heard</button>
  <button name="said" value="help">I need help</button>
</form></body></html>"""


class Site:
    """A site of two pages that keeps what it was asked."""

    def __init__(self, page: str = PAGE, status: int = 200) -> None:
        self.asked: list[tuple[str, str, dict[str, list[str]]]] = []
        self._page = page
        self._status = status

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fields = parse_qs(request.content.decode(), keep_blank_values=True)
        self.asked.append((request.method, str(request.url), fields))
        if request.method == "POST":
            return httpx.Response(200, html="<p>谢谢\n <b>Thank you</b></p>")
        return httpx.Response(self._status, html=self._page)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(self))


async def test_presses_the_button_with_the_form_as_it_stands() -> None:
    site = Site()
    async with site.client() as client:
        said = await Person("老李").answer("http://hub/a/7/", WoundClock(0), client)
    assert said == "谢谢 Thank you"
    assert site.asked == [
        ("GET", "http://hub/a/7/", {}),
        ("POST", "http://hub/a/7/answer", {"token": ["t-1&2"], "who": ["老李"], "safe": ["yes"], "said": ["heard"]}),
    ]


async def test_waits_before_answering() -> None:
    site, clock = Site(), WoundClock(0)
    async with site.client() as client:
        answering = asyncio.create_task(Person("Li", delay_s=90).answer("http://hub/", clock, client))
        for now_ms, asked in ((0, 0), (89_999, 0), (90_000, 2)):
            clock.wind_to(now_ms)
            await settle()
            assert len(site.asked) == asked
        await answering


async def test_a_form_without_an_action_goes_to_its_own_page() -> None:
    site = Site("<form method=post><input type=submit value='I have heard'></form>")
    async with site.client() as client:
        await Person("Li").answer("http://hub/a/7?lang=en", WoundClock(0), client)
    assert site.asked[1] == ("POST", "http://hub/a/7?lang=en", {})


@pytest.mark.parametrize(("site", "problem"), [
    (Site("<p>closed</p>"), r"http://hub/a: the page has no form to answer with"),
    (Site(status=404), r"GET http://hub/a: answered 404"),
    (Site(""), r"http://hub/a: not a page"),
])
async def test_pages_that_cannot_be_answered(site: Site, problem: str) -> None:
    async with site.client() as client:
        with pytest.raises(PageError, match=problem):
            await Person("Li").answer("http://hub/a", WoundClock(0), client)


async def test_nobody_at_the_other_end() -> None:
    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(gone)) as client:
        with pytest.raises(PageError, match="GET http://hub/a: refused"):
            await Person("Li").answer("http://hub/a", WoundClock(0), client)
