"""Those who log in wait in lines, so that who guesses in one holds up none of the others."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hub.web.problems import Problem

MOST_WAITING = 10  # in one line
_AGAIN_S = 10


@dataclass(slots=True)
class _Line:
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Lines:
    """Lines by name, each one at a time; a line is forgotten when nobody waits in it."""

    def __init__(self, name: str, most: int, pause_s: float) -> None:
        self.pause_s = pause_s
        self._most = most
        self._lines: dict[str, _Line] = {}
        # of its own: officers must get in also while a store that hangs holds every other thread
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[Executor]:
        """The thread to work in, when it is one's turn. Raises Problem where too many wait, in this line or in all."""
        line = self._lines.get(name) or _Line()
        if line.waiting >= MOST_WAITING or (name not in self._lines and len(self._lines) >= self._most):
            raise Problem(f"too many log in at once; try again in {_AGAIN_S} s", 429,
                          zh=f"登录过于频繁，请 {_AGAIN_S} 秒后再试", headers={"Retry-After": str(_AGAIN_S)})
        self._lines[name] = line
        line.waiting += 1
        try:
            async with line.turn:
                yield self._thread
        finally:
            line.waiting -= 1
            if not line.waiting:
                del self._lines[name]
