"""Settings tried on candidates tell what a loop over every reading tells."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.evaluate import evaluate
from thresholds.tune.sheet import UNKNOWN, Setting, Sheet
from thresholds.tune.timeline import Strand, timeline

PERIOD = 60_000


@dataclass(frozen=True)
class Cell:
    """A reading of one series. `held`: a spike that is dropped; `late`: taken by the row of the next reading."""

    step: int
    value: int
    held: bool = False
    late: bool = False
    valid: int = 1000
    barred: bool = False
    agrees: int = 100


@dataclass(frozen=True)
class Dense:
    """A feature at every reading: value, covered part in thousandths, and where rain may come from one reading."""

    value: I64
    valid: I64
    alone: Bools

    def reaching(self, least: int) -> tuple[I64, I64]:
        found = np.flatnonzero(self.value >= least)
        return found, self.value[found]

    def unsure(self, min_valid: int) -> I64:
        return np.flatnonzero(self.valid < min_valid)

    def lone(self, readings: I64) -> Bools:
        return self.alone[readings]


def plain(values: list[int]) -> Dense:
    return Dense(_ints(values), _ints([1000] * len(values)), np.zeros(len(values), dtype=np.bool_))


def cells() -> st.SearchStrategy[Cell]:
    odd = [PERIOD - 7, 2 * PERIOD, 2 * PERIOD + 1, 5 * PERIOD, 11 * PERIOD, 90 * PERIOD]
    steps = st.sampled_from([*[PERIOD] * 10, *odd])
    seldom = st.sampled_from([False] * 4 + [True])
    return st.builds(
        Cell, steps, st.integers(0, 12), held=seldom, late=seldom,
        valid=st.sampled_from([1000] * 5 + [900, 700, 0, 0]), barred=st.sampled_from([False] * 5 + [True]),
        agrees=st.sampled_from([100] * 5 + [3, 5]))


SETTINGS = st.builds(
    lambda on, under, nm, on_delay, off_delay, min_valid, over: Setting(
        on, on - under, nm[0], nm[1], on_delay * PERIOD, off_delay * PERIOD, min_valid, on + over),
    st.integers(2, 12), st.integers(0, 6), st.sampled_from([(1, 1), (2, 2), (2, 3), (3, 3), (3, 5), (4, 5), (5, 7)]),
    st.sampled_from([0, 0, 1, 3]), st.sampled_from([0, 0, 1, 3, 10]), st.sampled_from([1000, 800, 0]),
    st.sampled_from([0, 0, 2]))


def strand_of(series: Sequence[Cell]) -> tuple[Strand, list[Cell]]:
    """The strand of a series, and its taken readings."""
    taken: list[tuple[int, Cell]] = []
    held: list[tuple[int, int, int]] = []
    t = 0
    for cell in series:
        t += cell.step
        if cell.held:
            held.append((t, cell.value, len(taken)))
        else:
            taken.append((t, cell))
    times = [t for t, _ in taken]
    # a reading that had to be confirmed is taken by the row of the next one, unless something was held in between
    told = [times[i + 1] if cell.late and i + 1 < len(times) and not taken[i + 1][1].late
            and not any(after == i + 1 for _, _, after in held) else t
            for i, (t, cell) in enumerate(taken)]
    array = np.array(held, dtype=np.int64).reshape(-1, 3)
    return Strand(np.array(times, dtype=np.int64), np.array(told, dtype=np.int64), PERIOD,
                  array[:, 0], array[:, 1], array[:, 2]), [cell for _, cell in taken]


class Loop:
    """docs/detection.md 5 for one level of one series, reading by reading."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.past: list[tuple[int, bool, bool]] = []
        self.run: int | None = None
        self.run_for = 0
        self.off: int | None = None
        self.active = False

    def counted(self, t: int, more: int = 0) -> list[tuple[int, bool, bool]]:
        one = self.setting
        last = self.past[max(0, len(self.past) - one.m + more):]
        return [entry for entry in last if t - entry[0] <= 2 * one.m * PERIOD]

    def hold(self, t: int, value: int) -> None:
        one = self.setting
        if one.n < 2 or value < one.top:
            return
        step = t - self.past[-1][0] if self.past else 0
        lasted = 0 if self.run is None else self.run_for + (step if step <= 2 * PERIOD else 0)
        if 1 + sum(on for _, on, _ in self.counted(t, 1)) >= one.n and lasted >= one.on_delay_ms:
            self.off = self.off if self.active else None
            self.active = True

    def take(self, t: int, cell: Cell) -> None:
        one = self.setting
        known = cell.valid >= one.min_valid
        on = cell.value >= one.on and not cell.barred and cell.agrees >= one.off
        step = t - self.past[-1][0] if self.past else None
        steady = step is not None and step <= 2 * PERIOD
        self.past.append((t, on, cell.value < one.off and known))
        counted = self.counted(t)
        ons, offs = sum(entry[1] for entry in counted), sum(entry[2] for entry in counted)
        if ons == 0 or (offs >= one.n and not on):
            self.run, self.run_for = None, 0
        elif self.run is None:
            self.run, self.run_for = (t, 0) if on else (None, 0)
        else:
            self.run_for += step if steady and step else 0
        raised = ons >= one.n and self.run is not None and self.run_for >= one.on_delay_ms
        if offs >= one.n and not (cell.value < one.off and not known):
            self.off = self.off if steady and self.off is not None else t
        else:
            self.off = None
        if raised:
            self.active = True
        elif self.off is not None and t - self.off >= one.off_delay_ms:
            self.active = False


