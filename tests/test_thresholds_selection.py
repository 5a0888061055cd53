"""Rows of a few series are looked at through tables of their own: the outcome and the memory are the same."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden_compare import control
from tests.threshold_worlds import World, cut, world_of
from thresholds import selecting, tick
from thresholds.binding import bind
from thresholds.kernel import Block, save, start, step
from thresholds.rules import rules_of
from thresholds.selecting import KEPT, KEPT_OF, few, index, whole
from thresholds.series import Series
from thresholds.tables import Tables
from tocsin.readings import Quality

ROWS = 90
ALWAYS, NEVER = 1, 10**6    # rows that are not full go through small tables; none does


def thinned(world: World, seed: int) -> Block:
    """The rows, each with the readings of a few of its series."""
    dice, block = np.random.default_rng(seed), cut(world.block, 0, ROWS)
    there = dice.random(block.quality.shape) < dice.choice((0.2, 0.5, 1.0), (ROWS, 1))
    return Block(block.t_ms, block.raw, np.where(there, block.quality, int(Quality.MISSING)), block.now_ms)


def course(world: World, block: Block, few_of: int) -> list[object]:
    """Everything that is said and remembered, row by row."""
    state = start(world.plan, "selection")
    found: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tick, "FEW_OF", few_of)
        for row in range(ROWS):
            for one in world.controls:
                if one.row == row:
                    control(state, one)
            outcome = step(state, cut(block, row, row + 1))
            found.append((outcome.quality.tolist(), outcome.changes, outcome.freshness, save(state)))
    return found


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_small_tables_and_masks_come_to_the_same(seed: int, thin: int) -> None:
    world = world_of(seed, ROWS)
    block = thinned(world, thin)
    usual = course(world, block, selecting.FEW_OF)
    assert course(world, block, ALWAYS) == usual
    assert course(world, block, NEVER) == usual


@given(st.lists(st.integers(0, 60), unique=True).map(sorted), st.integers(1, 5))
def test_evenly_spaced_numbers_become_a_slice_of_the_same(numbers: list[int], step_by: int) -> None:
    for wanted in (numbers, list(range(3, 50, step_by)), numbers[:1]):
        made = index(np.array(wanted, dtype=np.int64))
        assert np.arange(61)[made].tolist() == wanted
    assert isinstance(index(np.arange(3, 50, step_by)), slice)


def tables_of_many(count: int) -> Tables:
    series = [Series(f"radar-{number}/stage_m", "stage_m", 60_000, (0.0, 9.0)) for number in range(count)]
    rules = rules_of({"rule": [{"name": "stage", "quantity": "stage_m", "off_below": 0.2, "yellow": 1.5}]}, "many")
    return start(bind(rules, series)).tables


@pytest.mark.parametrize(("count", "most"), [(100, KEPT), (400, KEPT_OF * 400)])
def test_those_asked_for_last_are_kept_and_no_more_than_a_number_of_series(count: int, most: int) -> None:
    tables = tables_of_many(count)
    every, singly = whole(tables, count), [few(tables, np.array([number])) for number in range(count)]
    assert [few(tables, np.array([number])) for number in range(count)] == singly, "each of them is still there"
    for second in range(2, most // 8):
        few(tables, np.array([0, 1, second % count])[:2 + (second % count > 1)])
        few(tables, np.arange(second % 40, second % 40 + 1 + second % 30))
        assert few(tables, np.array([0])) is singly[0]
        assert sum(map(len, tables.selections)) <= most * 8
    assert whole(tables, count) is every
    assert np.array([count - 1]).tobytes() not in tables.selections
