"""Sheets made of the kernel's features tell, for every level of every rule, what the kernel itself does."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.threshold_worlds import World, world_of
from thresholds.binding import bind
from thresholds.kernel import Block, start, step
from thresholds.plan import Plan
from thresholds.tables import NEVER
from thresholds.tune.evaluate import evaluate
from thresholds.tune.features import Place, Work, sheet_of
from thresholds.tune.recorded import record
from thresholds.tune.sweep import setting_of
from thresholds.tune.timeline import timeline

Told = list[tuple[int, int]]


def forgetful(plan: Plan) -> Plan:
    """The same rules, where every level falls by itself: nobody acknowledges in a record."""
    rules = [replace(rule, levels=tuple(replace(level, latch=False) for level in rule.levels))
             for rule in plan.rules.rules]
    return bind(replace(plan.rules, rules=tuple(rules)), plan.series)


def latched(plan: Plan, block: Block) -> dict[tuple[int, int], Told]:
    """When the kernel set and reset each level of each track, row by row."""
    state = start(plan)
    since: dict[tuple[int, int], int] = {}
    found: dict[tuple[int, int], Told] = {}
    for row in range(len(block.now_ms)):
        cut = slice(row, row + 1)
        step(state, Block(block.t_ms[cut], block.raw[cut], block.quality[cut], block.now_ms[cut]))
        for track, level in np.argwhere(state.memory.latched == 1).tolist():
            since.setdefault((track, level), _time(plan, state.memory.group_t, block, row, track))
        for key in [key for key in since if state.memory.latched[key] == 0]:
            found.setdefault(key, []).append((since.pop(key), _time(plan, state.memory.group_t, block, row, key[0])))
    for key, t in since.items():
        found.setdefault(key, []).append((t, NEVER))
    return found


def _time(plan: Plan, group_t: "np.ndarray[tuple[int], np.dtype[np.int64]]", block: Block, row: int, track: int) -> int:
    series = plan.tracks[track].series_index
    groups = series - len(plan.series)
    return int(group_t[groups]) if groups >= 0 else int(block.t_ms[row, series])


def cuts(block: Block, rows: int) -> list[Block]:
    """The same rows in blocks of so many."""
    return [Block(block.t_ms[at:at + rows], block.raw[at:at + rows], block.quality[at:at + rows],
                  block.now_ms[at:at + rows]) for at in range(0, len(block.now_ms), rows)]


def assert_agrees(plan: Plan, block: Block, cut: int = 1000) -> int:
    """Every level of every track; returns how many episodes were compared."""
    truth = latched(plan, block)
    recorded = record(plan, cuts(block, cut))
    count = 0
    for number, track in enumerate(plan.tracks):
        found = Work((Place(0, track),), timeline([recorded[number].strand]), (recorded[number].strand,),
                     ((recorded[number],),), (track.rule,))
        for level in track.rule.levels:
            setting = setting_of(track.rule, level.level)
            sheet = sheet_of(found, 0, level.level, setting.on if track.rule.robust else None)
            episodes, = evaluate(sheet, [setting])
            told = list(zip(episodes.raised.tolist(), episodes.cleared.tolist(), strict=True))
            assert told == truth.get((number, int(level.level) - 1), []), (track.rule, level)
            count += len(told)
    return count


@settings(max_examples=settings().max_examples // 4)    # each walks a station row by row
@given(st.integers(0, 10**9), st.sampled_from([1, 7, 25, 1000]))
def test_every_level_as_the_kernel_sets_and_resets_it(seed: int, cut: int) -> None:
    world: World = world_of(seed, 60, controls=False)
    assert_agrees(forgetful(world.plan), world.block, cut)


def test_made_up_stations_have_episodes_to_compare() -> None:
    worlds = [world_of(seed, 80, controls=False) for seed in range(8)]
    assert sum(assert_agrees(forgetful(world.plan), world.block) for world in worlds) > 25
