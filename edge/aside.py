"""A loop in a thread of its own, for programs: to begin one is to read it from the disk, and a disk may hang.

On the agent's own loop that would hold up polls, rhythm and ticks with it.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

if sys.version_info < (3, 11, 4):  # until then all threads waited for a program to be read (CPython's issue 104372)
    subprocess._USE_VFORK = False  # type: ignore[misc]  # noqa: SLF001 - documented by subprocess

T = TypeVar("T")


class Aside:
    """`do` has its work done there. The thread begins with the first work, and ends with the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None

    async def do(self, work: Coroutine[Any, Any, T], within_s: float) -> T:
        """What the work gives. Raises what it raises, and TimeoutError; then, or cancelled, it is cancelled there."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name=self._name, daemon=True).start()
        async with asyncio.timeout(within_s):
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
