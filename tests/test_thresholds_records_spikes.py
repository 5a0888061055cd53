"""On real floods: holding spikes delays no onset by more than a reading, and no single reading raises a level.

Windows of records run side by side, each as a series of its own: the kernel does not mind how many there are.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from tests.record_worlds import Raw, events, level_rules, period_of, raw_of, record
from thresholds.binding import bind
from thresholds.kernel import Block, Change, levels, start, step
from thresholds.rule import Check, Feature, LevelRule, Rule, Rules
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

Table = np.ndarray[tuple[int, int], np.dtype[np.int64]]
MISSING = int(Quality.MISSING)
FLOODS = [
    "au_sandy_creek_2017_2018", "gb_brompton_beck_2012", "gb_brompton_beck_flow_2003_2015",
    "gb_severn_bewdley_2008_2022", "gb_wye_cefn_brwyn_1987_1988", "kr_jingwan_bridge_2014_2021", "us_dead_run_2018",
    "us_plumtree_run_2016_2018", "us_walnut_creek_2024",
]
BEFORE, AFTER = 60, 100
HEARD = 3      # readings before those of the record, all like its first: a base to begin with


@dataclass(frozen=True)
class Flood:
    """Rows of a column around an event, in thousandths; and levels from below the event's threshold to above it."""

    t_ms: Sequence[int]
    values: Sequence[float | None]
    ons: tuple[int, ...]
    period: int
    quiet: int      # the column's median

    @property
    def raw(self) -> Raw:
        return np.array([0 if value is None else round(value * 1000) for value in self.values])

    @property
    def there(self) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
        return np.array([value is not None for value in self.values])


