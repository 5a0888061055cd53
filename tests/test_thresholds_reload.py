"""Other rules in the middle of a storm: what is the same decides the same, and nothing that is active is cleared."""

import random
import tomllib
from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.golden_compare import STATION, control, control_of, flat, fresh, seen, seen_of
from tests.golden_compare import told as told_by
from tests.golden_kernel import Golden
from tests.golden_reload import reloaded
from tests.threshold_worlds import Control, cut, world_of
from tests.threshold_worlds_rules import rules_for
from thresholds.binding import bind
from thresholds.kernel import Block, Change, State, features, levels, restore, save, start, step
from thresholds.parts import OF_ALL, named, parts
from thresholds.plan import Plan
from thresholds.reload import bind_over, moved, reload
from thresholds.rule import Feature, Rules
from thresholds.rules import rules_of
from thresholds.series import Series
from thresholds.state import Memory
from tocsin.config import ConfigError
from tocsin.levels import Level

SEEDS = st.integers(0, 10**9)
ROWS = 80
HISTORY_MS = 25 * 3_600_000
MINUTE_MS = 60_000
BEGIN_MS = 16_666_667 * MINUTE_MS
GAUGE = Series("gauge/stage_m", "stage_m", MINUTE_MS, (-1.0, 10.0))
BUCKET = Series("bucket/rain_total_mm", "rain_total_mm", MINUTE_MS, (0.0, 1e6))


def part_of(plan: Plan, dice: random.Random) -> Plan:
    """Some of the rules; a coincidence only with the rule that it is over."""
    rules = [rule for rule in plan.rules.rules if dice.random() < 0.6] or list(plan.rules.rules[:1])
    there = {rule.name for rule in rules}
    kept = [rule for rule in rules if rule.feature is not Feature.COINCIDENCE or rule.of in there]
    kept = kept or [rule for rule in plan.rules.rules if rule.feature is not Feature.COINCIDENCE][:1]
    return bind(replace(plan.rules, rules=tuple(kept)), plan.series)


def blend(stay: Rules, others: Rules, dice: random.Random) -> Rules:
    """Of rules with one name, what stays is now and then the other one; checks are of one of the two."""
    rules = {rule.name: rule for rule in stay.rules}
    for rule in others.rules:
        if rule.name not in rules or (rule.feature is not Feature.COINCIDENCE and dice.random() < 0.5):
            rules[rule.name] = rule
    there = [rule for rule in rules.values() if rule.feature is not Feature.COINCIDENCE or rule.of in rules]
    return Rules(tuple(there), stay.checks if dice.random() < 0.7 else others.checks, "world")


def period_of(plan: Plan) -> int:
    return max(one.period_ms for one in plan.series)


def told(changes: list[Change], names: set[tuple[str, str]]) -> list[tuple[object, ...]]:
    return [(named(one.track), one.t_ms, one.level, one.previous, one.revision, one.episode, one.since_ms, one.value)
            for one in changes if named(one.track) in names]


def run(plan: Plan, block: Block, rows: int) -> State:
    state = start(plan, "bridge")
    step(state, cut(block, 0, rows))
    return state


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_parts_are_all_of_the_memory_and_none_is_in_two(seed: int) -> None:
    state = start(world_of(seed, 1, controls=False).plan)
    seen = {one.name: np.zeros_like(getattr(state.memory, one.name), dtype=np.int64) for one in fields(Memory)}
    for part in parts(state).values():
        for name, index in part.fields.items():
            seen[name][index] += 1
    for name, count in seen.items():
        assert name in OF_ALL or bool((count == 1).all()), name


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(0, ROWS), st.booleans())
def test_the_same_rules_again_change_nothing(seed: int, at: int, history: bool) -> None:
    world = world_of(seed, ROWS, controls=False)
    state = run(world.plan, world.block, at)
    again = reload(state, world.plan, [cut(world.block, 0, at)] if history else [])
    assert save(again) == save(state)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, ROWS), st.booleans())
