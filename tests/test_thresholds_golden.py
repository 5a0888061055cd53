"""The kernel says what the plain loop says, however the rows are cut and wherever the state is saved."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.golden_compare import (
    STATION,
    control,
    control_of,
    flat,
    fresh,
    golden_course,
    kernel_course,
    seen,
    seen_of,
    told,
)
from tests.golden_kernel import Golden
from tests.threshold_worlds import cut, world_of
from thresholds.kernel import Block, save, start, step
from thresholds.rule import Feature
from tocsin.readings import Quality

ROWS = 120
FEWER = settings(max_examples=settings().max_examples // 4)    # an example is a station with its hours of faults
SEEDS = st.integers(0, 2**32 - 1)


@FEWER
@given(SEEDS)
def test_every_row_is_judged_as_the_plain_loop_judges_it(seed: int) -> None:
    world = world_of(seed, ROWS)
    golden, state = Golden(world.plan, STATION), start(world.plan, STATION)
    assert seen(state) == seen_of(golden)
    for row in range(ROWS):
        for one in world.controls:
            if one.row == row:
                assert control(state, one) == control_of(golden, one), f"row {row}: {one}"
                assert seen(state) == seen_of(golden), f"row {row}: {one}"
        said = len(golden.changes), len(golden.freshness)
        quality = told(golden, world.block, row)
        outcome = step(state, cut(world.block, row, row + 1))
        assert outcome.quality.tolist() == [quality], f"row {row}"
        assert [flat(one) for one in outcome.changes] == golden.changes[said[0]:], f"row {row}"
        assert [fresh(one) for one in outcome.freshness] == golden.freshness[said[1]:], f"row {row}"
        assert seen(state) == seen_of(golden), f"row {row}"
    assert np.array_equal(state.memory.revision, [judge.revision for judge in golden.judges])


@FEWER
@given(SEEDS, st.lists(st.integers(0, ROWS), max_size=25), st.sets(st.integers(0, ROWS), max_size=4), st.booleans())
def test_cuts_and_restarts_do_not_matter(seed: int, ends: list[int], saved: set[int], controls: bool) -> None:
    world = world_of(seed, ROWS, controls=controls)
    golden, course = golden_course(world)
    state, found = kernel_course(world, ends, saved)
    assert found == course
    assert seen(state) == seen_of(golden)
    whole, again = kernel_course(world, [])
    assert again == course
    assert save(state) == save(whole)


@FEWER
@given(SEEDS, st.sampled_from([1, 7, 1000]))
def test_blocks_of_one_length(seed: int, rows: int) -> None:
    world = world_of(seed, ROWS, controls=False)
    golden, course = golden_course(world)
    state, found = kernel_course(world, range(0, ROWS, rows))
    assert found == course
    assert seen(state) == seen_of(golden)


@FEWER
@given(SEEDS, st.integers(0, ROWS))
def test_empty_blocks_and_rows_without_readings_change_nothing(seed: int, at: int) -> None:
    world = world_of(seed, ROWS)
    state, _ = kernel_course(world, [])
    before = save(state)
    for rows in (0, 1, at):
        outcome = step(state, Block.blank(rows, len(world.plan.series)))
        assert (outcome.changes, outcome.freshness, outcome.quality.shape) == ([], [], (rows, len(world.plan.series)))
        assert (outcome.quality == int(Quality.MISSING)).all()
    assert save(state) == before


def test_worlds_are_eventful() -> None:
    """The worlds above would prove nothing if nothing happened in them: every feature, mark and message is there."""
    raised: Counter[Feature] = Counter()
    marks: Counter[int] = Counter()
    told_as: Counter[tuple[bool, bool, bool]] = Counter()
    for seed in range(80):
        world = world_of(seed, ROWS)
        golden, course = golden_course(world)
        feature = {track.rule.name: track.rule.feature for track in world.plan.tracks}
        raised.update(feature[change[0]] for change in course.changes)
        marks.update(bit for row in course.quality for bits in row for bit in (2, 4, 8, 16, 128) if bits & bit)
        told_as.update(one[2:] for one in course.freshness)
        assert len(golden.levels()) == len(world.plan.tracks)
    assert {feature: count for feature, count in raised.items() if count >= 15}.keys() == set(Feature), raised
    assert all(marks[bit] > 100 for bit in (2, 4, 8, 16, 128)), marks
    assert {(False, False, False), (True, False, False), (True, True, False), (True, True, True)} <= set(told_as)


@pytest.mark.parametrize("what", ["acknowledge", "clear", "shelve", "new_epoch"])
def test_what_people_and_clocks_do_matters_in_the_worlds(what: str) -> None:
    """Without this control some world takes another course."""
    for seed in range(40):
        world = world_of(seed, ROWS)
        _, course = golden_course(world)
        world.controls = [one for one in world.controls if one.what != what]
        _, without = golden_course(world)
        if (without.changes, without.quality) != (course.changes, course.quality):
            return
    pytest.fail(f"no world of forty cares about {what}")