def floods(name: str) -> list[Flood]:
    """Around each event that the records' list names; before it the gauge has been heard, and the water was calm."""
    found, result = record(name), []
    for one in events(name):
        at = bisect_left(found.t_ms, one.start)
        begin, end = max(at - BEFORE, 0), min(at + AFTER, len(found.t_ms))
        quiet, period = int(np.median(raw_of(found, one.column))), period_of(found)
        height = round(one.threshold * 1000) - quiet
        values = found.columns[one.column][begin:end]
        first = next(value for value in values if value is not None)
        result.append(Flood(
            t_ms=[*(found.t_ms[begin] - period * back for back in range(HEARD, 0, -1)), *found.t_ms[begin:end]],
            values=[first] * HEARD + values,
            ons=tuple(quiet + height * part // 10 for part in (5, 8, 10, 12)), period=period, quiet=quiet))
    return result


def judged(flood: Flood, table: Table, check: Check, *, n: int = 1, m: int = 1) -> Table:
    """int64[rows, columns]: the level after each row; each column of the table is a series."""
    rows, columns = table.shape
    series = [Series(f"d{number}/stage_m", "stage_m", flood.period, (-9000.0, 9000.0)) for number in range(columns)]
    rule = Rule("water", "stage_m", Feature.VALUE, 0, low=False, device="", datum="", levels=_levels(flood, n, m))
    state = start(bind(Rules((rule,), (check,)), series))
    block = Block.blank(rows, columns)
    block.t_ms[:] = np.array(flood.t_ms)[:, None]
    block.raw[:] = table
    block.quality[:] = np.where(flood.there, 0, MISSING)[:, None]
    found = np.zeros((rows, columns), np.int64)
    for row in range(rows):
        step(state, Block(*(part[row:row + 1] for part in (block.t_ms, block.raw, block.quality, block.now_ms))))
        found[row] = levels(state)
    return found


def _levels(flood: Flood, n: int, m: int) -> tuple[LevelRule, ...]:
    return level_rules(list(flood.ons), max((flood.ons[0] - flood.quiet) // 10, 1), n=n, m=m, period=flood.period)


def steps_of(flood: Flood) -> Raw:
    """How far each reading is from the middle of the last three."""
    raw = flood.raw[flood.there]
    middle = np.median(np.stack([raw[:-3], raw[1:-2], raw[2:-1]]), axis=0)
    found: Raw = np.abs(raw[3:] - middle).astype(np.int64)
    return found


def onset(flood: Flood, free: Raw, level: int) -> int | None:
    """The row of a rise to the level that the next reading confirms, in the levels found without a check."""
    if not free.max() >= level > free[:HEARD + 1].max():
        return None
    row = int(np.argmax(free >= level))
    following = np.flatnonzero(flood.there[row + 1:])
    return row if following.size and flood.raw[row + 1 + following[0]] >= flood.ons[level - 1] else None


@pytest.mark.parametrize("name", FLOODS)
def test_no_onset_of_a_real_flood_comes_later_by_more_than_one_reading(
        name: str, count: Callable[[int, int], int]) -> None:
    """With checks from one that no reading of the flood passes to one that holds whatever moves."""
    later = tried = 0
    for flood in floods(name)[:count(3, 1000)]:
        column = flood.raw[:, None]
        free = judged(flood, column, Check("stage_m"))[:, 0]
        for part in (1.0, 0.9, 0.5, 0.0):
            check = Check("stage_m", floor=max(int(np.quantile(steps_of(flood), part)), 1))
            held = judged(flood, column, check)[:, 0]
            for level in range(1, 5):
                row = onset(flood, free, level)
                if row is not None:
                    following = row + 1 + int(np.argmax(flood.there[row + 1:]))
                    assert held[following] >= level, f"{flood.t_ms[row]}: level {level}, limit {check.floor}"
                    later += held[row] < level
                    tried += 1
    assert tried >= 12
    assert 0 < later < tried, "a check that never holds a rise, or always, tries nothing"


def fastest(flood: Flood) -> int:
    """A rate in thousandths a minute that the water itself does not reach."""
    t = np.array(flood.t_ms)[flood.there]
    return int(1.05 * (steps_of(flood) * 60_000 / np.diff(t)[2:]).max()) + 1


def faulty(flood: Flood, limit: int) -> tuple[list[int], Table]:
    """A column for each row and each of three sizes of fault; the row of each column's fault."""
    rows = [int(row) for row in np.flatnonzero(flood.there) if row >= HEARD]
    table = np.repeat(flood.raw[:, None], 3 * len(rows), axis=1)
    for number, row in enumerate(rows):
        before = int(np.median(flood.raw[:row][flood.there[:row]][-3:]))
        table[row, 3 * number:3 * number + 3] = (
            before + 3 * limit, max(flood.ons[-1], before) + 3 * limit, 9_000_000)
    return [row for row in rows for _ in range(3)], table


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("name", FLOODS)
def test_one_reading_beyond_the_limit_raises_no_level(name: str, n: int, m: int,
                                                      count: Callable[[int, int], int]) -> None:
    """At every index of a flood. Under 2 of 3 it can be the second where a real reading is at the level already."""
    highest = 0
    for flood in floods(name)[:count(1, 1000)]:
        rate = fastest(flood)
        check = Check("stage_m", rate_per_min=rate)
        clean = judged(flood, flood.raw[:, None], check, n=n, m=m)[:, 0]
        at, table = faulty(flood, rate * flood.period // 60_000)
        found = judged(flood, table, check, n=n, m=m)
        free = judged(flood, table, Check("stage_m"), n=n, m=m)
        higher = np.maximum.accumulate(found, axis=0) > np.maximum.accumulate(clean)[:, None]
        for column in np.flatnonzero(higher.any(axis=0)).tolist():
            row = int(np.argmax(higher[:, column]))
            assert n > 1, f"{flood.t_ms[at[column]]}: {table[at[column], column]} raises {found[row, column]}"
            real = [value for number, value in enumerate(flood.raw[:row + 1].tolist())
                    if flood.there[number] and number != at[column]]
            assert max(real[-m:]) >= flood.ons[found[row, column] - 1]
        highest = max(highest, int(found.max()))
        assert n > 1 or (free.max(axis=0) == 4).mean() > 0.6, "without a check the faults raise red"
    assert highest > 0


RAIN = [
    ("us_walnut_creek_2024", "rain_mm"), ("us_mukilteo_rain_2015", "rain_mvd_mm"),
    ("kr_jingwan_bridge_2014_2021", "rain_mm"), ("gb_wye_cefn_brwyn_1987_1988", "rain_mm"),
]
WINDOWS = (3_600_000, 6 * 3_600_000, 24 * 3_600_000)
ROWS = 40


def rain_changes(period: int, raw: Raw, check: Check) -> tuple[list[Change], Raw]:
    """What sums of 1, 6 and 24 h say of a gauge of amounts, and which rows were wet and taken."""
    series = Series("gauge/rain_mm", "rain_mm", period, (0.0, 500.0))
    rules = [Rule(f"{over}", "rain_mm", Feature.SUM, over, low=False, device="", datum="",
                  levels=level_rules([10_000, 15_000, 20_000, 40_000], 2000, n=1, m=1, period=period))
             for over in WINDOWS]
    state = start(bind(Rules(tuple(rules), (check,)), [series]))
    block = Block.blank(len(raw), 1)
    block.t_ms[:, 0] = EPOCH + period * np.arange(len(raw))
    block.raw[:, 0], block.quality[:] = raw, 0
    outcome = step(state, block)
    held = outcome.quality[:, 0] != 0
    return outcome.changes, np.flatnonzero((raw > 0) & ~held)


EPOCH = 1_700_000_000_000


@pytest.mark.parametrize("limit", [0, 10_000])
@pytest.mark.parametrize(("name", "column"), RAIN)
def test_one_burst_of_tips_raises_no_orange_without_a_second_reading(
        name: str, column: str, limit: int, count: Callable[[int, int], int]) -> None:
    """At every index of the wettest hours of a record and of as many dry ones; with the check and without any."""
    found = record(name)
    amounts = np.array([round(1000 * (value or 0.0)) for value in found.columns[column]])
    peak = int(np.argmax(np.convolve(amounts, np.ones(6), mode="same")))
    wet, period = amounts[max(peak - ROWS // 2, 0):][:ROWS], period_of(found)
    check = Check("rain_mm", rate_per_min=limit, floor=limit * period // 60_000)
    lower = 0
    for index in range(0, ROWS, count(4, 1)):
        for base in (wet, np.zeros_like(wet)):
            raw = base.copy()
            raw[index] += 90_000
            changes, rows = rain_changes(period, raw, check)
            severe = [one for one in changes if one.level >= Level.ORANGE and one.level > one.previous]
            lower += len(changes) - len(severe)
            for one in severe:
                begin = one.t_ms - max(one.track.rule.over_ms, 3 * period)
                times = EPOCH + period * rows
                second = int(((times > begin) & (times <= one.t_ms)).sum())
                held = limit > 0 and raw[index] > limit * period // 60_000
                assert second >= 2 or (held and second >= 1), f"burst at {index}: {one.level.word}"
                assert base.any()
    assert lower > 0
