"""Measured records as stations: every column a series, with rules of every feature at its own quantiles."""

import csv
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from tests.shared_data import shared_path
from tests.threshold_worlds import World
from thresholds.binding import bind
from thresholds.bounds import problems_of
from thresholds.kernel import Block, quantize
from thresholds.rule import Check, Feature, LevelRule, Rule, Rules
from thresholds.series import Series
from tocsin.levels import WARNING_LEVELS, Authority, Level, Stage
from tocsin.readings import Quality
from tocsin.records import Record, read
from tocsin.times import ms_of

HOUR = 3_600_000
Raw = np.ndarray[tuple[int], np.dtype[np.int64]]


def names() -> list[str]:
    """All records that are there."""
    return sorted(path.name.removesuffix(".csv.gz") for path in shared_path("data/records").glob("*.csv.gz"))


@lru_cache(maxsize=2)
def record(name: str) -> Record:
    return read(shared_path(f"data/records/{name}.csv.gz"))


def period_of(found: Record) -> int:
    """The usual time from row to row, in ms."""
    return int(np.median(np.diff(np.array(found.t_ms)[:5000])))


def raw_of(found: Record, column: str) -> Raw:
    """The column in thousandths, without what is missing."""
    values = np.array([value for value in found.columns[column] if value is not None])
    return quantize(values)[0]


@dataclass(frozen=True)
class Event:
    """An event of the records' list: a column over a threshold, or a label (threshold nan)."""

    column: str
    start: int
    end: int
    threshold: float


@cache
def events(name: str) -> tuple[Event, ...]:
    with shared_path("data/records/events.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Event(row["column"], ms_of(row["start"]), ms_of(row["end"]), float(row["threshold"] or "nan"))
            for row in csv.DictReader(file) if row["file"] == name)


def level_rules(ons: list[int], back: int, *, n: int, m: int, period: int) -> tuple[LevelRule, ...]:
    """Levels at `ons`, from blue on; `off` is `back` on the good side."""
    return tuple(
        LevelRule(level, on, on - back, n, m, on_delay_ms=0, off_delay_ms=4 * period, min_valid=800,
                  stage=Stage.WATCH, authority=Authority.AUTO)
        for level, on in zip(WARNING_LEVELS, ons, strict=False))


def column_series(found: Record, column: str) -> Series:
    """Water, gas, pressure: whatever is not rain is judged as a stage. The very highest readings are not plausible."""
    raw, period = raw_of(found, column), period_of(found)
    low, high = int(raw.min()) - 1, int(np.quantile(raw, 0.9998)) + 1
    if column.startswith("rain"):
        return Series(f"{column}/rain_mm", "rain_mm", period, (0.0, high / 1000))
    return Series(f"{column}/stage_m", "stage_m", period, (low / 1000, high / 1000))


def column_rules(found: Record, column: str, series: Series) -> list[Rule]:
    raw, period = raw_of(found, column), series.period_ms
    device = series.device

    def rule(feature: Feature, levels: tuple[LevelRule, ...], over: int = 0, **more: object) -> Rule:
        keys: dict[str, object] = {"low": False, **more}
        return Rule(f"{feature} {keys['low']} {over} {column}", series.judged_as, feature, over, device=device,
                    datum="", levels=levels, **keys)  # type: ignore[arg-type]

    if series.summed:
        windows = [over for over in (HOUR, 3 * HOUR, 24 * HOUR, 4 * period) if over >= period]
        return [rule(Feature.SUM, _sums(raw, over // period, period), over) for over in windows]
    spread = max(int(np.ptp(raw)), 1)
    q = [int(np.quantile(raw, part)) for part in (0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)]
    trend = {"n_min": 4, "robust": True}
    step = max(int(np.quantile(np.abs(np.diff(raw)), 0.95)), 1) * HOUR // period
    speeds = level_rules([step // 4, step // 2, step], step // 10, n=1, m=1, period=period)
    times = level_rules([40 * period, 10 * period, 3 * period], -5 * period, n=1, m=2, period=period)
    cusums = level_rules([spread // 4, spread], spread // 8, n=1, m=1, period=period)
    return [
        rule(Feature.VALUE, level_rules(q[3:], spread // 50, n=2, m=3, period=period)),
        rule(Feature.VALUE, level_rules([q[1], q[0]], -spread // 50, n=1, m=1, period=period), low=True),
        rule(Feature.RATE, speeds, 4 * period),
        rule(Feature.SLOPE, speeds, 8 * period, **trend),
        rule(Feature.TIME_TO, times, 8 * period, target=q[5], floor=q[3], **trend),
        rule(Feature.CUSUM, cusums, allowance=spread // 20),
        rule(Feature.CUSUM, cusums, allowance=spread // 20, reference=q[2], low=True),
    ]


def _sums(raw: Raw, readings: int, period: int) -> tuple[LevelRule, ...]:
    total = np.concatenate([[0], np.cumsum(raw)])
    sums = total[readings:] - total[:-readings] if readings < len(total) else total[-1:]
    ons = [max(int(np.quantile(sums, part)), 1) for part in (0.9, 0.97, 0.99, 0.999)]
    return level_rules(ons, ons[0] // 5, n=1, m=1, period=period)


def column_check(found: Record, column: str, series: Series) -> Check:
    """So strict that one step in fifty is held."""
    raw = raw_of(found, column)
    limit = int(np.quantile(np.abs(np.diff(raw)), 0.98)) if len(raw) > 1 else 1
    return Check(series.judged_as, series.device, floor=limit, stuck_ms=6 * series.period_ms,
                 blocked=2000 if series.summed else 0)


def world_of_record(name: str, begin: int, end: int) -> World:
    """Rows `begin` to `end` of a record. The clock passes half a period after each row."""
    found = record(name)
    end = min(end, len(found.t_ms))
    columns = [column for column in found.columns if len(raw_of(found, column)) > 10]
    series = [column_series(found, column) for column in columns]
    rules = [rule for column, one in zip(columns, series, strict=True) for rule in column_rules(found, column, one)
             if not list(problems_of(rule, one))]
    checks = [column_check(found, column, one) for column, one in zip(columns, series, strict=True)]
    rain = [rule for rule in rules if rule.feature is Feature.SUM]
    plan = bind(Rules((*rules, *_together(rain, series)), tuple(checks), name), series)
    block = Block.blank(end - begin, len(series))
    for column, header in enumerate(columns):
        part = found.columns[header][begin:end]
        values = np.array([np.nan if value is None else value for value in part])
        block.raw[:, column], ok = quantize(values)
        block.quality[:, column] = np.where(ok, 0, int(Quality.MISSING))
        block.t_ms[:, column] = found.t_ms[begin:end]
    block.now_ms[:] = np.array(found.t_ms[begin:end]) + series[0].period_ms // 2
    return World(plan, block, [])


def _together(rain: list[Rule], series: list[Series]) -> list[Rule]:
    """The records' gauges have rules of their own: a group over the first rule, made one for all."""
    if not rain or sum(one.summed for one in series) < 2:
        return []
    first = rain[0]
    every = Rule("every gauge", "rain_mm", Feature.SUM, first.over_ms, low=False, device="", datum="",
                 levels=first.levels)
    period = series[0].period_ms
    return [every, Rule("together", "rain_mm", Feature.COINCIDENCE, 4 * period, low=False, device="", datum="",
                        levels=level_rules([1000, 2000], 0, n=1, m=1, period=period), of=every.name, at=Level.BLUE)]

