"""The life of a warning, told as timetables: who is told what, when, and why."""

from dataclasses import replace

import pytest

from hub.board import Board
from hub.happened import Answered, Confirmed, EpisodeChanged, Tick
from hub.model import WarningState, Why
from hub.warnings import step
from tests.village import NEXT_BOOT, NEXT_VILLAGE, POLICY, VILLAGERS, Life, at, changed, detection
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import BulletinKind

ALERT, UPDATE, CLOSE = BulletinKind.ALERT, BulletinKind.UPDATE, BulletinKind.CLOSE


def test_first_raise_is_said_and_household_and_village_are_called() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    assert life.says == [(ALERT, Why.FIRST)]
    assert [(person, why) for _, person, why in life.asks] == [(name, Why.FIRST) for name in VILLAGERS]
    assert (life.now.state, life.now.level, life.now.stage) == (WarningState.OPEN, Level.ORANGE, Stage.PREPARE)
    assert {call.times for call in life.now.calls.values()} == {1}


def test_higher_level_is_said_and_everybody_is_called_anew_even_who_answered() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.answers("Li Ming", "14:06")
    life.take_asks()
    life.found(detection(Level.RED, "14:10", 2, previous=Level.YELLOW))
    assert life.says[-1] == (UPDATE, Why.HIGHER)
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)
    assert life.now.calls["Li Ming"].answered_at == 0
    assert (life.now.calls["Li Ming"].level, life.now.peak, life.now.stage) == (Level.RED, Level.RED, Stage.MOVE)


def test_an_answer_from_before_the_rise_does_not_answer_the_higher_level() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.found(detection(Level.RED, "14:10", 2, previous=Level.YELLOW), "14:10:02")
    life.event(Answered("Li Ming", "button at the siren", "", at("14:09:59")), "14:10:05")
    assert life.now.calls["Li Ming"].answered_at == 0
    life.event(Answered("Li Ming", "button at the siren", "", at("14:10:01")), "14:10:06")
    assert life.now.calls["Li Ming"].answered_at == at("14:10:01")


def test_lower_level_is_said_and_nobody_is_called() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1))
    life.take_asks()
    life.found(detection(Level.BLUE, "14:40", 2, previous=Level.RED))
    assert life.says[-1] == (UPDATE, Why.LOWER)
    assert life.asks == []
    assert (life.now.level, life.now.peak) == (Level.BLUE, Level.RED)


def test_level_is_the_highest_of_the_episodes_and_a_lower_one_that_joins_is_not_said() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.found(detection(Level.YELLOW, "14:06", 1, rule="rain-3h"))
    life.found(detection(Level.BLUE, "14:07", 1), station="mill-creek")
    assert len(life.says) == 1
    assert (life.now.level, len(life.now.episodes)) == (Level.ORANGE, 3)


def test_closes_only_when_every_episode_is_clear_and_calling_stops() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.found(detection(Level.YELLOW, "14:06", 1), station="mill-creek")
    life.answers("Li Ming", "14:06:30")
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.ORANGE))
    assert len(life.says) == 2, "mill-creek is still raised"
    life.found(detection(Level.CLEAR, "14:30", 2, previous=Level.YELLOW), station="mill-creek")
    assert life.now.state is WarningState.CLOSED
    assert life.says == [(ALERT, Why.FIRST), (UPDATE, Why.LOWER), (CLOSE, Why.CLEARED)]
    life.take_asks()
    life.ticks("14:30", "14:50")
    assert life.asks == []
    assert life.now.calls["Wang Fang"].answered_at == 0, "stays listed as unanswered"


def test_silence_never_clears() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    for day in range(9, 20):
        life.event(Tick(at("14:05", day)), "14:05")
    assert life.now.state is WarningState.OPEN


def test_raise_after_a_close_is_a_new_warning() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    old = life.now.id
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.ORANGE))
    life.found(detection(Level.BLUE, "15:00", 3, episode="e2"))
    assert life.now.id != old
    assert (life.now.state, life.now.peak, life.says[-1]) == (WarningState.OPEN, Level.BLUE, (ALERT, Why.FIRST))


