"""How the hub is: what keeps it from its work, what somebody should look at, and what stands still.

It looks at itself every few seconds: writes a row, and asks how far landing's readers are. Nothing here is asked of the
disk by a page or a program that wants to know.
"""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hub import arrivals, forward
from hub.config import HubConfig
from hub.database import Database
from hub.landing import cursor_of
from tocsin.clock import Clock
from tocsin.link import Link

_ANSWER_S = 5.0


@dataclass(frozen=True, slots=True)
class Look:
    """One look at landing and disk. Ages in seconds by the hub's clock, 0 where nothing waits; sizes in bytes."""

    landed: int = 0
    unforwarded: int = 0
    unforwarded_s: float = 0.0
    undecided_s: float = 0.0
    database_bytes: int = 0
    disk_free: int = 0


@dataclass(frozen=True, slots=True)
class Health:
    """`reasons`: the hub cannot do its work; `troubles`: it can, but somebody should look. Sentences."""

    reasons: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        return not self.reasons


class Examiner:
    """`look` every few seconds. `arrived`, `landed`, `ticked` are called by the parts; `also` gives more troubles.

    `progress` is what the intake has counted: a message that is counted and not landed has been dealt with.
    """

    def __init__(
        self, config: HubConfig, database: Database, link_of: Callable[[], Link], clock: Clock,
        real_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.found = Look()
        self.also: list[Callable[[], str]] = []
        self.progress: Callable[[], int] = int
        self._table = config.watchdog
        self._data = Path(config.hub.data)
        self._database = database
        self._link_of = link_of
        self._clock = clock
        self._real_s = real_s
        self._refused = "the hub is starting"
        self._probe: asyncio.Task[Look] | None = None
        self._probed_s = self._ticked_s = self._looked_s = real_s()
        self._waits_s: float | None = None
        self._progress_at = 0
        self._desk_at = (-1, real_s())

    def arrived(self) -> None:
        """A message came that is to be landed."""
        if self._waits_s is None:
            self._waits_s, self._progress_at = self._real_s(), self.progress()

    def landed(self) -> None:
        """A commit ended."""
        self._waits_s = None

    def ticked(self) -> None:
        """The desk let a second pass."""
        self._ticked_s = self._real_s()

    async def look(self) -> None:
        """Returns within 5 s, also where the disk hangs."""
        self._looked_s = self._real_s()
        if self._probe is None:
            self._probed_s = self._real_s()
            self._probe = asyncio.ensure_future(self._database.run(self._write_and_read))
        probe = self._probe
        await asyncio.wait({probe}, timeout=_ANSWER_S)
        if not probe.done():
            self._refused = f"the database has not answered for {self._real_s() - self._probed_s:.0f} s"
            return
        self._probe = None
        try:
            self.found, self._refused = probe.result(), ""
        except (sqlite3.Error, OSError) as err:
            self._refused = f"the database cannot be written: {err}"

    def stalled(self) -> str:
        """What does not go on though it could, in words; "" where all does. A disk that refuses is no such thing: no
        restart would help."""
        now_s, most_s = self._real_s(), self._table.stalled_s
        if self._probe is not None and now_s - self._probed_s > most_s:
            return f"the database has not answered for {now_s - self._probed_s:.0f} s"
        if now_s - self._ticked_s > most_s:
            return f"the desk has not ticked for {now_s - self._ticked_s:.0f} s"
        if self._refused or self.progress() != self._progress_at:
            self._waits_s = None
        if self._refused:
            return ""
        if self._waits_s is not None and now_s - self._waits_s > most_s:
            return f"landing has not moved for {now_s - self._waits_s:.0f} s"
        at, since_s = self._desk_at
        if at >= 0 and now_s - since_s > most_s:
            return f"the desk has not moved for {now_s - since_s:.0f} s"
        return ""

    def health(self) -> Health:
        """As of the last look; the link as of now."""
        table, found = self._table, self.found
        idle_s, link = self._real_s() - self._looked_s, self._link_of()
        reasons = [
            self._refused,
            "" if link.connected else f"no connection to the broker: {link.trouble}",
            f"the desk is {found.undecided_s:.0f} s behind" if found.undecided_s > table.stalled_s else "",
            self.stalled(),
            f"the hub has not looked at itself for {idle_s:.0f} s" if idle_s > table.stalled_s + table.every_s else "",
        ]
        free_mb = found.disk_free >> 20
        troubles = [
            f"the store is {found.unforwarded_s:.0f} s behind" if found.unforwarded_s > table.behind_s else "",
            f"{free_mb} MB are free on the disk of {self._data}"
            if found.disk_free and free_mb < table.disk_free_mb else "",
            *(more() for more in self.also),
        ]
        return Health(list(dict.fromkeys(filter(None, reasons))), list(filter(None, troubles)))

    def _write_and_read(self) -> Look:
        now_ms = self._clock.now_ms()
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('looked', ?)", (str(now_ms),))
            desk, forwarder = (cursor_of(connection, reader) for reader in (arrivals.READER, forward.READER))
            first, last = connection.execute("SELECT min(id), max(id) FROM landing").fetchone()
            unforwarded = connection.execute(
                "SELECT arrived FROM landing WHERE id > ? ORDER BY id LIMIT 1", (forwarder,)).fetchone()
            undecided = connection.execute(
                "SELECT arrived FROM landing WHERE id > ? AND kind IN ('detection', 'answer') ORDER BY id LIMIT 1",
                (desk,)).fetchone()
        self._see_desk(desk, waits=undecided is not None)
        return Look(
            landed=last - first + 1 if last else 0,
            unforwarded=max(0, (last or 0) - max(forwarder, (first or 1) - 1)),
            unforwarded_s=_age_s(unforwarded, now_ms),
            undecided_s=_age_s(undecided, now_ms),
            database_bytes=sum(path.stat().st_size for path in self._data.glob("hub.sqlite*")),
            disk_free=shutil.disk_usage(self._data).free,
        )

    def _see_desk(self, cursor: int, *, waits: bool) -> None:
        if not waits:
            self._desk_at = (-1, self._real_s())
        elif cursor != self._desk_at[0]:
            self._desk_at = (cursor, self._real_s())


def _age_s(row: tuple[int] | None, now_ms: int) -> float:
    return max(0.0, (now_ms - row[0]) / 1000) if row else 0.0
