"""What keeps the hub itself running, wired: its look at itself, its pulse, the nightly backup, metrics."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from hub.config import HubConfig
from hub.database import Database
from hub.health import Examiner, Health
from hub.metrics import Rows, Scrape, exposition, read_rows
from hub.nightly import Nightly
from hub.pulse import Pulse
from hub.troubles import Counts
from tocsin.clock import Clock
from tocsin.link import Link, Will
from tocsin.notify import Notify

_ROWS_WITHIN_S = 3.0
_METRICS_EVERY_S = 1.0    # however many ask, or how often


class Operations:
    """`run` until cancelled. `also`: more troubles to tell, "" for none; other parts add theirs."""

    def __init__(
        self, config: HubConfig, file: Path | None, database: Database, clock: Clock, link_of: Callable[[], Link],
        real_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`file`: the hub.toml; `link_of`: the link, which is made after this since it carries the last will."""
        self.nightly = Nightly(database, config, file, clock)
        self.examiner = Examiner(config, database, link_of, clock)
        self.examiner.also.append(self.nightly.trouble)
        self.pulse = Pulse(config, database, clock, self.examiner, Notify.of_environment())
        self._database = database
        self._clock = clock
        self._real_s = real_s
        self._link_of = link_of
        self._reading: asyncio.Future[Rows] | None = None
        self._told: tuple[float, asyncio.Future[bytes]] | None = None

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

    async def metrics(self, counts_of: Callable[[], Counts], stations: Collection[str]) -> bytes:
        """The text that Prometheus reads, at most a second old. Without the database's rows where that does not answer
        soon."""
        now_s = self._real_s()
        if self._told is None or (self._told[1].done() and now_s - self._told[0] >= _METRICS_EVERY_S):
            self._told = now_s, asyncio.ensure_future(self._text(counts_of(), sorted(stations)))
        return await asyncio.shield(self._told[1])

    async def _text(self, counts: Counts, stations: Sequence[str]) -> bytes:
        rows = await self._rows(stations)
        own = {"pulse": self.pulse.counts, "backup": self.nightly.counts}
        scrape = Scrape(
            hub_id=self._database.hub_id, now_ms=self._clock.now_ms(), counts={**counts, **own},
            look=self.examiner.found, health=self.health, rows=rows, connected=self._link_of().connected,
            last_backup=self.nightly.last,
        )
        return await asyncio.to_thread(exposition, scrape)

    async def _rows(self, stations: Sequence[str]) -> Rows:
        """Empty where the disk hangs or refuses. One scrape at a time asks it: other parts need threads too."""
        if self._reading is None or self._reading.done():
            reading = asyncio.to_thread(read_rows, self._database.path, stations)
            self._reading = asyncio.ensure_future(reading)
        done, _ = await asyncio.wait({self._reading}, timeout=_ROWS_WITHIN_S)
        try:
            return self._reading.result() if done else Rows()
        except sqlite3.Error:
            return Rows()
