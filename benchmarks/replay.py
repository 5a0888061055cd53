"""A station-year through the kernel against loops and polars, and the memory it takes

A year at 1 min (525,600 rows) of one rain counter and one stage, with the rules, jitter and faults of the bench
`kernel`, and two dozen storms. The kernel gets the rows in blocks as `tocsin replay` does. The *plain loop* and the
*numba loop* are those of the bench `kernel`; *polars* uses rolling sums by time and levels filled forward, on all
cores, and finds a held reading by looking at the next one. Every side gives the changes of level, with their times, and
the bench fails if they differ; the peers leave out what they leave out there.

Memory is what Python and numpy have allocated at most, above the record that is replayed and what was there before.
"""

import time
import tracemalloc
from collections.abc import Callable

from benchmarks import _numba_loop, _polars
from benchmarks._extra import have
from benchmarks._loop import Loop
from benchmarks._rows import BenchError, Row, medians, repeats_of
from benchmarks._workload import YEAR_ROWS, block_of, plan_of, storms_of_year
from thresholds.kernel import Block, start, step
from thresholds.plan import Plan
from thresholds.replay.history import ROWS

LOOP, NUMBA, POLARS = "plain loop", "numba loop", "polars"
NEEDS = {NUMBA: "numba", POLARS: "polars"}
BARS = {NUMBA: 0.6, POLARS: 0.5, LOOP: 1 / 35}
YEARS, STORMS = 4, 24
MEMORY_BAR_MB, FLAT_BAR = 64.0, 1.1
WHY = "the kernel does all of docs/detection.md, of which the peers leave out what does not show on this record"
Change = tuple[int, int, int]    # time, track, level


def run(quick: bool) -> list[Row]:
    """All rows; those beside a peer that is not installed are left out. Raises BenchError where sides disagree."""
    rows, repeats = (2_000, 1) if quick else (YEAR_ROWS, repeats_of(quick, slow=True))
    plan = plan_of(2)
    block = block_of(plan, rows, storms_of_year(rows, 2 if quick else STORMS))
    names = [name for name in BARS if name == LOOP or have("replay", NEEDS[name])]
    ours, *peers = measure(plan, block, names, repeats)
    found = [Row("station-year at 1 min", ours, theirs, name, "ms", repeats, ratio_bar=BARS[name], why=WHY)
             for name, theirs in zip(names, peers, strict=True)]
    short, long = ((1_000, 2_000) if quick else (YEAR_ROWS, YEARS * YEAR_ROWS))
    one, several = peak_mb(plan, short), peak_mb(plan, long)
    return [*found, Row(f"memory, {YEARS} station-years", several, one, "1 station-year", "MB", 1, floor=True,
                        bar=MEMORY_BAR_MB, ratio_bar=FLAT_BAR, why="what a block needs depends on what happens in it")]


def measure(plan: Plan, block: Block, peers: list[str], repeats: int) -> list[float]:
    """Milliseconds, medians: of the kernel, then of each peer. Raises BenchError where they disagree."""
    makers: dict[str, Callable[[Plan, Block], Callable[[], list[Change]]]] = {
        LOOP: by_loop, NUMBA: by_numba, POLARS: by_polars}
    names = ["kernel", *peers]
    sides = [by_kernel(plan, block), *(makers[name](plan, block) for name in peers)]
    found: list[list[Change]] = [[] for _ in sides]

    def timed(number: int) -> float:
        began_s = time.perf_counter()
        found[number] = sides[number]()
        return (time.perf_counter() - began_s) * 1000

    for number, name in enumerate(names):
        if name in NEEDS:
            timed(number)    # compiles, starts its threads
    taken = medians(repeats, *(lambda number=number: timed(number) for number in range(len(sides))))
    for name, changes in zip(names, found, strict=True):
        if sorted(changes) != sorted(found[0]):
            raise BenchError(f"kernel and {name} came to different levels")
    if not found[0]:
        raise BenchError("nothing happened in this year")
    return taken


def pieces(block: Block, rows: int = ROWS) -> list[Block]:
    """The block in blocks of so many rows, as views."""
    return [Block(*(part[begin:begin + rows] for part in (block.t_ms, block.raw, block.quality, block.now_ms)))
            for begin in range(0, len(block.now_ms), rows)]


def by_kernel(plan: Plan, block: Block) -> Callable[[], list[Change]]:
    """The kernel, in blocks."""
    tracks = {(track.rule.name, track.series.key): index for index, track in enumerate(plan.tracks)}

    def run_kernel() -> list[Change]:
        state = start(plan, "bench")
        return [(change.t_ms, tracks[change.track.rule.name, change.track.series.key], int(change.level))
                for piece in pieces(block) for change in step(state, piece).changes]

    return run_kernel


def by_loop(plan: Plan, block: Block) -> Callable[[], list[Change]]:
    """Plain Python; the lists that it reads are made before."""
    rows = list(zip(*(part.tolist() for part in (block.t_ms, block.raw, block.quality)), strict=True))

    def run_loop() -> list[Change]:
        loop = Loop(plan)
        for row in rows:
            loop.row(*row)
        return loop.changes

    return run_loop


def by_numba(plan: Plan, block: Block) -> Callable[[], list[Change]]:
    """The compiled loop."""
    scan, order = _numba_loop.compiled(), _numba_loop.track_order(plan)

    def run_numba() -> list[Change]:
        memory = _numba_loop.memory_of(plan)
        scan(memory, block.t_ms, block.raw, block.quality.copy())
        told = memory.changes[1:1 + int(memory.changes[0, 0])].tolist()
        return [(t, order[track], level) for t, track, level in told]

    return run_numba


def by_polars(plan: Plan, block: Block) -> Callable[[], list[Change]]:
    """Rolling sums by time."""
    replay = _polars.Replay(plan)
    return lambda: replay.run(block)


def peak_mb(plan: Plan, rows: int) -> float:
    """The most that was allocated above the record, in MB, while the kernel went through it."""
    block = block_of(plan, rows, storms_of_year(rows, max(1, rows * STORMS // YEAR_ROWS)))
    replay = by_kernel(plan, block)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        replay()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return (peak - before) / 1e6
