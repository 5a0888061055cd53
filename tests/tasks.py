"""Something that runs beside a test's block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any


@asynccontextmanager
async def beside(running: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Runs it until the end of the block; its own failure is raised there."""
    task = asyncio.create_task(running)
    try:
        yield
    finally:
        if task.done():
            await task
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
