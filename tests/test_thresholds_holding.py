"""Spikes are held, rises are not deleted: docs/detection.md, 3, by the timetable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.threshold_desk import RAIN, STAGE, TRAY, Desk, ms
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

GOOD, HELD, STUCK, SERVICE = Quality.GOOD, Quality.SPIKE_HELD, Quality.STUCK, Quality.SERVICE
CLEAR, YELLOW, RED = Level.CLEAR, Level.YELLOW, Level.RED
VALUE = {"quantity": "stage_m", "yellow": 2.0, "red": 3.0, "off_below": 0.2, "n": 1, "m": 1, "off_delay_min": 0}
TWO = {**VALUE, "n": 2, "m": 3}
CHECK = {"quantity": "stage_m", "spike_floor": 0.3}
HOUR_OF_RAIN = {"quantity": "rain_mm", "over_min": 60, "blue": 30.0}


def checked(*rules: dict[str, object], at: float = 1.0, **keys: object) -> Desk:
    """A radar that has been heard at 06:58 and 06:59."""
    desk = Desk(STAGE, *(rules or (VALUE,)), checks=[CHECK | keys])
    assert desk.each_minute("06:58", at, at) == [HELD, GOOD]
    return desk


def test_the_first_reading_waits_for_a_second_that_agrees() -> None:
    desk = Desk(STAGE, VALUE, checks=[CHECK])
    assert desk.each_minute("07:00", 8.0, 1.0, 1.3, 1.3) == [HELD, HELD, GOOD, GOOD]
    assert desk.told() == []


def test_a_spike_of_one_reading_is_held_and_forgotten() -> None:
    desk = checked()
    assert desk.each_minute("07:00", 1.0, 3.5, 1.1, 1.0) == [GOOD, HELD, GOOD, GOOD]
    assert desk.told() == []


def test_a_rise_beyond_the_limit_counts_with_its_second_reading_and_from_its_first() -> None:
    desk = checked(TWO)
    assert desk.each_minute("07:00", 2.2, 2.4) == [HELD, GOOD]
    assert desk.told() == [("07:01", YELLOW)]
    assert desk.changes[0].since_ms == ms("07:00")


def test_two_readings_beyond_the_limit_on_one_side_are_a_rise_however_far_apart() -> None:
    desk = checked()
    assert desk.each_minute("07:00", 8.0, 2.1) == [HELD, GOOD]
    assert desk.told() == [("07:01", YELLOW)]


def test_of_what_was_held_only_as_much_counts_as_the_next_reading_shows_too() -> None:
    """A fault in the middle of a real rise: 2.4 is far from what was before, and says that the water rises, not 8.0."""
    latches = {"off_below": 0.0, "off_delay_min": 60}      # so that it tells afterwards what was taken
    desk = checked({**VALUE, **latches}, {**TWO, **latches})
    assert desk.each_minute("07:00", 1.1, 1.2, 1.3, 8.0, 2.4) == [GOOD, GOOD, GOOD, HELD, GOOD]
    assert desk.told() == [("07:04", YELLOW), ("07:04", YELLOW)]
    down = checked({"quantity": "stage_m", "direction": "low", "yellow": 0.5, "red": 0.2, "off_above": 0.2})
    assert down.each_minute("07:00", 0.01, 0.4) == [HELD, GOOD]
    assert down.told() == [("07:01", YELLOW)]


def test_spikes_to_both_sides_are_no_rise() -> None:
    desk = checked()
    assert desk.each_minute("07:00", 3.5, 0.2, 3.5, 1.0) == [HELD, HELD, HELD, GOOD]
    assert desk.told() == []


@pytest.mark.parametrize(("second", "rises"), [(1.24, True), (1.2, True), (1.19, False), (0.8, False), (1.0, False)])
def test_a_reading_within_half_the_step_says_that_the_held_one_was_real(second: float, rises: bool) -> None:
    """A step of 0.4; two readings make the level, so that it tells whether both were taken."""
    desk = checked({**TWO, "yellow": 1.15, "off_below": 0.0, "off_delay_min": 60})
    assert desk.each_minute("07:00", 1.4, second) == [HELD, GOOD]
    assert desk.told() == ([("07:01", YELLOW)] if rises else [])


def test_the_limit_grows_with_the_time_since_the_last_taken_reading() -> None:
    desk = checked(VALUE, max_rate_per_min=0.2)
    assert desk.read("07:00", 1.4) is HELD        # 0.3 in a minute, not 0.4
    assert desk.read("07:01", 1.4) is GOOD
    assert desk.read("07:04", 2.0) is GOOD        # 0.6 in three
    assert desk.told() == [("07:04", YELLOW)]


def test_the_base_is_the_middle_of_the_last_three() -> None:
    desk = checked()
    desk.each_minute("07:00", 1.0, 1.2, 1.1)
    assert desk.read("07:03", 1.4) is GOOD        # 0.3 from 1.1
    assert desk.read("07:04", 1.51) is HELD       # 0.31 from 1.2


def test_a_held_reading_at_the_top_counts_at_once_towards_n_of_m() -> None:
    desk = checked(TWO, at=1.9)
    assert desk.each_minute("07:00", 2.15, 4.0) == [GOOD, HELD]
    assert desk.told() == [("07:01", YELLOW)]     # yellow: 2 of 3, the second one held; red: 1 of 3
    assert (desk.changes[0].value, desk.changes[0].since_ms) == (4.0, ms("07:00"))
    assert desk.value() == 2.15                   # nothing else is remembered of it
    assert desk.each_minute("07:02", 1.9, 1.9, 1.7, 1.7) == [GOOD] * 4
    assert desk.told()[1:] == [("07:05", CLEAR)]


def test_one_held_reading_alone_is_silent() -> None:
    desk = checked(TWO, VALUE, at=1.9)
    assert desk.each_minute("07:00", 1.9, 9.0, 1.9) == [GOOD, HELD, GOOD]
    assert desk.told() == []


def test_a_held_reading_below_the_top_waits() -> None:
    desk = checked(TWO, at=1.9)
    assert desk.each_minute("07:00", 2.15, 2.9) == [GOOD, HELD]
    assert desk.level() is CLEAR


def test_service_begins_anew() -> None:
    desk = checked()
    desk.each_minute("07:00", 1.0, 1.0)
    assert desk.read("07:02", 5.0, SERVICE) is SERVICE
    assert desk.each_minute("07:03", 2.5, 2.5) == [HELD, GOOD]    # the radar was moved: a new base
    assert desk.told() == [("07:04", YELLOW)]


def test_a_counter_below_its_base_is_held_and_a_reset_is_confirmed() -> None:
    desk = Desk(RAIN, HOUR_OF_RAIN, checks=[{"quantity": "rain_mm"}])
    assert desk.each_minute("07:00", 100.0, 101.0, 0.2, 0.4, 1.0) == [HELD, GOOD, HELD, GOOD, GOOD]
    assert desk.sum() == pytest.approx(1.0 + 0.2 + 0.2 + 0.6)
    assert desk.read("07:05", 0.4) is HELD        # goes back without a reset ...
    assert desk.read("07:06", 1.2) is GOOD        # ... and on: that was noise
    assert desk.sum() == pytest.approx(2.2)


def test_rain_is_checked_by_default_at_ten_mm_a_minute() -> None:
    desk = Desk(TRAY, HOUR_OF_RAIN, checks=[])
    assert desk.each_minute("07:00", 10.0, 10.2, 0.2, 10.2, 10.2) == [GOOD, HELD, GOOD, HELD, GOOD]
    assert desk.sum() == pytest.approx(10.0 + 0.2 + 10.2 + 10.2)


def test_the_same_value_for_long_is_suspect_and_still_warns() -> None:
    desk = Desk(STAGE, {**VALUE, "off_delay_min": 60}, checks=[{"quantity": "stage_m", "stuck_after_h": 0.05}])
    assert desk.each_minute("07:00", 2.1, 2.1, 2.1, 2.1, 2.1, 2.2) == [GOOD, GOOD, GOOD, STUCK, STUCK, GOOD]
    assert desk.each_minute("07:06", 2.2, 2.2) == [GOOD, GOOD]
    assert desk.told() == [("07:00", YELLOW)]


FLOODS = st.lists(st.integers(0, 8999), min_size=4, max_size=25)


@given(FLOODS, st.integers(50, 1000))
def test_no_rise_comes_later_by_more_than_one_reading(values: list[int], floor: int) -> None:
    """Whatever the river does: of two readings in a row at the threshold, the second one raises at the latest."""
    values = [1000, 1000, *values]
    desk = Desk(STAGE, {**VALUE, "off_delay_min": 1440},
                checks=[{"quantity": "stage_m", "spike_floor": floor / 1000}])
    desk.each_minute("07:00", *[value / 1000 for value in values])
    rises = [number for number, value in enumerate(values) if number and min(value, values[number - 1]) >= 2000]
    if rises:
        assert desk.changes
        assert desk.changes[0].t_ms <= ms("07:00") + 60_000 * rises[0]


@given(st.lists(st.integers(-100, 100), min_size=4, max_size=20), st.data())
def test_one_reading_beyond_the_limit_raises_nothing(steps: list[int], data: st.DataObject) -> None:
    """Below the threshold and within the limit, but for one."""
    values = [1.5 + step / 1000 for step in steps]
    at = data.draw(st.integers(0, len(values) - 1))
    values[at] = data.draw(st.sampled_from([2.01, 2.5, 4.0, 8.9]))
    desk = Desk(STAGE, VALUE, TWO, checks=[CHECK])
    quality = desk.each_minute("07:00", *values)
    assert quality[at] is HELD
    assert desk.told() == []


@pytest.mark.parametrize("period_s", [1, 60, 3600])
def test_rain_s_floor_is_one_period_at_the_rate(period_s: int) -> None:
    gauge = Series("tray/rain_mm", "rain_mm", period_s * 1000, (0.0, 1000.0))
    desk = Desk(gauge, HOUR_OF_RAIN, checks=[{"quantity": "rain_mm", "max_rate_per_min": 6.0}])
    allowed = 6.0 * period_s / 60
    assert desk.read("07:00", 0.0) is GOOD
    assert desk.read("07:00:00.5", allowed) is GOOD               # soon after, but not more than a period brings
    assert desk.read("07:00:00.7", allowed + 0.1) is HELD
