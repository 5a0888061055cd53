"""What makes the noise: a relay on a bus, a pin of this computer, or its sound card. One protocol for all.

Every method may raise RejectedError with the reason why it could not be done.
"""

from typing import Protocol

from edge.bus import POLL, SIREN_FIRST, Bus
from edge.config import DeviceTable
from edge.modbus import DeviceRefusedError
from tocsin.devices import GuardedDriver, OutputDriver, Request
from tocsin.levels import Stage
from tocsin.readings import RejectedError

HOLD_S = 10.0  # a relay that lost its power in the storm comes back off: while it must sound, it is told so again


class Output(Protocol):
    """Something that can be switched on and off. `hold_s`: while it is on, it must be told so again that often.

    `tells`: while it is silent `is_on` or `is_whole` say something of the siren.
    """

    name: str
    hold_s: float
    tells: bool

    async def switch(self, *, on: bool, stage: Stage) -> None:
        """Returns when it was obeyed, as far as the output can tell. `stage`: the tone, where it has more than one."""

    async def guard(self) -> None:
        """After a command that was obeyed: what makes it fall silent if nobody speaks to it any more."""

    async def is_on(self) -> bool | None:
        """What its feedback says; None where it has none."""

    async def is_whole(self) -> bool | None:
        """Whether the line to the siren is good, found without a sound; None where that cannot be told."""

    def close(self) -> None:
        """Leaves it off where that can be done at once."""


class Relay:
    """A relay on a bus. Switching goes before every poll that waits there."""

    def __init__(self, table: DeviceTable, driver: OutputDriver, bus: Bus) -> None:
        self.name = table.name
        self._table = table
        self._driver = driver
        self._bus = bus
        self._guard = driver if isinstance(driver, GuardedDriver) else None
        self.hold_s = min(HOLD_S, self._guard.hold_s) if self._guard else HOLD_S
        self.tells = driver.feedback is not None or (self._guard is not None and self._guard.line is not None)
        self._guarded = self._is_on = False

    async def switch(self, *, on: bool, stage: Stage) -> None:  # noqa: ARG002 - a relay has one tone
        if on and not self._is_on:
            self._guarded = False  # since it was last told, weeks may have passed, and its power may have been away
        self._is_on = on
        try:
            for write in self._driver.command(on=on):
                await self._bus.exchange(self._table.unit, write, self._table.deadline_s, SIREN_FIRST)
        except RejectedError:
            self._guarded = False  # it may have lost its power, and its settings with that
            raise

    async def guard(self) -> None:
        if not self._guarded and self._guard is not None:
            for write in self._guard.guard:
                await self._bus.exchange(self._table.unit, write, self._table.deadline_s, SIREN_FIRST)
            self._guarded = True

    async def is_on(self) -> bool | None:
        feedback = self._driver.feedback
        return None if feedback is None else self._driver.is_on(await self._ask(feedback))

    async def is_whole(self) -> bool | None:
        """Where nothing can be told, it is found out at least whether the relay answers."""
        if not self.tells:
            await self._is_there()
        line = self._guard.line if self._guard else None
        return None if line is None or self._guard is None else self._guard.is_whole(await self._ask(line))

    async def _is_there(self) -> None:
        """Any word of it will do, a refusal too. Raises RejectedError where there is none."""
        try:
            await self._bus.probe(self._table.unit, Request(1, 0, 1), self._table.deadline_s)
        except DeviceRefusedError as err:
            if err.by_gateway:
                raise

    async def contact(self, address: int) -> bool:
        """A discrete input of the relay's device: a button that is wired to it."""
        return bool((await self._ask(Request(2, address, 1)))[0])

    def close(self) -> None:
        """Nothing can be said on a bus that is stopped: `tocsin siren-off` does it, or the relay's own watchdog."""

    async def _ask(self, request: Request) -> list[int]:
        return await self._bus.exchange(self._table.unit, request, self._table.deadline_s, POLL)
