"""Group rules beside the desk: reads `landing` in its order, keeps what was decided, and wakes the desk with it.

A crash at any moment loses no decision and makes none twice: state, inputs, decisions and the place in `landing` are
one transaction, and what has not been written follows again from the same records.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hub import groups_kept, warnings_kept
from hub import groups_log as log_of
from hub.config import HubConfig
from hub.database import Database
from hub.follow import PIECE_S, follow
from hub.groups import Action, Rebuild, run
from hub.groups_file import groups_of
from hub.groups_inputs import Heard, Input, Ruled, Started, Ticked
from hub.groups_kept import READER, Kept
from hub.groups_log import ROWS, Logged, Owed, Told
from hub.groups_memo import Memo
from hub.groups_rebuild import Rebuilder
from hub.groups_rules import Group
from hub.groups_state import State, Track
from hub.landing import cursor_of
from tocsin.clock import Clock
from tocsin.config import ConfigError, read_toml

_LAZY = 1_000    # rows that changed no level may lie between the durable cursor and the place read to
_AWAY_S = 30.0   # without a link: what is shorter is no reason that nobody was heard

log = logging.getLogger(__name__)


class Groups:
    """`run` follows `landing` and is woken by `wake`; `tick` is called every second of the clock."""

    def __init__(
        self, database: Database, config: HubConfig, clock: Clock, wake_desk: Callable[[], None],
        hears: Callable[[], bool] = lambda: True,
    ) -> None:
        """`hears`: whether there is a link to the stations: while there is none, nobody falls silent. Raises
        ConfigError where the first file of rules is not good. A bad one later leaves the last good one in force, also
        at a start: `refused` says what is wrong with it."""
        self._database = database
        self._clock = clock
        self._wake_desk = wake_desk
        self._too_old_ms = round(config.call.too_old_s * 1000)
        self._path = Path(config.groups.rules) if config.groups.rules else None
        self._stamp: tuple[int, int] | None = None
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._woken.set()
        self._counts: Counter[str] = Counter()
        self._tables: dict[str, Any] | None = None
        self._rules: tuple[Group, ...] = ()
        self._state, self._memo = State(), Memo()
        self._inputs = 0
        self._at_once = ROWS // 5    # fewer where groups are so large that these take long
        self._read_to = self._saved = 0
        self._kept: Kept | None = None
        self._hears = hears
        self._deaf: tuple[int, float] | None = None    # since when: ms UTC, and monotonic
        self.refused = ""
        self.rebuilder = Rebuilder(database, clock)
        self._begin()

    @property
    def counts(self) -> dict[str, int]:
        """Since the start: rules, decided, shadow, rebuilt, reloads, refused files, restarts."""
        return {"rules": len(self._rules), **(self._counts + self.rebuilder.counts)}

    @property
    def rules(self) -> Sequence[Group]:
        """Those in force."""
        return self._rules

    def wake(self) -> None:
        """There is something new in `landing`."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled: works through `landing` as it grows, and beside that reconstructs late history."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self.rebuilder.run(), name="late history of group rules")
            await follow("group rules", self._woken, lambda: self.process(), self._clock, self._failed)

    def _failed(self) -> None:
        self._counts["restarts"] += 1

    async def process(self) -> int:
        """Takes some landed records; returns how many."""
        if self._path is None:
            return 0
        async with self._lock:
            return await self._database.run(self._process)

    async def tick(self) -> None:
        """Lets time pass, and looks whether the file of rules is another one."""
        if self._path is None:
            return
        async with self._lock:
            while await self._database.run(self._process):    # each piece by itself: intake and desk come between
                pass
            await self._database.run(self._tick, self._clock.now_ms())

    async def recent(self, limit: int) -> list[Told]:
        """What was decided, the newest first."""
        return await self._database.run(log_of.recent, self._database.connection, limit)

    # --- in the database's thread -------------------------------------------------------------------------------

    def _begin(self) -> None:
        connection = self._database.connection
        kept = groups_kept.load(connection)
        if self._path is None:
            if kept is not None:
                with self._database.transaction() as transaction:
                    groups_kept.forget(transaction)
            return
        self._stamp = _stamp_of(self._path)
        now_ms = self._clock.now_ms()
        tables, rules = self._read(self._path, kept)
        if kept is None:
            self._read_to = self._saved = log_of.newest(connection)
            self._take([Ruled(now_ms, tables, self._too_old_ms, _standing(connection), log_of.runs(connection))],
                       (tables, rules))
            return
        self._state, self._inputs = kept.state, kept.inputs
        self._tables, self._rules = kept.tables, groups_of(kept.tables, "the rules in force")
        self._read_to = self._saved = cursor_of(connection, READER)
        # what landed before the end counts by the rules and the age of then
        old_ms, self._too_old_ms = self._too_old_ms, kept.too_old_ms
        while self._process():
            pass
        self._too_old_ms = old_ms
        self._take([Started(now_ms)])
        if (tables, old_ms) != (kept.tables, kept.too_old_ms):
            self._take([Ruled(now_ms, tables, old_ms)], (tables, rules))

    def _read(self, path: Path, kept: Kept | None) -> tuple[dict[str, Any], tuple[Group, ...]]:
        """The file, or, where it is not good, what was in force: a hub must come up again after a power cut."""
        try:
            tables = read_toml(path)
            return tables, groups_of(tables, str(path))
        except ConfigError as err:
            if kept is None:
                raise
            self._refuse(err)
            return kept.tables, groups_of(kept.tables, "the rules in force")

    def _refuse(self, err: ConfigError) -> None:
        self._counts["refused files"] += 1
        self.refused = str(err).splitlines()[0]
        log.error("group rules: the ones in force stay: %s", err)

    def _process(self) -> int:
        connection = self._database.connection
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM landing").fetchone()
        rows = log_of.rows_after(connection, self._read_to, last, self._at_once)
        if rows:
            began_s = self._clock.monotonic_s()
            self._take_heartbeats(rows[-1][1].at)
            before, state_before = self._read_to, self._state
            self._read_to = rows[-1][0]
            try:
                self._step([row for _, row in rows])
            except BaseException:
                self._read_to, self._state = before, state_before
                raise
            took_s = self._clock.monotonic_s() - began_s
            if took_s > PIECE_S:
                self._at_once = max(1, round(len(rows) * PIECE_S / took_s))
            elif took_s < PIECE_S / 2:
                self._at_once = min(2 * self._at_once, ROWS)
        return len(rows)

    def _tick(self, now_ms: int) -> None:
        while self._process():
            pass
        self._reload(now_ms)
        self._listen(now_ms)
        self._take_heartbeats(now_ms, all_silent=True)
        self._take([Ticked(now_ms)])

    def _listen(self, now_ms: int) -> None:
        """After a while without a link it is as after a start: nobody could be heard."""
        if not self._hears():
            self._deaf = self._deaf or (now_ms, self._clock.monotonic_s())
            return
        was_away, self._deaf = self._is_away(), None
        if was_away:
            self._take([Started(now_ms)])

    def _is_away(self) -> bool:
        return self._deaf is not None and self._clock.monotonic_s() - self._deaf[1] >= _AWAY_S

    def _take_heartbeats(self, now_ms: int, *, all_silent: bool = False) -> None:
        """Of stations that would begin to count as silent by then, or of all that do, and whose heartbeats say
        otherwise: those do not land. Without a link nobody begins to."""
        heard, t = self._state.heard, self._state.t
        watched = self._memo.index_of(self._rules).watched
        found = [(station, silent_ms) for station, silent_ms in sorted(watched.items())
                 if now_ms - heard.get(station, now_ms) >= silent_ms
                 and (all_silent or t - heard[station] < silent_ms)]
        if self._deaf is not None and self._is_away():
            until = {station: now_ms for station, silent_ms in found if self._deaf[0] - heard[station] < silent_ms}
        else:
            until = log_of.heard_of(self._database.connection, [station for station, _ in found])
        inputs = [Heard(station, until_ms) for station, until_ms in sorted(until.items()) if until_ms > heard[station]]
        if inputs:
            self._take(inputs)

    def _reload(self, now_ms: int) -> None:
        if self._path is None or (stamp := _stamp_of(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            tables = read_toml(self._path)
            rules = groups_of(tables, str(self._path))
        except ConfigError as err:
            self._refuse(err)
            return
        self.refused = ""
        if tables != self._tables:
            self._counts["reloads"] += 1
            self._take([Ruled(now_ms, tables, self._too_old_ms)], (tables, rules))

    def _take(self, inputs: Sequence[Logged], other: tuple[dict[str, Any], tuple[Group, ...]] | None = None) -> None:
        """Inputs that do not land: those that change something are logged."""
        state_before, tables, rules, number = self._state, self._tables, self._rules, self._inputs
        if other is not None:
            self._tables, self._rules = other
        try:
            self._step(inputs, logged=inputs)
        except BaseException:
            self._state, self._tables, self._rules, self._inputs = state_before, tables, rules, number
            raise

    def _step(self, inputs: Sequence[Input], logged: Sequence[Logged] = ()) -> None:
        state, actions = run(self._state, inputs, self._rules, self._too_old_ms, self._memo)
        if state is self._state:
            return
        if logged or actions or self._read_to - self._saved >= _LAZY:
            self._commit(state, actions, logged)
        self._state = state
        if any(isinstance(action, Rebuild) for action in actions):
            self.rebuilder.wake()
        if actions:
            self._wake_desk()

    def _commit(self, state: State, actions: Sequence[Action], logged: Sequence[Logged]) -> None:
        with self._database.transaction() as connection:
            for one in logged:
                self._inputs = log_of.put_input(connection, self._read_to, one)
            for action in actions:
                self._write(connection, action)
            kept = Kept(state, self._tables or {}, self._too_old_ms, self._inputs)
            groups_kept.keep(connection, kept, self._read_to, self._kept)
            groups_kept.put_basis(connection, kept, self._read_to)
        self._saved, self._kept = self._read_to, kept

    def _write(self, connection: sqlite3.Connection, action: Action) -> None:
        if isinstance(action, Rebuild):
            log_of.put_owed(connection, Owed(
                action.at, action.first, action.last, action.upto, self._read_to, self._tables or {}))
            return
        self._counts["shadow" if action.shadow else "decided"] += 1
        log_of.put_decision(connection, self._read_to, action)


def _stamp_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _standing(connection: sqlite3.Connection) -> dict[str, dict[str, Track]]:
    """What stations have raised already, from the warnings that are open."""
    found: dict[str, dict[str, Track]] = {}
    for warning in warnings_kept.still_open(connection):
        for key, one in warning.episodes.items():
            if one.level > 0 and one.group is None:
                track = Track(one.series, one.rule, warning.hazard, one.level, one.revision, one.id, one.changed_at,
                              late=one.historic, shelved=one.shelved, stands=one.stands, boot=one.boot)
                found.setdefault(one.station, {})[key] = track
    return found
