"""Levels by the timetable: N of M, delays, hysteresis, episodes, gaps, silence. Stage is read once a minute."""

from typing import Any

import pytest

from tests.threshold_desk import STAGE, Desk, ms
from thresholds.series import Series
from tocsin.levels import Authority, Level, Stage
from tocsin.readings import Quality

CLEAR, BLUE, YELLOW, RED = Level.CLEAR, Level.BLUE, Level.YELLOW, Level.RED


def stage(**keys: Any) -> dict[str, Any]:
    return {"quantity": "stage_m", "yellow": 2.0, "red": 3.0, "off_below": 0.2, **keys}


def test_two_of_three_readings_raise_and_one_does_not() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 1.0, 2.1, 1.9, 1.0)
    assert desk.pending()
    desk.each_minute("07:04", 1.0)
    assert not desk.pending()
    desk.each_minute("07:05", 2.0, 1.9, 2.0)
    assert desk.told() == [("07:07", YELLOW)]
    assert desk.changes[0].since_ms == ms("07:05")


def test_a_reading_on_the_threshold_qualifies_and_one_on_off_does_not_clear() -> None:
    desk = Desk(STAGE, stage(n=1, m=1, off_delay_min=0))
    desk.each_minute("07:00", 1.999, 2.0, 1.8, 1.799)
    assert desk.told() == [("07:01", YELLOW), ("07:03", CLEAR)]


def test_between_off_and_on_the_level_holds() -> None:
    desk = Desk(STAGE, stage(off_delay_min=0))
    desk.each_minute("07:00", 2.1, 2.1, 1.9, 1.85, 1.9, 1.81)
    assert desk.level() is YELLOW
    desk.each_minute("07:06", 1.7, 1.7)
    assert desk.told() == [("07:01", YELLOW), ("07:07", CLEAR)]


def test_a_level_falls_when_the_condition_held_for_the_off_delay() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 2.1, 2.1, *[1.0] * 17)
    assert desk.told() == [("07:01", YELLOW), ("07:18", CLEAR)]    # 2 of 3 below from 07:03 on, and 15 min
    assert desk.changes[1].threshold == 1.8
    assert desk.changes[1].stage is Stage.WATCH


def test_a_return_while_clearing_is_the_same_episode_and_no_new_alarm() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 2.1, 2.1, *[1.0] * 10, 2.2, 2.2, *[1.0] * 17)
    assert desk.told() == [("07:01", YELLOW), ("07:30", CLEAR)]
    assert desk.changes[0].episode == desk.changes[1].episode
    assert desk.changes[1].since_ms == ms("07:00")


def test_the_next_rise_after_clear_is_another_episode() -> None:
    desk = Desk(STAGE, stage(off_delay_min=0))
    desk.each_minute("07:00", 2.1, 2.1, 1.0, 1.0, 2.1, 2.1)
    assert desk.told() == [("07:01", YELLOW), ("07:03", CLEAR), ("07:05", YELLOW)]
    assert desk.changes[0].episode != desk.changes[2].episode
    assert desk.changes[2].since_ms == ms("07:04")
    assert [one.revision for one in desk.changes] == [1, 2, 3]


def test_a_run_of_the_last_episode_does_not_name_the_next() -> None:
    """Red, 9 of 16 and never reached, still counts a reading of the first episode when yellow rises again."""
    desk = Desk(STAGE, {"quantity": "stage_m", "yellow": {"on": 2.0, "n": 1, "m": 1, "off_delay_min": 0},
                        "red": {"on": 3.0, "n": 9, "m": 16}, "off_below": 0.2})
    desk.each_minute("07:00", 3.1, 1.0, 2.1)
    assert desk.told() == [("07:00", YELLOW), ("07:01", CLEAR), ("07:02", YELLOW)]
    assert [one.since_ms for one in desk.changes] == [ms("07:00"), ms("07:00"), ms("07:02")]


def test_red_may_come_in_one_reading_and_goes_through_yellow() -> None:
    desk = Desk(STAGE, stage(n=1, m=1, off_delay_min=0))
    desk.each_minute("07:00", 1.0, 3.5, 2.7, 1.0)
    assert desk.told() == [("07:01", RED), ("07:02", YELLOW), ("07:03", CLEAR)]
    first, second, _ = desk.changes
    assert (first.threshold, first.value, first.stage, first.authority) == (3.0, 3.5, Stage.MOVE, Authority.AUTO)
    assert (second.previous, second.threshold, second.stage) == (RED, 2.8, Stage.WATCH)


def test_an_on_delay_does_not_advance_over_a_gap() -> None:
    desk = Desk(STAGE, stage(m=9, n=5, on_delay_s=240))
    desk.each_minute("07:00", *[2.1] * 3)        # 2 min
    desk.each_minute("07:12", *[2.1] * 2)        # and 1
    assert desk.level() is CLEAR
    assert desk.pending()
    desk.each_minute("07:14", 2.1)
    assert desk.told() == [("07:14", YELLOW)]
    assert desk.changes[0].since_ms == ms("07:00")


