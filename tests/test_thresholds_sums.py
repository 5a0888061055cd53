"""Sums of rain by the timetable: windows, coverage, gaps, resets."""

from typing import Any

import pytest

from tests.threshold_desk import RAIN, TRAY, Desk, ms
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

CLEAR, BLUE, RED = Level.CLEAR, Level.BLUE, Level.RED


def rain(over_min: float, on: float, **keys: Any) -> dict[str, Any]:
    return {"quantity": "rain_mm", "over_min": over_min, "blue": on, **keys}


def test_rain_of_ten_minutes_is_the_difference_of_the_counter() -> None:
    desk = Desk(RAIN, rain(10, 5.0))
    desk.each_minute("07:00", 100.0, 100.0, 102.0, 104.0, 104.8, 105.0)
    assert desk.told() == [("07:05", BLUE)]
    assert desk.changes[0].value == 5.0
    desk.each_minute("07:06", *[105.0] * 6)
    assert desk.sum() == 5.0                     # (07:01, 07:11] holds the 2 mm of 07:02
    desk.each_minute("07:12", 105.0)
    assert desk.sum() == 3.0                     # (07:02, 07:12] does not


def test_the_first_reading_of_a_counter_is_no_rain() -> None:
    desk = Desk(RAIN, rain(10, 5.0))
    desk.read("07:00", 812.4)
    assert desk.sum() == 0.0


def test_a_gauge_that_gives_increments_is_summed_as_it_is() -> None:
    desk = Desk(TRAY, rain(10, 5.0))
    desk.each_minute("07:00", 1.0, 2.0, 2.0)
    assert desk.told() == [("07:02", BLUE)]
    assert desk.read("07:03", -0.2) is Quality.RANGE
    assert desk.sum() == 5.0


def test_a_day_of_rain_leaves_the_window_minute_by_minute() -> None:
    desk = Desk(RAIN, rain(1440, 100.0, off_delay_min=0, off_fraction=0.9))
    desk.each_minute("00:00", *[round(0.2 * minute, 1) for minute in range(501)])
    assert desk.told() == [("08:20", BLUE)]      # 500 tips
    desk.each_minute("08:21", *[100.0] * 960)    # to 24:20
    assert desk.sum() == 96.0                    # (00:20, 24:20] holds the tips from 00:21 on
    desk.each_minute("24:21", *[100.0] * 31)     # to 24:51
    assert desk.told() == [("08:20", BLUE), ("24:51", CLEAR)]


def test_a_window_over_an_hour_begins_at_a_whole_minute() -> None:
    desk = Desk(RAIN, rain(90, 50.0))
    desk.each_minute("07:00:10", 0.0, 3.0)       # 3 mm at 07:01:10
    desk.each_minute("07:02:10", *[3.0] * 88)    # to 08:29:10
    desk.read("08:31:50", 3.0)                   # 07:01:50 is 90 min ago; the window begins at 07:01:00
    assert desk.sum() == 3.0
    desk.read("08:32:00", 3.0)
    assert desk.sum() == 0.0


def test_a_sum_above_the_threshold_is_true_at_any_coverage() -> None:
    desk = Desk(RAIN, rain(60, 10.0))
    desk.each_minute("07:00", 0.0, 4.0, 10.0)
    assert desk.coverage() == pytest.approx(3 / 60)
    assert desk.told() == [("07:02", BLUE)]


def test_a_sum_below_off_at_low_coverage_does_not_clear() -> None:
    desk = Desk(RAIN, rain(60, 10.0, off_delay_min=0))
    desk.each_minute("07:00", *[0.0] * 60, 10.0)
    assert desk.told() == [("08:00", BLUE)]
    desk.read("09:30", 10.0)                     # nothing is known of 08:31 to 09:29
    assert (desk.sum(), desk.coverage()) == (0.0, 1 / 60)
    assert desk.level() is BLUE
    desk.each_minute("09:31", *[10.0] * 46)      # to 10:16: 47 minutes
    assert desk.level() is BLUE
    desk.each_minute("10:17", 10.0)              # 48 of 60 are 80 %
    assert desk.told() == [("08:00", BLUE), ("10:17", CLEAR)]


