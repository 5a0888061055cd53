"""What group rules would have decided had late history come in time: marked, recorded, shown; it calls nobody.

It goes through all that landed about hours or days, so it has a thread and a connection of its own: landing and desk
do not wait. What is owed lies on the disk from the moment when it has settled, and is done again after a crash.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import msgspec

from hub import groups_log
from hub.database import Database
from hub.follow import follow
from hub.groups import Rebuild, run
from hub.groups_file import groups_of
from hub.groups_inputs import Landed, Ruled, Ticked
from hub.groups_log import Owed
from hub.groups_rules import Group
from hub.groups_state import Decision, State
from tocsin.clock import Clock

_NEVER_OLD_MS = 1 << 60


class Rebuilder:
    """`run` is woken by `wake`. `counts`: rebuilt, restarts."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="group-rebuild")
        self._woken = asyncio.Event()
        self._woken.set()

    def wake(self) -> None:
        """Something is owed."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        await follow("late history of group rules", self._woken, lambda: self.process(), self._clock, self._failed)

    async def process(self) -> int:
        """Reconstructs the next that is owed; returns 0 where nothing was."""
        found = await self._database.run(groups_log.owed, self._database.connection)
        if found is None:
            return 0
        number, one = found
        decisions = await asyncio.get_running_loop().run_in_executor(self._thread, self._found, one)
        await self._database.run(self._pay, number, one, decisions)
        self.counts["rebuilt"] += len(decisions)
        return 1

    def _failed(self) -> None:
        self.counts["restarts"] += 1

    def _found(self, one: Owed) -> list[Decision]:
        path = self._database.path.absolute().as_uri()
        with closing(sqlite3.connect(f"{path}?mode=ro", uri=True, timeout=10.0)) as connection:
            asked = Rebuild(one.at, one.first, one.last, one.upto)
            return list(rebuilt(connection, asked, groups_of(one.tables, "the rules of that time")))

    def _pay(self, number: int, one: Owed, decisions: Sequence[Decision]) -> None:
        with self._database.transaction() as connection:
            groups_log.pay(connection, number, one.after, decisions)


def rebuilt(
    connection: sqlite3.Connection, asked: Rebuild, groups: Sequence[Group]
) -> Iterator[Decision]:
    """From what had landed then, by event time. Silence is not judged: when stations were heard is gone."""
    judged = tuple(group for group in groups if not group.technical)
    stations = {name for group in judged for pick in group.picks for name in pick.stations}
    reach_ms = max((_reach_ms(group) for group in judged), default=0)
    first, last = asked.first - reach_ms, asked.last + reach_ms
    rows = groups_log.detections_between(connection, stations, first, last, asked.upto)
    yield from in_order(rows, judged, asked.first, min(last, asked.at))


def in_order(rows: Iterable[Landed], groups: Sequence[Group], first: int, last: int) -> Iterator[Decision]:
    """Decisions from `first` to `last` over rows that are in order of event time."""
    state, _ = run(State(), [Ruled(0, {})], groups, _NEVER_OLD_MS)
    _, actions = run(state, [*rows, Ticked(last)], groups, _NEVER_OLD_MS)
    for action in actions:
        if isinstance(action, Decision) and first <= action.at <= last:
            yield msgspec.structs.replace(action, rebuilt=True)


def _reach_ms(group: Group) -> int:
    return sum(pick.to_ms for pick in group.picks) + group.on_delay_ms + group.off_delay_ms
