"""What a rule on a series can come to: sums and products that fit 64 bits, and thresholds that can be reached.

The kernel computes in whole numbers modulo 2**64 (docs/detection.md). What it compares is exact while the true number
stays below 2**63; here the largest it can be is worked out from the plausible range, and refused from 2**62 on.
"""

from collections.abc import Iterator

from thresholds.rule import HOUR_MS, LIMIT, MINUTE_MS, SCALE, TRENDS, Feature, Rule
from thresholds.series import Series

FULL = 2**62
SLOT_MS = 500    # a window is kept in slots of at least this many ms, and of half the series' period
FINE_MS, COARSE_MS = 100, 1000    # units of time in which slopes are summed, up to FINE_WINDOW_MS and beyond
FINE_WINDOW_MS = 10 * MINUTE_MS
LEAST_MINUTES = 60    # of the last 24 h must be known before a low quantile of them is a reference


def slot_ms(series: Series) -> int:
    """Readings of one slot are counted as one, at the time of the last of them, in windows of up to an hour."""
    return max(series.period_ms // 2, SLOT_MS)


def time_unit_ms(window_ms: int) -> int:
    """The unit of time in the sums of a slope: fine enough for the window, coarse enough for the sums."""
    return FINE_MS if window_ms <= FINE_WINDOW_MS else COARSE_MS


def problems_of(rule: Rule, series: Series) -> Iterator[str]:
    """What is wrong with this rule on this series: key, value and cure."""
    if rule.datum != series.datum:
        said = f'"{rule.datum}" is not the datum of {series.key}' if rule.datum else f"is missing for {series.key}"
        cure = f'use "{series.datum}"' if series.datum else "leave it out"
        yield f"datum: {said}; {cure}"
    if rule.feature is Feature.SUM:
        yield from _of_sum(rule, series)
    elif rule.feature is Feature.VALUE:
        yield from _of_value(rule, series)
    elif rule.feature is Feature.CUSUM:
        yield from _of_cusum(rule, series)
    elif rule.feature in TRENDS:
        yield from _of_trend(rule, series)


def _range(series: Series) -> tuple[int, int]:
    """The lowest and highest reading that is not refused, in thousandths."""
    low, high = (round(bound * SCALE) for bound in series.plausible)
    return (max(low, 0) if series.summed else low), high


def _plausible(series: Series) -> str:
    return f"{series.key} is plausible from {series.plausible[0]:g} to {series.plausible[1]:g}"


def _short(rule: Rule, series: Series, readings: int) -> Iterator[str]:
    """A window that never holds so many readings."""
    if rule.over_ms < readings * series.period_ms:
        least = readings * series.period_ms / MINUTE_MS
        of = "the period" if readings == 1 else f"{readings} periods"
        yield f"over_min: {rule.over_ms / MINUTE_MS:g} is shorter than {of} of {series.key}; use at least {least:g}"


def _overflow(rule: Rule, series: Series) -> str:
    return (f"over_min: {rule.over_ms / MINUTE_MS:g} min of {series.key} can overflow; use a shorter window, "
            f"a longer period, or a plausible range narrower than {series.plausible[0]:g} to {series.plausible[1]:g}")


def _most(rule: Rule, series: Series) -> int:
    """How many slots a window touches, and one to spare."""
    return rule.over_ms // slot_ms(series) + 2


def _of_sum(rule: Rule, series: Series) -> Iterator[str]:
    yield from _short(rule, series, 1)
    most = _most(rule, series) * _range(series)[1]
    if most >= FULL:
        yield _overflow(rule, series)
    for level in rule.levels:
        if level.on > most:
            yield (f"{level.level.word}: on {level.on / SCALE:g} can never be reached: {_plausible(series)} in one "
                   f"reading, {most / SCALE:g} in {rule.over_ms / MINUTE_MS:g} min")


def _of_value(rule: Rule, series: Series) -> Iterator[str]:
    low, high = _range(series)
    for level in rule.levels:
        if not low <= level.on <= high:
            yield f"{level.level.word}: on {level.on / SCALE:g} can never be read: {_plausible(series)}"
        elif (level.off >= high) if rule.low else (level.off <= low):
            yield (f"{level.level.word}: off {level.off / SCALE:g} can never be passed, so that the level never falls: "
                   f"{_plausible(series)}")


def _of_cusum(rule: Rule, series: Series) -> Iterator[str]:
    low, high = _range(series)
    if rule.reference is None:
        if series.period_ms * LEAST_MINUTES > 24 * HOUR_MS:
            yield (f"reference: is missing; {series.key} is read every {series.period_ms / MINUTE_MS:g} min, and a "
                   f"reference of its own takes {LEAST_MINUTES} readings a day: give a number")
        if rule.allowance >= high - low:
            yield (f"allowance: {rule.allowance / SCALE:g} is never passed: {_plausible(series)}")
        return
    reference = rule.reference
    if not low <= reference <= high:
        yield f"reference: {reference / SCALE:g} can never be read: {_plausible(series)}"
    elif (reference - rule.allowance <= low) if rule.low else (reference + rule.allowance >= high):
        yield (f"allowance: {rule.allowance / SCALE:g} beyond the reference {reference / SCALE:g} is never passed: "
               f"{_plausible(series)}")


def _of_trend(rule: Rule, series: Series) -> Iterator[str]:
    """A rate needs two readings, the others `n_min`. The largest numbers follow from the spread of what is summed.

    With n times in U units and n values in X thousandths, |n Σux - Σu Σx| is at most n² U X / 4 and n Σuu - (Σu)² at
    most n² U² / 4 (Cauchy-Schwarz, and Popoviciu's bound of a variance).
    """
    readings = max(rule.n_min, 2)
    yield from _short(rule, series, readings)
    low, high = _range(series)
    spread, n, unit = high - low, _most(rule, series), time_unit_ms(rule.over_ms)
    units, per_hour = rule.over_ms // unit + 1, HOUR_MS // unit
    largest = [spread * HOUR_MS]
    if rule.feature is not Feature.RATE:
        largest.append(n * n * units * spread // 4 * per_hour)
    if rule.feature is Feature.TIME_TO:
        largest += [n * n * units * units // 4 * spread, spread * per_hour * unit]
    if max(largest) >= FULL:
        yield _overflow(rule, series)
    if rule.feature is Feature.TIME_TO:
        for key, value in (("target", rule.target), ("floor", rule.floor)):
            if value is not None and not low <= value <= high:
                yield f"{key}: {value / SCALE:g} can never be read: {_plausible(series)}"
    if rule.feature is Feature.RATE:
        fastest = spread * HOUR_MS // max(rule.over_ms // 2, 1)
        for level in rule.levels:
            if abs(level.on) > fastest:
                yield (f"{level.level.word}: on {level.on / SCALE:g} an hour can never be reached in "
                       f"{rule.over_ms / MINUTE_MS:g} min: {_plausible(series)}")


def problems_of_series(one: Series) -> Iterator[str]:
    """What is wrong with a series itself."""
    low, high = one.plausible
    if one.period_ms <= 0:
        yield f"series {one.key}: period_ms {one.period_ms} is not allowed; use a number above 0"
    if not -LIMIT < low * SCALE <= high * SCALE < LIMIT:
        yield (f"series {one.key}: plausible {low:g} to {high:g} is not allowed; "
               f"use low and high within ±{LIMIT // SCALE}")
