"""Who may use the duty desk: officers of hub.toml by name and password (HTTP Basic); where there are none, whoever asks
from this machine, as the web server before the hub does. What is for everybody says so: `opt=OPEN`.
"""

import asyncio
import hashlib
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv6Address, ip_address
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from hub import officers
from hub.config_officers import EXAMPLE_PASSWORD, OfficerTable
from hub.web.problems import Problem

OPEN = {"open": True}
MOST_WAITING = 10
PAUSE_S = 1.0  # after a wrong password: who guesses gets one try a second, and costs the hub nothing
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="tocsin", charset="UTF-8"'}

Asking = ASGIConnection[Any, Any, Any, Any]


class Door:
    """The guard of every address. After it `officer_of` gives the officer who asks."""

    def __init__(self, known: Sequence[OfficerTable], pause_s: float = PAUSE_S) -> None:
        self.locked = bool(known)
        self._kept = {officer.name: officer.password for officer in known}
        self._pause_s = pause_s
        self._right: dict[bytes, str] = {}  # by a digest of what was given, so that scrypt runs once
        self._one = asyncio.Lock()
        # of its own: officers must get in also while a store that hangs holds every other thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="door")
        self._waiting = 0

    async def guard(self, connection: Asking, handler: BaseRouteHandler) -> None:
        """Raises Problem."""
        if not handler.opt.get("open"):
            await self.enter(connection)

    async def enter(self, connection: Asking) -> None:
        """Raises Problem."""
        if self.locked:
            connection.scope["user"] = await self._officer(connection.headers.get("authorization", ""))
        elif not _is_here(connection):
            raise Problem(
                "the duty desk is open to this machine alone as long as hub.toml names no [[officer]]: `tocsin hub "
                "password NAME` makes one. Or put a web server with TLS and log-in before it, on this machine", 403,
                zh="hub.toml 中没有 [[officer]] 时，值班台仅限本机访问。请用 tocsin hub password 姓名 生成值班员口令，"
                "或在本机前置带 TLS 和登录的网页服务器")

    async def _officer(self, given: str) -> str:
        mark = hashlib.blake2b(given.encode("utf-8", "surrogateescape")).digest()
        if mark not in self._right:
            self._right[mark] = await self._checked(*_pair_of(given))
        return self._right[mark]

    async def _checked(self, name: str, password: str) -> str:
        """One at a time. Raises Problem."""
        if self._waiting >= MOST_WAITING:
            raise Problem("too many log in at once; try again in 10 s", 429, zh="登录过于频繁，请 10 秒后再试",
                          headers={"Retry-After": "10"})
        self._waiting += 1
        try:
            async with self._one:
                # of an unknown name too: the time taken must not tell who there is
                kept = self._kept.get(name, EXAMPLE_PASSWORD)
                if await asyncio.get_running_loop().run_in_executor(self._thread, officers.fits, password, kept):
                    return name
                await asyncio.sleep(self._pause_s)
        finally:
            self._waiting -= 1
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


def _is_here(connection: Asking) -> bool:
    """What the network says, never what a header says."""
    try:
        address = ip_address(connection.client.host if connection.client else "")
    except ValueError:
        return False
    inner = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (inner or address).is_loopback
