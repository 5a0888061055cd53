"""An event loop that looks names up in threads of their own: a resolver that hangs holds up nothing but who waits for
that name, and that only until it is asked for once more PATIENCE_S later."""

import asyncio
import socket
from functools import partial
from ipaddress import ip_address
from typing import Any

from tocsin.beside import Threads

_MOST = 16  # names at once: each is looked up once, however many ask for it meanwhile
PATIENCE_S = 60.0  # a resolver gives up sooner by itself; one that never comes back must not have the last word


class Loop(asyncio.SelectorEventLoop):
    """As its base, which looks names up among the default threads, where disks, pages and the broker's link work."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups = Threads(_MOST, "names")
        self._asked: dict[tuple[Any, ...], tuple[float, asyncio.Future[Any]]] = {}

    async def getaddrinfo(  # type: ignore[no-untyped-def]
        self, host, port, *, family=0, type=0, proto=0, flags=0  # noqa: A002 - as its base has it
    ) -> Any:
        """As socket.getaddrinfo. Who is cancelled leaves the look-up to the others."""
        name = (host, port, family, type, proto, flags)
        if _is_number(host) and isinstance(port, int | None):    # must not wait behind names that hang
            return socket.getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        since, answer = self._asked.get(name, (0.0, None))
        if answer is None or self.time() - since >= PATIENCE_S:
            answer = self.run_in_executor(self._lookups, partial(socket.getaddrinfo, *name))
            self._asked[name] = self.time(), answer
            answer.add_done_callback(partial(self._answered, name))
        return await asyncio.shield(answer)

    def _answered(self, name: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        if name in self._asked and self._asked[name][1] is answer:
            del self._asked[name]
        if not answer.cancelled():
            answer.exception()    # nobody may wait for it any more

    def close(self) -> None:
        """What still hangs is left alone."""
        self._lookups.shutdown(wait=False)
        super().close()


def _is_number(host: object) -> bool:
    """IPv4, or IPv6 with or without a zone."""
    try:
        ip_address(host)  # type: ignore[arg-type] # whatever it is
    except ValueError:
        return False
    return isinstance(host, str)
