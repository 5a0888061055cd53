"""Some series of a plan, and all that the live path looks up for them, gathered once.

A row has a reading of nearly every series, or of the few of one device. The first looks at the whole tables, and masks
what is missing. For the others small tables are made; the same few come again at each poll, so that they are kept.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thresholds.tables import I64, Bools

Index = slice | I64  # a slice where the numbers are evenly spaced: a view in place of a copy
U64 = npt.NDArray[np.uint64]


class SeriesPart(NamedTuple):
    """One entry a series of the selection. `doubled`: two periods, `silent`: ten; `slot` is 0 without windows."""

    low: I64
    high: I64
    period: I64
    doubled: I64
    silent: I64
    slot: I64
    floor: I64
    rate: I64
    stuck: I64
    blocked: I64
    total: Bools
    amount: Bools
    checked: Bools
    has_slots: bool
    has_stuck: bool
    has_totals: bool
    has_amounts: bool
    has_checks: bool
    all_checked: bool


class RingPart(NamedTuple):
    """Rings: their `numbers`, the series of the selection that each belongs to (`at`, `places`), begin and size."""

    numbers: Index
    at: Index
    places: I64
    begin: I64
    size: I64


class SumPart(NamedTuple):
    """Sums on one kind of ring. `ring` counts through those of the selection, `out` through all features."""

    numbers: Index
    out: Index
    at: Index
    ring: Index
    begin: I64
    size: I64
    window: I64
    slot: I64
    total: Bools


class AllSums(NamedTuple):
    """All sums: `least` is how long the second newest rain must be past.

    `reach`: a silence that ended longer ago is neither in the window nor in the slot that is being written.
    """

    numbers: Index
    out: Index
    at: Index
    window: I64
    least: I64
    reach: I64
    has_totals: bool


class WindowPart(NamedTuple):
    """Windows of trends, on `ring` of the selection's rings; `rings` and `unit` are of these."""

    rings: RingPart
    unit: I64
    numbers: Index
    at: Index
    ring: Index
    begin: I64
    size: I64
    window: I64
    half: I64


class DerivedPart(NamedTuple):
    """What one kind of trend makes of windows (`of`, of the selection)."""

    out: Index
    at: Index
    of: Index
    sign: I64
    n_min: I64
    target: I64
    floor: I64
    unit: I64
    per_hour: I64


class CusumPart(NamedTuple):
    """Cumulative sums. `minima` are the rings of minute minima to be written."""

    numbers: Index
    out: Index
    at: Index
    sign: I64
    allowance: I64
    cap: I64
    fixed: I64
    minima_of: I64
    minima: I64
    minima_at: I64


class ValuePart(NamedTuple):
    """Readings as they are, times `sign`."""

    out: Index
    at: Index
    sign: I64


class TrackPart(NamedTuple):
    """Tracks. A track whose value is less than `calm`, with the bits of what was below as in `full`, is at rest.

    `least` is the coverage that is asked for; `even`: by all levels of a track alike.
    """

    numbers: I64
    place: Index
    at: Index
    feature: Index
    calm: I64
    least: I64
    full: U64
    even: bool
    early: I64


@dataclass(frozen=True, slots=True)
class Selection:
    """`series` and `ids` are its numbers, `gauges` those entries that bring rain. None: it has nothing of that kind."""

    series: Index
    ids: I64
    count: int
    whole: bool
    own: SeriesPart
    gauges: I64
    slots: RingPart | None
    minutes: RingPart | None
    short: SumPart | None
    long: SumPart | None
    sums: AllSums | None
    windows: WindowPart | None
    rates: DerivedPart | None
    slopes: DerivedPart | None
    times: DerivedPart | None
    cusums: CusumPart | None
    values: ValuePart | None
    tracks: TrackPart | None
