"""A tick of the kernel against loops and rescans, and what its state and its import cost

A tick is one row: a reading of each series, 1 min apart with 0 to 4 s of jitter, 2 % missing, some out of range, some
lone spikes. Half the series are rain counters with sums over 10 min, 1, 3, 6 and 24 h. Half are stages: the value, a
least-squares slope and a rate over 30 min, the time to 3 m at that slope, and a one-sided CUSUM. Each of the five has
4 levels with hysteresis and 3 of 5. A day of light rain comes first (90 min before the 10,000 series). One series in
ten has a storm and comes to its levels; the storms begin one after the other, from 10 h before the timed rows on.

The *plain loop* is what one would write by hand: deques, running sums, and a short way for what is calm. The *numba
loop* is the same over arrays, compiled before the clock starts. The *rescans* add each window up anew at every tick
from a buffer of the last day, over all series at once, with `bottleneck.nansum` or with a `pandas.DataFrame`; the rest
of theirs is numpy. All are written for this workload and leave out what does not show in it: coverage, age of the
readings that count, holes, delays, lone sums, slots, what a held reading counts for, episodes, staleness, groups, saved
state. After the timed rows the marks and levels of all sides are compared: the bench fails if they differ.

The state of a series is what is saved of it. The import is that of `thresholds.kernel` in a new interpreter, after
numpy's.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks import _numba_loop, _rescan
from benchmarks._extra import have
from benchmarks._loop import Loop
from benchmarks._rows import BenchError, Row, medians, repeats_of
from benchmarks._workload import DAY_ROWS, SUMS_MM, block_of, plan_of, rain_plan, rise_of
from tests.shared_data import REPOSITORY
from thresholds.kernel import Block, State, levels, save, start, step
from thresholds.plan import Plan

LOOP, NUMBA, BOTTLENECK, PANDAS = "plain loop", "numba loop", "bottleneck rescan", "pandas rescan"
NEEDS = {NUMBA: "numba", BOTTLENECK: "bottleneck", PANDAS: "pandas"}
SIZES = {    # series: rows before the timed ones, and what a tick may take at most of each peer's
    64: (DAY_ROWS, {LOOP: 1 / 4, PANDAS: 1 / 6}),
    1_000: (DAY_ROWS, {LOOP: 1 / 50, BOTTLENECK: 1 / 8}),
    10_000: (90, {LOOP: 1 / 120, BOTTLENECK: 1 / 20, NUMBA: 1.0}),
}
MANY = 20               # rows in each repeat
STORM_ROWS = 600        # the first storm begins so many rows before the first timed one
CALM_ROWS = 30
LONG_BAR, GROWTH_BAR, STATE_BAR_KB, IMPORT_BAR_MS = 1.2, 8.0, 30.0, 15.0
FEW = ("a row costs the kernel some hundreds of numpy calls, however few series it has, and it does what the peers "
       "leave out")
MANY_SERIES = ("the kernel keeps the bits of four levels of five rules on every series at every reading, where the "
               "loops pass by what is calm, and it does what the peers leave out; with 10,000 series the caches do not "
               "hold its state")
Tick = Callable[[int], object]


def run(quick: bool) -> list[Row]:
    """All rows; those beside a peer that is not installed are left out. Raises BenchError where sides disagree."""
    rows: list[Row] = []
    for size, (before, bars) in SIZES.items():
        rows += _ticks(size, before, bars, quick)
    return [*rows, *_windows(quick), *_states(quick), _imports(quick)]


def _ticks(size: int, before: int, bars: dict[str, float], quick: bool) -> Iterator[Row]:
    repeats = repeats_of(quick, slow=True)
    known = {name: bar for name, bar in bars.items() if name == LOOP or have("kernel", NEEDS[name])}
    count, before, many = (2 * (3 + len(str(size))), 30, 2) if quick else (size, before, MANY)
    ours, *peers = measure(plan_of(count), before, repeats, many, list(known))
    for (name, bar), theirs in zip(known.items(), peers, strict=True):
        yield Row(f"tick of {size:,} series", ours, theirs, name, "us", repeats, ratio_bar=bar,
                  why=FEW if size == min(SIZES) else MANY_SERIES)


class Side:
    """One of those that are compared: a tick, and what it has come to. Times and values are int64[rows, series]."""

    def __init__(self, plan: Plan, block: Block) -> None:
        self.marks = block.quality.copy()
        self.plan, self.block = plan, block

    def tick(self, row: int) -> object:
        raise NotImplementedError

    def levels(self) -> list[int]:
        raise NotImplementedError


class Ours(Side):
    """The kernel."""

    def __init__(self, plan: Plan, block: Block) -> None:
        super().__init__(plan, block)
        self.state = start(plan, "bench")
        self._blocks = rows_of(block)

    def tick(self, row: int) -> None:
        self.marks[row] = step(self.state, self._blocks[row]).quality[0]

    def levels(self) -> list[int]:
        return [int(level) for level in levels(self.state)]


class ByLoop(Side):
    """Plain Python."""

    def __init__(self, plan: Plan, block: Block) -> None:
        super().__init__(plan, block)
        self._loop = Loop(plan)
        self._rows = [part.tolist() for part in (block.t_ms, block.raw, block.quality)]
        self._marks: list[list[int]] = []

    def tick(self, row: int) -> None:
        t, raw, quality = self._rows
        self._marks.append(self._loop.row(t[row], raw[row], quality[row]))

    def levels(self) -> list[int]:
        self.marks = np.array(self._marks)
        return self._loop.levels()


class ByNumba(Side):
    """The compiled loop."""

    def __init__(self, plan: Plan, block: Block) -> None:
        super().__init__(plan, block)
        self._scan, self._memory = _numba_loop.compiled(), _numba_loop.memory_of(plan)

    def tick(self, row: int) -> None:
        self._scan(self._memory, *(part[row:row + 1] for part in (self.block.t_ms, self.block.raw, self.marks)))

    def levels(self) -> list[int]:
        found = dict(zip(_numba_loop.track_order(self.plan), self._memory.tracks[:, _numba_loop.LEVEL], strict=True))
        return [int(found[index]) for index in range(len(found))]


class ByRescan(Side):
    """Windows added up anew."""

    def __init__(self, plan: Plan, block: Block, add: _rescan.Adder) -> None:
        super().__init__(plan, block)
        self._rescan = _rescan.Rescan(plan, add)

    def tick(self, row: int) -> None:
        self.marks[row] = self._rescan.row(self.block.t_ms[row], self.block.raw[row], self.block.quality[row])

    def levels(self) -> list[int]:
        return self._rescan.levels()


SIDES: dict[str, Callable[[Plan, Block], Side]] = {
    LOOP: ByLoop,
    NUMBA: ByNumba,
    BOTTLENECK: lambda plan, block: ByRescan(plan, block, _rescan.with_bottleneck()),
    PANDAS: lambda plan, block: ByRescan(plan, block, _rescan.with_pandas()),
}


def measure(plan: Plan, before: int, repeats: int, many: int, peers: list[str]) -> list[float]:
    """Microseconds a tick, medians: of the kernel, then of each peer. Raises BenchError where they disagree."""
    rows = before + repeats * many
    block = block_of(plan, rows, rise_of(len(plan.series), max(0, before - STORM_ROWS), rows))
    sides: list[Side] = [Ours(plan, block), *(SIDES[name](plan, block) for name in peers)]
    for side in sides:
        for row in range(before):
            side.tick(row)
    times: list[list[float]] = []
    for begin in range(before, rows, many):
        part = range(begin, begin + many)
        times.append([_us_per_row(part, side.tick) for side in sides])
    agree(["kernel", *peers], sides)
    return [statistics.median(of_side) for of_side in zip(*times, strict=True)]


def agree(names: list[str], sides: list[Side]) -> None:
    """Raises BenchError where a side came to other levels or marks than the first."""
    first, *others = [side.levels() for side in sides]
    for name, side, other in zip(names[1:], sides[1:], others, strict=True):
        if other != first or not np.array_equal(side.marks, sides[0].marks):
            raise BenchError(f"{names[0]} and {name} came to different {'levels' if other != first else 'marks'}")
    if len(sides[0].plan.series) >= min(SIZES) and not any(first):
        raise BenchError("nothing happened in the timed rows")


def rows_of(block: Block) -> list[Block]:
    """The rows, one by one."""
    return [Block(*(part[row:row + 1] for part in (block.t_ms, block.raw, block.quality, block.now_ms)))
            for row in range(len(block.now_ms))]


def _us_per_row(part: range, tick: Tick) -> float:
    began_s = time.perf_counter()
    for row in part:
        tick(row)
    return (time.perf_counter() - began_s) / len(part) * 1e6


def _windows(quick: bool) -> Iterator[Row]:
    """Long windows against short ones, many series against fewer: the kernel beside itself."""
    repeats = repeats_of(quick)
    small, large, many = (8, 16, 2) if quick else (1_000, 10_000, MANY)
    plans = [rain_plan(small, {1440: 100.0}), rain_plan(small, {10: 8.0}), plan_of(large), plan_of(small)]
    long, short, more, fewer = medians(repeats, *(_ticker(plan, repeats * many, many) for plan in plans))
    yield Row("tick of 1,000 gauges, sums over 24 h", long, short, "sums over 10 min", "us", repeats, floor=True,
              ratio_bar=LONG_BAR, why="a sum over more than an hour weighs the minute in which its window begins")
    yield Row("tick of 10,000 series", more, fewer, "1,000 series", "us", repeats, floor=True, ratio_bar=GROWTH_BAR,
              why="the state of 10,000 series is larger than the processor's caches")


def _ticker(plan: Plan, rows: int, many: int) -> Callable[[], float]:
    """Measures the next so many rows each time it is called."""
    side = Ours(plan, block_of(plan, CALM_ROWS + rows, rise_of(len(plan.series), 0, rows)))
    for row in range(CALM_ROWS):
        side.tick(row)
    parts = iter([range(begin, begin + many) for begin in range(CALM_ROWS, CALM_ROWS + rows, many)])
    return lambda: _us_per_row(next(parts), side.tick)


def _states(quick: bool) -> Iterator[Row]:
    count = 2 if quick else 100
    readings_kb = DAY_ROWS * 2 * np.dtype(np.int64).itemsize / 1000
    every, hours = dict(SUMS_MM), {over: on for over, on in SUMS_MM.items() if over > 60}
    yield Row("state of a gauge, five sums up to 24 h", state_kb(rain_plan(count, every)), readings_kb,
              "readings of 24 h", "kB", 1, floor=True, bar=STATE_BAR_KB)
    by_s, by_min = (state_kb(rain_plan(count, hours, period_ms)) for period_ms in (1_000, 60_000))
    yield Row("state of a gauge read each second, sums over 3, 6 and 24 h", by_s, by_min, "read each minute", "kB", 1,
              floor=True, bar=STATE_BAR_KB)


def state_kb(plan: Plan) -> float:
    """What is saved, per series."""
    state: State = start(plan, "bench")
    return len(save(state)) / len(plan.series) / 1000


_IMPORT = """
import time
began = time.perf_counter()
import numpy
between = time.perf_counter()
import thresholds.kernel
print(between - began, time.perf_counter() - between)
"""


def _imports(quick: bool) -> Row:
    repeats = repeats_of(quick)
    with TemporaryDirectory() as compiled:
        taken = [_import_ms(compiled) for _ in range(repeats + 1)][1:]    # the first compiles
    ours, numpy_ms = (statistics.median(times) for times in zip(*taken, strict=True))
    return Row("import of the kernel after numpy", ours, numpy_ms, "import of numpy", "ms", repeats, floor=True,
               bar=IMPORT_BAR_MS,
               why="dataclasses, msgspec and hashlib come along, and some forty typed classes are made")


def _import_ms(compiled: str) -> list[float]:
    command = [sys.executable, "-c", _IMPORT]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    told = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True,
                          env=env | {"PYTHONPYCACHEPREFIX": compiled}).stdout
    return [float(word) * 1000 for word in told.split()]
