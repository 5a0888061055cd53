"""10 min, 1 h and 1 day of readings made by the hub, where the server does not: all of them on 3.x; on 1.x and 2.x
those that data came too late for, which the server's own tasks do not look at again.

The forwarder notes each window that it has sent readings of, in the transaction that moves its cursor. Some time after
a window's end it is made anew from the store's own readings and overwritten: late data, repeats, crashes and restarts
all end in the same numbers.
"""

import logging
import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from hub.config import HubConfig
from hub.database import Database
from hub.errors import TransientError
from hub.forward import Moment
from hub.influx.place import place_of
from hub.influx.rollups import REACH_MS, WIDTHS_MS, line, select
from hub.influx.store import LineStore
from tocsin.clock import Clock

DELAY_MS = 60_000       # after a window's end, and after late data: more may come
EVERY_S = 10.0
LONGEST_WAIT_S = 300.0
PUT_OFF_MS = 600_000    # of windows that could not be made: the others come first
_DAY_MS = 86_400_000    # of readings of one station in one question; InfluxDB 3 Core answers none over three days

log = logging.getLogger(__name__)

Window = tuple[int, int]    # begin, how often it was noted


class Downsampler:
    """`note` goes into `Forwarder.on_forwarded`; `run` must run beside it."""

    def __init__(
        self, database: Database, store: LineStore, clock: Clock, *, late_only: bool, keep_days: int = 0
    ) -> None:
        """`late_only`: only windows that the server's own tasks do not look at again. Windows that began before the
        store's retention of `keep_days` are left as they are: their readings are gone in part."""
        self.counts: Counter[str] = Counter()
        self._database = database
        self._store = store
        self._clock = clock
        self._late_only = late_only
        self._keep_ms = keep_days * _DAY_MS

    def note(self, connection: sqlite3.Connection, moments: Collection[Moment]) -> None:
        """Inside the transaction of the forwarder's cursor."""
        now_ms = self._clock.now_ms()
        for width, width_ms in WIDTHS_MS.items():
            last_ms = now_ms - max(REACH_MS, 2 * width_ms) + width_ms if self._late_only else math.inf
            first_ms = now_ms - self._keep_ms + width_ms if self._keep_ms else 0
            begins = {(station, t // width_ms * width_ms) for station, t in moments}
            connection.executemany(
                "INSERT INTO windows (width, station, begin, due) VALUES (?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET times = times + 1,"
                " due = CASE WHEN due <= ? THEN excluded.due ELSE min(due, excluded.due) END",
                [(width, station, begin, _due_ms(begin + width_ms, now_ms), now_ms) for station, begin in begins
                 if first_ms <= begin < last_ms],
            )

    async def run(self) -> None:
        """Until cancelled. A store that is away, or lacks the policy that `tocsin hub setup` makes, is tried again."""
        wait_s = EVERY_S
        while True:
            try:
                while await self.step():
                    pass
                wait_s = EVERY_S
            except (TransientError, sqlite3.Error) as err:
                self.counts["failed"] += 1
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                log.warning("downsampling: %s; next try in %g s", err, wait_s)
            await self._clock.sleep_until(self._clock.monotonic_s() + wait_s)

    async def step(self) -> bool:
        """Makes some windows of one station; False if none is due. Raises TransientError, sqlite3.Error."""
        found = await self._database.run(self._due)
        if found is None:
            return False
        width, station, windows = found
        try:
            await make(self._store, width, station, {begin for begin, _ in windows})
        except TransientError:
            await self._database.run(self._put_off, width, station, windows)
            raise
        await self._database.run(self._done, width, station, windows)
        self.counts["windows"] += len(windows)
        return True

    def _due(self) -> tuple[str, str, list[Window]] | None:
        """The oldest of one width and one station, none of them far from the first."""
        connection = self._database.connection
        now_ms = self._clock.now_ms()
        # what is due later than anything can be was noted before the clock was set back
        found = (now_ms, now_ms + 2 * _DAY_MS)
        first = connection.execute(
            "SELECT width, station FROM windows WHERE due <= ? OR due > ? ORDER BY due LIMIT 1", found
        ).fetchone()
        if first is None:
            return None
        windows = connection.execute(
            "SELECT begin, times FROM windows WHERE width = ? AND station = ? AND (due <= ? OR due > ?) ORDER BY begin"
            " LIMIT ?", (*first, *found, _DAY_MS // min(WIDTHS_MS.values())),
        ).fetchall()
        end_ms = windows[0][0] + _DAY_MS
        return *first, [window for window in windows if window[0] < end_ms]

    def _put_off(self, width: str, station: str, windows: Sequence[Window]) -> None:
        due_ms = self._clock.now_ms() + PUT_OFF_MS
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE windows SET due = ? WHERE width = ? AND station = ? AND begin = ?",
                [(due_ms, width, station, begin) for begin, _ in windows],
            )

    def _done(self, width: str, station: str, windows: Sequence[Window]) -> None:
        """One that was noted again meanwhile stays."""
        with self._database.transaction() as connection:
            connection.executemany(
                "DELETE FROM windows WHERE width = ? AND station = ? AND begin = ? AND times = ?",
                [(width, station, begin, times) for begin, times in windows],
            )


async def make(store: LineStore, width: str, station: str, begins: Collection[int]) -> None:
    """Makes windows of one station from what the store holds, and writes them over what was made before. They begin
    within a day, there is one at least. Raises TransientError."""
    asked = select(station, width, min(begins), max(begins) + WIDTHS_MS[width])
    lines = [
        line(width, station, one["tags"]["device"], one["tags"]["quantity"], (int(row[0]), *row[1:6]))
        for one in await store.query(asked, patient=True) for row in one["values"]
        if int(row[0]) in begins and row[5]
    ]  # fmt: skip
    if lines:
        await store.write_downsampled(lines)


async def make_days(config: HubConfig, store: object, station: str, days: Iterable[int]) -> None:
    """All windows of whole days since 1970, where somebody keeps windows: for readings that went past the forwarder.
    Raises TransientError."""
    if config.store.downsample == "off" or not isinstance(store, LineStore):
        return
    for day in sorted(days):
        for width, width_ms in WIDTHS_MS.items():
            await make(store, width, station, range(day * _DAY_MS, (day + 1) * _DAY_MS, width_ms))


def _due_ms(end_ms: int, now_ms: int) -> int:
    """When a window is made. One that ends later than the longest can is of a clock that is wrong, there or here."""
    return min(max(end_ms, now_ms), now_ms + _DAY_MS) + DELAY_MS


def downsampler_of(config: HubConfig, database: Database, store: object, clock: Clock) -> Downsampler | None:
    """None where the hub has nothing to make."""
    if config.store.downsample == "off" or not isinstance(store, LineStore):
        return None
    late_only = config.store.downsample == "auto" and place_of(config.store).version < 3
    return Downsampler(database, store, clock, late_only=late_only, keep_days=config.store.influx_keep_days)
