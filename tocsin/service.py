"""A long-running command: runs until SIGTERM or Ctrl-C, then ends cleanly."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any


def run_until_stopped(make: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Makes the coroutine inside a loop and cancels it on SIGTERM or SIGINT. Its own errors are raised."""

    async def main() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - inside a coroutine that runs
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        await make()

    with suppress(asyncio.CancelledError):
        asyncio.run(main())
