"""Every way in which sensors, counters and clocks are known to fail, as a small history of a day in August."""

import pytest

from tests.threshold_desk import GAS, RAIN, STAGE, TRAY, Desk, ms
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

GOOD, RANGE, HELD, STUCK, LATE = Quality.GOOD, Quality.RANGE, Quality.SPIKE_HELD, Quality.STUCK, Quality.LATE
SERVICE = Quality.SERVICE
CLEAR, BLUE, YELLOW, ORANGE, RED = Level.CLEAR, Level.BLUE, Level.YELLOW, Level.ORANGE, Level.RED
RIVER = {"quantity": "stage_m", "yellow": 2.0, "red": 3.0, "off_below": 0.2}      # 2 of 3, off after 15 min
CAREFUL = {"quantity": "stage_m", "spike_floor": 0.5, "max_rate_per_min": 0.2, "stuck_after_h": 6}
STORM = {"quantity": "rain_mm", "over_min": 60, "blue": 10.0, "orange": 30.0, "red": 50.0}
LEAK = {"quantity": "h2s_ppm", "yellow": 10.0, "red": 20.0}                       # 3 of 5, red latches
RAIN_CHECK = {"quantity": "rain_mm"}


def river(*rules: dict[str, object]) -> Desk:
    """A radar at 1 m since 06:30."""
    desk = Desk(STAGE, *(rules or (RIVER,)), checks=[CAREFUL])
    desk.each_minute("06:30", *[1.0 + minute % 2 / 100 for minute in range(30)])
    return desk


def test_a_stuck_gauge_is_suspect_and_neither_warns_nor_clears() -> None:
    desk = river()
    desk.each_minute("07:00", 1.4, 1.9, 2.2, 2.3)
    assert desk.level() is YELLOW
    quality = desk.each_minute("07:04", *[2.3] * 420)
    assert quality[:359] == [GOOD] * 359          # 2.3 since 07:03
    assert quality[359:] == [STUCK] * 61
    assert desk.told() == [("07:03", YELLOW)]
    desk.each_minute("14:04", 2.3, *[1.9] * 2, *[1.7] * 18)
    assert desk.told()[1:] == [("14:23", CLEAR)]


def test_a_blocked_bucket_is_suspect_while_its_neighbours_are_wet() -> None:
    """Zero while the others have more than 8 mm each; a dry day blames nobody."""
    gauges = [Series(f"{name}/rain_mm", "rain_mm", 60_000, (0.0, 100.0)) for name in ("a", "b", "blocked")]
    desk = Desk(gauges, STORM, checks=[{**RAIN_CHECK, "blocked_mm": 8.0}])
    found = [desk.row(f"07:{minute:02}", 1.0, 1.0, 0.0) for minute in range(10)]
    assert [quality[2] for quality in found] == [GOOD] * 7 + [STUCK] * 3
    assert all(quality[:2] == [GOOD, GOOD] for quality in found)
    assert desk.row("07:10", 0.0, 0.0, 0.0)[2] is STUCK
    assert desk.row("07:11", 1.0, 1.0, 0.2)[2] is GOOD           # it tips after all
    dry = Desk(gauges, STORM, checks=[{**RAIN_CHECK, "blocked_mm": 8.0}])
    assert dry.row("07:00", 0.0, 0.0, 0.0) == [GOOD] * 3


def test_a_gauge_without_neighbours_is_never_called_blocked() -> None:
    desk = Desk(TRAY, STORM, checks=[{**RAIN_CHECK, "blocked_mm": 0.1}])
    assert desk.each_minute("07:00", 1.0, *[0.0] * 60) == [GOOD] * 61


def test_a_burst_of_tips_is_no_storm() -> None:
    """A bucket that is kicked: 40 mm in a minute, and then nothing."""
    for gauge, values in ((TRAY, [0.2, 0.0, 40.0, 0.0, 0.0]), (RAIN, [7.0, 7.2, 47.2, 7.2, 7.2])):
        desk = Desk(gauge, STORM, checks=[RAIN_CHECK])
        assert desk.each_minute("07:00", *values)[2] is HELD
        assert desk.told() == []
        assert desk.sum() == pytest.approx(0.2)


def test_tips_while_a_gauge_is_cleaned_are_no_rain() -> None:
    desk = Desk(RAIN, STORM, checks=[RAIN_CHECK])
    desk.each_minute("07:00", 100.0, 100.0, 100.2)
    desk.each_minute("07:03", *[110.0 + 2.0 * minute for minute in range(20)], quality=SERVICE)
    assert desk.each_minute("07:23", 150.0, 150.2, 150.4) == [HELD, GOOD, GOOD]
    assert desk.sum() == pytest.approx(0.2 + 0.2 + 0.2)
    assert desk.told() == []


