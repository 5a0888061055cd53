"""Coincidence: several tracks that stand at a level at about the same time. docs/detection.md, 6."""

import numpy as np

from thresholds.row import Row, row_of
from thresholds.selecting import few
from thresholds.state import State
from thresholds.tables import Bools


def gather(state: State, taken: Bools) -> Row | None:
    """The readings of the groups that have a member in `taken` (bool[S]); None where there is none."""
    memory, tracks = state.memory, state.tables.tracks
    first = len(state.plan.series)
    heard_of: list[tuple[int, int, int]] = []    # series, time and value
    begin = 0
    for number, group in enumerate(state.plan.groups):
        members = np.array([index for index, _ in group.members], dtype=np.int64)
        place = slice(begin, begin + members.size)
        begin += members.size
        heard = taken[tracks.series[members]]
        if not heard.any():
            continue
        noted = heard & (memory.level[members] >= int(group.rule.at))
        times = memory.good_t[tracks.series[members]]
        memory.member_t[place] = np.where(noted, times, memory.member_t[place])
        now = max(int(times.max()), int(memory.group_t[number]) + 1)
        memory.group_t[number] = now
        weights = np.array([weight for _, weight in group.members], dtype=np.int64)
        within = memory.member_t[place] > now - group.rule.over_ms
        heard_of.append((first + number, now, int(weights[within].sum())))
    if not heard_of:
        return None
    series, t, raw = np.array(heard_of, dtype=np.int64).T.copy()
    return row_of(state, few(state.tables, series), t, raw, None)
