"""The local siren: commanded first, written down beside; it needs no hub and no disk."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from edge.bus import SIREN_FIRST, Bus
from edge.config import DeviceTable
from tocsin.devices import OutputDriver
from tocsin.levels import Level
from tocsin.readings import RejectedError

_AGAIN_S = 1.0
_HOLD_S = 10.0  # a relay that lost its power in the storm comes back off: while it must sound, it is told so again
log = logging.getLogger(__name__)

Told = Callable[[Level, str, float], None]
Failed = Callable[[str], None]


class Siren:
    """Keeps one relay as it should be: on from `from_level`, off below; a command that failed is given again.

    On is repeated; off is said once, so that a person can still sound the siren by other means.
    """

    def __init__(
        self, table: DeviceTable, driver: OutputDriver, bus: Bus, from_level: Level, on_done: Told, on_fault: Failed
    ) -> None:
        self._table = table
        self._driver = driver
        self._bus = bus
        self._from = from_level
        self._done = on_done
        self._fault = on_fault
        self._wanted: tuple[Level, str, float] | None = None
        self._sounding: bool | None = None  # None: not known
        self._told: bool | None = None
        self._failed: bool | None = None
        self._wake = asyncio.Event()

    @property
    def name(self) -> str:
        return self._table.name

    @property
    def level(self) -> Level:
        """What it sounds for now; CLEAR while it is silent."""
        return self._wanted[0] if self._sounding and self._wanted else Level.CLEAR

    def command(self, level: Level, why: str, decided_s: float) -> None:
        """Returns at once. `decided_s` is the loop's monotonic second of the deciding read."""
        self._wanted = (level, why, decided_s)
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._wake.clear()
            good = self._wanted is None or await self._obey(*self._wanted)
            with suppress(TimeoutError):
                async with asyncio.timeout(_HOLD_S if good else _AGAIN_S):
                    await self._wake.wait()

    async def _obey(self, level: Level, why: str, decided_s: float) -> bool:
        on = level >= self._from
        if not on and self._sounding is False:
            return True
        try:
            for write in self._driver.command(on=on):
                await self._bus.exchange(self._table.unit, write, self._table.deadline_s, SIREN_FIRST)
        except RejectedError as err:
            self._sounding = None  # it may have obeyed all the same: what is wanted next must be said
            self._tell_fault(on, err)
            return False
        self._sounding = on
        if on is not self._told or self._failed is not None:
            self._done(level if on else Level.CLEAR, why, (time.monotonic() - decided_s) * 1000)
        self._told, self._failed = on, None
        return True

    def _tell_fault(self, on: bool, err: RejectedError) -> None:
        """Once, not at each try."""
        if self._failed is not on:
            log.error("siren %s: cannot be switched %s: %s", self.name, "on" if on else "off", err)
            self._fault(f"cannot be switched {'on' if on else 'off'}: {err}")
        self._failed = on