def told(setting: Setting, series: Sequence[Cell]) -> list[tuple[int, int]]:
    """When the level is told as raised and as cleared, row by row."""
    strand, _ = strand_of(series)
    takes = iter(strand.told.tolist())
    loop, t, raised, found = Loop(setting), 0, NEVER, []
    rows: list[tuple[int, bool]] = []
    for cell in series:
        t += cell.step
        if cell.held:
            loop.hold(t, cell.value)
            rows.append((t, loop.active))
        else:
            loop.take(t, cell)
            rows.append((next(takes), loop.active))
    for number, (row, active) in enumerate(rows):
        if number + 1 < len(rows) and rows[number + 1][0] == row:
            continue
        if active and raised == NEVER:
            raised = row
        elif not active and raised != NEVER:
            found.append((raised, row))
            raised = NEVER
    return found + ([(raised, NEVER)] if raised != NEVER else [])


@settings(max_examples=settings().max_examples * 4)
@given(st.lists(st.lists(cells(), max_size=40), min_size=1, max_size=3), st.lists(SETTINGS, min_size=1, max_size=5),
       st.sampled_from(["value", "sum", "slope"]), st.sampled_from([None, (1, 1), (2, 3), (3, 5)]))
def test_candidates_tell_what_the_loop_tells(
    world: list[list[Cell]], tried: list[Setting], feature: str, counts: tuple[int, int] | None
) -> None:
    if feature != "sum":
        tried = [replace(one, min_valid=1000) for one in tried]
    if counts:    # settings that differ in their thresholds alone share what was found for others
        tried = [replace(one, n=counts[0], m=counts[1], off_delay_ms=tried[0].off_delay_ms) for one in tried]
    world = [[_plain(cell, feature) for cell in series] for series in world]
    parts = [strand_of(series) for series in world]
    line = timeline([strand for strand, _ in parts])
    taken = [cell for _, own in parts for cell in own]
    sheet = Sheet(
        line, Dense(_ints([cell.value if feature != "slope" or cell.valid else UNKNOWN for cell in taken]),
                    _ints([cell.valid if feature != "value" else 1000 for cell in taken]),
                    np.array([cell.barred for cell in taken], dtype=np.bool_)),
        severe=feature == "sum",
        agrees=_ints([cell.agrees for cell in taken]) if feature == "slope" else None,
        early=1 if feature == "value" else 0)
    for setting, found in zip(tried, evaluate(sheet, tried), strict=True):
        episodes = list(zip(found.strand.tolist(), found.raised.tolist(), found.cleared.tolist(), strict=True))
        assert episodes == [(number, *one) for number, series in enumerate(world) for one in told(setting, series)]


