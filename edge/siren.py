"""The local siren: commanded first, written down beside; it needs no hub and no disk."""

import asyncio
import logging
import time
from collections.abc import Callable

from edge.bus import SIREN_FIRST, Bus
from edge.config import DeviceTable
from tocsin.devices import OutputDriver
from tocsin.levels import Level
from tocsin.readings import RejectedError

_AGAIN_S = 1.0
log = logging.getLogger(__name__)

Told = Callable[[Level, str, float], None]
Failed = Callable[[str], None]


class Siren:
    """Keeps one relay as it should be: on from `from_level`, off below; a command that failed is given again."""

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
        self._sounding: bool | None = None
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
            await self._wake.wait()
            self._wake.clear()
            while self._wanted is not None and not self._wake.is_set():
                if await self._obey(*self._wanted):
                    break
                await asyncio.sleep(_AGAIN_S)

    async def _obey(self, level: Level, why: str, decided_s: float) -> bool:
        on = level >= self._from
        if on == self._sounding:
            return True
        try:
            for write in self._driver.command(on=on):
                await self._bus.exchange(self._table.unit, write, self._table.deadline_s, SIREN_FIRST)
        except RejectedError as err:
            log.error("siren %s: cannot be switched %s: %s", self.name, "on" if on else "off", err)
            self._fault(f"cannot be switched {'on' if on else 'off'}: {err}")
            return False
        self._sounding = on
        self._done(level if on else Level.CLEAR, why, (time.monotonic() - decided_s) * 1000)
        return True
