"""The pages' own server, as a part of the hub: it ends when the hub does."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send
from litestar.utils import normalize_path

from hub.errors import HubError
from hub.web.app import app
from hub.web.view import View

_STOP_S = 1


async def serve_web(view: View, address: str) -> None:
    """Until cancelled. Raises HubError where `address`, host:port, cannot be had."""
    settings = uvicorn.Config(
        answers_heads(app(view)), log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False,
        timeout_graceful_shutdown=_STOP_S,
    )  # fmt: skip
    server = _Server(settings)
    with _listener(address) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="uvicorn")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            server.should_exit = True
            await serving
            raise


def answers_heads(pages: ASGIApp) -> ASGIApp:
    """Monitors and proxies ask with HEAD: it is what GET would be; uvicorn, which knows the method, sends no body."""

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope.get("method") == "HEAD" and not _is_endless(scope["path"]):
            scope = {**scope, "method": "GET"}
        await pages(scope, receive, send)

    return answering


def _is_endless(path: str) -> bool:
    return normalize_path(path) == "/events"    # as the pages find it, with a stroke behind it too


class _Server(uvicorn.Server):
    """Signals are the command's business: it cancels the hub."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(address: str) -> socket.socket:
    """Raises HubError."""
    host, _, port = address.rpartition(":")
    try:
        return socket.create_server((host, int(port)))
    except (OSError, OverflowError) as err:
        raise HubError(f"hub: listen: {address} cannot be had: {err}") from err