def _plain(cell: Cell, feature: str) -> Cell:
    """A reading with only those faults that its feature can have."""
    match feature:
        case "value":
            return Cell(cell.step, cell.value, cell.held, cell.late)
        case "sum":
            return Cell(cell.step, cell.value, late=cell.late, valid=cell.valid, barred=cell.barred)
        case _:
            valid = 1000 if cell.valid else 0
            return Cell(cell.step, cell.value if valid else -100, late=cell.late, valid=valid, agrees=cell.agrees)


def _ints(values: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.array(values, dtype=np.int64)


@pytest.mark.parametrize(("step", "raised"), [(2 * PERIOD, True), (2 * PERIOD + 1, False), (6 * PERIOD, False)])
def test_for_a_held_reading_too_a_gap_is_no_time_that_passed(step: int, raised: bool) -> None:
    series = [Cell(PERIOD, 5), Cell(step, 5, held=True)]
    setting = Setting(5, 4, 2, 3, 2 * PERIOD, 0, 1000, 5)
    strand, _ = strand_of(series)
    found, = evaluate(Sheet(timeline([strand]), plain([5]), early=1), [setting])
    assert found.raised.tolist() == [one for one, _ in told(setting, series)] == ([PERIOD + step] if raised else [])


def test_a_held_reading_may_raise_where_the_level_is_about_to_fall() -> None:
    series = [Cell(PERIOD, 1), Cell(PERIOD, 1), Cell(PERIOD, 5), Cell(PERIOD, 5, held=True), Cell(PERIOD, 1)]
    setting = Setting(5, 4, 2, 3, 0, 0, 1000, 5)
    strand, taken = strand_of(series)
    found, = evaluate(Sheet(timeline([strand]), plain([cell.value for cell in taken]), early=1), [setting])
    assert list(zip(found.raised.tolist(), found.cleared.tolist(), strict=True)) == told(setting, series) == [
        (4 * PERIOD, 5 * PERIOD)]


@pytest.mark.parametrize(("before", "raised", "cleared"), [
    ((1, 1, 1, 1, 5, 5, 1, 1), 9, 12),    # it sets the level: the delay begins behind it
    ((5, 5, 5, 1, 5, 5, 1, 1), 3, 10),           # the level is set: the delay goes on
])
def test_the_off_delay_of_a_level_that_a_held_reading_reaches(
    before: tuple[int, ...], raised: int, cleared: int
) -> None:
    """Two of five are high, and three below are enough to fall."""
    series = [*(Cell(PERIOD, value) for value in before), Cell(PERIOD, 5, held=True),
              *(Cell(PERIOD, 1) for _ in range(4))]
    setting = Setting(5, 5, 3, 5, 0, 2 * PERIOD, 1000, 5)
    strand, taken = strand_of(series)
    found, = evaluate(Sheet(timeline([strand]), plain([cell.value for cell in taken]), early=1), [setting])
    assert list(zip(found.raised.tolist(), found.cleared.tolist(), strict=True)) == told(setting, series) == [
        (raised * PERIOD, cleared * PERIOD)]


@pytest.mark.parametrize(("on", "off", "top", "n", "m"), [
    (5, 6, 5, 1, 1), (5, 4, 4, 1, 1), (5, 4, 5, 1, 2), (5, 4, 5, 3, 2)])
def test_settings_that_no_rules_file_could_hold_are_refused(on: int, off: int, top: int, n: int, m: int) -> None:
    with pytest.raises(ValueError, match="use off <= on <= top, and more than half of M"):
        Setting(on, off, n, m, 0, 0, 1000, top)
