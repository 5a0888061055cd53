"""Who may ask, and how little goes over a bad link when nothing has changed."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

from litestar import Request, Response
from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.response.base import ASGIResponse
from litestar.types import Guard

from hub.web.door import Door
from hub.web.problems import Problem

ROOT = "/api/v1"
CACHE = "private, no-cache"  # it may be kept, and is asked for anew each time: unchanged, the answer has no body
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="tocsin"'}


def guard_of(tokens: Iterable[str], door: Door) -> Guard:
    """Lets in who knows a token, and whom the duty desk lets in; where there are tokens that is an officer alone."""
    known = [token.encode() for token in tokens]

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        if not known:
            await door.enter(connection)
            return
        kind, _blank, given = connection.headers.get("authorization", "").partition(" ")
        given_bytes = given.strip().encode("utf-8", "surrogateescape")
        # all are compared, so that the time taken tells nothing about any of them
        matches = [hmac.compare_digest(given_bytes, token) for token in known]
        if kind.lower() == "basic" and door.locked:
            await door.enter(connection)
        elif kind.lower() != "bearer" or not any(matches):
            raise Problem(
                "this hub gives its data to programs with a token; send the header Authorization: Bearer TOKEN, with a "
                "token of [api] in hub.toml",
                401,
                zh="读取数据需要令牌；请发送请求头 Authorization: Bearer TOKEN，令牌见 hub.toml 的 [api]",
                headers=_CHALLENGE,
            )

    return guard


class Answer(Response[Any]):
    """A good answer with an ETag of its content; 304 without a body for whoever has it already."""

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **more: Any) -> ASGIResponse:
        whole = super().to_asgi_response(app, request, **more)
        # weak: the same content is sent packed or plain
        etag = f'W/"{hashlib.blake2b(whole.body, digest_size=12).hexdigest()}"'
        whole.headers["etag"] = etag
        whole.headers.setdefault("cache-control", CACHE)
        known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
        if etag not in known and "*" not in known:
            return whole
        kept = [("etag", etag), ("cache-control", whole.headers["cache-control"])]
        return ASGIResponse(status_code=304, headers=kept)
