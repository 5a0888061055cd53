"""The path for many rows against the path for one: the same outcome and the same memory, however rows are cut."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.threshold_worlds import BEGIN, Control, World, cut, world_of
from thresholds import batch, kernel, tick
from thresholds.batch import cusums, stream, track
from thresholds.batch.counts import Counts, pushed
from thresholds.batch.lookup import lookup
from thresholds.batch.stream import make
from thresholds.binding import bind
from thresholds.kernel import Block, Outcome, State, restore, save, start
from thresholds.rules import rules_of
from thresholds.series import Series
from tocsin.readings import Quality

MINUTE = 60_000
CHUNKS = st.sampled_from((1, 2, 7, 40, 1000))


def by_tick(state: State, block: Block) -> Outcome:
    """Row by row."""
    outcome = Outcome(block.quality.copy())
    for row, now_ms in enumerate(block.now_ms.tolist()):
        if now_ms:
            tick.tick(state, now_ms, outcome)
        tick.take(state, block.t_ms[row], block.raw[row], outcome.quality[row], outcome)
    return outcome


def by_batch(state: State, block: Block) -> Outcome:
    outcome = Outcome(block.quality.copy())
    batch.run(state, block, outcome)
    return outcome


def control(state: State, one: Control) -> object:
    if one.what == "clear":
        return kernel.clear(state, one.track, one.t_ms)
    if one.what == "acknowledge":
        kernel.acknowledge(state, one.track)
    elif one.what == "shelve":
        kernel.shelve(state, one.track, one.t_ms)
    else:
        kernel.new_epoch(state)
    return None


def cuts_of(world: World, most: int, seed: int) -> Iterator[tuple[int, int]]:
    """Random pieces of up to `most` rows, empty ones too; controls stand between pieces."""
    rows, dice = len(world.block.now_ms), np.random.default_rng(seed)
    steps = np.cumsum(dice.integers(0, most + 1, rows)).tolist()
    places = [0, *(at for at in steps if at < rows), *(one.row for one in world.controls), rows]
    yield from pairwise(sorted(places))


def same(world: World, most: int, seed: int) -> None:
    """Both paths side by side; the one for many rows is saved and restored at every cut."""
    ours, theirs = start(world.plan, "batch"), start(world.plan, "batch")
    waiting = list(world.controls)
    for begin, end in cuts_of(world, most, seed):
        while waiting and waiting[0].row <= begin:
            one = waiting.pop(0)
            assert control(ours, one) == control(theirs, one)
        block = cut(world.block, begin, end)
        got, want = by_batch(ours, block), by_tick(theirs, block)
        where = f"rows {begin} to {end}"
        assert got.quality.tolist() == want.quality.tolist(), where
        assert got.changes == want.changes, where
        assert got.freshness == want.freshness, where
        data = save(ours)
        assert data == save(theirs), where
        ours = restore(world.plan, data)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), CHUNKS, st.integers(0, 2**32))
def test_many_rows_at_once_are_the_same_as_one_by_one(seed: int, most: int, cuts: int) -> None:
    same(world_of(seed, 90), most, cuts)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_where_a_track_is_looked_at_in_pieces_the_pieces_do_not_matter(seed: int, cuts: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STRETCH", 8)
        patch.setattr(track, "STRETCH", 8)
        same(world_of(seed, 120), 1000, cuts)


def storm() -> World:
    """Two days at 1 min of a rain counter and a stage, with jitter, spikes, gaps, and two storms."""
    series = [Series("gauge/rain_total_mm", "rain_total_mm", MINUTE, (0.0, 50_000.0)),
              Series("radar/stage_m", "stage_m", MINUTE, (0.0, 9.0))]
    levels = {"yellow": 1.5, "red": 3.0, "n": 3, "m": 5}
    trend = {"quantity": "stage_m", "over_min": 30, "n": 3, "m": 5}
    rules = rules_of({"rule": [
        {"name": "rain 10", "quantity": "rain_mm", "over_min": 10, "blue": 4.0, "orange": 12.0},
        {"name": "rain 180", "quantity": "rain_mm", "over_min": 180, "blue": 20.0, "orange": 60.0},
        {"name": "stage", "quantity": "stage_m", "off_below": 0.2, **levels},
        {"name": "rate", "feature": "rate", "blue": 0.5, "yellow": 2.0, **trend},
        {"name": "slope", "feature": "slope", "blue": 0.5, "yellow": 2.0, "robust": True, **trend},
        {"name": "time", "feature": "time_to", "target": 3.0, "blue": 60.0, "yellow": 20.0, **trend},
        {"name": "cusum", "quantity": "stage_m", "feature": "cusum", "reference": 1.0, "allowance": 0.05,
         "blue": 5.0, "orange": 20.0}]}, "storm")
    plan, dice, rows = bind(rules, series), np.random.default_rng(5), 2 * 1440
    block = Block.blank(rows, 2)
    minutes = np.arange(rows)
    swell = sum(np.exp(-((minutes - peak) / 60.0) ** 2) for peak in (700, 1900))
    block.now_ms[:] = BEGIN + minutes * MINUTE
    block.t_ms[:] = block.now_ms[:, None] + dice.integers(0, 4000, (rows, 2))
    block.raw[:, 0] = 200 * np.cumsum(dice.poisson(4 * swell))
    block.raw[:, 1] = 900 + (2500 * swell + dice.normal(0, 3, rows)).astype(np.int64)
    block.raw[dice.integers(0, rows, 20), 1] += 2000
    block.quality[:] = np.where(dice.random((rows, 2)) < 0.02, int(Quality.MISSING), 0)
    block.quality[1200:1320] = int(Quality.MISSING)
    return World(plan, block, [])


def test_two_days_at_once_with_storms_spikes_and_a_gap_are_the_same_as_row_by_row() -> None:
    world = storm()
    ours, theirs = start(world.plan), start(world.plan)
    got, want = by_batch(ours, world.block), by_tick(theirs, world.block)
    assert {change.track.rule.name for change in want.changes} == {track.rule.name for track in world.plan.tracks}
    assert (got.quality == want.quality).all()
    assert got.changes == want.changes
    assert got.freshness == want.freshness
    assert save(ours) == save(theirs)


def test_series_without_readings_keep_their_memory() -> None:
    world = storm()
    state = start(world.plan)
    by_batch(state, world.block)
    before = save(state)
    assert not by_batch(state, Block.blank(50, 2)).changes
    assert save(state) == before


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60), st.lists(st.integers(-400, 300), max_size=20),
       st.sampled_from((1, 1000, 10**9)))
def test_a_lookup_finds_what_a_search_finds(numbers: list[int], keys: list[int], apart: int) -> None:
    among, asked = np.array(sorted(numbers)) * apart, np.array(keys, dtype=np.int64) * apart
    asked = asked[asked <= among[-1]]
    assert lookup(among).up_to(asked).tolist() == np.searchsorted(among, asked, "right").tolist()


@given(st.lists(st.integers(-30, 30), min_size=1, max_size=80), st.sets(st.integers(0, 79), max_size=4),
       st.integers(0, 40), st.integers(5, 40))
def test_a_cumulative_sum_is_that_of_the_plain_loop(more: list[int], halved: set[int], before: int, cap: int) -> None:
    halves = np.array(sorted(one for one in halved if one < len(more)), dtype=np.int64)
    found, now = [], before
    for number, step in enumerate(more):
        now = now >> 1 if number in halved else now
        now = min(max(now + step, 0), cap)
        found.append(now)
    assert cusums.summed(cusums.Run(before, np.array(more), halves, cap)).tolist() == found


@given(st.lists(st.tuples(st.sampled_from((1, 1, 1, 2, 9, 30)), st.booleans()), min_size=1, max_size=40),
       st.integers(0, 30), st.integers(1, 9))
def test_counts_are_those_of_the_young_ones_of_the_last_readings(
        steps: list[tuple[int, bool]], first: int, m: int) -> None:
    series = [Series("radar/stage_m", "stage_m", MINUTE, (0.0, 9.0))]
    levels = {"yellow": {"on": 1.0, "n": m // 2 + 1, "m": m}, "off_below": 0.1}
    state = start(bind(rules_of({"rule": [{"name": "stage", "quantity": "stage_m", **levels}]}, "counts"), series))
    times = BEGIN + MINUTE * np.cumsum([gap for gap, _ in steps])
    flags: npt.NDArray[np.bool_] = np.array([flag for _, flag in steps])
    at = min(first, len(steps) - 1)
    depth = state.memory.past_t.shape[1]
    state.memory.past_t[0, :min(at, depth)] = times[:at][::-1][:depth]
    state.memory.good_t[0] = times[at - 1] if at else state.memory.good_t[0]
    nothing = np.zeros(0, dtype=np.int64)
    rest = times.size - at
    taken = make(state, 0, np.arange(rest), times[at:], np.zeros(rest, dtype=np.int64), nothing)
    want = [sum(bool(flags[back]) for back in range(max(0, now - m + 1), now + 1)
                if times[now] - times[back] <= 2 * m * MINUTE) for now in range(at, times.size)]
    before = pushed(np.zeros(1, dtype=np.int64), flags[None, :at])
    assert Counts(taken).of(before, flags[None, at:], m)[0].tolist() == want
