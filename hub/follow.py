"""Working through `landing` as it grows, whatever fails: the loop of its readers that must never end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import TypeVar

from tocsin.clock import Clock

PIECE_S = 0.1    # of the database's thread: what lands, and is answered, waits for it no longer
_RESTART_S = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


async def follow(
    name: str, woken: asyncio.Event, process: Callable[[], Awaitable[int]], clock: Clock, failed: Callable[[], None]
) -> None:
    """Until cancelled: each time it is woken, `process` until that took nothing. A failure is told, `failed` is called,
    and a second later it goes on."""
    while True:
        try:
            await woken.wait()
            woken.clear()
            while await process():
                pass
        except Exception:
            failed()
            log.exception("%s: next try in %g s", name, _RESTART_S)
            woken.set()
            await clock.sleep_until(clock.monotonic_s() + _RESTART_S)


def in_time(items: Iterable[T], clock: Clock) -> Iterator[T]:
    """As many as one piece of the database's thread bears, and one at least where there is one."""
    until = clock.monotonic_s() + PIECE_S
    for item in items:
        yield item
        if clock.monotonic_s() >= until:
            return
