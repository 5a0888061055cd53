"""On measured records the kernel says what the plain loop says, and the known floods raise."""

from typing import Any

import numpy as np
import pytest

from tests.golden_kernel import Golden
from tests.shared_data import shared_path
from tests.test_thresholds_golden import flat, told
from tests.threshold_worlds import cut
from thresholds.kernel import Block, Change, quantize, start, step
from thresholds.rules import Plan, bind, rules_of
from thresholds.series import Series
from tocsin.clock import iso, ms_of
from tocsin.levels import Level
from tocsin.quantities import quantity
from tocsin.readings import Quality
from tocsin.records import Record, read

RAIN = [{"name": f"rain {hours} h", "quantity": "rain_mm", "over_min": 60 * hours, "blue": on}
        for hours, on in ((1, 35.0), (3, 55.0), (6, 70.0), (24, 100.0))]


def block_of(record: Record) -> Block:
    """A row of the record is a row of the block; the clock passes a little later."""
    block = Block.blank(len(record.t_ms), 2)
    for column, name in enumerate(("rain_mm", "stage_m")):
        values = np.array([np.nan if value is None else value for value in record.columns[name]])
        block.raw[:, column], ok = quantize(values)
        block.quality[:, column] = np.where(ok, 0, int(Quality.MISSING))
        block.t_ms[:, column] = record.t_ms
    block.now_ms[:] = np.array(record.t_ms) + 60_000
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
    record = read(shared_path(f"data/records/{name}.csv.gz")).window(ms_of(begin), ms_of(end))
    plan, block = plan_of(period_min * 60_000, **stage), block_of(record)
    golden, state = Golden(plan, "s"), start(plan, "s")
    quality = [told(golden, block, row) for row in range(len(record.t_ms))]
    changes: list[Change] = []
    marked: list[list[int]] = []
    for at in range(0, len(record.t_ms), 100):
        outcome = step(state, cut(block, at, at + 100))
        changes += outcome.changes
        marked += outcome.quality.tolist()
    assert marked == quality
    assert [flat(change) for change in changes] == golden.changes
    assert len({change.track.rule.name for change in changes}) > 1
    assert risen == [(iso(change.t_ms), iso(change.since_ms), change.level) for change in changes
                     if change.track.rule.name == "stage" and change.level > change.previous]
