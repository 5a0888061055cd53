"""The nightly backup: made, thinned, taken to another machine by a command. What fails is told until it works again."""

import asyncio
import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from hub.backup import BackupError, make, thin
from hub.config import HubConfig
from hub.config_operations import ARCHIVE
from hub.database import Database
from hub.programs import problem_of
from tocsin.beside import Threads
from tocsin.clock import Clock
from tocsin.messages import encode
from tocsin.times import utc

_KEY = "backup"
_RETRY_S = 3600.0
_LOOK_S = 60.0
LONG_S = 6 * 3600.0  # beside `timeout_s`: no disk copies a hub for so long

log = logging.getLogger(__name__)


class Last(msgspec.Struct, frozen=True):
    """What is known of backups: `tried` and `done` in ms UTC, 0 is never; `error`: of the last one; `unsent`: its
    archive, which is whole and only could not be sent; `made`: when that was made."""

    tried: int = 0
    done: int = 0
    error: str = ""
    unsent: str = ""
    made: int = 0


class Nightly:
    """`run` until cancelled. `last` outlives the process: a hub that was off at the time makes it up."""

    def __init__(self, database: Database, config: HubConfig, file: Path | None, clock: Clock) -> None:
        """`file`: the hub.toml; without one there is no nightly backup."""
        self.counts: Counter[str] = Counter()
        self._database = database
        self._config = config
        self._file = file
        self._clock = clock
        self._began_s = math.inf  # while one is under way
        # what hangs on a folder of another machine must not take a thread that others wait for
        self._thread = Threads(1, "nightly backup")
        found = database.connection.execute("SELECT value FROM meta WHERE key = ?", (_KEY,)).fetchone()
        self.last = msgspec.json.decode(found[0], type=Last) if found else Last()

    @property
    def wanted(self) -> bool:
        return bool(self._config.backup.at) and self._file is not None

    def trouble(self) -> str:
        """Why there is no backup of last night, "" where there is one or none is wanted."""
        lasts_s = self._clock.monotonic_s() - self._began_s
        hangs = lasts_s > LONG_S + self._config.backup.timeout_s
        if not self.wanted or not (self.last.error or hangs):
            return ""
        when = f"{utc(self.last.done):%Y-%m-%d %H:%M} UTC" if self.last.done else "never"
        if hangs:
            return f"the nightly backup has not ended for {lasts_s / 3600:.0f} h (last good one: {when})"
        return f"the nightly backup failed: {self.last.error} (last good one: {when})"

    async def run(self) -> None:
        """Until cancelled. The time is looked at each minute: a clock that was set must not skip a night."""
        while True:
            if self.wanted and self._is_due(self._clock.now_ms()):
                await self.make()
            await self._clock.sleep_until(self._clock.monotonic_s() + _LOOK_S)

    async def make(self) -> None:
        """One backup now; what goes wrong stands in `last`. One that only could not be sent is sent, not made again:
        a line that is down for days must not fill the disk with archives, nor thin the older nights away."""
        table, now_ms = self._config.backup, self._clock.now_ms()
        error, archive, made_ms = "", None, self.last.made
        self._began_s = self._clock.monotonic_s()
        beside = partial(asyncio.get_running_loop().run_in_executor, self._thread)
        try:
            archive = await beside(self._unsent, now_ms)
            if archive is None:
                archive = await beside(make, self._config, self._file or Path(), Path(table.folder), now_ms)
                made_ms = now_ms
            await beside(thin, Path(table.folder), table.keep)
            if table.send:
                await send(table.send, archive, table.timeout_s)
        except (BackupError, OSError) as err:
            error = str(err)
            log.error("nightly backup: %s; next try in %g s", error, _RETRY_S)
        finally:
            self._began_s = math.inf
        self.counts["failed" if error else "made"] += 1
        waits = (str(archive), made_ms) if error and archive is not None else ("", 0)
        self.last = Last(now_ms, self.last.done if error else now_ms, error, *waits)
        try:
            await self._database.run(self._keep, self.last)
        except sqlite3.Error as err:  # known in this process all the same
            log.error("nightly backup: it cannot be noted: %s", err)

    def _unsent(self, now_ms: int) -> Path | None:
        """The archive of this night that waits to be sent."""
        due_ms = due_before(self._config.backup.at, self._config.hub.timezone, now_ms)
        fresh = self.last.unsent and due_ms <= self.last.made <= now_ms
        return Path(self.last.unsent) if fresh and Path(self.last.unsent).is_file() else None

    def _is_due(self, now_ms: int) -> bool:
        if self.last.error:
            return not self.last.tried <= now_ms < self.last.tried + _RETRY_S * 1000
        # tried in what is the future now: the clock was wrong then, and must not cost the nights until that day
        due_ms = due_before(self._config.backup.at, self._config.hub.timezone, now_ms)
        return not due_ms <= self.last.tried <= now_ms

    def _keep(self, last: Last) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_KEY, encode(last).decode()))


def due_before(at: str, timezone: str, now_ms: int) -> int:
    """The last moment at or before now (ms UTC) at which a clock of that zone showed HH:MM."""
    now = utc(now_ms).astimezone(ZoneInfo(timezone))
    hour, minute = (int(part) for part in at.split(":"))
    due = datetime(now.year, now.month, now.day, hour, minute, tzinfo=ZoneInfo(timezone))
    if due > now:
        due -= timedelta(days=1)
    return round(due.timestamp() * 1000)


async def send(command: Sequence[str], archive: Path, timeout_s: float) -> None:
    """Runs the command with the archive's path for {archive}. Raises BackupError unless it ends with 0 in time."""
    words = [word.replace(ARCHIVE, str(archive)) for word in command]
    if problem := await problem_of(words, timeout_s):
        raise BackupError(f"send: {problem}")
