"""What gauges of rain say of one another: whether rain comes from one reading alone, and which gauge stays dry."""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.state import State
from thresholds.tables import I64, LONE_PERIODS, Bools


@dataclass(frozen=True, slots=True)
class Gauge:
    """When a gauge brought rain: the last two times before the block and those in it, oldest first.

    `numbers` and `rows` are the readings of the block that did, `rises` what they brought.
    """

    times: I64
    numbers: I64
    rows: I64
    rises: I64


def gauges(state: State, streams: list[Stream | None]) -> dict[int, Gauge]:
    """Every gauge of the station, by its series."""
    return {series: _gauge(state, series, streams[series]) for series in state.tables.rain.tolist()}


def _gauge(state: State, series: int, stream: Stream | None) -> Gauge:
    before = state.memory.wet_t[series, ::-1]
    if stream is None:
        none = np.zeros(0, dtype=np.int64)
        return Gauge(before.copy(), none, none, none)
    rises = stream.rises(state)
    numbers = np.flatnonzero(rises > 0)
    return Gauge(np.concatenate([before, stream.t[numbers]]), numbers, stream.row[numbers], rises[numbers])


def lone(found: dict[int, Gauge], stream: Stream, window: int, numbers: I64) -> Bools:
    """Whether the sums at these readings may come from one reading alone. docs/detection.md, 4."""
    after = stream.t[numbers] - max(window, LONE_PERIODS * stream.period)
    own = found[stream.series]
    alone: Bools = own.times[np.searchsorted(own.numbers, numbers, "right")] <= after
    for series, other in found.items():
        if series != stream.series and alone.any():
            alone &= other.times[1 + np.searchsorted(other.rows, stream.row[numbers])] <= after
    return alone


def dry(state: State, found: dict[int, Gauge], streams: list[Stream | None]) -> dict[int, Bools]:
    """Keeps what has rained; which of the last readings of its rows each gauge that is checked has stayed dry at."""
    memory, table = state.memory, state.tables.series
    summed = {series: np.cumsum(np.append(0, gauge.rises)) for series, gauge in found.items()}

    def rained(rows: I64) -> I64:
        """At the end of these rows."""
        fallen = np.full(rows.size, memory.rained[0])
        for series, gauge in found.items():
            fallen += summed[series][np.searchsorted(gauge.rows, rows, "right")]
        return fallen

    dried: dict[int, Bools] = {}
    for series, gauge in found.items():
        stream, blocked = streams[series], int(table.blocked[series])
        if stream is not None and stream.t.size and blocked and len(found) > 1:
            row = stream.row[stream.last_of_rows()]
            then = np.append(memory.rained_at[series], rained(gauge.rows))[np.searchsorted(gauge.rows, row, "right")]
            dried[series] = rained(row) - then >= blocked * (len(found) - 1)
        memory.wet_t[series] = gauge.times[:-3:-1]
    for series, gauge in found.items():
        if gauge.rows.size:
            memory.rained_at[series] = rained(gauge.rows[-1:])[0]
    memory.rained[0] += sum(int(one[-1]) for one in summed.values())
    return dried
