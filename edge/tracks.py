"""Single tracks of the kernel's state, a rule on a series: found by name, operated by people, let go of."""

from collections.abc import Iterable

from thresholds.kernel import Change, State, acknowledge, again, clear, shelve
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


def hidden_of(hidden: set[tuple[str, str]], changes: Iterable[Change]) -> set[tuple[str, str]]:
    """Rule and series of the tracks whose level was last told as shelved, so that nobody was called for it."""
    for change in changes:
        name = {named(change.track)}
        hidden = hidden | name if change.shelved and change.level else hidden - name
    return hidden


def shown_again(state: State, hidden: set[tuple[str, str]], t_ms: int) -> list[Change]:
    """Those of them whose shelving is over while their level stands: told once more, so that people are called."""
    return [again(state, k, t_ms) for k, track in enumerate(state.plan.tracks)
            if named(track) in hidden and state.memory.level[k] and t_ms >= int(state.memory.shelved[k])]


def let_go_of(before: State, after: State, t_ms: int) -> list[Change]:
    """Levels whose series is not at the station any more: nothing can clear them there, so they are told clear."""
    there = {named(track) for track in after.plan.tracks}
    gone = [k for k, track in enumerate(before.plan.tracks) if named(track) not in there]
    return [change for k in gone if (change := clear(before, k, t_ms)) is not None]
