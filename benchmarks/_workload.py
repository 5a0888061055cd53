"""The station of the kernel's benches, from one seed: half rain counters, half stages, 1 min apart, with faults.

Rules on each rain counter: sums over 10 min, 1, 3, 6 and 24 h. On each stage: the value, a least-squares slope and a
rate over 30 min, the time to 3 m at that slope, and a one-sided CUSUM. Each has 4 levels, 3 of 5, and hysteresis.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from thresholds.binding import bind
from thresholds.kernel import Block
from thresholds.plan import Plan
from thresholds.rules import rules_of
from thresholds.series import Series
from tocsin.readings import Quality

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

MINUTE_MS = 60_000
BEGIN_MS = 1_723_075_230_000    # half a minute past: no reading lies on a whole minute, where windows over 1 h begin
DAY_ROWS = 1440
YEAR_ROWS = 365 * DAY_ROWS
JITTER_MS = 4_000
MISSING_EVERY = 50              # one reading is missing in each stretch of so many: 2 %
SENTINEL_EVERY, SENTINEL = 1_500, 65_535_000
SPIKE_EVERY, SPIKE_STAGE, SPIKE_RAIN = 2_000, -600, 120_000    # downwards: a held stage then counts for no level
CALM = 6                        # readings around a spike that are there and good
SUMS_MM: Mapping[int, float] = {10: 8.0, 60: 20.0, 180: 40.0, 360: 60.0, 1440: 100.0}
TREND_MIN, TARGET_M = 30, 3.0
RISE_ROWS, PEAK_MM, TIP, TIPS = 60, 2_600.0, 200, 20    # a storm: rows to its peak, stage and rain at the peak
STORM_EVERY = 10                # one series in so many comes to its levels
WORST = ("blue", "yellow", "orange", "red")


@dataclass(frozen=True, slots=True)
class Storm:
    """Which column it meets, its first row and its strength (1 reaches every level)."""

    column: int
    row: int
    strength: float = 1.0


def plan_of(count: int, period_ms: int = MINUTE_MS, sums_mm: Mapping[int, float] = SUMS_MM) -> Plan:
    """Odd columns are rain counters, even ones stages."""
    series = [Series(f"gauge-{number}/rain_total_mm", "rain_total_mm", period_ms, (0.0, 50_000.0))
              if number % 2 else Series(f"radar-{number}/stage_m", "stage_m", period_ms, (0.0, 9.0))
              for number in range(count)]
    rules = [*_rain_rules(sums_mm), *_stage_rules()]
    return bind(rules_of({"rule": rules, "check": _checks()}, "bench"), series)


def rain_plan(count: int, sums_mm: Mapping[int, float], period_ms: int = MINUTE_MS) -> Plan:
    """Rain counters alone, with these sums."""
    series = [Series(f"gauge-{number}/rain_total_mm", "rain_total_mm", period_ms, (0.0, 50_000.0))
              for number in range(count)]
    return bind(rules_of({"rule": _rain_rules(sums_mm)}, "bench"), series)


def _rain_rules(sums_mm: Mapping[int, float]) -> list[dict[str, Any]]:
    return [{"name": f"rain {over} min", "quantity": "rain_mm", "over_min": over,
             **_levels(on, 1.5 * on, 2 * on, 3 * on), **_AGREE} for over, on in sums_mm.items()]


def _stage_rules() -> list[dict[str, Any]]:
    speeds = _levels(0.3, 0.6, 1.2, 2.4)
    of_trend = {"over_min": TREND_MIN, "authority": {"orange": "confirm", "red": "confirm"}, **_AGREE}
    rules: list[dict[str, Any]] = [
        {"name": "stage", "off_below": 0.2, **_levels(1.5, 2.0, 2.5, 3.0), **_AGREE},
        {"name": "slope", "feature": "slope", **speeds, **of_trend},
        {"name": "rate", "feature": "rate", **speeds, **of_trend},
        {"name": "time", "feature": "time_to", "target": TARGET_M, **_levels(120.0, 60.0, 30.0, 15.0), **of_trend},
        {"name": "cusum", "feature": "cusum", "reference": 1.0, "allowance": 0.05, **_levels(50.0, 100.0, 200.0, 400.0),
         **_AGREE},
    ]
    return [{"quantity": "stage_m", **rule} for rule in rules]


_AGREE: Mapping[str, Any] = {"n": 3, "m": 5, "off_delay_min": 0}


def _levels(*on: float) -> dict[str, float]:
    return dict(zip(WORST, on, strict=True))


def _checks() -> list[dict[str, Any]]:
    return [{"quantity": "stage_m", "max_rate_per_min": 0.5, "spike_floor": 0.3, "stuck_after_h": 24.0},
            {"quantity": "rain_mm", "max_rate_per_min": 10.0, "stuck_after_h": 720.0}]


def block_of(plan: Plan, rows: int, storms: list[Storm], seed: int = 1) -> Block:
    """All rows of the plan's station, every fault included."""
    count = len(plan.series)
    dice = np.random.default_rng(seed)
    block = Block.blank(rows, count)
    block.now_ms[:] = BEGIN_MS + np.arange(rows, dtype=np.int64) * plan.series[0].period_ms
    for column, series in enumerate(plan.series):
        own = [storm for storm in storms if storm.column == column]
        raw = _rain(dice, rows, own) if series.counter else _stage(dice, rows, own)
        spikes = _every(dice, rows, SPIKE_EVERY)
        raw[spikes] += SPIKE_RAIN if series.counter else SPIKE_STAGE
        raw[_calm(_every(dice, rows, SENTINEL_EVERY), spikes)] = SENTINEL
        missing = _calm(_every(dice, rows, MISSING_EVERY), spikes)
        block.raw[:, column] = raw
        block.quality[:, column] = 0
        block.t_ms[:, column] = block.now_ms + dice.integers(0, JITTER_MS, rows)
        for array, blank in ((block.raw, 0), (block.t_ms, 0), (block.quality, int(Quality.MISSING))):
            array[missing, column] = blank
    return block


