"""Answers packed with gzip for whoever takes it; long ones in a thread, so that the hub goes on meanwhile."""

import asyncio
import gzip
import re
from collections.abc import MutableMapping
from typing import Any

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

LEAST = 500      # bytes; less is sent as it is
LONG = 100_000   # bytes; packing these takes some ms
_TAKES = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))")


def packed(app: ASGIApp) -> ASGIApp:
    """What is sent piece by piece, as events are, is left as it is."""

    async def packing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _TAKES.search(Headers.from_scope(scope).get("accept-encoding", "")):
            await app(scope, receive, send)
        else:
            await app(scope, receive, _Packer(send))

    return packing


class _Packer:
    """Holds an answer's head back until its body says whether it is packed."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._head = message
            return
        if self._head is not None:
            head: MutableMapping[str, Any] = {**self._head}
            self._head = None
            if message["type"] == "http.response.body" and not message["more_body"] and len(message["body"]) >= LEAST:
                body = await _compressed(message["body"])
                message = {**message, "body": body}
                head["headers"] = [*(one for one in head["headers"] if one[0].lower() != b"content-length"),
                                   (b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body)),
                                   (b"vary", b"accept-encoding")]
            await self._send(head)  # type: ignore[arg-type]
        await self._send(message)


async def _compressed(body: bytes) -> bytes:
    if len(body) < LONG:
        return gzip.compress(body, 6, mtime=0)
    return await asyncio.to_thread(gzip.compress, body, 4, mtime=0)
