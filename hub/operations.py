"""What keeps the hub itself running, wired: its look at itself, its pulse, the nightly backup, metrics."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hub.config import HubConfig
from hub.database import Database
from hub.health import Examiner, Health
from hub.metrics import Rows, Scrape, exposition, read_rows
from hub.nightly import Nightly
from hub.pulse import Pulse
from tocsin.clock import Clock
from tocsin.link import Link, Will
from tocsin.notify import Notify

_ROWS_WITHIN_S = 3.0


class Operations:
    """`run` until cancelled. `also`: more troubles to tell, "" for none; other parts add theirs."""

    def __init__(
        self, config: HubConfig, file: Path | None, database: Database, clock: Clock, link_of: Callable[[], Link]
    ) -> None:
        """`file`: the hub.toml; `link_of`: the link, which is made after this since it carries the last will."""
        self.nightly = Nightly(database, config, file, clock)
        self.examiner = Examiner(config, database, link_of, clock)
        self.examiner.also.append(self.nightly.trouble)
        self.pulse = Pulse(config, database, clock, self.examiner, Notify.of_environment())
        self._database = database
        self._clock = clock
        self._link_of = link_of
        self._reading: asyncio.Future[Rows] | None = None

    @property
    def also(self) -> list[Callable[[], str]]:
        return self.examiner.also

    @property
    def health(self) -> Health:
        return self.examiner.health()

    def will(self) -> Will:
        return self.pulse.will()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.pulse.run(self._link_of()), name="pulse")
            tasks.create_task(self.nightly.run(), name="nightly backup")

    async def metrics(self, counts: Mapping[str, Mapping[str, int]], stations: Sequence[str]) -> bytes:
        """The text that Prometheus reads. Without the database's rows where that does not answer soon."""
        rows = await self._rows(stations)
        own = {"pulse": self.pulse.counts, "backup": self.nightly.counts}
        scrape = Scrape(
            hub_id=self._database.hub_id, now_ms=self._clock.now_ms(), counts={**counts, **own},
            look=self.examiner.found, health=self.health, rows=rows, connected=self._link_of().connected,
            last_backup=self.nightly.last,
        )
        return await asyncio.to_thread(exposition, scrape)

    async def _rows(self, stations: Sequence[str]) -> Rows:
        """None where the disk hangs. One scrape at a time asks it: threads of other parts must not run out."""
        if self._reading is None or self._reading.done():
            reading = asyncio.to_thread(read_rows, self._database.path, stations)
            self._reading = asyncio.ensure_future(reading)
        done, _ = await asyncio.wait({self._reading}, timeout=_ROWS_WITHIN_S)
        try:
            return self._reading.result() if done else Rows()
        except sqlite3.Error:
            return Rows()
