"""The CAP messages over HTTP: an Atom feed and each message as it was written."""

import asyncio
import re
import time
from pathlib import Path

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from hub.broadcast import cap
from hub.web.door import OPEN
from hub.web.problems import Problem
from hub.web.render import Asked, Site
from tocsin.beside import Threads

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._:@+-]{0,199}\.xml")
FRESH_S = 10
SETTLED_NS = 1_000_000_000
_THREADS = 2


def routes(site: Site) -> list[HTTPRouteHandler]:
    # of their own: everybody may ask, and a disk that hangs must not hold the threads that others need
    threads = Threads(_THREADS, "cap pages")
    newest = Feed(site.view.cap_folder, site.view.config.hub.name)

    @get("/cap/feed.atom", include_in_schema=False, opt=OPEN)
    async def feed() -> Response[bytes]:
        body = await asyncio.get_running_loop().run_in_executor(threads, newest.read)
        return _xml(body, "application/atom+xml; charset=utf-8")

    @get("/cap/{name:str}", include_in_schema=False, opt=OPEN)
    async def message(request: Asked) -> Response[bytes]:
        name = request.path_params["name"]
        body = await asyncio.get_running_loop().run_in_executor(threads, _read, site.view.cap_folder, name)
        return _xml(body, "application/cap+xml; charset=utf-8")

    return [feed, message]


class Feed:
    """The feed, made anew only when the folder has changed: everybody may ask, as often as they like."""

    def __init__(self, folder: Path, title: str) -> None:
        self._folder = folder
        self._title = title
        self._kept = (-1, b"")

    def read(self) -> bytes:
        try:
            changed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            changed = 0
        if changed != self._kept[0]:
            body = cap.feed(self._folder, self._title)
            if time.time_ns() - changed < SETTLED_NS:
                return body  # one more file may come within the same tick of the disk's clock
            self._kept = (changed, body)
        return self._kept[1]


def _read(folder: Path, name: str) -> bytes:
    """Raises Problem. The name is one plain file name, so nothing outside the folder is ever opened."""
    if not NAME.fullmatch(name):
        raise Problem.of_value("name", name, "feed.atom or <identifier>.xml as listed there", 404,
                               zh="feed.atom 或其中列出的 <identifier>.xml")
    try:
        return (folder / name).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise Problem.of_value("name", name, "a message that /cap/feed.atom lists", 404,
                               zh="/cap/feed.atom 列出的消息") from None


def _xml(body: bytes, media_type: str) -> Response[bytes]:
    headers = {"Cache-Control": f"max-age={FRESH_S}", "X-Content-Type-Options": "nosniff"}
    return Response(body, media_type=media_type, headers=headers)
