"""What people and clocks do, and what is told about silence: docs/detection.md, 7 and 8, by the timetable."""

from typing import Any

from tests.threshold_desk import RAIN, STAGE, TRAY, Desk, ms
from tocsin.levels import Level
from tocsin.readings import Quality

CLEAR, YELLOW, RED = Level.CLEAR, Level.YELLOW, Level.RED
VALUE = {"quantity": "stage_m", "yellow": 2.0, "red": 3.0, "off_below": 0.2, "n": 1, "m": 1, "off_delay_min": 0}
LATCHED = {**VALUE, "latch": True}
WET = {"quantity": "rain_mm", "over_min": 60, "blue": 1.0}


def test_a_level_that_latches_falls_only_after_an_acknowledgement() -> None:
    desk = Desk(STAGE, LATCHED)
    desk.each_minute("07:00", 2.1, *[1.0] * 30)
    assert desk.told() == [("07:00", YELLOW)]
    desk.acknowledge()
    assert desk.told() == [("07:00", YELLOW)]
    desk.each_minute("07:31", 1.0)
    assert desk.told() == [("07:00", YELLOW), ("07:31", CLEAR)]


def test_an_acknowledgement_holds_while_the_level_holds_and_not_for_the_next() -> None:
    desk = Desk(STAGE, LATCHED)
    desk.acknowledge()                            # of nothing
    desk.each_minute("07:00", 2.1, 1.0)
    assert desk.level() is YELLOW
    desk.each_minute("07:02", 2.1)
    desk.acknowledge()
    desk.each_minute("07:03", 2.1, 2.2, 1.0)
    assert desk.told() == [("07:00", YELLOW), ("07:05", CLEAR)]
    desk.each_minute("07:06", 2.1, 1.0)
    assert desk.level() is YELLOW


def test_a_higher_level_needs_an_acknowledgement_of_its_own() -> None:
    desk = Desk(STAGE, LATCHED)
    desk.each_minute("07:00", 2.1)
    desk.acknowledge()
    desk.each_minute("07:01", 3.1, 1.0)
    assert desk.told() == [("07:00", YELLOW), ("07:01", RED)]
    desk.acknowledge()
    desk.each_minute("07:03", 1.0)
    assert desk.told()[2:] == [("07:03", CLEAR)]


def test_an_acknowledgement_does_not_clear_what_is_still_there() -> None:
    desk = Desk(STAGE, LATCHED)
    desk.each_minute("07:00", 2.1)
    desk.acknowledge()
    desk.each_minute("07:01", *[2.1] * 10)
    assert desk.level() is YELLOW


def test_an_acknowledgement_survives_a_restart() -> None:
    desk = Desk(STAGE, LATCHED)
    desk.each_minute("07:00", 2.1, 1.0)
    desk.acknowledge()
    desk.restart()
    desk.each_minute("07:02", 1.0)
    assert desk.level() is CLEAR


def test_an_operator_clears_a_level_at_once() -> None:
    desk = Desk(STAGE, {**VALUE, "n": 2, "m": 3})
    desk.each_minute("07:00", 2.1, 2.2)
    change = desk.clear("07:02")
    assert change is not None
    assert (change.t_ms, change.level, change.previous, change.revision) == (ms("07:02"), CLEAR, YELLOW, 2)
    assert (change.episode, change.value, change.threshold) == (desk.changes[0].episode, 2.2, 1.8)
    assert not desk.pending()
    desk.each_minute("07:03", 2.1)                # what was before is forgotten: one of three
    assert desk.level() is CLEAR
    desk.each_minute("07:04", 2.1)
    assert desk.told() == [("07:01", YELLOW), ("07:04", YELLOW)]
    assert desk.changes[1].since_ms == ms("07:03")
    assert desk.changes[1].episode != change.episode


def test_what_is_clear_cannot_be_cleared() -> None:
    desk = Desk(STAGE, {**VALUE, "n": 2, "m": 3})
    desk.each_minute("07:00", 1.0, 2.1)
    assert desk.clear("07:02") is None
    assert desk.pending()
    desk.each_minute("07:02", 2.1)
    assert desk.told() == [("07:02", YELLOW)]


