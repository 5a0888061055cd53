"""A plan as arrays: what the kernel looks up and never changes. All times in ms, all values in thousandths.

A *feature* is one number per series and way of looking at it: the value, a sum over a window, a slope, a time to a
threshold, a CUSUM. Features of one kind stand together; `first` of each kind's table is where they begin. A feature
carries its rule's sign, so that more is always worse: tracks compare without knowing a direction.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from thresholds.bounds import slot_ms, time_unit_ms
from thresholds.plan import Plan, Track
from thresholds.rule import MINUTE_MS, SCALE, TRENDS, Feature, LevelRule
from tocsin.levels import WARNING_LEVELS, Level

I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Pick = slice | I64

NEVER = -(2**62)
BEYOND = 2**62
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
STALE_PERIODS = 3
SPARE_ENTRIES = 3     # the one before the window, the one that the window cuts, the one being written
SPARE_MINUTES = 2     # the one being written, the one that the window begins in
MINIMA = DAY_MS // MINUTE_MS


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """One entry a series of `Plan.all_series`.

    `kind`: 0 a value, 1 an amount since the last reading, 2 a running total of amounts. A reading further than
    max(`floor`, `rate` x minutes) from what came before is held; `floor` is BEYOND where there is no such check.
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


VALUE, AMOUNT, TOTAL = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Rings:
    """Past entries of some series, one ring after the other in flat arrays of `length` entries."""

    series: I64
    slot: I64
    size: I64
    at: I64
    length: int


@dataclass(frozen=True, slots=True)
class ValueTable:
    """Readings as they are, times `sign`."""

    first: int
    series: I64
    sign: I64


@dataclass(frozen=True, slots=True)
class SumTable:
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


@dataclass(frozen=True, slots=True)
class TrendTable:
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


@dataclass(frozen=True, slots=True)
class CusumTable:
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


@dataclass(frozen=True, slots=True)
class TrackTable:
    """One row a track; thresholds have a column for each of blue, yellow, orange and red.

    `on` and `off` carry the sign; where a rule has no such level they can never be reached. `which_m` is an index into
    `m`. `lowest` and `tops` are the `on` of the lowest and the highest level. `robust` is 1 where bin medians must
    agree; `twice` is 1 for levels that need a second reading of rain. `early` is 1 where a held reading counts at once.
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


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything of a plan. `features` is how many there are; `rain` are the series whose amounts add up."""

    series: SeriesTable
    values: ValueTable
    sums: SumTable
    trends: TrendTable
    cusums: CusumTable
    tracks: TrackTable
    features: int
    rain: I64


def pick(mask: Bools) -> Pick:
    """An index of what is true: the whole array as a view where all is, which spares the copies."""
    return slice(None) if bool(mask.all()) else np.flatnonzero(mask)


def tables_of(plan: Plan) -> Tables:
    """The arrays of a plan."""
    keys = [_key(track) for track in plan.tracks]
    of_kind = {kind: sorted({key[1:] for key in keys if key[0] == kind}) for kind in range(4)}
    firsts = np.cumsum([0, *(len(of_kind[kind]) for kind in range(4))]).tolist()
    places = {(kind, *key): firsts[kind] + number
              for kind, found in of_kind.items() for number, key in enumerate(found)}
    return Tables(
        series=_series(plan),
        values=_values(of_kind[0], firsts[0]),
        sums=_sums(plan, of_kind[1], firsts[1]),
        trends=_trends(plan, of_kind[2], firsts[2]),
        cusums=_cusums(of_kind[3], firsts[3]),
        tracks=_tracks(plan, [places[key] for key in keys]),
        features=firsts[4],
        rain=_ints([index for index, one in enumerate(plan.series) if one.summed]),
    )


Key = tuple[int, ...]
_DERIVED = {Feature.RATE: 0, Feature.SLOPE: 1, Feature.TIME_TO: 2}


