"""What the memory has of a series once a block is taken, except for windows and levels."""

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.state import State
from thresholds.tables import I64, MIDDLE_OF, NEVER, Bools

LAST = 256


def store(state: State, stream: Stream) -> None:
    """Values, times and totals; last of all, for the others look at what was before the block."""
    memory, series, n = state.memory, stream.series, stream.t.size
    _same(state, stream)
    newest_anew = int(stream.anew[-1]) if stream.anew.size else -int(memory.seen[series])
    memory.seen[series] = min(n - newest_anew, MIDDLE_OF)
    if not n:
        return
    place = slice(series, series + 1)
    memory.total[place] += stream.rises(state).sum()
    memory.covered[place] += stream.covers().sum()
    memory.past_raw[series] = np.concatenate([memory.past_raw[series, ::-1], stream.x[-MIDDLE_OF:]])[:-MIDDLE_OF - 1:-1]
    depth = stream.past.size
    memory.past_t[series] = stream.times()[-depth:][::-1]
    memory.good_t[series] = stream.t[-1]


def still(state: State, stream: Stream, limit: int) -> Bools | None:
    """bool[n]: at which readings the value has been the same for so long; None: nowhere. The memory is that before."""
    begins, t = _changes(state, stream), stream.t
    first, newest = int(begins[0]) if begins.size else t.size, int(state.memory.same_t[stream.series])
    lasted = int(t[first - 1]) - newest if first else 0
    longest = int(np.diff(begins, append=t.size).max(initial=0))
    if lasted < limit and (longest < 2 or (longest - 1) * int(stream.since[1:].max()) < limit):
        return None
    times = np.append(newest, t.take(begins))
    found: Bools = t - times.repeat(np.diff(begins, prepend=0, append=t.size)) >= limit
    return found


def _changes(state: State, stream: Stream, begin: int = 0) -> I64:
    """Numbers of the readings from `begin` on that differ from the one before."""
    memory, x = state.memory, stream.x
    found = np.empty(x.size - begin, dtype=np.bool_)
    found[:1] = (begin == 0 and memory.same_t[stream.series] == NEVER) or (
        x[begin] != (x[begin - 1] if begin else memory.past_raw[stream.series, 0]))
    np.not_equal(x[begin + 1:], x[begin:-1], out=found[1:])
    found[stream.anew[(stream.anew >= begin) & (stream.anew < x.size)] - begin] = True
    return np.flatnonzero(found) + begin


def _same(state: State, stream: Stream) -> None:
    """Most values change often: the last change is looked for among the last readings first."""
    for begin in (max(stream.t.size - LAST, 0), 0) if stream.t.size else ():
        found = _changes(state, stream, begin)
        if found.size:
            state.memory.same_t[stream.series] = stream.t[found[-1]]
            return
