"""On measured records the kernel says what the plain loop says, and the known floods raise."""

import random
import re
from bisect import bisect_left
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import numpy as np
import pytest

from tests.golden_compare import golden_course, kernel_course, seen, seen_of
from tests.record_worlds import events, names, record, world_of_record
from tests.shared_data import shared_path, shared_root
from tests.threshold_worlds import World
from thresholds.kernel import Block, quantize
from thresholds.rules import Plan, bind, rules_of
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.quantities import quantity
from tocsin.readings import Quality
from tocsin.records import Record, read
from tocsin.times import iso, ms_of

RAIN = [{"name": f"rain {hours} h", "quantity": "rain_mm", "over_min": 60 * hours, "blue": on}
        for hours, on in ((1, 35.0), (3, 55.0), (6, 70.0), (24, 100.0))]


def block_of(found: Record) -> Block:
    """A row of the record is a row of the block; the clock passes a little later."""
    block = Block.blank(len(found.t_ms), 2)
    for column, name in enumerate(("rain_mm", "stage_m")):
        values = np.array([np.nan if value is None else value for value in found.columns[name]])
        block.raw[:, column], ok = quantize(values)
        block.quality[:, column] = np.where(ok, 0, int(Quality.MISSING))
        block.t_ms[:, column] = found.t_ms
    block.now_ms[:] = np.array(found.t_ms) + 60_000
    return block


def plan_of(period_ms: int, **stage: Any) -> Plan:
    series = [Series(f"gauge/{name}", name, period_ms, quantity(name).plausible) for name in ("rain_mm", "stage_m")]
    return bind(rules_of({"rule": [*RAIN, {"name": "stage", "quantity": "stage_m", **stage}]}, "records"), series)


# Where the floods begin stands in the records' list of events: Walnut Creek passes 1.8 m at 07:20, the second reading
# follows at 07:25; at Jingwan bridge the official 2 m and 3 m are passed at 13:00 and, a day later, at 16:00.
@pytest.mark.parametrize(("name", "begin", "end", "period_min", "stage", "risen"), [
    ("us_walnut_creek_2024", "2024-08-07T00:00:00Z", "2024-08-11T00:00:00Z", 5,
     {"yellow": 1.8, "off_below": 0.2}, [("2024-08-08T07:25:00Z", "2024-08-08T07:20:00Z", Level.YELLOW)]),
    ("kr_jingwan_bridge_2014_2021", "2018-08-20T00:00:00Z", "2018-09-10T00:00:00Z", 60,
     {"yellow": 2.0, "red": 3.0, "off_below": 0.2, "n": 1, "m": 1},
     [("2018-08-28T13:00:00Z", "2018-08-28T13:00:00Z", Level.YELLOW),
      ("2018-08-29T10:00:00Z", "2018-08-29T10:00:00Z", Level.YELLOW),
      ("2018-08-29T16:00:00Z", "2018-08-29T10:00:00Z", Level.RED)]),
])
def test_a_flood_on_record(name: str, begin: str, end: str, period_min: int, stage: dict[str, Any],
                           risen: list[tuple[str, str, Level]]) -> None:
    found = read(shared_path(f"data/records/{name}.csv.gz")).window(ms_of(begin), ms_of(end))
    world = World(plan_of(period_min * 60_000, **stage), block_of(found), [])
    _, course = golden_course(world)
    _, kernel = kernel_course(world, range(0, len(found.t_ms), 100))
    assert kernel == course
    assert len({change[0] for change in course.changes}) > 1
    assert risen == [(iso(t), iso(since), level) for rule, _, t, level, previous, _, _, since, *_ in kernel.changes
                     if rule == "stage" and level > previous]


KNOWN = sorted(path.name.removesuffix(".csv.gz") for path in (shared_root() / "data" / "records").glob("*.csv.gz"))


def first_row(name: str, rows: int) -> int:
    """Where a slice of the record begins: before its first event, else in the middle."""
    times = record(name).t_ms
    listed = events(name)
    at = bisect_left(times, listed[0].start) - rows // 3 if listed else len(times) // 2
    return min(max(at, 0), max(len(times) - rows, 0))


def test_all_records_are_tried() -> None:
    page = shared_path("data/records/README.md").read_text(encoding="utf-8")
    assert names() == KNOWN == sorted(re.findall(r"^### ([a-z]+_\S+)$", page, re.MULTILINE))


@pytest.mark.parametrize("name", KNOWN)
def test_on_every_record_the_kernel_says_what_the_plain_loop_says(name: str, count: Callable[[int, int], int]) -> None:
    """A slice; with --prove the whole record. In blocks of 1, 7, 1,000, and of any length with restarts between."""
    rows = count(min(150, 2500 // len(record(name).columns)), 1_000_000)
    begin = first_row(name, rows)
    world = world_of_record(name, begin, begin + rows)
    golden, course = golden_course(world)
    rows = len(world.block.now_ms)
    assert course.changes
    dice = random.Random(name)
    uneven = list(accumulate(dice.choice((0, 1, 2, 30, 400, 5000)) for _ in range(rows)))
    uneven = [end for end in uneven if end < rows]
    for ends, saved in [(range(rows), []), (range(0, rows, 7), []), (range(0, rows, 1000), []),
                        (uneven, dice.sample(range(rows), 5))]:
        state, found = kernel_course(world, ends, saved)
        assert found == course
        assert seen(state) == seen_of(golden)
