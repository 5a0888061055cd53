"""The loop of the tests itself."""

import asyncio
import os
import time

from tests.steady import STEP_S, LoopClock, SteadyLoop


async def test_every_test_runs_on_it() -> None:
    assert isinstance(asyncio.get_running_loop(), SteadyLoop)


async def test_a_process_that_had_no_turn_for_long_finds_the_answer_before_its_deadline() -> None:
    """Question and answer go through the same loop: it stands still between them."""
    loop = asyncio.get_running_loop()
    (asks, hears), (asked, answers) = os.pipe(), os.pipe()
    answer = loop.create_future()

    def serve() -> None:
        os.read(asks, 1)
        time.sleep(0.5)
        os.write(answers, b"a")

    loop.add_reader(asks, serve)
    loop.add_reader(asked, lambda: answer.set_result(os.read(asked, 1)))
    os.write(hears, b"q")
    begun_s = loop.time()
    async with asyncio.timeout(0.2):
        assert await answer == b"a"
    assert loop.time() - begun_s < 0.2
    loop.remove_reader(asks)
    loop.remove_reader(asked)
    for one in (asks, hears, asked, answers):
        os.close(one)


async def test_otherwise_its_time_is_the_time() -> None:
    begun_s, clock = time.monotonic(), LoopClock()
    at_s = clock.monotonic_s() + 4 * STEP_S
    await clock.sleep_until(at_s)
    assert clock.monotonic_s() >= at_s
    assert time.monotonic() - begun_s >= 4 * STEP_S
    assert at_s <= time.monotonic()
