"""What the pages wait for."""

import asyncio


class Changes:
    """Counts what the pages may want to show anew."""

    def __init__(self) -> None:
        self._number = 0
        self._waiters: set[asyncio.Future[None]] = set()

    def note(self) -> None:
        self._number += 1
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def wait(self, since: int) -> int:
        """The number of the newest change, as soon as it is above `since`."""
        while self._number <= since:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        return self._number