def _every(dice: np.random.Generator, rows: int, length: int) -> I64:
    """One row in each stretch of that length; the last, unfinished stretch has none."""
    begins = np.arange(rows // length, dtype=np.int64) * length
    return begins + dice.integers(0, length, begins.size)


def _calm(found: I64, spikes: I64) -> I64:
    """Without those that are near a spike: it is to be a lone one."""
    if not spikes.size:
        return found
    apart = np.abs(found[:, None] - spikes[None, :]).min(axis=1) if found.size < DAY_ROWS else _nearest(found, spikes)
    return found[apart > CALM]


def _nearest(found: I64, spikes: I64) -> I64:
    after = np.searchsorted(spikes, found).clip(1, max(spikes.size - 1, 1)) if spikes.size > 1 else np.zeros_like(found)
    before = np.maximum(after - 1, 0)
    nearest: I64 = np.minimum(np.abs(found - spikes[before]), np.abs(found - spikes[after]))
    return nearest


def _swell(rows: int, storms: list[Storm]) -> F64:
    """The sum of all storms: each rises to its strength in RISE_ROWS and falls slowly."""
    swell = np.zeros(rows)
    for storm in storms:
        end = min(rows, storm.row + 12 * RISE_ROWS)
        x = (np.arange(storm.row, end) - storm.row) / RISE_ROWS
        swell[storm.row:end] += storm.strength * x * np.exp(1 - x)
    return swell


def _stage(dice: np.random.Generator, rows: int, storms: list[Storm]) -> I64:
    level = 900 + PEAK_MM * _swell(rows, storms) + dice.normal(0, 3, rows)
    stage: I64 = np.rint(level).astype(np.int64)
    return stage


def _rain(dice: np.random.Generator, rows: int, storms: list[Storm]) -> I64:
    tips = dice.poisson(0.02 + 8 * _swell(rows, storms)).clip(0, TIPS)
    total: I64 = 100_000 + TIP * np.cumsum(tips, dtype=np.int64)
    return total


def rise_of(count: int, first: int, last: int) -> list[Storm]:
    """One series in ten, of both kinds, comes to its levels; the storms begin from the first to the last of these rows.
    """
    columns = [column for column in range(count) if column // 2 % STORM_EVERY == 0]
    return [Storm(column, first + (last - first) * place // len(columns), 1.05)
            for place, column in enumerate(columns)]


def storms_of_year(rows: int = YEAR_ROWS, storms: int = 24, seed: int = 2) -> list[Storm]:
    """So many storms for the columns 0 and 1, one in three of them strong."""
    dice = np.random.default_rng(seed)
    length = rows // storms
    begins = np.arange(storms) * length + length // 3
    return [Storm(column, int(begin), 1.1 if number % 3 == 0 else float(dice.uniform(0.1, 0.8)))
            for number, begin in enumerate(begins) for column in (0, 1)]
