"""The link by the hour: always up in normal state; where the station saves, some minutes out of many.

What is above clear brings it up at once and keeps it up. The modem itself is switched by two commands, where there are
any: a phone modem draws more than the rest of a station. It is switched on at the start, too: the agent before this one
may have died while it was off.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from edge.aside import Aside
from edge.power import Power, PowerTable
from tocsin.clock import Clock
from tocsin.link import Link

LOOK_S = 1.0
_COMMAND_S = 60.0
_KILLED_S = 2.0
_LEFT_S = 5.0  # what does not even begin, or die, within that is left alone
_ASIDE = Aside("commands")
log = logging.getLogger(__name__)


class Modem:
    """`run` serves the link until cancelled. `asleep` is told each time that it changes, with the seconds to sleep."""

    def __init__(
        self, link: Link, table: PowerTable, power: Power, clock: Clock,
        *, urgent: Callable[[], bool], asleep: Callable[[float], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._link = link
        self._table = table
        self._power = power
        self._clock = clock
        self._urgent = urgent
        self._asleep = asleep

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._serve()
            ending = asyncio.create_task(command(self._table.modem_off), name="modem off")  # it delays no link either
            try:
                await self._while(lambda: self.sleeps_s() > 0)
            finally:
                await _ended(ending)
            await self._asleep(0.0)

    async def _serve(self) -> None:
        serving = asyncio.create_task(self._link.run(), name="link while wanted")
        waking = asyncio.create_task(command(self._table.modem_on), name="modem on")  # one that hangs delays no link
        try:
            await self._while(lambda: self.sleeps_s() == 0 and not serving.done())
            await self._asleep(self.sleeps_s())
        finally:
            for task in (waking, serving):
                await _ended(task)

    def sleeps_s(self) -> float:
        """How long the link may sleep from now on; 0: it is wanted."""
        every_s = self._table.link_every_s(self._power.state)
        if not every_s or self._urgent():
            return 0.0
        into_s = self._clock.monotonic_s() % every_s
        return 0.0 if into_s < 60 * self._table.link_up_min else every_s - into_s

    async def _while(self, so: Callable[[], bool]) -> None:
        while so():
            await self._clock.sleep_until(self._clock.monotonic_s() + LOOK_S)


async def command(words: Sequence[str]) -> None:
    """Runs a command of the station file, for a minute at most; one that fails is told and changes nothing."""
    if not words:
        return
    try:
        await _ASIDE.do(_run(words), _COMMAND_S + _LEFT_S)
    except TimeoutError:
        log.error("%s hangs, and is left alone", words[0])


async def _run(words: Sequence[str]) -> None:
    try:
        process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL)
    except OSError as err:
        log.error("%s: %s", words[0], err)
        return
    try:
        async with asyncio.timeout(_COMMAND_S):
            code = await process.wait()
        if code:
            log.error("%s: exit code %d", words[0], code)
    except TimeoutError:
        log.error("%s: not done within %g s", words[0], _COMMAND_S)
    finally:
        await _killed(process)


async def _killed(process: asyncio.subprocess.Process) -> None:
    """One that waits for a driver of the kernel may not die at once: it is not waited for."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        with suppress(TimeoutError):
            async with asyncio.timeout(_KILLED_S):
                await process.wait()


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
