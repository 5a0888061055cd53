"""People with a phone: they open the page that they were sent, and press its button."""

from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
from lxml import etree, html

from tocsin.clock import Clock

EMPTY = ".//input[@name and (not(@type) or @type='text') and (not(@value) or @value='')]"
BUTTONS = ".//button[not(@type) or @type='submit'] | .//input[@type='submit']"


class PageError(Exception):
    """A page that a person cannot use; names the page and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who answers `delay_s` after being called."""

    name: str
    delay_s: float = 0.0

    async def answer(self, url: str, clock: Clock, client: httpx.AsyncClient) -> str:
        """Waits, opens the page, presses the button of its form; the text of what came back. Raises PageError."""
        await clock.sleep_until(clock.monotonic_s() + self.delay_s)
        page = await _fetch(client, "GET", url)
        action, fields = self._fill(page)
        said = await _fetch(client, "POST", action, fields)
        return " ".join(_parsed(said).text_content().split())

    def _fill(self, page: httpx.Response) -> tuple[str, dict[str, str]]:
        """Where the POST form with the person's name goes (else the first), and its fields; empty ones get the name."""
        forms = [form for form in _parsed(page).forms if form.method.upper() == "POST"]
        if not forms:
            raise PageError(f"{page.url}: the page has no form to answer with")
        mine = [form for form in forms if self.name in dict(form.form_values()).values()]
        form = (mine or forms)[0]
        fields = {str(name): str(value) for name, value in form.form_values()}
        for field in form.xpath(EMPTY):
            fields[field.get("name")] = self.name
        for button in form.xpath(BUTTONS)[:1]:
            if button.get("name"):
                fields[button.get("name")] = button.get("value", "")
        return urljoin(str(page.url), form.action or ""), fields


async def _fetch(client: httpx.AsyncClient, method: str, url: str,
                 fields: dict[str, str] | None = None) -> httpx.Response:
    try:
        page = await client.request(method, url, data=fields, follow_redirects=True)
    except httpx.HTTPError as err:
        raise PageError(f"{method} {url}: {err or type(err).__name__}") from err
    if page.is_error:
        raise PageError(f"{method} {url}: answered {page.status_code}")
    return page


def _parsed(page: httpx.Response) -> html.HtmlElement:
    try:
        return html.document_fromstring(page.text)
    except (etree.ParserError, ValueError) as err:
        raise PageError(f"{page.url}: not a page: {err}") from err
