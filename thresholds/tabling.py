"""From a plan to its arrays."""

from collections.abc import Iterable

import numpy as np

from thresholds.bounds import slot_ms, time_unit_ms
from thresholds.plan import Plan, Track
from thresholds.rule import HOUR_MS, MINUTE_MS, SCALE, TRENDS, Feature, LevelRule
from thresholds.tables import (
    AMOUNT,
    BEYOND,
    HOLD_MAX_MS,
    I64,
    NEVER,
    SPARE_ENTRIES,
    SPARE_MINUTES,
    STALE_PERIODS,
    TOTAL,
    VALUE,
    CusumTable,
    Rings,
    SeriesTable,
    SumTable,
    Tables,
    TrackTable,
    TrendTable,
    ValueTable,
)
from tocsin.levels import WARNING_LEVELS, Level


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
        soon=_ints([min(HOLD_MAX_MS, one) for one in stale] + [BEYOND] * groups),
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
    series = _ints([track.series_index for track in plan.tracks])
    period = _ints([one.period_ms for one in plan.all_series])[series]
    most = column("m", 1)
    return TrackTable(
        series=series,
        feature=_ints(feature),
        on=on,
        off=threshold("off", NEVER),
        n=n,
        on_delay=column("on_delay_ms", 0),
        off_delay=column("off_delay_ms", 0),
        min_valid=np.where(by_sum[:, None] == 1, column("min_valid", 0), SCALE),
        which_m=np.searchsorted(_ints(different), most).astype(np.int64),
        m=_ints(different),
        latch=column("latch", 0),
        robust=_ints([rule.robust for rule in rules]),
        twice=by_sum[:, None] * severe,
        early=by_value[:, None] * (n > 1) * (on < BEYOND),
        lowest=on.min(axis=1, initial=BEYOND),
        tops=np.where(on < BEYOND, on, NEVER).max(axis=1, initial=NEVER),
        most=most,
        bits=(1 << most) - 1,
        age=2 * most * period[:, None],
    )


def _signed(track: Track, level: LevelRule | None, name: str, absent: int) -> int:
    return absent if level is None else track.rule.threshold_sign * int(getattr(level, name))
