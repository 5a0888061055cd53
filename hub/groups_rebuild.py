"""What group rules would have decided had late history come in time: marked, recorded, shown; it calls nobody."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hub import groups_log
from hub.groups import Rebuild, run
from hub.groups_inputs import Landed, Ruled, Ticked
from hub.groups_rules import Group
from hub.groups_state import Decision, State

_NEVER_OLD_MS = 1 << 60


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
