"""The link by the hour, and the modem that is switched with it."""

import asyncio
from pathlib import Path
from typing import cast

import pytest

from edge.modem import Modem, command
from edge.power import Power, PowerState, PowerTable
from tests.lines import settle, until
from tests.stations import START_MS
from tests.tasks import beside
from tocsin.clock import WoundClock
from tocsin.link import Link

MINUTE_MS = 60_000
TABLE = PowerTable()


class Line:
    """A link that says when it is served."""

    def __init__(self) -> None:
        self.up = False

    async def run(self) -> None:
        self.up = True
        try:
            await asyncio.Event().wait()
        finally:
            self.up = False


class Hours:
    """A modem on a wound clock."""

    def __init__(self, table: PowerTable = TABLE) -> None:
        self.clock, self.power, self.line = WoundClock(START_MS), Power(table), Line()
        self.urgent = False
        self.told: list[float] = []

        async def asleep(seconds: float) -> None:
            self.told.append(seconds)

        self.modem = Modem(cast("Link", self.line), table, self.power, self.clock, urgent=lambda: self.urgent,
                           asleep=asleep)

    async def minutes(self, count: int) -> int:
        """How many of them the link was up at the end of."""
        up = 0
        for _ in range(count):
            self.clock.wind_to(self.clock.now_ms() + MINUTE_MS)
            await settle()
            up += self.line.up
        return up


async def test_the_link_is_up_all_the_time_some_minutes_or_at_once() -> None:
    hours = Hours()
    async with beside(hours.modem.run()):
        await settle()
        assert await hours.minutes(60) == 60
        hours.power.state = PowerState.SAVING
        assert await hours.minutes(120) == 4 * 5
        assert hours.told[:3] == [25 * 60.0, 0.0, 25 * 60.0]
        hours.power.state = PowerState.CRITICAL
        assert await hours.minutes(240) == 2 * 5
        hours.urgent = True
        assert await hours.minutes(30) == 30
        hours.urgent = False
        hours.power.state = PowerState.NORMAL
        assert await hours.minutes(10) == 10


async def test_the_modem_is_switched_by_commands_and_one_that_fails_ends_nothing(tmp_path: Path) -> None:
    on, off = tmp_path / "on", tmp_path / "off"
    hours = Hours(PowerTable(modem_on=["touch", str(on)], modem_off=["touch", str(off)]))
    async with beside(hours.modem.run()):
        await settle()
        await until(on.exists)  # whoever ran before may have left it off
        on.unlink()
        hours.power.state = PowerState.SAVING
        await hours.minutes(6)
        await until(off.exists)
        assert not on.exists()
        hours.urgent = True
        async with asyncio.timeout(30):
            while not on.exists():
                await hours.minutes(1)
        await until(lambda: hours.line.up)
    await command([str(tmp_path / "no such command")])
    await command(["false"])


async def test_a_link_that_fails_is_told_to_who_keeps_it() -> None:
    hours = Hours()

    async def broken() -> None:
        raise ZeroDivisionError

    hours.line.run = broken  # type: ignore[method-assign]
    serving = asyncio.create_task(hours.modem.run())
    await settle()
    hours.clock.wind_to(START_MS + 1000)
    with pytest.raises(ZeroDivisionError):
        await serving
