"""The kernel says what the plain loop says, however the rows are cut and wherever the state is saved."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden_kernel import Golden
from tests.threshold_worlds import World, cut, world_of
from thresholds.kernel import (
    Block,
    Change,
    Freshness,
    State,
    levels,
    pending,
    restore,
    save,
    stale,
    start,
    step,
    sums,
)

ROWS = 120
FEWER = settings(max_examples=settings().max_examples // 4)    # an example is a station with its hours of faults
SEEDS = st.integers(0, 2**32 - 1)


def flat(change: Change) -> tuple[Any, ...]:
    return (change.track.rule.name, change.track.series.key, change.t_ms, int(change.level), int(change.previous),
            change.revision, change.episode, change.since_ms, change.value, change.threshold,
            change.stage.value, change.authority.value)


def fresh(freshness: Freshness) -> tuple[str, int, bool]:
    return freshness.series.key, freshness.t_ms, freshness.stale


def told(golden: Golden, block: Block, row: int) -> list[int]:
    return golden.row(block.t_ms[row].tolist(), block.raw[row].tolist(), block.quality[row].tolist(),
                      int(block.now_ms[row]))


def golden_of(world: World) -> tuple[Golden, list[list[int]]]:
    golden, block = Golden(world.plan, "s1"), world.block
    return golden, [told(golden, block, row) for row in range(len(block.now_ms))]


def run(world: World, cuts: list[tuple[int, bool]]) -> tuple[State, list[list[int]], list[Any], list[Any]]:
    """The kernel over blocks that end at the cuts; where a cut says so, the state is saved and restored there."""
    state = start(world.plan, "s1")
    quality: list[list[int]] = []
    changes: list[Any] = []
    freshness: list[Any] = []
    begin = 0
    for end, saved in [*cuts, (len(world.block.now_ms), False)]:
        outcome = step(state, cut(world.block, begin, end))
        quality += outcome.quality.tolist()
        changes += map(flat, outcome.changes)
        freshness += map(fresh, outcome.freshness)
        begin = end
        if saved:
            state = restore(world.plan, save(state))
    return state, quality, changes, freshness


@FEWER
@given(SEEDS)
def test_every_row_is_judged_as_the_plain_loop_judges_it(seed: int) -> None:
    world = world_of(seed, ROWS)
    block = world.block
    golden, state = Golden(world.plan, "s1"), start(world.plan, "s1")
    for row in range(ROWS):
        said = len(golden.changes), len(golden.freshness)
        quality = told(golden, block, row)
        outcome = step(state, cut(block, row, row + 1))
        assert outcome.quality.tolist() == [quality]
        assert [flat(one) for one in outcome.changes] == golden.changes[said[0]:]
        assert [fresh(one) for one in outcome.freshness] == golden.freshness[said[1]:]
        assert levels(state).tolist() == golden.levels()
        assert pending(state).tolist() == [judge.pending() for judge in golden.judges]
        assert stale(state).tolist() == [source.stale for source in golden.sources]
        found = sums(state)
        assert list(zip(found.value.tolist(), found.covered_ms.tolist(), found.span_ms.tolist(), strict=True)) == [
            judge.sum for judge in golden.judges]
    assert np.array_equal(state.memory.revision, [judge.revision for judge in golden.judges])


@FEWER
@given(SEEDS, st.lists(st.tuples(st.integers(0, ROWS), st.booleans()), max_size=25))
def test_cuts_and_restarts_do_not_matter(seed: int, cuts: list[tuple[int, bool]]) -> None:
    world = world_of(seed, ROWS)
    golden, quality = golden_of(world)
    state, marked, changes, freshness = run(world, sorted(cuts))
    assert marked == quality
    assert changes == golden.changes
    assert freshness == golden.freshness
    whole, *_ = run(world, [])
    assert save(state) == save(whole)


@pytest.mark.parametrize("seed", range(3))
def test_worlds_are_eventful(seed: int) -> None:
    """The worlds above would prove nothing if nothing happened in them."""
    golden = [golden_of(world_of(seed * 100 + number, ROWS)) for number in range(8)]
    assert sum(len(one.changes) for one, _ in golden) > 40
    assert sum(len(one.freshness) for one, _ in golden) > 10
    assert {bits for _, rows in golden for row in rows for bits in row} >= {0, 1, 2, 16}