def _key(track: Track) -> Key:
    """The feature of a track: its kind, and what tells it from others of the kind."""
    rule, series = track.rule, track.series_index
    if rule.feature is Feature.SUM:
        return 1, int(rule.over_ms > HOUR_MS), series, rule.over_ms
    if rule.feature in TRENDS:
        target = (rule.target * rule.sign, NEVER if rule.floor is None else rule.floor * rule.sign)
        extra = target if rule.feature is Feature.TIME_TO else (0, 0)
        n_min = 0 if rule.feature is Feature.RATE else rule.n_min
        return 2, _DERIVED[rule.feature], series, rule.over_ms, rule.sign, n_min, *extra
    if rule.feature is Feature.CUSUM:
        fixed = NEVER if rule.reference is None else rule.reference * rule.sign
        return 3, series, rule.sign, rule.allowance, 2 * max(level.on for level in rule.levels), fixed
    return 0, series, rule.sign


def _ints(values: object) -> I64:
    return np.array(values, dtype=np.int64)


def _series(plan: Plan) -> SeriesTable:
    groups = len(plan.groups)
    every = plan.all_series
    checked = [check.rate_per_min > 0 or check.floor > 0 for check in plan.checks]
    low = [round(one.plausible[0] * SCALE) for one in every]
    stale = [check.stale_ms or STALE_PERIODS * one.period_ms
             for check, one in zip(plan.checks, plan.series, strict=True)]
    zeros = [0] * groups
    return SeriesTable(
        low=_ints([max(0, bound) if one.summed else bound for bound, one in zip(low, every, strict=True)]),
        high=_ints([round(one.plausible[1] * SCALE) for one in every]),
        period=_ints([one.period_ms for one in every]),
        kind=_ints([TOTAL if one.counter else AMOUNT if one.summed else VALUE for one in plan.series] + zeros),
        floor=_ints([check.floor if held else BEYOND for check, held in zip(plan.checks, checked, strict=True)]
                    + [BEYOND] * groups),
        rate=_ints([check.rate_per_min for check in plan.checks] + zeros),
        stuck=_ints([check.stuck_ms or BEYOND for check in plan.checks] + [BEYOND] * groups),
        blocked=_ints([check.blocked for check in plan.checks] + zeros),
        stale=_ints(stale + [BEYOND] * groups),
    )


def _values(keys: list[Key], first: int) -> ValueTable:
    return ValueTable(first, series=_ints([key[0] for key in keys]), sign=_ints([key[1] for key in keys]))


