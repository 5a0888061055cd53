"""The kernel and the plain loop over the same rows, in the same words."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.golden_kernel import Golden
from tests.threshold_worlds import Control, World, cut
from thresholds.kernel import (
    Block,
    Change,
    Freshness,
    State,
    acknowledge,
    clear,
    features,
    levels,
    new_epoch,
    pending,
    restore,
    save,
    shelve,
    stale,
    start,
    step,
)

STATION = "s1"


def flat(change: Change) -> tuple[Any, ...]:
    return (change.track.rule.name, change.track.series.key, change.t_ms, int(change.level), int(change.previous),
            change.revision, change.episode, change.since_ms, change.value, change.threshold,
            change.stage.value, change.authority.value, change.hold_s, change.shelved)


def fresh(one: Freshness) -> tuple[str, int, bool, bool, bool]:
    return one.series.key, one.t_ms, one.stale, one.urgent, one.unconfirmed


def told(golden: Golden, block: Block, row: int) -> list[int]:
    return golden.row(block.t_ms[row].tolist(), block.raw[row].tolist(), block.quality[row].tolist(),
                      int(block.now_ms[row]))


def seen(state: State) -> tuple[Any, ...]:
    """What can be asked of a state."""
    found = features(state)
    asked = list(zip(found.value.tolist(), found.valid.tolist(), found.span.tolist(), strict=True))
    return levels(state).tolist(), pending(state).tolist(), stale(state).tolist()[:len(state.plan.series)], asked


def seen_of(golden: Golden) -> tuple[Any, ...]:
    return golden.levels(), golden.pending(), golden.stale(), golden.features()


def control(state: State, one: Control) -> tuple[Any, ...] | None:
    """Does to the kernel what a person or the clock does; returns what that told."""
    match one.what:
        case "acknowledge":
            acknowledge(state, one.track)
        case "clear":
            change = clear(state, one.track, one.t_ms)
            return flat(change) if change else None
        case "shelve":
            shelve(state, one.track, one.t_ms)
        case _:
            new_epoch(state)
    return None


def control_of(golden: Golden, one: Control) -> tuple[Any, ...] | None:
    match one.what:
        case "acknowledge":
            golden.acknowledge(one.track)
        case "clear":
            return golden.clear(one.track, one.t_ms)
        case "shelve":
            golden.shelve(one.track, one.t_ms)
        case _:
            golden.new_epoch()
    return None


@dataclass
class Course:
    """What was said over all rows; `by_hand` is what controls told."""

    quality: list[list[int]] = field(default_factory=list)
    changes: list[tuple[Any, ...]] = field(default_factory=list)
    freshness: list[tuple[Any, ...]] = field(default_factory=list)
    by_hand: list[tuple[Any, ...] | None] = field(default_factory=list)


def golden_course(world: World) -> tuple[Golden, Course]:
    golden, course = Golden(world.plan, STATION), Course()
    for row in range(len(world.block.now_ms)):
        course.by_hand += [control_of(golden, one) for one in world.controls if one.row == row]
        course.quality.append(told(golden, world.block, row))
    course.changes, course.freshness = golden.changes, [*golden.freshness]
    return golden, course


def kernel_course(world: World, ends: Iterable[int], saved: Iterable[int] = ()) -> tuple[State, Course]:
    """Over blocks that end at `ends` and wherever something is done by hand; saved and restored at the rows `saved`."""
    state, course, begin = start(world.plan, STATION), Course(), 0
    rows, saved = len(world.block.now_ms), set(saved)
    by_row: dict[int, list[Control]] = {}
    for one in world.controls:
        by_row.setdefault(one.row, []).append(one)
    for end in sorted([*ends, *saved, *by_row, rows]):
        outcome = step(state, cut(world.block, begin, end))
        course.quality += outcome.quality.tolist()
        course.changes += map(flat, outcome.changes)
        course.freshness += map(fresh, outcome.freshness)
        begin = end
        if end in saved:
            state = restore(world.plan, save(state))
        course.by_hand += [control(state, one) for one in by_row.pop(end, [])]
    return state, course