def test_a_number_that_a_power_cut_made_the_station_count_twice_does_not_mute_it() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.YELLOW))  # which its log lost
    life.take_asks()
    life.found(detection(Level.RED, "14:40", 2, previous=Level.YELLOW))
    assert life.now.level == Level.RED
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)


def test_several_numbers_that_a_power_cut_made_the_station_count_twice_do_not_mute_it() -> None:
    """The disk refused, so the hub heard of them and the log did not; the episode goes on under lower numbers."""
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.found(detection(Level.ORANGE, "14:10", 2, previous=Level.YELLOW))
    life.found(detection(Level.RED, "14:15", 3, previous=Level.ORANGE))
    life.found(detection(Level.ORANGE, "14:20", 4, previous=Level.RED))
    life.take_asks()
    life.found(detection(Level.RED, "14:40", 2, previous=Level.YELLOW, boot=NEXT_BOOT))
    assert life.now.level == Level.RED
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)
    life.found(detection(Level.ORANGE, "14:50", 3, previous=Level.RED, boot=NEXT_BOOT))
    assert life.now.level == Level.ORANGE


@pytest.mark.parametrize("when", ["14:04", "16:30"])
def test_what_an_earlier_run_had_told_does_not_come_back_as_news(when: str) -> None:
    """Late, and then also told by a clock that was far ahead."""
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 3, boot=NEXT_BOOT))
    before = life.now
    life.found(detection(Level.RED, when, 2), "14:10")
    assert life.now is before


@pytest.mark.parametrize("revision", [1, 2])
def test_lower_or_equal_revision_is_ignored(revision: int) -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 2))
    before = life.now
    life.found(detection(Level.RED, "14:04", revision))
    assert life.now is before


def test_late_repeat_of_a_closed_episode_raises_nothing_even_two_warnings_later() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.ORANGE))
    life.found(detection(Level.ORANGE, "14:30", 1), station="mill-creek")
    life.found(detection(Level.CLEAR, "14:40", 2, previous=Level.ORANGE), station="mill-creek")
    says = len(life.says)
    life.found(detection(Level.ORANGE, "14:05", 1), "14:41")
    assert len(life.says) == says
    assert life.now.state is WarningState.CLOSED


def test_station_whose_memory_was_replaced_is_heard_again() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:05", 41))
    life.found(detection(Level.CLEAR, "14:20", 42, previous=Level.ORANGE))
    life.found(detection(Level.RED, "15:00", 1, episode="after the new card"))
    assert (life.now.state, life.now.level) == (WarningState.OPEN, Level.RED)


def test_raise_older_than_half_an_hour_on_arrival_is_recorded_and_nothing_else() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1), "14:35:01")
    assert life.now.historic
    assert (life.now.state, life.now.level) == (WarningState.OPEN, Level.RED)
    life.ticks("14:36", "14:40")
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.RED), "14:41")
    assert (life.now.state, life.says, life.asks) == (WarningState.CLOSED, [], [])


def test_raise_of_half_an_hour_ago_is_called() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1), "14:35")
    assert (life.now.historic, life.says) == (False, [(ALERT, Why.FIRST)])


def test_raise_whose_clear_is_here_already_is_recorded_and_nothing_else() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1), "14:10", settled=True)
    life.found(detection(Level.CLEAR, "14:09", 2, previous=Level.RED), "14:10")
    assert (life.now.historic, life.now.state, life.says, life.asks) == (True, WarningState.CLOSED, [], [])


def test_clear_that_comes_before_its_raise_closes_it_for_good() -> None:
    life = Life()
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.RED))
    life.found(detection(Level.RED, "14:05", 1), "14:21")
    assert (life.now.state, life.now.historic, life.now.peak) == (WarningState.CLOSED, True, Level.RED)
    assert (life.says, life.asks) == ([], [])


def test_historic_warning_becomes_a_normal_one_when_its_episode_rises_live() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "13:00", 1), "14:00")
    life.found(detection(Level.RED, "14:05", 2, previous=Level.YELLOW))
    assert (life.now.historic, life.says) == (False, [(ALERT, Why.FIRST)])
    assert {person for _, person, _ in life.asks} == set(VILLAGERS)