def test_a_rule_that_stays_decides_what_it_would_have_decided(seed: int, at: int, fewer: bool) -> None:
    world = world_of(seed, ROWS, controls=False)
    other = part_of(world.plan, random.Random(seed))
    old, new = (world.plan, other) if fewer else (other, world.plan)
    before, rest = run(old, world.block, at), cut(world.block, at, ROWS)
    after = reload(before, new, [cut(world.block, 0, at // 2), cut(world.block, at // 2, at)])
    both = set(map(named, old.tracks)) & set(map(named, new.tracks))
    assert told(step(after, rest).changes, both) == told(step(before, rest).changes, both)


@settings(max_examples=settings().max_examples // 4)
@given(SEEDS, st.integers(0, ROWS), st.lists(st.integers(0, ROWS), max_size=3))
def test_a_reload_is_what_the_plain_loop_makes_of_it(seed: int, at: int, ends: list[int]) -> None:
    """Some rules stay, some are new, some go; then row by row, and in cuts with a restart after the reload."""
    world, dice = world_of(seed, ROWS, controls=False), random.Random(seed)
    golden, state = Golden(world.plan, STATION), start(world.plan, STATION)
    for row in range(at):
        t = int(world.block.t_ms[row].max())
        for what in dice.choices(("acknowledge", "clear", "shelve"), k=int(dice.random() < 0.1)):
            one = Control(row, what, dice.randrange(len(world.plan.tracks)), t)
            assert control(state, one) == control_of(golden, one)
        told_by(golden, world.block, row)
        step(state, cut(world.block, row, row + 1))
    others = rules_for(dice, list(world.plan.series), period_of(world.plan))
    mixed = blend(part_of(world.plan, dice).rules, others, dice)
    try:
        plan, _ = bind_over(state, mixed, world.plan.series)
    except ConfigError:    # a coincidence over the other set's rule of that name
        reject()
    history = cut(world.block, 0, at)
    golden = reloaded(golden, plan, history, STATION)
    after = restore(plan, save(reload(state, plan, [history])))
    assert seen(after) == seen_of(golden)
    cuts = sorted({at, ROWS, *(end for end in ends if end > at), *range(at, min(at + 40, ROWS))})
    for begin, end in pairwise(cuts):
        said = len(golden.changes), len(golden.freshness)
        quality = [told_by(golden, world.block, row) for row in range(begin, end)]
        outcome = step(after, cut(world.block, begin, end))
        assert outcome.quality.tolist() == quality, f"rows {begin} to {end}"
        assert [flat(one) for one in outcome.changes] == golden.changes[said[0]:], f"rows {begin} to {end}"
        assert [fresh(one) for one in outcome.freshness] == golden.freshness[said[1]:], f"rows {begin} to {end}"
        assert seen(after) == seen_of(golden), f"rows {begin} to {end}"
    assert np.array_equal(after.memory.revision, [judge.revision for judge in golden.judges])


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, ROWS))
def test_with_all_readings_what_is_new_is_as_if_it_had_always_been_there(seed: int, at: int) -> None:
    world = world_of(seed, ROWS, controls=False)
    old = part_of(world.plan, random.Random(seed))
    after = reload(run(old, world.block, at), world.plan, [cut(world.block, 0, at)])
    always = run(world.plan, world.block, at)
    readings = len(world.plan.tracks) - len(world.plan.groups)  # a coincidence sees levels, and they may differ
    for row in range(at, ROWS):
        for state in (after, always):
            step(state, cut(world.block, row, row + 1))
        for name in ("value", "valid", "span"):
            found, wanted = (getattr(features(state), name)[:readings].tolist() for state in (after, always))
            assert found == wanted, (row, name)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, ROWS), st.sampled_from(["none", "all", "some"]))
