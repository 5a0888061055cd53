"""A look at a disk that may hang: one at a time, and nobody waits for it longer than he wants."""

import asyncio
import threading

import pytest

from edge.looking import Looking


async def test_whoever_asks_while_it_hangs_is_answered_by_the_same_look() -> None:
    free = threading.Event()
    begun: list[str] = []

    def look() -> int:
        begun.append("one more")
        free.wait(30)
        return len(begun)

    looking = Looking(look)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await looking.result(0.0)
    free.set()
    both = await asyncio.gather(looking.result(30.0), looking.result(30.0))
    assert list(both) == [1, 1]
    assert await looking.result(30.0) == 2


async def test_a_look_that_fails_is_told_and_the_next_one_is_another() -> None:
    ends = iter([OSError("no disk"), None])

    def look() -> str:
        if end := next(ends):
            raise end
        return "well"

    looking = Looking(look)
    with pytest.raises(OSError, match="no disk"):
        await looking.result(30.0)
    assert await looking.result(30.0) == "well"
