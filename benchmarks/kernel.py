"""A tick of the kernel against plain loops

A tick is one row: a reading of each series, 1 min apart with 0 to 4 s of jitter, 2 % missing. Half the series are rain
counters with sums over 10 min, 1, 3, 6 and 24 h, half are stages with 4 levels, 3 of 5 and hysteresis. A dry day comes
first, so that every window is full; then it rains everywhere, and one series in ten comes to its levels.

The *plain loop* is `tests/golden_kernel.py`, the definition of the kernel in code: it adds each window up anew at
every reading, and is not written to be fast. The *running sums* are what one would write by hand: less than the kernel
does (no coverage, off delay, episode, lateness or saved state). The bars are those of the finished kernel (1/4 of a
plain loop for 64 series, 1/50 for 1,000), held against the faster of the two loops. After the timed rows the levels of
kernel and plain loop are compared: the bench fails if they differ.
"""

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks._plain import Plain
from benchmarks._rows import BenchError, Row, repeats_of
from tests.golden_kernel import Golden
from thresholds.kernel import Block, State, levels, start, step
from thresholds.rules import Plan, bind, rules_of
from thresholds.series import Series

MINUTE_MS = 60_000
BEGIN_MS = 1_723_075_200_000
DAY_ROWS = 1440
JITTER_MS = 4_000
MISSING_SHARE = 0.02
SUMS_MM = {10: 8.0, 60: 20.0, 180: 40.0, 360: 60.0, 1440: 100.0}
SMALL, LARGE = 64, 1_000
STORM_EVERY = 10    # one series in so many comes to its levels
RATIO_BARS = {SMALL: 1 / 4, LARGE: 1 / 50}
WHY = "the kernel pays for its numpy calls row by row, and the hand-written loop leaves out what is named above"


def run(quick: bool) -> list[Row]:
    """Rows for a small and a large station. Raises BenchError where kernel and plain loop disagree."""
    rows: list[Row] = []
    repeats = repeats_of(quick, slow=True)
    for count in (SMALL, LARGE):
        series, before, many = (count // 16, 30, 2) if quick else (count, DAY_ROWS, 20)
        (one, golden), (ours, plain) = measure(series, before, repeats, many)
        what = f"tick of {series:,} series"
        rows += [
            Row(what, one, golden, "plain loop", "us", repeats),
            Row(what, ours, plain, "running sums", "us", repeats, ratio_bar=RATIO_BARS[count], why=WHY),
        ]
    return rows


def measure(series: int, before: int, repeats: int, many: int) -> tuple[list[float], list[float]]:
    """Microseconds a tick, medians: of kernel and plain loop, then of kernel and running sums.

    The plain loop is slow: it gets one row in each repeat, the others then `many` more.
    """
    plan = plan_of(series)
    dry, wet = day_of(plan, before, repeats * (1 + many))
    state, golden, plain = start(plan, "bench"), Golden(plan, "bench"), Plain(plan)
    step(state, dry)
    _prepare(golden, plain, dry)
    by_kernel, by_golden, by_plain = _ticks(state, golden, plain, wet)
    slow = [[_us_per_row(range(row, row + 1), tick) for tick in (by_kernel, by_golden)] for row in range(repeats)]
    if levels(state).tolist() != golden.levels():
        raise BenchError("the kernel and the plain loop came to different levels")
    parts = [range(repeats + number * many, repeats + (number + 1) * many) for number in range(repeats)]
    fast = [[_us_per_row(part, tick) for tick in (by_kernel, by_plain)] for part in parts]
    if series >= SMALL and not (any(golden.levels()) and levels(state).any()):
        raise BenchError("nothing happened in the timed rows")
    medians = [[statistics.median(times) for times in zip(*taken, strict=True)] for taken in (slow, fast)]
    return medians[0], medians[1]


def plan_of(count: int) -> Plan:
    """Half rain counters, half stages."""
    series = [Series(f"gauge-{number}/rain_total_mm", "rain_total_mm", MINUTE_MS, (0.0, 5_000.0))
              if number % 2 else Series(f"radar-{number}/stage_m", "stage_m", MINUTE_MS, (0.0, 9.0))
              for number in range(count)]
    rules: list[dict[str, Any]] = [
        {"name": f"rain {over} min", "quantity": "rain_mm", "over_min": over,
         "blue": on, "yellow": 1.5 * on, "orange": 2 * on, "red": 3 * on} for over, on in SUMS_MM.items()]
    rules.append({"name": "stage", "quantity": "stage_m", "blue": 1.5, "yellow": 2.0, "orange": 2.5, "red": 3.0,
                  "n": 3, "m": 5, "off_below": 0.2})
    return bind(rules_of({"rule": rules}, "bench"), series)


def day_of(plan: Plan, dry_rows: int, wet_rows: int) -> tuple[Block, Block]:
    """A dry day, and the rows of rain and rise that follow it."""
    dice = random.Random(1)
    shown = [100_000 if series.counter else 1_000 for series in plan.series]
    blocks = []
    for begin, rows in ((0, dry_rows), (dry_rows, wet_rows)):
        block = Block.blank(rows, len(shown))
        for row in range(rows):
            block.now_ms[row] = BEGIN_MS + (begin + row) * MINUTE_MS
            for column, series in enumerate(plan.series):
                if begin:
                    shown[column] += _more(dice, series.counter, storm=column // 2 % STORM_EVERY == 0)
                if dice.random() >= MISSING_SHARE:
                    block.t_ms[row, column] = block.now_ms[row] + dice.randrange(JITTER_MS)
                    block.raw[row, column] = shown[column]
                    block.quality[row, column] = 0
        blocks.append(block)
    return blocks[0], blocks[1]


def _more(dice: random.Random, rain: bool, *, storm: bool) -> int:
    """Thousandths of a mm of rain or of a m of stage, in a minute."""
    if rain:
        return 200 * dice.randrange(20 if storm else 2)
    return dice.randrange(400 if storm else 10)


def _prepare(golden: Golden, plain: Plain, dry: Block) -> None:
    """The dry day, for the loops. The plain loop would need an hour for it: it is given what the day leaves behind."""
    for t, raw, quality in zip(dry.t_ms.tolist(), dry.raw.tolist(), dry.quality.tolist(), strict=True):
        plain.row(t, raw, quality)
        for source, *cell in zip(golden.sources, t, raw, quality, strict=True):
            if not source.mark(*cell):
                source.take(cell[0], cell[1])
    for judge in golden.judges:
        heard = len(golden.sources[judge.track.series_index].past)
        for latch in judge.latches:
            latch.qualified, latch.below = [False] * heard, [True] * heard


def _ticks(state: State, golden: Golden, plain: Plain, wet: Block) -> tuple[Callable[[int], object], ...]:
    """One row, for each side, from what it would be given."""
    columns = [part.tolist() for part in (wet.t_ms, wet.raw, wet.quality)]
    blocks = [Block(*(np.array(part[row:row + 1]) for part in (wet.t_ms, wet.raw, wet.quality, wet.now_ms)))
              for row in range(len(wet.now_ms))]
    now = wet.now_ms.tolist()
    return (
        lambda row: step(state, blocks[row]),
        lambda row: golden.row(columns[0][row], columns[1][row], columns[2][row], now[row]),
        lambda row: plain.row(columns[0][row], columns[1][row], columns[2][row]),
    )


def _us_per_row(part: range, tick: Callable[[int], object]) -> float:
    began_s = time.perf_counter()
    for row in part:
        tick(row)
    return (time.perf_counter() - began_s) / len(part) * 1e6
