"""Coincidence by the timetable: gauges that are read once a minute, six mm in ten minutes at two of them."""

from typing import Any

import pytest

from tests.threshold_desk import Desk, clock_of, ms
from thresholds.series import Series
from tocsin.levels import Level

CLEAR, YELLOW, RED = Level.CLEAR, Level.YELLOW, Level.RED
SINGLE = {"quantity": "rain_mm", "over_min": 10, "yellow": 5.0, "off_delay_min": 0}


def gauges(count: int) -> list[Series]:
    return [Series(f"{name}/rain_mm", "rain_mm", 60_000, (0.0, 100.0)) for name in "abc"[:count]]


def group(**keys: Any) -> dict[str, Any]:
    return {"feature": "coincidence", "of": "rule 0", "over_min": 30, "yellow": 2.0, "off_delay_min": 0, **keys}


def village(count: int = 2, **keys: Any) -> Desk:
    """The group's track stands behind those of the gauges."""
    return Desk(gauges(count), SINGLE, group(**keys))


def rain(desk: Desk, begin: str, minutes: int, **falls: float) -> None:
    """Rain of gauges by name at `begin`; dry minutes after it."""
    names = "abc"[:len(desk.plan.series)]
    for minute in range(minutes):
        at = ms(begin) + 60_000 * minute
        desk.row(clock_of(at), *[falls.get(name, 0.0) if minute == 0 else 0.0 for name in names])


@pytest.mark.parametrize(("second", "together"), [("07:38", True), ("07:39", False)])
def test_two_gauges_within_the_window_count_together(second: str, together: bool) -> None:
    desk = village()
    rain(desk, "06:50", 10)
    rain(desk, "07:00", (ms(second) - ms("07:00")) // 60_000, a=6.0)    # a stands at yellow from 07:00 to 07:09
    assert desk.told(0) == [("07:00", YELLOW), ("07:10", CLEAR)]
    assert desk.level(2) is CLEAR
    rain(desk, second, 1, b=6.0)
    assert desk.told(2) == ([(second, YELLOW)] if together else [])


def test_one_gauge_alone_is_not_two_however_often_it_is_read() -> None:
    desk = village()
    rain(desk, "07:00", 1, a=50.0)
    rain(desk, "07:01", 60)
    assert desk.told(2) == []
    assert desk.value(2) == 0.0


def test_the_group_falls_when_its_members_have_left_the_window() -> None:
    desk = village()
    rain(desk, "06:50", 10)
    rain(desk, "07:00", 60, a=6.0, b=6.0)         # both at yellow to 07:09
    assert desk.told(2) == [("07:00", YELLOW), ("07:39", CLEAR)]
    assert desk.changes[2].value == 2.0


def test_weights_and_levels() -> None:
    desk = village(3, weights={"a": 0.5, "c": 2.0}, red=3.0)
    rain(desk, "07:00", 1, a=6.0, b=6.0)
    assert (desk.value(3), desk.level(3)) == (1.5, CLEAR)
    rain(desk, "07:01", 1, c=6.0)
    assert (desk.value(3), desk.told(3)) == (3.5, [("07:01", RED)])
    assert (desk.changes[-1].value, desk.changes[-1].threshold) == (3.5, 3.0)
    assert desk.changes[-1].track.series.key == "coincidence/rule 1"


def test_the_level_at_which_members_count() -> None:
    single = {**SINGLE, "orange": {"on": 15.0}}
    desk = Desk(gauges(2), single, group(at="orange"))
    for minute, (a, b) in enumerate([(8.0, 8.0), (8.0, 0.2), (0.0, 8.0)]):
        desk.row(f"07:0{minute}", a, b)
        assert desk.level(2) is (YELLOW if minute == 2 else CLEAR)


def test_a_silent_member_counts_no_longer_than_the_window() -> None:
    """Its level holds, but nothing says that it still rains there."""
    desk = village()
    desk.row("07:00", 6.0, 0.0)
    for minute in range(1, 31):
        desk.row(f"07:{minute:02}", None, 0.2)
    assert desk.level(0) is YELLOW
    desk.row("07:31", None, 6.0)
    assert (desk.level(1), desk.level(2)) == (YELLOW, CLEAR)
    assert desk.value(2) == 1.0


def test_the_group_s_time_never_goes_back() -> None:
    """Two devices, two clocks."""
    desk = village()
    desk.row("07:10:30", 6.0)
    desk.row("07:10:10", None, 6.0)
    assert desk.told(2) == [("07:10", YELLOW)]
    assert desk.changes[-1].t_ms == ms("07:10:30") + 1
    assert desk.changes[-1].since_ms == ms("07:10:30") + 1


def test_a_group_is_never_stale() -> None:
    desk = village()
    rain(desk, "07:00", 1, a=6.0, b=6.0)
    desk.tick("17:00")
    assert {one.series.key for one in desk.said} == {"a/rain_mm", "b/rain_mm"}
    assert desk.level(2) is YELLOW


def test_a_second_gauge_confirms_orange_of_the_first() -> None:
    """One reading alone gives yellow at most; a second tip, or a neighbour, gives more."""
    heavy = {"quantity": "rain_mm", "over_min": 60, "yellow": 5.0, "orange": 10.0}
    for second, neighbour, level in ((0.0, 0.0, YELLOW), (0.2, 0.0, Level.ORANGE), (0.0, 0.2, Level.ORANGE)):
        desk = Desk(gauges(2), heavy)
        desk.row("07:00", 0.0, neighbour)
        desk.row("07:01", 50.0, 0.0)
        desk.row("07:02", second, 0.0)
        assert desk.level(0) is level


def test_a_neighbour_s_rain_in_the_same_row_does_not_confirm_yet() -> None:
    heavy = {"quantity": "rain_mm", "over_min": 60, "orange": 10.0}
    desk = Desk(gauges(2), heavy)
    desk.row("07:00", 50.0, 0.2)
    assert desk.level(0) is CLEAR
    desk.row("07:01", 0.0, 0.0)
    assert desk.told(0) == [("07:01", Level.ORANGE)]
