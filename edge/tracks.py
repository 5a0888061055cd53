"""Single tracks of the kernel's state, a rule on a series: found by name, operated by people, let go of."""

from thresholds.kernel import Change, State, acknowledge, clear, shelve
from thresholds.parts import named
from tocsin.inputs import Acknowledge, OperatorClear, Shelve


def track_of(state: State, rule: str, series: str) -> int | None:
    """Which track that is."""
    return next((k for k, track in enumerate(state.plan.tracks) if named(track) == (rule, series)), None)


def operate(state: State, track: int, record: Acknowledge | OperatorClear | Shelve) -> list[Change]:
    """Does what a person asked for, and says what changed."""
    match record:
        case Acknowledge():
            acknowledge(state, track)
        case Shelve():
            shelve(state, track, record.until)
        case OperatorClear():
            change = clear(state, track, record.t)
            return [change] if change else []
    return []


def let_go_of(before: State, after: State, t_ms: int) -> list[Change]:
    """Levels whose series is not at the station any more: nothing can clear them there, so they are told clear."""
    there = {named(track) for track in after.plan.tracks}
    gone = [k for k, track in enumerate(before.plan.tracks) if named(track) not in there]
    return [change for k in gone if (change := clear(before, k, t_ms)) is not None]
