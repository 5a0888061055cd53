"""Working through `landing` as it grows, whatever fails: the loop of its readers that must never end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tocsin.clock import Clock

_RESTART_S = 1.0

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