def _rings(wanted: list[tuple[int, int, int]], spare: int) -> Rings:
    """Rings of (series, slot, longest window), one behind the other."""
    sizes = _ints([-(-window // slot) + spare for _, slot, window in wanted])
    return Rings(
        series=_ints([series for series, _, _ in wanted]),
        slot=_ints([slot for _, slot, _ in wanted]),
        size=sizes,
        at=np.cumsum(sizes, dtype=np.int64) - sizes,
        length=int(sizes.sum()),
    )


def _longest(windows: Iterable[tuple[int, int]]) -> dict[int, int]:
    longest: dict[int, int] = {}
    for series, window in windows:
        longest[series] = max(window, longest.get(series, 0))
    return longest


def _sums(plan: Plan, keys: list[Key], first: int) -> SumTable:
    short = _longest((series, window) for long, series, window in keys if not long)
    long = _longest((series, window) for long, series, window in keys if long)
    place = [list(short), list(long)]
    return SumTable(
        first=first,
        short=sum(1 for key in keys if not key[0]),
        slots=_rings([(series, slot_ms(plan.series[series]), window) for series, window in short.items()],
                     SPARE_ENTRIES),
        minutes=_rings([(series, MINUTE_MS, window) for series, window in long.items()], SPARE_MINUTES),
        series=_ints([series for _, series, _ in keys]),
        ring=_ints([place[long].index(series) for long, series, _ in keys]),
        window=_ints([window for _, _, window in keys]),
    )


def _trends(plan: Plan, keys: list[Key], first: int) -> TrendTable:
    windows = sorted({(key[1], key[2]) for key in keys})
    longest: dict[tuple[int, int], int] = {}
    for series, window in windows:
        unit = time_unit_ms(window)
        longest[series, unit] = max(window, longest.get((series, unit), 0))
    rings = list(longest)
    return TrendTable(
        first=first,
        rings=_rings([(series, slot_ms(plan.series[series]), window) for (series, _), window in longest.items()],
                     SPARE_ENTRIES),
        unit=_ints([unit for _, unit in rings]),
        series=_ints([series for series, _ in windows]),
        ring=_ints([rings.index((series, time_unit_ms(window))) for series, window in windows]),
        window=_ints([window for _, window in windows]),
        rates=sum(1 for key in keys if key[0] == 0),
        slopes=sum(1 for key in keys if key[0] == 1),
        of=_ints([windows.index((key[1], key[2])) for key in keys]),
        sign=_ints([key[3] for key in keys]),
        n_min=_ints([key[4] for key in keys]),
        target=_ints([key[5] for key in keys]),
        floor=_ints([key[6] for key in keys]),
    )


def _cusums(keys: list[Key], first: int) -> CusumTable:
    rings = sorted({(series, sign) for series, sign, _, _, fixed in keys if fixed == NEVER})
    return CusumTable(
        first=first,
        series=_ints([key[0] for key in keys]),
        sign=_ints([key[1] for key in keys]),
        allowance=_ints([key[2] for key in keys]),
        cap=_ints([key[3] for key in keys]),
        fixed=_ints([key[4] for key in keys]),
        minima=_ints([rings.index((key[0], key[1])) if key[4] == NEVER else -1 for key in keys]),
        minima_series=_ints([series for series, _ in rings]),
        minima_sign=_ints([sign for _, sign in rings]),
    )


def _tracks(plan: Plan, feature: list[int]) -> TrackTable:
    rows = [[track.rule.at_level(level) for level in WARNING_LEVELS] for track in plan.tracks]
    rules = [track.rule for track in plan.tracks]
    different = sorted({level.m for row in rows for level in row if level} | {1})
    shape = (len(rows), len(WARNING_LEVELS))

    def column(name: str, absent: int) -> I64:
        return _ints([[int(getattr(level, name)) if level else absent for level in row] for row in rows]).reshape(shape)

    def threshold(name: str, absent: int) -> I64:
        return _ints([[_signed(track, level, name, absent) for level in row]
                      for row, track in zip(rows, plan.tracks, strict=True)]).reshape(shape)

    on = threshold("on", BEYOND)
    n = column("n", 1)
    by_sum = _ints([rule.feature is Feature.SUM for rule in rules])
    by_value = _ints([rule.feature is Feature.VALUE for rule in rules])
    severe = _ints([level >= Level.ORANGE for level in WARNING_LEVELS])
    return TrackTable(
        series=_ints([track.series_index for track in plan.tracks]),
        feature=_ints(feature),
        on=on,
        off=threshold("off", NEVER),
        n=n,
        on_delay=column("on_delay_ms", 0),
        off_delay=column("off_delay_ms", 0),
        min_valid=np.where(by_sum[:, None] == 1, column("min_valid", 0), SCALE),
        which_m=np.searchsorted(_ints(different), column("m", 1)).astype(np.int64),
        m=_ints(different),
        latch=column("latch", 0),
        robust=_ints([rule.robust for rule in rules]),
        twice=by_sum[:, None] * severe,
        early=by_value[:, None] * (n > 1) * (on < BEYOND),
        lowest=on.min(axis=1, initial=BEYOND),
        tops=np.where(on < BEYOND, on, NEVER).max(axis=1, initial=NEVER),
    )


def _signed(track: Track, level: LevelRule | None, name: str, absent: int) -> int:
    """A time to a threshold is the worse the shorter it is, whichever side the target is on."""
    if level is None:
        return absent
    sign = {Feature.TIME_TO: -1, Feature.CUSUM: 1}.get(track.rule.feature, track.rule.sign)
    return sign * int(getattr(level, name))