@pytest.mark.parametrize(("back", "level"), [("07:06", YELLOW), ("07:06:01", CLEAR)])
def test_readings_older_than_twice_m_periods_count_no_more(back: str, level: Level) -> None:
    desk = Desk(STAGE, stage())                  # 2 of 3: 6 min
    desk.read("07:00", 2.1)
    desk.read(back, 2.1)
    assert desk.level() is level


def test_a_gap_at_the_peak_holds_the_level() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 2.1, 3.1, 3.2)
    desk.tick("07:06")
    desk.tick("13:00")
    assert desk.level() is RED
    desk.read("13:01", 1.0)
    assert desk.level() is RED
    desk.each_minute("13:02", *[1.0] * 16)
    assert desk.told() == [("07:01", YELLOW), ("07:02", RED), ("13:17", CLEAR)]


def test_a_gap_restarts_the_off_delay() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 2.1, 2.1, 1.0, 1.0, 1.0)     # to fall since 07:03
    desk.each_minute("07:16", *[1.0] * 16)                 # again since 07:17: two readings count again
    assert desk.level() is YELLOW
    desk.each_minute("07:32", 1.0)
    assert desk.told() == [("07:01", YELLOW), ("07:32", CLEAR)]


def test_a_silent_series_is_stale_after_three_periods_and_fresh_with_a_reading() -> None:
    desk = Desk(STAGE, stage())
    desk.each_minute("07:00", 2.1, 2.1)
    desk.tick("07:04")
    assert not desk.stale()
    desk.tick("07:04:01")
    desk.tick("07:05")
    assert desk.stale()
    assert desk.level() is YELLOW
    desk.read("07:06", 65.535)                             # a reading, but no good one
    assert desk.stale()
    desk.read("07:07", 2.1)
    assert desk.freshness == [("07:04", True), ("07:07", False)]


def test_a_series_never_heard_is_stale_counted_from_the_first_tick() -> None:
    desk = Desk(STAGE, stage())
    desk.tick("07:00")
    desk.tick("07:03")
    assert not desk.stale()
    desk.tick("07:04")
    assert desk.freshness == [("07:04", True)]


@pytest.mark.parametrize("clock", ["07:01", "07:00", "06:30"])
def test_a_late_reading_is_marked_and_not_evaluated(clock: str) -> None:
    desk = Desk(STAGE, stage(n=1, m=1))
    desk.each_minute("07:00", 1.0, 1.0)
    assert desk.read(clock, 3.5) is Quality.LATE
    assert desk.level() is CLEAR


def test_impossible_values_neither_raise_nor_clear() -> None:
    desk = Desk(STAGE, stage(n=1, m=1, off_delay_min=0))
    assert desk.read("07:00", 65.535) is Quality.RANGE
    assert desk.level() is CLEAR
    desk.read("07:01", 3.0)
    assert desk.read("07:02", -9999.0) is Quality.RANGE
    assert desk.level() is RED
    assert desk.read("07:02", 1.0) is Quality.LATE         # the time was used


@pytest.mark.parametrize("quality", [Quality.SERVICE, Quality.SPIKE_HELD, Quality.MISSING])
def test_what_is_held_or_in_service_is_not_evaluated(quality: Quality) -> None:
    desk = Desk(STAGE, stage(n=1, m=1))
    assert desk.read("07:00", 3.5, quality) is quality
    assert desk.level() is CLEAR


@pytest.mark.parametrize("quality", [Quality.STUCK, Quality.CLOCK])
def test_a_suspicion_never_blocks_a_warning(quality: Quality) -> None:
    desk = Desk(STAGE, stage(n=1, m=1))
    desk.read("07:00", 3.5, quality)
    assert desk.level() is RED


def test_low_is_bad_where_the_rule_says_so() -> None:
    oxygen = Series("nose/o2_pct_vol", "o2_pct_vol", 1000, (0.0, 40.0))
    desk = Desk(oxygen, {"quantity": "o2_pct_vol", "direction": "low", "blue": 20.0, "red": 18.0, "off_above": 0.5,
                         "n": 1, "m": 1, "off_delay_min": 0, "latch": False})
    for second, value in enumerate((20.9, 20.0, 18.1, 18.0, 18.5, 18.6, 20.5, 20.6)):
        desk.read(f"07:00:{second}", value)
    assert [one.level for one in desk.changes] == [BLUE, RED, BLUE, CLEAR]
    assert [one.value for one in desk.changes] == [20.0, 18.0, 18.6, 20.6]


def test_the_episode_is_named_by_station_series_rule_and_time() -> None:
    def named(station: str = "a", key: str = "radar/stage_m", begin: str = "07:00", **keys: Any) -> str:
        desk = Desk(Series(key, "stage_m", 60_000, (0.0, 9.0)), stage(**keys), station=station)
        desk.each_minute(begin, 2.1, 2.1)
        return desk.changes[0].episode

    others = [named(station="b"), named(key="x/stage_m"), named(begin="07:01"), named(off_delay_min=20)]
    assert len({named(), *others}) == 5
    assert named() == named(off_delay_min=15)    # the default, written out: the same rule
    assert len(named()) == 16
