"""Can what a record says be true? Times, values, levels and names that no store and no rule could bear are refused."""

import functools
import math
from collections.abc import Sequence

from hub.refusal import Refusal, RefusedError
from hub.store import EARLIEST_MS, LATEST_MS, LONGEST_NAME
from tocsin.levels import Level
from tocsin.messages import Detection, Readings, Record, Siren, Start, StationCard, Summary
from tocsin.orders import LARGEST_VERSION, Papers
from tocsin.times import iso
from tocsin.topics import AREA_CODE

INT64 = 1 << 63
LONGEST_HOLD_S = 86_400  # the rules loader allows no more


def check_content(record: Record) -> None:
    """Raises RefusedError."""
    match record:
        case Readings():
            check_times(record.t)
            _check_finite("value", record.value)
            _check_whole("quality", record.quality)
            _check_all_series(record.series)
        case Summary():
            _check_summary(record)
        case Detection():
            check_times([record.t, record.since])
            _check_finite("value, threshold and target", [record.value, record.threshold, record.target or 0.0])
            _check_hold(record.hold_s)
            _check_levels(record.level, record.previous)
            _check_whole("revision and over_s", [record.revision, record.over_s])
            _check_all_series([record.series])
        case Siren():
            check_times([record.t])
            _check_finite("took_ms", [record.took_ms])
            _check_levels(record.level)
        case Start():
            check_times([record.t])
            _check_card(record.card)
        case Papers():
            check_times([record.t])
            _check_whole("rules_version", [record.rules_version], LARGEST_VERSION)
        case _:
            check_times([record.t])


def _check_summary(record: Summary) -> None:
    check_times([record.since, *record.t])
    _check_finite("min, max, mean and last", [*record.min, *record.max, *record.mean, *record.last])
    _check_whole("count and quality", [*record.count, *record.quality])
    _check_all_series(record.series)


def check_times(times: list[int]) -> None:
    """Raises RefusedError."""
    # this and its neighbours look at whole columns: a loop is only for the words of a refusal
    if times and not (min(times) >= EARLIEST_MS and max(times) < LATEST_MS):
        bad = next(t for t in times if not EARLIEST_MS <= t < LATEST_MS)
        raise RefusedError(Refusal.TIME, f"{bad} ms is not between {iso(EARLIEST_MS)} and {iso(LATEST_MS)}")


def _check_finite(what: str, values: Sequence[float]) -> None:
    if not all(map(math.isfinite, values)):
        bad = next(value for value in values if not math.isfinite(value))
        raise RefusedError(Refusal.VALUE, f"{what}: {bad} is not a finite number")


def _check_whole(what: str, values: Sequence[int], end: int = INT64) -> None:
    if values and not (min(values) >= 0 and max(values) < end):
        bad = next(value for value in values if not 0 <= value < end)
        raise RefusedError(Refusal.VALUE, f"{what}: {bad}; use 0 and up")


def _check_hold(hold_s: float) -> None:
    if not 0 <= hold_s <= LONGEST_HOLD_S:
        raise RefusedError(Refusal.VALUE, f"hold_s {hold_s}; use 0 to {LONGEST_HOLD_S}")


def _check_levels(*levels: int) -> None:
    if bad := [level for level in levels if not Level.CLEAR <= level <= Level.RED]:
        raise RefusedError(Refusal.VALUE, f"level {bad[0]}; use {Level.CLEAR.value} to {Level.RED.value}")


def _check_all_series(names: list[str]) -> None:
    for series in set(names):
        if not _is_series(series):
            raise RefusedError(Refusal.VALUE, f"series {series[:LONGEST_NAME]!r}; use device/quantity")


@functools.lru_cache(maxsize=1 << 16)  # of a county's series each comes again with every message
def _is_series(series: str) -> bool:
    device, _, quantity = series.rpartition("/")
    return bool(device and quantity) and len(series) <= LONGEST_NAME and min(series) >= " "


def _check_card(card: StationCard) -> None:
    if not AREA_CODE.fullmatch(card.area):
        raise RefusedError(Refusal.VALUE, f'area "{card.area[:LONGEST_NAME]}"; use 12 digits')
    if not (abs(card.latitude) <= 90 and abs(card.longitude) <= 180):
        raise RefusedError(Refusal.VALUE, f"position {card.latitude}, {card.longitude}; use degrees north and east")
