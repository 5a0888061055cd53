"""Who may use the duty desk: officers of hub.toml by name and password (HTTP Basic); where there are none, whoever asks
from this machine, as the web server before the hub does. What is for everybody says so: `opt=OPEN`.
"""

import asyncio
import hashlib
from base64 import b64decode
from binascii import Error as NotBase64
from concurrent.futures import Executor

from litestar.handlers.base import BaseRouteHandler

from hub import officers
from hub.config import HubConfig
from hub.config_officers import EXAMPLE_PASSWORD
from hub.web.askers import Asking, Seals, is_here, is_ours, place_of
from hub.web.lines import Lines
from hub.web.problems import Problem

OPEN = {"open": True}
MOST_PLACES = 20     # at once; a guess a second of each is one core at most
MOST_BROWSERS = 100  # at once
PAUSE_S = 1.0        # after a wrong password: who guesses gets one try a second
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="tocsin", charset="UTF-8"'}


class Door:
    """The guard of every address. After it `officer_of` gives the officer who asks.

    Whoever guesses holds up their own line alone: there is one for each place, and one for each browser that an officer
    was let in with before, so that strangers keep no officer out.
    """

    def __init__(self, config: HubConfig, pause_s: float = PAUSE_S) -> None:
        self.locked = bool(config.officer)
        self._kept = {officer.name: officer.password for officer in config.officer}
        self._public_url = config.hub.public_url
        self._seals = Seals(config.hub.private_key)
        self._right: dict[bytes, str] = {}  # by a digest of what was given, so that scrypt runs once
        self._strangers = Lines("door", MOST_PLACES, pause_s)
        self._browsers = Lines("door-known", MOST_BROWSERS, pause_s)

    async def guard(self, connection: Asking, handler: BaseRouteHandler) -> None:
        """Raises Problem."""
        if not handler.opt.get("open"):
            await self.enter(connection)

    async def enter(self, connection: Asking) -> None:
        """Raises Problem."""
        if self.locked:
            connection.scope["user"] = await self._officer(connection)
        elif not is_here(connection):
            raise Problem(
                "the duty desk is open to this machine alone as long as hub.toml names no [[officer]]: `tocsin hub "
                "password NAME` makes one. Or put a web server with TLS and log-in before it, on this machine", 403,
                zh="hub.toml 中没有 [[officer]] 时，值班台仅限本机访问。请用 tocsin hub password 姓名 生成值班员口令，"
                "或在本机前置带 TLS 和登录的网页服务器")
        elif not is_ours(host := connection.headers.get("host", ""), self._public_url):
            # a page of another site may have its name lead to this machine, and so be taken for ours by the browser
            raise Problem.of_value("host", host, "an address, localhost, or the name in public_url of hub.toml", 403,
                                   zh="地址、localhost 或 hub.toml 中 public_url 的名称")

    def new_seal(self, connection: Asking) -> str:
        """What an officer's browser is to keep; "" where it has it already, or no officer asks."""
        return "" if not officer_of(connection) or self._seals.of(connection) else self._seals.new()

    async def _officer(self, connection: Asking) -> str:
        """Raises Problem."""
        name, password = _pair_of(connection.headers.get("authorization", ""))
        mark = hashlib.blake2b(f"{name}:{password}".encode()).digest()
        if mark not in self._right:
            browser = self._seals.of(connection)
            lines, line = (self._browsers, browser) if browser else (self._strangers, place_of(connection))
            async with lines.turn(line) as thread:
                # a browser asks for several things at once: the first one was looked at meanwhile
                if mark not in self._right:
                    await self._check(thread, name, password, lines.pause_s)
                    self._right[mark] = name
        return self._right[mark]

    async def _check(self, thread: Executor, name: str, password: str, pause_s: float) -> None:
        """Raises Problem."""
        # of an unknown name too: the time taken must not tell who there is
        kept = self._kept.get(name, EXAMPLE_PASSWORD)
        if not await asyncio.get_running_loop().run_in_executor(thread, officers.fits, password, kept):
            await asyncio.sleep(pause_s)
            raise _refused()


def officer_of(connection: Asking) -> str:
    """The officer who asks; "" where hub.toml names none."""
    return str(connection.scope.get("user") or "")


def _pair_of(given: str) -> tuple[str, str]:
    """Name and password. Raises Problem."""
    kind, _, packed = given.partition(" ")
    try:
        name, colon, password = b64decode(packed.strip(), validate=True).decode().partition(":")
    except (NotBase64, ValueError):
        raise _refused() from None
    if kind.lower() != "basic" or not colon or not name or len(password) > officers.LONGEST:
        raise _refused()
    return name, password


def _refused() -> Problem:
    return Problem("the duty desk needs the name and password of an officer of hub.toml", 401,
                   zh="请输入值班员姓名和口令（见 hub.toml 的 [[officer]]）", headers=_CHALLENGE)