def test_a_reload_clears_nothing_and_raises_nothing(seed: int, at: int, history: str) -> None:
    world = world_of(seed, ROWS, controls=False)
    dice = random.Random(seed)
    before = run(world.plan, world.block, at)
    rules = rules_for(dice, list(world.plan.series), period_of(world.plan))
    plan, let_go = bind_over(before, Rules(rules.rules, rules.checks), world.plan.series)
    begin = {"none": at, "all": 0, "some": at // 2}[history]
    after = reload(before, plan, [cut(world.block, begin, at)])
    was = dict(zip(map(named, before.plan.tracks), levels(before).tolist(), strict=True))
    now = dict(zip(map(named, plan.tracks), levels(after).tolist(), strict=True))
    assert not let_go
    assert {name for name, level in was.items() if level} == {name for name, level in now.items() if level}
    changed = {named(one.track): (one.previous, one.level) for one in moved(before, after, 1)}
    assert changed == {name: (was[name], level) for name, level in now.items() if level != was.get(name, 0)}
    for track, level in zip(plan.tracks, levels(after).tolist(), strict=True):
        assert level == 0 or track.rule.at_level(Level(level)) is not None
    step(after, cut(world.block, at, ROWS))


def test_the_worlds_have_reloads_that_matter() -> None:
    """Rules that go while they are active, levels that move, rings of another length, series with another check."""
    seen: set[str] = set()
    for seed in range(24):
        world = world_of(seed, ROWS, controls=False)
        before = run(world.plan, world.block, ROWS)
        rules = rules_for(random.Random(seed), list(world.plan.series), period_of(world.plan))
        plan, _ = bind_over(before, rules, world.plan.series)
        after = reload(before, plan, [world.block])
        seen |= {"moved"} if moved(before, after, 1) else set()
        seen |= {"retired"} if len(plan.rules.rules) > len(rules.rules) else set()
        kept, new = parts(before).keys() & parts(after).keys(), parts(after).keys() - parts(before).keys()
        seen |= {f"{how} {identity[0]}" for how, some in (("kept", kept), ("new", new)) for identity in some}
    assert {"moved", "retired", "kept series", "new series", "kept track", "new track", "new slots", "new minutes",
            "new trend ring", "kept cusum"} <= seen


# by hand


def stage_rules(levels_: str, name: str = "stage") -> Rules:
    keys = 'quantity = "stage_m"\nn = 1\nm = 1\noff_below = 0.1\noff_delay_min = 0'
    return rules_of(tomllib.loads(f'[[rule]]\nname = "{name}"\n{keys}\n{levels_}'), "rules")


def rain_rules(*minutes: int) -> Rules:
    text = "".join(f'[[rule]]\nname = "rain {over}"\nquantity = "rain_mm"\nover_min = {over}\nblue = 5\n'
                   for over in minutes)
    return rules_of(tomllib.loads(text), "rules")


def take(state: State, minute: int, value: float) -> list[Change]:
    block = Block.blank(1, 1)
    block.t_ms[0], block.raw[0], block.quality[0] = BEGIN_MS + minute * MINUTE_MS, round(value * 1000), 0
    return step(state, block).changes


@pytest.mark.parametrize(("old", "new", "stays"), [
    ("yellow = 2\norange = 3", "yellow = 5\norange = 6", Level.ORANGE),
    ("yellow = 2\norange = 3", "blue = 5\nyellow = 6", Level.YELLOW),
    ("yellow = 2\norange = 3", "red = 6", Level.RED),
    ("yellow = 2\norange = 3", "blue = 1\nred = 6", Level.BLUE),
])
def test_an_active_level_stays_or_becomes_the_next_lower_one_or_the_lowest(old: str, new: str, stays: Level) -> None:
    state = start(bind(stage_rules(old), [GAUGE]))
    (raised,) = take(state, 0, 3.2)
    after = reload(state, bind(stage_rules(new), [GAUGE]))
    assert levels(after).tolist() == [stays]
    found = [(one.previous, one.level, one.revision, one.episode) for one in moved(state, after, 5)]
    assert found == ([] if stays is Level.ORANGE else [(Level.ORANGE, stays, 2, raised.episode)])
    fall = take(after, 1, 0.5)
    assert [(one.level, one.revision, one.episode) for one in fall] == [(Level.CLEAR, 2 + len(found), raised.episode)]


def test_a_rule_that_is_gone_stays_for_its_series_until_it_is_clear() -> None:
    other = replace(GAUGE, key="other/stage_m")
    state = start(bind(stage_rules("red = 3"), [GAUGE, other]))
    block = Block.blank(1, 2)
    block.t_ms[0], block.raw[0], block.quality[0] = BEGIN_MS, (3500, 500), 0
    step(state, block)
    plan, let_go = bind_over(state, stage_rules("red = 9", "new"), (GAUGE, other))
    assert ([named(track) for track in plan.tracks], let_go) == (
        [("new", GAUGE.key), ("new", other.key), ("stage", GAUGE.key)], [])
    after = reload(state, plan)
    assert levels(after).tolist() == [0, 0, Level.RED]
    assert [track.rule.name for track in bind_over(after, stage_rules("red = 9", "new"), (GAUGE, other))[0].tracks] == [
        "new", "new", "stage"]
    block.t_ms[0] += MINUTE_MS
    block.raw[0] = 500
    (fall,) = step(after, block).changes
    assert (fall.track.rule.name, fall.level) == ("stage", Level.CLEAR)
    assert len(bind_over(after, stage_rules("red = 9", "new"), (GAUGE, other))[0].tracks) == 2


def test_a_rule_whose_series_is_gone_is_let_go_and_named() -> None:
    state = start(bind(stage_rules("red = 3"), [GAUGE]))
    take(state, 0, 3.5)
    _, let_go = bind_over(state, rain_rules(60), (BUCKET,))
    assert len(let_go) == 1
    assert let_go[0].startswith("stage on gauge/stage_m was red and is gone: ")


def test_a_longer_window_without_readings_counts_from_the_reload_and_invents_nothing() -> None:
    state = start(bind(rain_rules(60), [BUCKET]))
    always = start(bind(rain_rules(60), [BUCKET]))
    total = 0.0
    for minute in range(90):
        total += 0.1
        for one in (state, always):
            take(one, minute, total)
    state = reload(state, bind(rain_rules(40, 50, 120), [BUCKET]))
    for minute in range(90, 300):
        total += 0.1
        for one in (state, always):
            take(one, minute, total)
        value, valid = features(state).value.tolist(), features(state).valid.tolist()
        passed = minute - 89
        assert value == [100 * min(passed, over) for over in (40, 50, 120)]
        assert [one // MINUTE_MS for one in valid] == [min(passed, over) for over in (40, 50, 120)]


@pytest.mark.parametrize("at", [70, 125, 130, 200, 250])
def test_a_shorter_window_finds_what_the_longer_one_has_kept(at: int) -> None:
    """Wherever the ring of 123 places has just been written."""
    state = start(bind(rain_rules(60), [BUCKET]))
    for minute in range(at):
        take(state, minute, 0.1 * minute)
    state = reload(state, bind(rain_rules(40, 60), [BUCKET]))
    for minute in range(at, at + 100):
        take(state, minute, 0.1 * minute)
        assert features(state).value.tolist() == [4000, 6000]
        assert features(state).valid.tolist() == [40 * MINUTE_MS, 60 * MINUTE_MS]


def test_a_history_of_a_day_is_enough_for_the_longest_window() -> None:
    dice = random.Random(7)
    state, always = start(bind(rain_rules(60), [BUCKET])), start(bind(rain_rules(60, 1440), [BUCKET]))
    totals = np.cumsum([dice.choice((0, 0, 0, 200)) for _ in range(30 * 60)]).tolist()
    block = Block.blank(len(totals), 1)
    block.t_ms[:, 0] = BEGIN_MS + np.arange(len(totals)) * MINUTE_MS
    block.raw[:, 0], block.quality[:] = totals, 0
    at = 29 * 60
    for one in (state, always):
        step(one, cut(block, 0, at))
    begin = int(np.searchsorted(block.t_ms[:, 0], block.t_ms[at, 0] - HISTORY_MS, side="right"))
    after = reload(state, bind(rain_rules(60, 1440), [BUCKET]), [cut(block, begin, at)])
    for row in range(at, len(totals)):
        step(after, cut(block, row, row + 1))
        step(always, cut(block, row, row + 1))
        assert features(after).value.tolist() == features(always).value.tolist()
        assert features(after).valid.tolist() == features(always).valid.tolist()
