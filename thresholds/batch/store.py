"""What the memory has of a series once a block is taken, except for windows and levels."""

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.state import State
from thresholds.tables import NEVER

MIDDLE_OF = 3


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


def changed(state: State, stream: Stream) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """bool[n]: which readings differ from the one before."""
    before, series = state.memory.past_raw[stream.series, :1], stream.series
    found = np.concatenate([stream.x[:1] != before, stream.x[1:] != stream.x[:-1]])
    found[stream.anew[stream.anew < found.size]] = True
    if state.memory.same_t[series] == NEVER:
        found[:1] = True
    return found


def _same(state: State, stream: Stream) -> None:
    found = changed(state, stream)[::-1]
    if found.size:
        back = int(found.argmax())
        if found[back]:
            state.memory.same_t[stream.series] = stream.t[found.size - 1 - back]