def test_coverage_counts_only_what_lies_in_the_window() -> None:
    desk = Desk(RAIN, rain(10, 5.0))
    desk.read("07:00", 0.0)
    desk.read("07:02", 0.0)
    assert desk.coverage() == 3 / 10             # one period before the first, and the two minutes between
    for clock in ("07:03", "07:05", "07:07", "07:09", "07:11:30"):
        desk.read(clock, 0.0)
    # (07:01:30, 07:11:30]: 0.5 of the two minutes to 07:02, 7 min, and one period after a gap of 2.5
    assert desk.coverage() == 8.5 / 10


def test_a_counter_that_goes_back_was_reset() -> None:
    desk = Desk(RAIN, rain(10, 5.0))
    desk.each_minute("07:00", 900.0, 901.0, 0.4, 1.0)
    assert desk.sum() == pytest.approx(1.0 + 0.4 + 0.6)
    assert desk.level() is CLEAR


def test_rain_of_unknown_time_counts_only_in_windows_as_long_as_the_silence() -> None:
    desk = Desk(RAIN, rain(60, 30.0), rain(180, 30.0))
    desk.each_minute("07:00", 0.0, 0.0)
    desk.read("09:01", 40.0)                     # 40 mm in two hours of silence
    assert (desk.sum(0), desk.sum(1)) == (0.0, 40.0)
    assert (desk.level(0), desk.level(1)) == (CLEAR, BLUE)
    desk.each_minute("09:02", *[40.0 + number for number in range(1, 31)])
    assert (desk.sum(0), desk.sum(1)) == (30.0, 70.0)
    assert desk.level(0) is BLUE


def test_a_silence_as_long_as_the_window_counts() -> None:
    desk = Desk(RAIN, rain(60, 30.0))
    desk.read("07:00", 0.0)
    desk.read("08:00", 40.0)
    assert desk.sum() == 40.0
    desk.read("09:00:00.001", 80.0)
    assert desk.sum() == 0.0                     # neither the old 40 nor those of more than an hour


def test_two_silences_in_one_window() -> None:
    """A window of 61 min may be up to 62 min long: two readings after more than 61 min can lie in it."""
    desk = Desk(RAIN, rain(61, 30.0))
    desk.read("05:00:20", 0.0)
    desk.read("06:02:20", 7.0)
    desk.read("07:03:50", 12.0)                  # the window begins at 06:02:00
    assert desk.sum() == 0.0
    desk.read("07:03:55", 12.4)
    assert desk.sum() == pytest.approx(0.4)


def test_readings_of_one_slot_count_at_the_time_of_the_last() -> None:
    """More readings than the period says do not overflow the memory; they are counted a little longer."""
    desk = Desk(RAIN, rain(10, 5.0))             # slots of half a period: (07:00:30, 07:01:00] is one
    desk.read("07:00", 0.0)
    desk.read("07:00:40", 3.0)
    desk.read("07:00:50", 4.0)
    for minute in range(1, 11):
        desk.read(f"07:{minute:02}:05", 4.0)
    desk.read("07:10:45", 4.0)
    assert desk.sum() == 4.0
    desk.read("07:10:50", 4.0)
    assert desk.sum() == 0.0


def test_ten_readings_a_second_where_one_a_minute_was_promised() -> None:
    desk = Desk(Series("gauge/rain_mm", "rain_mm", 60_000, (0.0, 100.0)), rain(1, 5.0), rain(90, 9000.0))
    for tenth in range(1200):
        desk.read(f"07:{tenth // 600:02}:{tenth % 600 / 10}", 0.1)
    assert desk.sum(1) == pytest.approx(120.0)
    assert 60.0 <= desk.sum(0) <= 90.0           # up to half a period too much, never too little


def test_episode_and_level_survive_a_long_dry_restart() -> None:
    desk = Desk(RAIN, rain(60, 10.0, off_delay_min=30))
    desk.each_minute("07:00", *[0.0] * 60, 10.0, *[10.0] * 89)
    assert desk.told() == [("08:00", BLUE)]      # the rain left the window at 09:00, 30 min to hold
    desk.each_minute("09:30", 10.0)
    assert desk.told() == [("08:00", BLUE), ("09:30", CLEAR)]
    assert desk.changes[1].since_ms == ms("08:00")
