"""10 min, 1 h and 1 day of readings made by the hub, where the server does not: all of them on 3.x; on 1.x and 2.x
those that data came too late for, which the server's own tasks do not look at again.

The forwarder notes each window that it has sent readings of, in the transaction that moves its cursor. Some time after
a window's end it is made anew from the store's own readings and overwritten: late data, repeats, crashes and restarts
all end in the same numbers. A whole day of a station can be noted as one: where more wait than MOST, and where nothing
went to the store for so long that its own tasks may have stood still and do not look back that far.
"""

import json
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
from tocsin.times import DAY_MS

DELAY_MS = 60_000       # after a window's end, and after late data: more may come
EVERY_S = 10.0
LONGEST_WAIT_S = 300.0
PUT_OFF_MS = 600_000    # of windows that could not be made: the others come first
MOST = 1_000_000        # windows that wait, 100 MB: of more, days stand as one; then the oldest go
AWAY_MS = REACH_MS // 2    # without a write: the server's tasks are not trusted to look back to what came before it
TOLD_AFTER_S = 900.0
_FORGOTTEN_AT_ONCE = 50    # one in so many: a look for the oldest is a look at all
_STEPS = 1_000          # between two looks at how many wait
_DAY = "day"            # all windows of a day, of each width
_NOTED = "downsampling noted"    # in the table meta: when
_NOTED_EVERY_MS = 60_000

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
        self._keep_ms = keep_days * DAY_MS
        self._fails: tuple[float, str] | None = None    # since when, and why; whatever is made ends it

    def note(self, connection: sqlite3.Connection, moments: Collection[Moment]) -> None:
        """Inside the transaction of the forwarder's cursor."""
        now_ms = self._clock.now_ms()
        for width, width_ms in WIDTHS_MS.items():
            last_ms = now_ms - max(REACH_MS, 2 * width_ms) + width_ms if self._late_only else math.inf
            begins = {(station, t // width_ms * width_ms) for station, t in moments}
            _note(connection, [(width, station, begin, _due_ms(begin + width_ms, now_ms)) for station, begin in begins
                               if self._first_ms(now_ms, width_ms) <= begin < last_ms], now_ms)
        if self._late_only:
            self._note_silence(connection, now_ms)

    def _note_silence(self, connection: sqlite3.Connection, now_ms: int) -> None:
        """Where the store was away for long, whatever its tasks looked after before that is the hub's to make."""
        found = connection.execute("SELECT value FROM meta WHERE key = ?", (_NOTED,)).fetchone()
        noted_ms = int(found[0]) if found else now_ms
        if now_ms - noted_ms > AWAY_MS:
            stations = [name for (name,) in connection.execute("SELECT id FROM stations")]
            days = {(noted_ms - back * DAY_MS) // DAY_MS * DAY_MS for back in range(3)}
            _note(connection, [(_DAY, name, day, _due_ms(day + DAY_MS, now_ms)) for name in stations
                               for day in days], now_ms)
        if found is None or not 0 <= now_ms - noted_ms < _NOTED_EVERY_MS:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_NOTED, str(now_ms)))

    def _first_ms(self, now_ms: int, width_ms: int) -> int:
        """Of the first window whose readings are all held."""
        return now_ms - self._keep_ms + width_ms if self._keep_ms else 0

    async def run(self) -> None:
        """Until cancelled. A store that is away, or lacks the policy that `tocsin hub setup` makes, is tried again."""
        wait_s = EVERY_S
        while True:
            try:
                await self.bound()
                if await self._some_steps():
                    continue
                wait_s = EVERY_S
            except (TransientError, sqlite3.Error) as err:
                self.counts["failed"] += 1
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)
                log.warning("downsampling: %s; next try in %g s", err, wait_s)
            await self._clock.sleep_until(self._clock.monotonic_s() + wait_s)

    def trouble(self) -> str:
        """Where nothing could be made for long; "" else."""
        if self._fails is None or self._clock.monotonic_s() - self._fails[0] < TOLD_AFTER_S:
            return ""
        return f"10 min, 1 h and 1 day of readings are not made: {self._fails[1]}; see `tocsin hub setup`"

    async def _some_steps(self) -> bool:
        """Whether more may be due."""
        for _ in range(_STEPS):
            if not await self.step():
                return False
        return True

    async def bound(self, most: int = MOST) -> None:
        """Where more than that many wait, the windows of each past day and station become one; if that is not enough,
        the oldest are forgotten. Raises sqlite3.Error."""
        if not await self._database.run(self._beyond, most):
            return
        for station in await self._database.run(self._waiting):
            await self._database.run(self._fold, station)
        while forgotten := await self._database.run(self._forget, most):
            self.counts["forgotten"] += forgotten
            log.warning("downsampling: %d of the oldest windows will not be made: too many wait", forgotten)

    async def step(self) -> bool:
        """Makes some windows of one station; False if none is due. Raises TransientError, sqlite3.Error."""
        found = await self._database.run(self._due)
        if found is None:
            return False
        width, station, windows = found
        try:
            await self._make(width, station, [begin for begin, _ in windows])
        except TransientError as err:
            self._fails = (self._fails[0] if self._fails else self._clock.monotonic_s()), str(err)
            await self._database.run(self._put_off, width, station, windows)
            raise
        self._fails = None
        await self._database.run(self._done, width, station, windows)
        self.counts["windows"] += len(windows)
        return True

    async def _make(self, width: str, station: str, begins: Collection[int]) -> None:
        """Raises TransientError."""
        now_ms = self._clock.now_ms()
        for one in WIDTHS_MS if width == _DAY else (width,):
            asked = [at for begin in begins for at in (_within(begin, one) if width == _DAY else (begin,))]
            if held := {begin for begin in asked if begin >= self._first_ms(now_ms, WIDTHS_MS[one])}:
                await make(self._store, one, station, held)

    def _due(self) -> tuple[str, str, list[Window]] | None:
        """The oldest of one width and one station, none of them far from the first."""
        connection = self._database.connection
        now_ms = self._clock.now_ms()
        # what is due later than anything can be was noted before the clock was set back
        late_ms = now_ms + 2 * DAY_MS
        first = connection.execute(
            "SELECT width, station FROM windows WHERE due <= ? ORDER BY due LIMIT 1", (now_ms,)
        ).fetchone() or connection.execute("SELECT width, station FROM windows WHERE due > ? LIMIT 1", (late_ms,)
                                           ).fetchone()
        if first is None:
            return None
        windows = connection.execute(
            "SELECT begin, times FROM windows WHERE width = ? AND station = ? AND (due <= ? OR due > ?) ORDER BY begin"
            " LIMIT ?", (*first, now_ms, late_ms, DAY_MS // min(WIDTHS_MS.values())),
        ).fetchall()
        end_ms = windows[0][0] + DAY_MS    # InfluxDB 3 Core answers no question over three days
        return *first, [window for window in windows if window[0] < end_ms]

    def _beyond(self, most: int) -> int:
        (number,) = self._database.connection.execute("SELECT count(*) FROM windows").fetchone()
        return max(0, int(number) - most)

    def _waiting(self) -> list[str]:
        return [name for (name,) in self._database.connection.execute("SELECT DISTINCT station FROM windows")]

    def _fold(self, station: str) -> None:
        """The days before today of one station."""
        now_ms = self._clock.now_ms()
        chosen = "station = ? AND width IN (SELECT value FROM json_each(?)) AND begin < ?"
        values = (station, json.dumps(list(WIDTHS_MS)), now_ms // DAY_MS * DAY_MS)
        with self._database.transaction() as connection:
            days = connection.execute(f"SELECT DISTINCT begin / {DAY_MS} FROM windows WHERE {chosen}",  # noqa: S608
                                      values).fetchall()
            _note(connection, [(_DAY, station, day * DAY_MS, now_ms) for (day,) in days], now_ms)
            connection.execute(f"DELETE FROM windows WHERE {chosen}", values)  # noqa: S608 - constants

    def _forget(self, most: int) -> int:
        """Some of the oldest, where there are still too many. Returns how many."""
        if not self._beyond(most):
            return 0
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM windows WHERE (width, station, begin) IN (SELECT width, station, begin FROM windows"
                " ORDER BY begin LIMIT ?)", (1 + most // _FORGOTTEN_AT_ONCE,)).rowcount

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
        for width in WIDTHS_MS:
            await make(store, width, station, _within(day * DAY_MS, width))


def _note(connection: sqlite3.Connection, rows: Iterable[tuple[str, str, int, int]], now_ms: int) -> None:
    """Rows of width, station, begin and due."""
    connection.executemany(
        "INSERT INTO windows (width, station, begin, due) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET times = times + 1,"
        " due = CASE WHEN due <= ? THEN excluded.due ELSE min(due, excluded.due) END",
        [(*row, now_ms) for row in rows])


def _within(day_ms: int, width: str) -> range:
    """The begins of a day's windows."""
    return range(day_ms, day_ms + DAY_MS, WIDTHS_MS[width])


def _due_ms(end_ms: int, now_ms: int) -> int:
    """When a window is made. One that ends later than the longest can is of a clock that is wrong, there or here."""
    return min(max(end_ms, now_ms), now_ms + DAY_MS) + DELAY_MS


def downsampler_of(config: HubConfig, database: Database, store: object, clock: Clock) -> Downsampler | None:
    """None where the hub has nothing to make."""
    if config.store.downsample == "off" or not isinstance(store, LineStore):
        return None
    late_only = config.store.downsample == "auto" and place_of(config.store).version < 3
    return Downsampler(database, store, clock, late_only=late_only, keep_days=config.store.influx_keep_days)
