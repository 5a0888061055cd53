"""Debian's Chromium, driven by playwright, as a phone and as a desktop."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser as Engine
from playwright.async_api import Error, Page, async_playwright

from tests.services import binary

QUIET = (
    "--no-sandbox",  # root has none; the pages are our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Browser:
    """Opens pages, each with a profile of its own; remembers the errors of their scripts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.errors: list[str] = []

    async def phone(self) -> Page:
        """A page as on a small phone: 360 x 740, touch, fine pixels."""
        return self._watched(
            await self._engine.new_page(
                viewport={"width": 360, "height": 740}, device_scale_factor=2, is_mobile=True, has_touch=True
            )
        )

    async def desktop(self) -> Page:
        """A page as on a duty desk: 1366 x 768."""
        return self._watched(await self._engine.new_page(viewport={"width": 1366, "height": 768}))

    def _watched(self, page: Page) -> Page:
        page.on("pageerror", self._remember)
        return page

    def _remember(self, error: Error) -> None:
        self.errors.append(str(error))


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """A Chromium with an empty profile, closed at the end."""
    program = Path(binary("chromium"))
    async with async_playwright() as playwright:
        engine = await playwright.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            yield Browser(engine)
        finally:
            await engine.close()