def test_a_float_that_spikes_after_lightning() -> None:
    desk = river()
    assert desk.each_minute("07:00", 1.0, 8.9, 1.0, 0.0, 1.0, 8.9, 0.1, 1.01) == [
        GOOD, HELD, GOOD, HELD, GOOD, HELD, HELD, GOOD]
    assert desk.told() == []


@pytest.mark.parametrize("sentinel", [65.535, -9999.0, 0xFFFF])
def test_sentinels_are_no_water(sentinel: float) -> None:
    desk = river({**RIVER, "n": 1, "m": 1, "off_delay_min": 0})
    assert desk.each_minute("07:00", *[sentinel] * 5) == [RANGE] * 5
    assert desk.told() == []
    desk.each_minute("07:05", 2.1, 2.2)           # the limit grew meanwhile: 1.4 m in 7 min
    assert desk.each_minute("07:07", *[sentinel] * 60) == [RANGE] * 60
    assert desk.told() == [("07:05", YELLOW)]


def test_sonar_that_sees_foam_or_a_spider_steps_down_and_back() -> None:
    """The distance to the foam is less than that to the water: the stage seems to rise, or for a distance to fall."""
    sonar = Series("sonar/distance_m", "distance_m", 60_000, (0.0, 10.0))
    low = {"quantity": "distance_m", "direction": "low", "yellow": 3.0, "off_above": 0.2}
    desk = Desk(sonar, low, checks=[{"quantity": "distance_m", "spike_floor": 0.5}])
    desk.each_minute("06:58", 5.0, 5.0)
    assert desk.each_minute("07:00", 0.4, 5.0, 5.0, 0.4, 5.0) == [HELD, GOOD, GOOD, HELD, GOOD]
    assert desk.told() == []
    # foam that stays is a rise as far as one sensor can tell: 2 of 3, and it falls when the foam has gone
    desk.each_minute("07:05", 2.0, 2.0, 2.0, *[5.0] * 20)
    assert [level for _, level in desk.told()] == [YELLOW, CLEAR]
    assert desk.told()[0] == ("07:06", YELLOW)


def test_slow_fouling_moves_no_slope() -> None:
    """A probe that reads 1 cm more each hour: too slow for a slope, and one level of mud too low for a warning."""
    slope = {"quantity": "stage_m", "feature": "slope", "over_min": 30, "yellow": 0.3}
    desk = Desk(STAGE, RIVER, slope, checks=[CAREFUL])
    desk.each_minute("00:00", *[round(1.0 + minute / 6000, 3) for minute in range(24 * 60)])
    assert desk.told() == []
    found = desk.value(1)
    assert found is not None
    assert 0.0 <= found <= 0.02


def test_a_counter_that_is_reset_and_one_that_rolls_over() -> None:
    desk = Desk(RAIN, STORM, checks=[RAIN_CHECK])
    assert desk.each_minute("07:00", 812.0, 812.4, 0.2, 0.6, 1.0) == [HELD, GOOD, HELD, GOOD, GOOD]
    assert desk.sum() == pytest.approx(0.4 + 0.2 + 0.4 + 0.4)
    over = Series("gauge/rain_total_mm", "rain_total_mm", 60_000, (0.0, 6553.5))
    desk = Desk(over, STORM, checks=[RAIN_CHECK])
    desk.each_minute("07:00", 6553.0, 6553.4, 0.1, 0.5)
    assert desk.sum() == pytest.approx(0.4 + 0.1 + 0.4)
    assert desk.told() == []


def test_gas_warm_up_is_service_and_not_judged() -> None:
    desk = Desk(GAS, LEAK)
    desk.each_minute("07:00", 80.0, 60.0, 40.0, 25.0, 15.0, quality=SERVICE)
    assert desk.told() == []
    desk.each_minute("07:05", *[1.0] * 10)
    assert not desk.pending()


def test_a_poisoned_gas_sensor_is_suspect_and_a_reference_that_sank_with_it_still_warns() -> None:
    """The signal sinks over days and then stands still. A fixed level misses the leak, the reference has followed."""
    creep = {"quantity": "h2s_ppm", "feature": "cusum", "allowance": 0.3, "yellow": 6.0}
    desk = Desk(GAS, LEAK, creep, checks=[{"quantity": "h2s_ppm", "stuck_after_h": 12}])
    desk.each_minute("00:01", *[round(4.0 - minute / 1000, 3) for minute in range(48 * 60)])    # to 1.121
    quality = desk.each_minute("48:01", *[1.1] * 24 * 60)
    assert quality[12 * 60 - 1:] == [GOOD, *[STUCK] * 12 * 60]
    assert desk.told() == []
    assert desk.value(1) == 0.0
    desk.each_minute("72:01", *[4.0] * 3)         # a leak as the dull sensor sees it: no more than the fence's old air
    assert (desk.told(0), desk.told(1)) == ([], [("72:03", YELLOW)])


