"""Detections in any order and any number of times lead to the same warnings."""

from hypothesis import given
from hypothesis import strategies as st

from hub.board import Board
from hub.callout import Ask
from hub.happened import EpisodeChanged
from hub.warnings import Say, step
from tests.village import POLICY, at, changed, detection
from tocsin.levels import Hazard, Level
from tocsin.messages import BulletinKind, Detection

CLOSE = BulletinKind.CLOSE


STATIONS = ("upper-bridge", "mill-creek", "next-door")


@st.composite
def histories(draw: st.DrawFn, arrived: str = "14:40") -> list[EpisodeChanged]:
    """What stations find from 14:10 to 14:49, each rule in its order: levels go up and down, also to clear and back.

    What arrives at 14:40 is young enough to be called; at 15:00 some of it is history.
    """
    events: list[EpisodeChanged] = []
    for station in STATIONS:
        for rule, hazard in (("stage", Hazard.FLOOD), ("rain-3h", Hazard.FLOOD), ("ch4", Hazard.GAS)):
            level, episode = Level.CLEAR, 0
            for revision, new in enumerate(draw(st.lists(st.sampled_from(Level), max_size=4)), 1):
                if new is not level:
                    episode += level is Level.CLEAR
                    when, name = f"14:{draw(st.integers(0, 9)) + 10 * revision:02d}", f"e{episode}"
                    found = detection(new, when, revision, rule=rule, previous=level, hazard=hazard, episode=name)
                    events.append(changed(found, arrived, station=station))
                    level = new
    return sorted(events, key=lambda event: event.detection.t)


def _stepped(events: list[EpisodeChanged]) -> Board:
    board = Board()
    for event in events:
        opened = {(warning.area, warning.hazard) for warning in board.open()}
        after, _ = step(board.of(event), event, at("15:00"), POLICY)
        assert after is not None
        board.put(after)
        assert len(board.open()) == len({(warning.area, warning.hazard) for warning in board.open()})
        assert len(board.open()) <= len(opened) + 1
    return board


def _state(board: Board) -> dict[tuple[str, str], object]:
    """What people must be told: per area and hazard the level, the stage and the episodes that are raised."""
    return {
        (warning.area, warning.hazard): (
            warning.level,
            warning.stage,
            {key: episode for key, episode in warning.episodes.items() if episode.level},
        )
        for warning in board.open()
    }


def _shuffled(events: list[EpisodeChanged], data: st.DataObject) -> list[EpisodeChanged]:
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=10) if events else st.just([]))
    return data.draw(st.permutations(repeated))


@given(histories(), st.data())
def test_order_and_repetition_of_detections_do_not_matter(events: list[EpisodeChanged], data: st.DataObject) -> None:
    assert _state(_stepped(_shuffled(events, data))) == _state(_stepped(events))


@given(histories(arrived="15:00"), st.data())
def test_order_and_repetition_of_old_detections_raise_and_clear_the_same_episodes(
    events: list[EpisodeChanged], data: st.DataObject
) -> None:
    def raised(board: Board) -> dict[str, object]:
        return {
            key: episode for warning in board.open() for key, episode in warning.episodes.items() if episode.level
        }

    # the level is not compared: beside an old episode the last word that was said stands, and that depends on the order
    assert raised(_stepped(_shuffled(events, data))) == raised(_stepped(events))


@given(histories(arrived="15:00"))
def test_open_means_that_an_episode_is_raised(events: list[EpisodeChanged]) -> None:
    newest: dict[tuple[str, str], Detection] = {}
    for event in events:
        newest[event.station, event.detection.rule] = event.detection
    raised = {
        (changed(found, station=station).area, found.hazard): 0
        for (station, _), found in newest.items()
        if found.level
    }
    assert {(warning.area, warning.hazard) for warning in _stepped(events).open()} == raised.keys()


@given(histories(arrived="15:00"))
def test_nobody_is_called_without_a_bulletin_and_every_action_has_a_reason(events: list[EpisodeChanged]) -> None:
    board = Board()
    for event in events:
        after, actions = step(board.of(event), event, at("15:00"), POLICY)
        assert after is not None
        board.put(after)
        asks = [action for action in actions if isinstance(action, Ask)]
        if asks:
            assert isinstance(actions[0], Say)
            assert actions[0].kind is not CLOSE
            assert {ask.why for ask in asks} == {actions[0].why}
