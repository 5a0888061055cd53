"""A plan as arrays: what the kernel looks up and never changes. All times in ms, all values in thousandths."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds.plan import MINUTE_MS, LevelRule, Plan, slot_ms
from thresholds.rulefile import SCALE, SUMMED
from tocsin.levels import WARNING_LEVELS

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Pick = slice | I64

NEVER = -(2**62)
BEYOND = 2**62
HOUR_MS = 60 * MINUTE_MS
SPARE_ENTRIES = 3     # the one before the window, the one that the window cuts, the one being written


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """One entry a series."""

    low: I64
    high: I64
    period: I64
    counter: Bools


@dataclass(frozen=True, slots=True)
class SumTable:
    """Rings and the sums on them.

    A ring keeps, for one series, the time, running total and running covered time of past readings: one entry a slot.
    Windows over 1 h share a ring of minutes, shorter ones a ring of half periods. `at` is where a ring begins in the
    flat arrays of `length` entries. A sum is one window on one ring; it begins at a multiple of `step`.
    """

    ring_series: I64
    ring_slot: I64
    ring_size: I64
    ring_at: I64
    length: int
    series: I64
    ring: I64
    window: I64
    step: I64


@dataclass(frozen=True, slots=True)
class TrackTable:
    """One row a track; thresholds have a column for each of blue, yellow, orange and red.

    `feature` is what the track compares: series by their index, then sums. `on` and `off` are multiplied by `sign`,
    -1 where low is bad; where a rule has no such level they can never be reached. `which_m` is an index into `m`.
    """

    series: I64
    feature: I64
    sign: I64
    on: I64
    off: I64
    n: I64
    on_delay: I64
    off_delay: I64
    min_valid: I64
    which_m: I64
    m: I64


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything of a plan."""

    series: SeriesTable
    sums: SumTable
    tracks: TrackTable


def pick(mask: Bools) -> Pick:
    """An index of what is true: the whole array as a view where all is, which spares the copies."""
    return slice(None) if bool(mask.all()) else np.flatnonzero(mask)


def tables_of(plan: Plan) -> Tables:
    """The arrays of a plan."""
    sums = sorted({(track.series_index, track.rule.over_ms) for track in plan.tracks if track.rule.over_ms})
    return Tables(_series(plan), _sums(plan, sums), _tracks(plan, sums))


def _ints(values: object) -> I64:
    return np.array(values, dtype=np.int64)


def _series(plan: Plan) -> SeriesTable:
    rain = [one.judged_as in SUMMED for one in plan.series]
    low = [round(one.plausible[0] * SCALE) for one in plan.series]
    return SeriesTable(
        low=_ints([max(0, bound) if fell else bound for bound, fell in zip(low, rain, strict=True)]),
        high=_ints([round(one.plausible[1] * SCALE) for one in plan.series]),
        period=_ints([one.period_ms for one in plan.series]),
        counter=np.array([one.counter for one in plan.series], dtype=np.bool_),
    )


def _sums(plan: Plan, sums: list[tuple[int, int]]) -> SumTable:
    longest: dict[tuple[int, bool], int] = {}
    for series, window in sums:
        key = (series, window > HOUR_MS)
        longest[key] = max(window, longest.get(key, 0))
    slots = [MINUTE_MS if long else slot_ms(plan.series[series]) for series, long in longest]
    sizes = [-(-window // slot) + SPARE_ENTRIES for window, slot in zip(longest.values(), slots, strict=True)]
    ends = np.cumsum(_ints(sizes))
    rings = list(longest)
    return SumTable(
        ring_series=_ints([series for series, _ in rings]),
        ring_slot=_ints(slots),
        ring_size=_ints(sizes),
        ring_at=ends - _ints(sizes),
        length=sum(sizes),
        series=_ints([series for series, _ in sums]),
        ring=_ints([rings.index((series, window > HOUR_MS)) for series, window in sums]),
        window=_ints([window for _, window in sums]),
        step=_ints([MINUTE_MS if window > HOUR_MS else 1 for _, window in sums]),
    )


def _tracks(plan: Plan, sums: list[tuple[int, int]]) -> TrackTable:
    place = {key: len(plan.series) + index for index, key in enumerate(sums)}
    rows = [[track.rule.at(level) for level in WARNING_LEVELS] for track in plan.tracks]
    signs = [-1 if track.rule.low else 1 for track in plan.tracks]
    different = sorted({level.m for row in rows for level in row if level} | {1})

    def column(name: str, absent: int) -> I64:
        values = [[getattr(level, name) if level else absent for level in row] for row in rows]
        return _ints(values).reshape(len(rows), len(WARNING_LEVELS))

    def threshold(name: str, absent: int) -> I64:
        return _ints([[_signed(level, name, sign, absent) for level in row]
                      for row, sign in zip(rows, signs, strict=True)]).reshape(len(rows), len(WARNING_LEVELS))

    return TrackTable(
        series=_ints([track.series_index for track in plan.tracks]),
        feature=_ints([place.get((track.series_index, track.rule.over_ms), track.series_index)
                       for track in plan.tracks]),
        sign=_ints(signs),
        on=threshold("on", BEYOND),
        off=threshold("off", NEVER),
        n=column("n", 1),
        on_delay=column("on_delay_ms", 0),
        off_delay=column("off_delay_ms", 0),
        min_valid=column("min_valid", 0),
        which_m=np.searchsorted(_ints(different), column("m", 1)).astype(np.int64),
        m=_ints(different),
    )


def _signed(level: LevelRule | None, name: str, sign: int, absent: int) -> int:
    return sign * int(getattr(level, name)) if level else absent
