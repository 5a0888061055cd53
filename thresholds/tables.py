"""A plan as arrays: what the kernel looks up and never changes. All times in ms, all values in thousandths.

A *feature* is one number per series and way of looking at it: the value, a sum over a window, a slope, a time to a
threshold, a CUSUM. Features of one kind stand together; `first` of each kind's table is where they begin. A feature
carries its rule's sign, so that more is always worse: tracks compare without knowing a direction. The tables are named
tuples because a station loads them at every start, and those load fastest.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from thresholds.rule import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from thresholds.selection import Selection

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
U8 = npt.NDArray[np.uint8]

NEVER = -(2**62)
BEYOND = 2**62
MIDDLE_OF = 3         # a reading is compared with the middle one of so many before it
STALE_PERIODS = 3     # a series is stale after so many without a good reading, unless its check says otherwise
HOLD_MAX_MS = 6 * HOUR_MS    # a level that stands on a silence longer than that must be confirmed by a person
SPARE_ENTRIES = 3     # the one before the window, the one that the window cuts, the one being written
SPARE_MINUTES = 2     # the one being written, the one that the window begins in
LONE_PERIODS = 3      # a second reading of rain counts at least for so long
SILENT_PERIODS = 10      # a CUSUM is halved after a longer silence
MINIMA = DAY_MS // MINUTE_MS


class SeriesTable(NamedTuple):
    """One entry a series of `Plan.all_series`.

    `kind`: 0 a value, 1 an amount since the last reading, 2 a running total of amounts. A reading further than
    max(`floor`, `rate` x minutes) from what came before is held; `floor` is BEYOND where there is no such check.
    `soon`: nothing is told of a shorter silence.
    """

    low: I64
    high: I64
    period: I64
    kind: I64
    floor: I64
    rate: I64
    stuck: I64
    blocked: I64
    stale: I64
    soon: I64


VALUE, AMOUNT, TOTAL = 0, 1, 2


class Rings(NamedTuple):
    """Past entries of some series, one ring after the other in flat arrays of `length` entries."""

    series: I64
    slot: I64
    size: I64
    at: I64
    length: int


class ValueTable(NamedTuple):
    """Readings as they are, times `sign`."""

    first: int
    series: I64
    sign: I64


class SumTable(NamedTuple):
    """Sums over windows: all of them, those of up to an hour (on slots) before the longer ones (on minutes).

    `ring` counts through `slots` for the first `short` sums, through `minutes` for the others.
    """

    first: int
    short: int
    slots: Rings
    minutes: Rings
    series: I64
    ring: I64
    window: I64


class TrendTable(NamedTuple):
    """Windows for trends, and what is made of each.

    `unit` is the unit of time in a ring's sums. A window is a length on one ring. A derived feature names its window
    (`of`); the first `rates` of them are rates, the next `slopes` are slopes, the others times to a threshold.
    """

    first: int
    rings: Rings
    unit: I64
    series: I64
    ring: I64
    window: I64
    rates: int
    slopes: int
    of: I64
    sign: I64
    n_min: I64
    target: I64
    floor: I64


class CusumTable(NamedTuple):
    """Cumulative sums. `fixed` is the reference times the sign, or NEVER where it is the low quantile of a day.

    `minima` counts through the rings of minute minima, -1 where the reference is fixed.
    """

    first: int
    series: I64
    sign: I64
    allowance: I64
    cap: I64
    fixed: I64
    minima: I64
    minima_series: I64
    minima_sign: I64


class TrackTable(NamedTuple):
    """One row a track; thresholds have a column for each of blue, yellow, orange and red.

    `on` and `off` carry the sign; where a rule has no such level they can never be reached. `which_m` is an index into
    `m`; `most` is M itself, `bits` has a bit for each of M readings, `age` is 2 M periods. `lowest` and `tops` are the
    `on` of the lowest and the highest level. `robust` is 1 where bin medians must agree; `twice` is 1 for levels that
    need a second reading of rain. `early` is 1 where a held reading counts at once.
    """

    series: I64
    feature: I64
    on: I64
    off: I64
    n: I64
    on_delay: I64
    off_delay: I64
    min_valid: I64
    which_m: I64
    m: I64
    latch: I64
    robust: I64
    twice: I64
    early: I64
    lowest: I64
    tops: I64
    most: I64
    bits: I64
    age: I64


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything of a plan. `features` is how many there are; `rain` are the series whose amounts add up.

    `selections` are what the live path has made of these tables for the rows it saw.
    """

    series: SeriesTable
    values: ValueTable
    sums: SumTable
    trends: TrendTable
    cusums: CusumTable
    tracks: TrackTable
    features: int
    rain: I64
    selections: "dict[bytes, Selection]" = field(default_factory=dict, compare=False)