def test_a_shelved_track_is_judged_as_ever_and_says_that_it_is_shelved() -> None:
    desk = Desk(STAGE, VALUE)
    desk.shelve("07:02")
    desk.each_minute("07:00", 2.1, 3.1, 1.0)
    assert [(one.level, one.shelved) for one in desk.changes] == [(YELLOW, True), (RED, True), (CLEAR, False)]


def test_after_a_new_epoch_levels_and_episodes_stay_and_times_begin_again() -> None:
    desk = Desk(STAGE, {**VALUE, "n": 2, "m": 3})
    desk.each_minute("17:00", 3.1, 2.2)           # the clock was ten hours ahead
    assert desk.read("07:02", 3.1) is Quality.LATE
    desk.new_epoch()
    assert desk.level() is YELLOW
    assert desk.read("07:03", 3.1) is Quality.GOOD
    assert desk.level() is YELLOW                 # one of three: the history of 17:00 is forgotten
    desk.each_minute("07:04", 3.1)
    assert desk.told() == [("17:01", YELLOW), ("07:04", RED)]
    assert desk.changes[0].episode == desk.changes[1].episode


def test_after_a_new_epoch_sums_are_empty_and_a_counter_keeps_its_base() -> None:
    desk = Desk(RAIN, WET, checks=[{"quantity": "rain_mm"}])
    desk.each_minute("17:00", 100.0, 100.8)
    desk.new_epoch()
    assert desk.read("07:00", 101.6) is Quality.GOOD    # real rain, but nobody knows when
    assert desk.sum() == 0.0
    desk.read("07:01", 102.6)
    assert desk.sum() == 1.0
    assert desk.told() == [("07:01", Level.BLUE)]


def test_silence_is_urgent_where_a_neighbour_is_above_clear() -> None:
    desk = Desk([STAGE, TRAY], VALUE, WET)
    desk.row("07:00", 1.0, 2.0)
    for minute in range(1, 10):
        desk.row(f"07:{minute:02}", None, 0.0)
    desk.tick("07:10")
    assert [(one.series.key, one.urgent) for one in desk.said] == [("radar/stage_m", True)]
    desk.tick("08:00")                            # the gauge itself: the radar is at rest
    assert [(one.series.key, one.urgent) for one in desk.said[1:]] == [("tray/rain_mm", False)]


def test_a_level_without_readings_for_six_hours_is_unconfirmed_and_holds() -> None:
    desk = Desk([STAGE, TRAY], VALUE, WET)
    desk.row("07:00", 2.1, 0.0)
    desk.tick("07:10")
    desk.tick("13:00")
    assert [one.unconfirmed for one in desk.said] == [False, False]
    desk.tick("13:00:01")
    desk.tick("14:00")                            # once
    assert [(one.series.key, one.stale, one.unconfirmed) for one in desk.said[2:]] == [("radar/stage_m", True, True)]
    assert desk.level() is YELLOW
    desk.row("14:01", 2.1)
    assert desk.said[-1].stale is False
    assert not desk.stale()
    assert desk.told() == [("07:00", YELLOW)]


def test_a_check_says_when_a_series_is_stale() -> None:
    desk = Desk(STAGE, VALUE, checks=[{"quantity": "stage_m", "stale_after_min": 30}])
    desk.read("07:00", 1.0)
    desk.tick("07:30")
    assert not desk.stale()
    desk.tick("07:30:00.001")
    assert desk.stale()


def test_a_reading_that_is_held_does_not_make_a_series_fresh() -> None:
    keys: dict[str, Any] = {"quantity": "stage_m", "spike_floor": 0.3}
    desk = Desk(STAGE, VALUE, checks=[keys])
    desk.each_minute("07:00", 1.0, 1.0)
    desk.tick("07:10")
    assert desk.read("07:11", 5.0) is Quality.SPIKE_HELD
    assert desk.stale()
    desk.read("07:12", 5.0)
    assert desk.freshness == [("07:10", True), ("07:12", False)]
