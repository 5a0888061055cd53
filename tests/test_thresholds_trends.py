"""Rate, slope and time to a threshold by the timetable; a river that is read once a minute, windows of ten minutes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.threshold_desk import STAGE, Desk
from tocsin.levels import Level

CLEAR, YELLOW = Level.CLEAR, Level.YELLOW
WEEK_MIN = 7 * 24 * 60


def trend(feature: str, yellow: float, **keys: Any) -> dict[str, Any]:
    return {"quantity": "stage_m", "feature": feature, "over_min": 10, "yellow": yellow, "n": 1, "m": 1,
            "off_delay_min": 0, **keys}


def rising(per_min: float, minutes: int, begin: float = 1.0) -> list[float]:
    return [round(begin + per_min * minute, 3) for minute in range(minutes)]


@pytest.mark.parametrize("feature", ["rate", "slope"])
def test_a_steady_rise_is_known_once_half_the_window_is_seen(feature: str) -> None:
    desk = Desk(STAGE, trend(feature, 0.5))
    desk.each_minute("07:00", *rising(0.01, 5))
    assert desk.value() is None
    desk.each_minute("07:05", *rising(0.01, 10, begin=1.05))
    assert desk.value() == 0.6                    # m an hour
    assert desk.told() == [("07:05", YELLOW)]


def test_a_rate_is_that_of_newest_and_oldest_and_a_slope_that_of_all() -> None:
    desk = Desk(STAGE, trend("rate", 9.0), trend("slope", 9.0))
    desk.each_minute("07:00", *[1.0] * 5, 1.3)
    assert desk.value(0) == 3.6                   # 0.3 m in 5 min
    assert desk.value(1) == 2.571                 # (6 * 1500 - 15 * 300) / (6 * 55 - 15 * 15) mm a minute
    desk.each_minute("07:06", *[1.3] * 8)         # the window (07:03, 07:13] holds 07:04
    assert desk.value(0) == 2.0
    desk.each_minute("07:14", *[1.3])             # ... and now not
    assert (desk.value(0), desk.value(1)) == (0.0, 0.0)


def test_a_fall_is_negative_and_a_rule_may_ask_for_it() -> None:
    desk = Desk(STAGE, trend("slope", 0.5), trend("slope", -0.5, direction="low"), trend("rate", -0.5, direction="low"))
    desk.each_minute("07:00", *rising(-0.01, 12, begin=3.0))
    assert [desk.value(rule) for rule in range(3)] == [-0.6, -0.6, -0.6]
    assert [desk.told(rule) for rule in range(3)] == [[], [("07:05", YELLOW)], [("07:05", YELLOW)]]


@pytest.mark.parametrize(("gap_min", "known"), [(5, True), (5.01, False)])
def test_what_lies_before_a_hole_of_more_than_half_the_window_is_left_out(gap_min: float, known: bool) -> None:
    desk = Desk(STAGE, trend("slope", 9.0), trend("rate", 9.0))
    desk.each_minute("07:00", *rising(0.01, 6))   # to 07:05
    seconds = round((5 + gap_min) * 60, 1)
    desk.read(f"07:{int(seconds // 60):02}:{seconds % 60}", 1.1)
    assert [desk.value(rule) is not None for rule in (0, 1)] == [known, known]


def test_after_a_hole_half_a_window_must_be_seen_again() -> None:
    desk = Desk(STAGE, trend("slope", 0.5))
    desk.each_minute("07:00", *rising(0.01, 6))
    desk.each_minute("07:20", *rising(0.02, 5, begin=1.2))
    assert desk.value() is None
    assert desk.level() is YELLOW                 # unknown neither sets nor resets
    desk.each_minute("07:25", 1.3)
    assert desk.value() == 1.2


def test_a_slope_needs_n_min_readings() -> None:
    desk = Desk(STAGE, trend("slope", 9.0, n_min=5), trend("rate", 9.0))
    for clock in ("07:00", "07:02", "07:04", "07:06"):
        desk.read(clock, 1.0)
    assert (desk.value(0), desk.value(1)) == (None, 0.0)
    desk.read("07:08", 1.0)
    assert desk.value(0) == 0.0


def test_the_time_to_a_threshold() -> None:
    desk = Desk(STAGE, trend("time_to", 60.0, target=2.0))
    desk.each_minute("07:00", *rising(0.01, 40))  # to 1.39 m at 07:39
    assert desk.value() == 61.0
    assert desk.level() is CLEAR
    desk.each_minute("07:40", *rising(0.01, 20, begin=1.4))
    assert desk.told() == [("07:40", YELLOW)]
    assert (desk.changes[0].value, desk.changes[0].threshold) == (60.0, 60.0)
    desk.each_minute("08:00", *rising(0.04, 11, begin=1.6))
    assert desk.value() == 0.0                    # there


def test_water_that_does_not_come_nearer_never_arrives() -> None:
    desk = Desk(STAGE, trend("time_to", 60.0, target=2.0))
    desk.each_minute("07:00", *[1.9] * 12)
    assert desk.value() == WEEK_MIN
    desk.each_minute("07:12", *rising(0.002, 12, begin=1.9))
    assert desk.level() is YELLOW
    desk.each_minute("07:24", *rising(-0.01, 12, begin=1.92))
    assert desk.value() == WEEK_MIN
    assert desk.level() is CLEAR


def test_a_time_to_a_threshold_waits_for_its_floor() -> None:
    desk = Desk(STAGE, trend("time_to", 60.0, target=2.0, floor=1.8))
    desk.each_minute("07:00", *rising(0.02, 50))
    assert desk.told() == [("07:40", YELLOW)]     # 1.8 m; 60 min before 2 m was at 1.2 m already
    assert desk.changes[0].value == 10.0


def test_a_falling_tank_s_time_to_empty() -> None:
    desk = Desk(STAGE, trend("time_to", 30.0, target=0.5, direction="low"))
    desk.each_minute("07:00", *rising(-0.01, 30, begin=1.0))
    assert desk.told() == [("07:20", YELLOW)]
    assert desk.value() == 21.0


@pytest.mark.parametrize(("robust", "told"), [(False, [("07:09", YELLOW)]), (True, [])])
def test_a_slope_that_bin_medians_do_not_confirm_stays_silent(robust: bool, told: list[tuple[str, Level]]) -> None:
    """One reading at the end of the window tilts least squares; most pairs of bins see no rise."""
    desk = Desk(STAGE, trend("slope", 0.5, robust=robust))
    desk.each_minute("07:00", *[1.0] * 9, 1.5)
    assert desk.value() == 1.636
    assert desk.told() == told


def test_bin_medians_confirm_a_real_rise() -> None:
    desk = Desk(STAGE, trend("slope", 0.5, robust=True), trend("time_to", 60.0, target=1.5, robust=True))
    desk.each_minute("07:00", *rising(0.01, 10))
    assert desk.told() == [("07:05", YELLOW), ("07:05", YELLOW)]


@given(st.lists(st.integers(0, 9000), min_size=10, max_size=25), st.integers(-3000, 3000))
def test_a_slope_does_not_know_where_zero_is(values: list[int], shift: int) -> None:
    """Sums run modulo 2**64; the result depends on differences alone."""
    moved = [value + shift for value in values]
    if not 0 <= min(moved) <= max(moved) <= 9000:
        moved = values
    found = []
    for series in (values, moved):
        desk = Desk(STAGE, trend("slope", 100.0), trend("rate", 100.0))
        desk.each_minute("07:00", *[value / 1000 for value in series])
        found.append((desk.value(0), desk.value(1)))
    assert found[0] == found[1]
    last = values[-10:]
    n, su, sx = 10, 45, sum(last)
    num = n * sum(u * x for u, x in enumerate(last)) - su * sx
    assert found[0][0] == 60 * num // (n * 285 - su * su) / 1000
