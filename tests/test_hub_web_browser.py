"""The pages in a real browser: on a small phone and on a desk, with scripts and without."""

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest
import uvicorn
from playwright.async_api import Page, ViewportSize, expect

from hub.answers import token
from hub.model import WarningState
from hub.web.app import app
from hub.web.view import HOW_OFFICER, HOW_PAGE
from tests.browser import Browser
from tests.hub_web_view import PlainView

WITHIN_MS = 30_000
expect.set_options(timeout=WITHIN_MS)    # or it gives up after 5 s


@pytest.fixture
def server(view: PlainView) -> uvicorn.Server:
    settings = uvicorn.Config(app(view), lifespan="off", ws="none", log_config=None, timeout_graceful_shutdown=1)
    return uvicorn.Server(settings)


@pytest.fixture
async def address(server: uvicorn.Server) -> AsyncIterator[str]:
    """The hub's pages on a port of their own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        yield "http://{}:{}".format(*listener.getsockname())
        server.should_exit = True
        await serving


@pytest.fixture
async def troubles(address: str, chromium: Browser) -> AsyncIterator[list[str]]:
    """What pages complain about, and whatever they ask of another place; must stay empty."""
    found: list[str] = []
    yield found
    assert found == []


def watched(page: Page, address: str, troubles: list[str]) -> Page:
    page.set_default_timeout(WITHIN_MS)
    page.on("console", lambda message: troubles.append(f"{message.type}: {message.text}"))
    page.on("request", lambda request: troubles.append(request.url) if not request.url.startswith(address) else None)
    page.on("response", lambda got: troubles.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    return page


async def opened(kind: str, chromium: Browser, address: str, troubles: list[str]) -> Page:
    page = await (chromium.phone() if kind == "phone" else chromium.desktop())
    return watched(page, address, troubles)


def answer_path(view: PlainView) -> str:
    return f"/answer/{token(view.config, 'w-flood', 'Li Mei')}"


@pytest.mark.parametrize("kind", ["phone", "desktop"])
async def test_a_page_fits_its_screen_and_its_text_is_large_enough(
    view: PlainView, address: str, chromium: Browser, troubles: list[str], kind: str
) -> None:
    page = await opened(kind, chromium, address, troubles)
    paths = ("/", "/stations/longtan-upper", "/stations/plant?range=7d", "/warnings/w-flood", "/warnings/w-old",
             "/warnings/w-gas")
    for path in (*paths, answer_path(view)):
        for lang in ("en", "zh"):
            await page.goto(f"{address}{path}{'&' if '?' in path else '?'}lang={lang}")
            wide = await page.evaluate("document.documentElement.scrollWidth")
            # not window.innerWidth: a phone zooms out until a page that is too wide fits
            assert page.viewport_size is not None
            assert wide <= page.viewport_size["width"], (path, lang)
            sizes = await page.evaluate(
                "[...document.querySelectorAll('main *')].map(e => parseFloat(getComputedStyle(e).fontSize))"
            )
            assert min(sizes) >= 12, (path, lang)
            low = "[...document.querySelectorAll('main button')].map(e => e.getBoundingClientRect().height)"
            assert all(height >= 44 for height in await page.evaluate(low)), (path, lang)


async def test_a_person_answers_with_one_thumb(
    view: PlainView, address: str, chromium: Browser, troubles: list[str]
) -> None:
    page = await opened("phone", chromium, address, troubles)
    await page.goto(address + answer_path(view))
    button = page.get_by_role("button", name="I have heard 我已听到")
    box = await button.bounding_box()
    assert box is not None
    assert box["width"] > 300
    assert box["height"] > 80
    await button.tap()
    await expect(page.get_by_role("status")).to_contain_text("recorded at 15:20:00")
    await expect(button).to_have_count(0)
    assert view.answers == [("Li Mei", "w-flood", HOW_PAGE, "")]


async def test_an_officer_enters_an_answer_from_the_desk(
    view: PlainView, address: str, chromium: Browser, troubles: list[str]
) -> None:
    page = await opened("desktop", chromium, address, troubles)
    await page.goto(address)
    await page.get_by_role("link", name="Flood warning").first.click()
    await page.get_by_role("textbox", name="Note: 陈志强").fill("woken at the door")
    await page.get_by_role("button", name="I have heard 我已听到: 陈志强").click()
    await expect(page.get_by_text("2 of 4 answered")).to_be_visible()
    await expect(page.get_by_text("entered by the duty officer: woken at the door")).to_be_visible()
    assert view.answers == [("陈志强", "w-flood", HOW_OFFICER, "woken at the door")]


async def test_an_officer_confirms_by_name_and_not_without_one(
    view: PlainView, address: str, chromium: Browser, troubles: list[str]
) -> None:
    page = await opened("phone", chromium, address, troubles)
    await page.goto(address)
    await page.get_by_role("link", name="waits for a person's confirmation 等待人工确认").tap()
    name = page.get_by_role("textbox", name="Name of the officer who confirms")
    button = page.get_by_role("button", name="Confirm: move people now 确认：立即转移")
    await button.tap()
    await expect(name).to_be_focused()
    assert view.confirmations == []
    await name.fill("孙燕")
    await button.tap()
    await expect(page.get_by_text("confirmed by 孙燕 at 15:20:00")).to_be_visible()
    await expect(button).to_have_count(0)
    assert view.confirmations == [("w-gas", "孙燕")]


async def test_an_open_console_follows_the_hub(
    view: PlainView, address: str, chromium: Browser, troubles: list[str]
) -> None:
    page = await opened("desktop", chromium, address, troubles)
    await page.goto(address)
    await expect(page.get_by_text("1 of 4 answered")).to_be_visible()
    await view.answer("Zhao Min", "w-flood", HOW_PAGE, "")
    await expect(page.get_by_text("2 of 4 answered")).to_be_visible()
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_what_an_officer_types_survives_a_refresh(
    view: PlainView, address: str, chromium: Browser, troubles: list[str]
) -> None:
    page = await opened("desktop", chromium, address, troubles)
    await page.goto(f"{address}/warnings/w-flood")
    note = page.get_by_role("textbox", name="Note: Li Mei")
    await note.fill("half a sen")
    await page.evaluate("window.asked = []; const get = fetch; window.fetch = (...a) => (asked.push(a), get(...a)); 0")
    await view.change()
    other = await opened("desktop", chromium, address, troubles)
    await other.goto(f"{address}/warnings/w-flood")
    await view.answer("Zhao Min", "w-flood", HOW_PAGE, "")
    await expect(other.get_by_text("2 of 4 answered")).to_be_visible()
    assert await note.input_value() == "half a sen"
    assert await page.evaluate("asked") == []
    await note.fill("")
    await note.blur()
    await view.change()
    await expect(page.get_by_text("2 of 4 answered")).to_be_visible()


async def test_a_console_that_lost_the_hub_says_so(
    server: uvicorn.Server, address: str, chromium: Browser
) -> None:
    page = await chromium.desktop()
    await page.goto(address)
    await expect(page.get_by_role("alert")).to_be_hidden()
    await page.evaluate("window.fetch = () => new Promise(() => {}); 0")    # its next look must not be what tells it
    server.should_exit = True
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text("The connection to the hub is lost")


@pytest.mark.parametrize("kind", ["phone", "desktop"])
async def test_everything_works_without_scripts(
    view: PlainView, address: str, chromium: Browser, troubles: list[str], kind: str
) -> None:
    size = ViewportSize(width=360, height=740) if kind == "phone" else ViewportSize(width=1366, height=768)
    context = await chromium._engine.new_context(java_script_enabled=False, viewport=size)
    page = watched(await context.new_page(), address, troubles)
    await page.goto(address + answer_path(view))
    await page.get_by_role("button", name="I have heard 我已听到").click()
    main = page.locator("main")
    await expect(main).to_contain_text("recorded at")
    await page.goto(f"{address}/warnings/w-flood")
    await page.get_by_role("button", name="I have heard 我已听到: Zhao Min").click()
    await expect(main).to_contain_text("3 of 4 answered")
    await page.goto(f"{address}/stations/longtan-upper")
    await page.get_by_role("link", name="24 h").click()
    await expect(page.locator("svg.chart")).to_have_count(4)
    await context.close()


async def test_calm_returns(view: PlainView, address: str, chromium: Browser, troubles: list[str]) -> None:
    page = await opened("phone", chromium, address, troubles)
    await page.goto(address)
    for ident, warning in view.warnings.items():
        closed = msgspec.structs.replace(warning, state=WarningState.CLOSED, closed_at=view.clock.now_ms())
        view.warnings[ident] = closed
    await view.change()
    await expect(page.get_by_text("No open warning.")).to_be_visible()