def test_a_gas_sensor_over_range_does_not_clear_what_it_raised() -> None:
    desk = Desk(GAS, LEAK)
    desk.each_minute("07:00", 30.0, 60.0, 90.0)
    assert desk.told() == [("07:02", RED)]
    assert desk.each_minute("07:03", *[150.0] * 60) == [RANGE] * 60
    desk.tick("08:03")
    assert desk.stale()
    desk.each_minute("08:03", *[0.0] * 30)        # burnt out, or over: a person must look
    assert desk.level() is RED
    desk.acknowledge()
    desk.each_minute("08:33", 0.0)
    assert desk.level() is CLEAR


def test_a_clock_that_jumps_ahead_and_back() -> None:
    desk = river()
    desk.each_minute("07:00", 1.5, 2.1, 2.2)
    assert desk.level() is YELLOW
    desk.each_minute("19:00", 2.2, 2.3)           # twelve hours ahead: no reading between, the level holds
    assert desk.told() == [("07:02", YELLOW)]
    assert desk.each_minute("07:05", 3.1, 3.2) == [LATE, LATE]
    assert desk.level() is YELLOW
    desk.new_epoch()                              # the clock was set right
    desk.each_minute("07:07", 3.1, 3.2)
    assert desk.told() == [("07:02", YELLOW), ("07:08", RED)]
    assert desk.changes[0].episode == desk.changes[1].episode


def test_a_clock_that_goes_back_a_little_loses_no_level() -> None:
    desk = river()
    desk.each_minute("07:00", 1.5, 2.1, 2.2)
    assert desk.each_minute("06:58", 1.0, 1.0, 1.0, 1.0, 1.0) == [LATE] * 5
    assert desk.level() is YELLOW
    assert desk.read("07:03", 2.2) is GOOD


def test_duplicate_times_are_judged_once() -> None:
    desk = river()
    desk.each_minute("07:00", 1.9)
    assert [desk.read("07:01", 2.3) for _ in range(5)] == [GOOD, *[LATE] * 4]
    assert desk.level() is CLEAR                  # one reading, however often it is said
    gauge = Desk(RAIN, STORM)
    gauge.each_minute("07:00", 0.0, 5.0)
    assert gauge.read("07:01", 25.0) is LATE
    assert gauge.sum() == 5.0


def test_out_of_order_times_are_stored_and_not_judged() -> None:
    desk = Desk(RAIN, STORM)
    desk.each_minute("07:00", 0.0, 2.0, 4.0, 6.0)
    assert desk.read("07:02", 5.0) is LATE
    assert desk.read("07:04", 8.0) is GOOD
    assert desk.sum() == 8.0


def test_a_gap_exactly_at_the_peak() -> None:
    """The gauge drowns at 2.9 m and comes back at 1 m: yellow holds through the silence, and red was not invented."""
    desk = river()
    desk.each_minute("07:00", 1.6, 2.2, 2.7, 2.9)
    desk.tick("07:10")
    assert desk.freshness == [("07:10", True)]
    desk.tick("11:00")
    assert desk.level() is YELLOW
    desk.each_minute("11:00", 1.0, 1.0, 1.0)
    assert desk.level() is YELLOW                 # below since 11:01: not yet for 15 min
    desk.each_minute("11:03", *[1.0] * 14)
    assert [level for _, level in desk.told()] == [YELLOW, CLEAR]
    assert ms("11:16") <= desk.changes[1].t_ms <= ms("11:17")


def test_a_gap_exactly_at_the_peak_of_rain() -> None:
    """The counter knows what fell in the silence, and not when: a window as long as the silence counts it."""
    desk = Desk(RAIN, STORM, {**STORM, "over_min": 180}, checks=[RAIN_CHECK])
    desk.each_minute("07:00", *[0.2 * minute for minute in range(10)])
    assert desk.each_minute("09:00", 62.0, 62.2) == [GOOD, GOOD]
    assert (desk.level(0), desk.level(1)) == (CLEAR, RED)
    assert desk.sum(1) == pytest.approx(62.2)
