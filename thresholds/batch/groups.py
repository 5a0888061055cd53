"""Coincidence over a block: what a group's series reads. docs/detection.md, 6."""

import numpy as np

from thresholds.batch.stream import Stream, make
from thresholds.batch.track import Move
from thresholds.plan import Group
from thresholds.state import State
from thresholds.tables import I64


def gather(state: State, number: int, streams: list[Stream | None], moves: dict[int, list[Move]],
           levels: I64) -> Stream | None:
    """The readings of group `number`; None where no member took one. `levels` (int64[tracks]): before the block."""
    memory, group = state.memory, state.plan.groups[number]
    series = state.tables.tracks.series[[index for index, _ in group.members]].tolist()
    heard = {one: stream for one in set(series) if (stream := streams[one]) is not None and stream.t.size}
    if not heard:
        return None
    row = np.unique(np.concatenate([stream.row for stream in heard.values()]))
    newest = np.full(row.size, max(int(memory.good_t[one]) for one in set(series)))
    for stream in heard.values():
        np.maximum(newest, _onward(stream, row), out=newest)
    order = np.arange(row.size)
    steps = np.concatenate([[memory.group_t[number] + 1], newest[1:] - order[1:]])
    steps[0] = max(int(steps[0]), int(newest[0]))
    t = np.maximum.accumulate(steps) + order
    x = np.zeros_like(t)
    begin = sum(len(one.members) for one in state.plan.groups[:number])
    for place, (index, weight) in enumerate(group.members, begin):
        noted = _noted(heard.get(series[place - begin]), group, moves.get(index, []), int(levels[index]))
        times = np.concatenate([memory.member_t[place:place + 1], noted[1]])
        then = times[np.searchsorted(noted[0], row, "right")]
        x += np.where(then > t - group.rule.over_ms, weight, 0)
        memory.member_t[place] = times[-1]
    memory.group_t[number] = t[-1]
    return make(state, len(state.plan.series) + number, row, t, x, np.zeros(0, dtype=np.int64))


def _onward(stream: Stream, row: I64) -> I64:
    """The newest time of a stream at each row."""
    times = np.concatenate([stream.past[-1:], stream.t])
    return times[np.searchsorted(stream.row, row, "right")]


def _noted(stream: Stream | None, group: Group, moves: list[Move], level: int) -> tuple[I64, I64]:
    """Rows in which a member took a reading and stands at the level that counts, and the times of these readings."""
    none = np.zeros(0, dtype=np.int64)
    if stream is None:
        return none, none
    at = int(group.rule.at)
    begins, stands = [0, *(move.row for move in moves)], [level, *(move.level for move in moves)]
    if max(stands) < at:
        return none, none
    last = stream.last_of_rows()
    row, t = stream.row[last], stream.t[last]
    standing = np.array(stands)[np.searchsorted(begins[1:], row, "right")] >= at
    return row[standing], t[standing]
