"""The pages' own server, as a part of the hub: it ends when the hub does."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from hub.errors import HubError
from hub.web.app import app
from hub.web.view import View

_STOP_S = 1


async def serve_web(view: View, address: str) -> None:
    """Until cancelled. Raises HubError where `address`, host:port, cannot be had."""
    settings = uvicorn.Config(
        app(view), log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False,
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