def test_old_raise_beside_a_live_one_changes_nothing_that_was_said_but_holds_the_all_clear() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.found(detection(Level.RED, "13:00", 1), "14:06", station="mill-creek")
    assert (life.now.level, len(life.says)) == (Level.YELLOW, 1)
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.YELLOW))
    assert (life.now.state, life.now.level, len(life.says)) == (WarningState.OPEN, Level.YELLOW, 1)
    life.found(detection(Level.CLEAR, "14:30", 2, previous=Level.RED), station="mill-creek")
    assert (life.now.state, life.says[-1]) == (WarningState.CLOSED, (CLOSE, Why.CLEARED))


def test_live_episode_that_rose_during_a_long_outage_is_said_and_called() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:05", 1))
    life.take_asks()
    life.found(detection(Level.RED, "14:10", 2, previous=Level.YELLOW), "14:50")
    assert life.says[-1] == (UPDATE, Why.HIGHER)
    assert len(life.asks) == 2


def test_rule_that_needs_a_person_says_prepare_until_one_confirms() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1, authority=Authority.CONFIRM))
    assert (life.now.level, life.now.stage) == (Level.RED, Stage.PREPARE)
    life.take_asks()
    life.event(Confirmed("Sun Yan", at("14:07")), "14:07")
    assert (life.now.stage, life.now.confirmed_by, life.says[-1]) == (Stage.MOVE, "Sun Yan", (UPDATE, Why.CONFIRMED))
    assert {(person, why) for _, person, why in life.asks} == {(name, Why.CONFIRMED) for name in VILLAGERS}
    before = life.now
    life.event(Confirmed("Zhao Lei", at("14:08")), "14:08")
    assert life.now is before


def test_one_rule_alone_moves_people_even_beside_one_that_needs_a_person() -> None:
    life = Life()
    life.found(detection(Level.RED, "14:05", 1, authority=Authority.CONFIRM))
    life.found(detection(Level.RED, "14:06", 1, rule="stage-2"))
    assert (life.now.stage, life.says[-1]) == (Stage.MOVE, (UPDATE, Why.HIGHER))


def test_person_who_confirms_a_historic_warning_makes_it_a_normal_one() -> None:
    life = Life()
    life.found(detection(Level.RED, "13:00", 1), "14:00")
    life.event(Confirmed("Sun Yan", at("14:01")), "14:01")
    assert (life.now.historic, life.says) == (False, [(ALERT, Why.CONFIRMED)])
    assert len(life.asks) == 2


def test_open_warning_is_said_again_before_its_bulletin_expires() -> None:
    life = Life(policy=replace(POLICY, renew_s=3600.0))
    life.found(detection(Level.ORANGE, "14:05", 1))
    life.event(Tick(at("15:04:59")), "15:04:59")
    assert len(life.says) == 1
    life.event(Tick(at("15:05")), "15:05")
    life.event(Tick(at("15:06")), "15:06")
    assert life.says[1:] == [(UPDATE, Why.RENEWED)]


def test_events_without_a_warning_do_nothing() -> None:
    for event in (Tick(at("14:00")), Answered("Li Ming", "x", "", at("14:00")), Confirmed("Sun Yan", at("14:00"))):
        assert step(None, event, at("14:00"), POLICY) == (None, [])


def test_station_that_moved_closes_the_warning_of_its_old_place() -> None:
    board = Board()
    raised = changed(detection(Level.RED, "14:05", 1))
    warning, _ = step(board.of(raised), raised, at("14:05"), POLICY)
    assert warning is not None
    board.put(warning)
    cleared = changed(detection(Level.CLEAR, "14:30", 2, previous=Level.RED), station="upper-bridge")
    elsewhere = EpisodeChanged(cleared.station, NEXT_VILLAGE, cleared.detection, cleared.arrived_at)
    after, _ = step(board.of(elsewhere), elsewhere, at("14:30"), POLICY)
    assert after is not None
    assert (after.id, after.state) == (warning.id, WarningState.CLOSED)
