"""A look at a disk that may hang: in a thread, and one at a time, for each that hangs keeps a thread others need."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Looking(Generic[T]):
    """`look` is what is done in the thread."""

    def __init__(self, look: Callable[[], T]) -> None:
        self._look = look
        self._under_way: asyncio.Future[T] | None = None

    async def result(self, within_s: float) -> T:
        """What the look gives or raises, also one that was begun before. Raises TimeoutError where it is not done."""
        looking = self._under_way = self._under_way or asyncio.ensure_future(asyncio.to_thread(self._look))
        await asyncio.wait({looking}, timeout=within_s)
        if not looking.done():
            raise TimeoutError
        if self._under_way is looking:
            self._under_way = None
        return looking.result()
