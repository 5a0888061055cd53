"""Sums of what lies above a reference, by the timetable; gas that is read once a minute."""

from typing import Any

from tests.threshold_desk import GAS, Desk, ms
from thresholds.series import Series
from tocsin.levels import Level

CLEAR, YELLOW, RED = Level.CLEAR, Level.YELLOW, Level.RED
OXYGEN = Series("nose/o2_pct_vol", "o2_pct_vol", 60_000, (0.0, 40.0))


def cusum(**keys: Any) -> dict[str, Any]:
    return {"quantity": "h2s_ppm", "feature": "cusum", "reference": 1.0, "allowance": 0.5, "yellow": 3.0,
            "off_delay_min": 0, **keys}


def test_what_lies_above_reference_and_allowance_adds_up() -> None:
    desk = Desk(GAS, cusum())
    desk.each_minute("07:00", 1.0, 2.5, 2.5, 1.4, 2.6)
    assert desk.told() == [("07:04", YELLOW)]     # 1 + 1 - 0.1 + 1.1
    assert desk.value() == 3.0


def test_quiet_readings_do_not_go_below_nothing() -> None:
    desk = Desk(GAS, cusum())
    desk.each_minute("07:00", *[0.0] * 30, 4.5)
    assert desk.told() == [("07:30", YELLOW)]


def test_the_sum_is_capped_at_twice_the_highest_level_so_that_it_falls_in_time() -> None:
    desk = Desk(GAS, cusum())
    desk.each_minute("07:00", *[90.0] * 60)
    assert desk.value() == 6.0
    desk.each_minute("08:00", *[1.0] * 9)
    assert desk.level() is YELLOW                 # 1.5 is not below off
    desk.each_minute("08:09", 1.0)
    assert desk.told() == [("07:00", YELLOW), ("08:09", CLEAR)]


def test_too_little_of_something_adds_up_too() -> None:
    desk = Desk(OXYGEN, cusum(quantity="o2_pct_vol", direction="low", reference=20.9, allowance=0.2, yellow=1.0))
    desk.each_minute("07:00", 20.9, 20.2, 20.2)
    assert desk.told() == [("07:02", YELLOW)]
    assert desk.changes[0].value == 1.0


def test_a_gap_of_more_than_ten_periods_halves_the_sum() -> None:
    desk = Desk(GAS, cusum(yellow=9.0))
    desk.each_minute("07:00", *[2.5] * 3)
    desk.read("07:12", 1.5)
    assert desk.value() == 3.0
    desk.read("07:22:01", 1.5)
    assert desk.value() == 1.5


def test_without_a_reference_nothing_is_known_until_an_hour_ends_with_sixty_known_minutes() -> None:
    desk = Desk(GAS, cusum(reference=None, allowance=0.1, yellow=0.9))
    minima = [1.0 + (7 * minute % 60) / 1000 for minute in range(60)]    # 1.000 to 1.059 in some order
    desk.each_minute("06:01", *minima)            # 07:00 belongs to the hour that ends with it
    assert desk.value() is None
    assert not desk.pending()
    desk.read("07:01", 2.005)
    assert desk.value() == 0.9                    # the reference is the sixth lowest of sixty: 1.005
    assert desk.told() == [("07:01", YELLOW)]


def test_with_fifty_nine_known_minutes_the_reference_stays_unknown() -> None:
    desk = Desk(GAS, cusum(reference=None))
    desk.each_minute("06:02", *[1.0] * 59)
    desk.read("07:01", 50.0)
    assert desk.value() is None
    assert desk.level() is CLEAR
    desk.each_minute("07:02", *[1.0] * 59)
    assert desk.value() is None
    desk.read("08:01", 1.7)                       # 119 minutes, one of them at 50
    assert desk.value() == 0.2


def test_the_lowest_reading_of_a_minute_counts() -> None:
    desk = Desk(GAS, cusum(reference=None, allowance=0.1))
    for minute in range(60):
        desk.read(f"06:{minute:02}:20", 1.0)
        desk.read(f"06:{minute:02}:40", 3.0)
    desk.read("07:00:20", 1.5)
    assert desk.value() == 0.4


def test_the_reference_follows_within_a_day_and_forgets_the_day_before() -> None:
    desk = Desk(GAS, cusum(reference=None, allowance=0.1, yellow=900.0))
    desk.each_minute("00:01", *[1.0] * 60 * 24, *[5.0] * 60 * 3)    # to 27:00
    assert desk.value() == 3 * 60 * 3.9           # 21 of 24 hours still know 1.0
    desk.read("27:01", 0.0)
    desk.each_minute("27:02", *[5.0] * (60 * 19 - 1))    # to 46:00: a tenth of a day is 144 minutes
    assert desk.value() == 1800.0
    desk.each_minute("46:01", *[5.0] * 10)        # of the 24 h before 46:00, 121 minutes know 1.0 or less
    assert desk.value() == 1799.0


def test_gas_at_red_is_held_until_a_person_has_looked() -> None:
    desk = Desk(GAS, cusum(red=6.0))
    desk.each_minute("07:00", *[4.5] * 2, *[0.0] * 20)
    assert desk.told() == [("07:00", YELLOW), ("07:01", RED)]
    desk.acknowledge()
    assert desk.level() is RED
    desk.each_minute("07:22", 0.0)
    assert desk.told()[2:] == [("07:22", CLEAR)]
    assert desk.changes[2].since_ms == ms("07:00")
