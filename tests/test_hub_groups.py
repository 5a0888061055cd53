"""Group rules, read like a timetable: coincidence, chain and silence, and what late history may not do."""

import pytest

from hub.groups import SETTLED_MS
from hub.groups_inputs import Heard, Landed, Ruled, Started, Ticked
from hub.groups_state import Member
from tests.hub_groups import AREA, CHAIN, COINCIDENCE, SILENCE, Net, groups, row, stale
from tests.village import NEXT_BOOT, at
from tocsin.levels import Authority, Hazard, Level, Stage


def test_two_of_three_within_the_window_warn_and_the_third_makes_it_red() -> None:
    net = Net.of(COINCIDENCE)
    assert net.takes(row("a", Level.YELLOW, "14:05", 1)) == []
    (raised,) = net.takes(row("b", Level.ORANGE, "14:20", 1))
    assert (raised.at, raised.level, raised.previous, raised.revision) == (at("14:20"), Level.YELLOW, 0, 1)
    assert (raised.value, raised.threshold, raised.target) == (2.0, 2.0, 3.0)
    assert (raised.since, raised.area, raised.stage) == (at("14:05"), AREA, Stage.WATCH)
    assert raised.members == [Member("a", 2, at("14:05")), Member("b", 3, at("14:20"))]
    (red,) = net.takes(row("c", Level.YELLOW, "14:30", 1))
    assert (red.level, red.previous, red.revision, red.episode) == (Level.RED, 2, 2, raised.episode)
    assert (red.stage, red.authority) == (Stage.MOVE, Authority.CONFIRM)


def test_a_member_that_fell_counts_for_the_window_and_the_level_falls_after_its_delay() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:01", 1))
    net.takes(row("a", Level.CLEAR, "14:10", 2))
    net.takes(Ticked(at("14:49:59")))
    assert [one.level for one in net.decided] == [2]
    (fell,) = net.takes(Ticked(at("16:00")))
    assert (fell.level, fell.at) == (0, at("14:50")), "30 min of window and 10 of delay, however late the hub looked"


def test_a_return_within_the_delay_is_the_same_episode_and_no_news() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 1))
    net.takes(row("a", Level.CLEAR, "14:10", 2), Landed("z", at("14:45")), row("a", Level.YELLOW, "14:46", 3))
    net.takes(Ticked(at("18:00")))
    assert [one.level for one in net.decided] == [2]


def test_a_member_that_fell_long_ago_does_not_meet_another() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("a", Level.CLEAR, "14:05", 2), row("b", Level.RED, "14:35", 1))
    assert net.decided == []


def test_weights_and_hysteresis() -> None:
    text = COINCIDENCE.replace("yellow = 2\n", "yellow = { on = 2.5, off = 2.0 }\n") + "[group.weights]\na = 1.5\n"
    net = Net.of(text)
    assert net.takes(row("b", Level.YELLOW, "14:00", 1), row("c", Level.YELLOW, "14:00", 1)) == []
    (raised,) = net.takes(row("a", Level.YELLOW, "14:01", 1))
    assert (raised.level, raised.value, raised.target) == (Level.RED, 3.5, 3.5)
    net.takes(row("a", Level.CLEAR, "14:02", 2))
    net.takes(Ticked(at("23:00")))
    assert [one.level for one in net.decided] == [4, 2], "2.0 does not raise yellow, and holds it"


def test_a_level_that_must_hold_for_a_while_waits_for_it() -> None:
    net = Net.of(COINCIDENCE.replace("off_delay_min", "on_delay_s = 120\noff_delay_min"))
    assert net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 1)) == []
    assert net.takes(Ticked(at("14:01:59"))) == []
    (raised,) = net.takes(Ticked(at("14:05")))
    assert raised.at == at("14:02")


def test_a_member_may_fall_below_its_level_and_still_count_until_a_lower_one() -> None:
    net = Net.of(COINCIDENCE.replace('at = "yellow"', 'at = "orange"\nuntil = "yellow"'))
    net.takes(row("a", Level.ORANGE, "14:00", 1), row("b", Level.ORANGE, "14:00", 1))
    net.takes(row("a", Level.YELLOW, "14:01", 2), Ticked(at("18:00")))
    assert [one.level for one in net.decided] == [2]
    net.takes(row("a", Level.BLUE, "18:01", 3), Ticked(at("22:00")))
    assert [(one.level, one.at) for one in net.decided[1:]] == [(0, at("18:41"))]


@pytest.mark.parametrize(("hazard", "series", "shelved"), [
    (Hazard.GAS, "gauge/rain_mm", False), (Hazard.FLOOD, "gauge/rain_mm", True)])
def test_what_is_shelved_or_another_hazard_counts_for_nothing(hazard: Hazard, series: str, shelved: bool) -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1))
    net.takes(row("b", Level.RED, "14:01", 1, hazard=hazard, series=series, shelved=shelved))
    assert net.decided == []


def test_a_member_that_changes_while_it_is_shelved_lets_no_group_fall() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:01", 1))
    net.takes(row("b", Level.RED, "14:05", 2, shelved=True), row("b", Level.BLUE, "14:10", 3, shelved=True))
    net.takes(Ticked(at("18:00")))
    assert [one.level for one in net.decided] == [Level.YELLOW]
    net.takes(row("b", Level.BLUE, "18:01", 4), Ticked(at("20:00")))
    assert [(one.level, one.at) for one in net.decided[1:]] == [(Level.CLEAR, at("18:41"))]


def test_a_counter_of_rain_is_rain_and_a_stage_is_not() -> None:
    net = Net.of(COINCIDENCE.replace("over_min", 'quantity = "rain_mm"\nover_min'))
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.RED, "14:01", 1, series="radar/stage_m"))
    assert net.decided == []
    net.takes(row("c", Level.YELLOW, "14:02", 1, series="gauge/rain_total_mm"))
    assert [one.level for one in net.decided] == [2]


def test_rain_then_flood_then_the_slope_is_warned_in_the_time_that_water_takes() -> None:
    net = Net.of(CHAIN)
    (first,) = net.takes(row("a", Level.ORANGE, "14:00", 1))
    assert (first.level, first.hazard, first.value, first.target) == (Level.BLUE, Hazard.SLOPE, 1.0, 2.0)
    assert net.takes(row("c", Level.YELLOW, "14:05", 1, series="radar/stage_m")) == [], "sooner than the water"
    (second,) = net.takes(Ticked(at("14:30")))
    assert (second.level, second.at) == (Level.ORANGE, at("14:10")), "it still stands when the water may be there"
    assert second.members == [Member("a", 3, at("14:00"), 1), Member("c", 2, at("14:05"), 2)]
    net.takes(row("c", Level.CLEAR, "15:00", 2, series="radar/stage_m"))
    net.takes(row("a", Level.CLEAR, "15:00", 2), Ticked(at("20:00")))
    assert [(one.level, one.at) for one in net.decided[2:]] == [
        (Level.BLUE, at("15:25")), (Level.CLEAR, at("16:05"))], "what was sent is on its way for 20 and for 60 min"


def test_a_flood_after_the_travel_time_is_another_flood() -> None:
    net = Net.of(CHAIN)
    net.takes(row("a", Level.ORANGE, "14:00", 1), row("a", Level.CLEAR, "14:10", 2))
    net.takes(row("c", Level.RED, "15:10", 1, series="radar/stage_m"))
    net.takes(Ticked(at("20:00")))
    assert [one.level for one in net.decided] == [Level.BLUE, Level.CLEAR]


def test_a_group_counts_in_a_later_group() -> None:
    rest = CHAIN.replace('stations = ["a", "b"]\nquantity = "rain_mm"\nat = "orange"',
                         'stations = ["group:rain net"]\nat = "yellow"')
    net = Net.of(COINCIDENCE + rest)
    net.takes(row("a", Level.YELLOW, "14:00", 1))
    both = net.takes(row("b", Level.YELLOW, "14:01", 1))
    assert [(one.group, one.level) for one in both] == [("rain net", Level.YELLOW), ("down the valley", Level.BLUE)]
    assert both[1].members == [Member("group:rain net", 2, at("14:01"), 1)]


def test_a_station_silent_while_its_neighbours_warn_is_an_alarm_that_rises_with_them() -> None:
    net = Net.of(SILENCE)
    net.takes(Landed("a", at("14:01")), Landed("c", at("14:01")), Landed("b", at("14:01")))
    net.takes(*(Landed(name, at(f"14:{minute:02d}")) for minute in range(2, 30) for name in "bc"))
    assert net.decided == [], "silent, and all is calm"
    (raised,) = net.takes(row("b", Level.YELLOW, "14:30", 1))
    assert (raised.level, raised.technical, raised.at) == (Level.YELLOW, True, at("14:30"))
    assert (raised.stage, raised.authority) == (Stage.WATCH, Authority.AUTO)
    assert raised.members == [Member("a", 2, at("14:01"), silent=True), Member("b", 2, at("14:30"))]
    assert (raised.value, raised.threshold, raised.since) == (29.0, 10.0, at("14:01"))
    (higher,) = net.takes(row("c", Level.RED, "14:31", 1))
    assert (higher.level, higher.previous) == (Level.RED, Level.YELLOW)
    assert net.takes(Landed("a", at("14:32"))) == []
    (over,) = net.takes(Landed("b", at("14:33")), Landed("c", at("14:33")))
    assert (over.level, over.at) == (0, at("14:33"))


def test_silence_becomes_an_alarm_at_its_minute_though_nothing_arrives() -> None:
    net = Net.of(SILENCE)
    net.takes(row("b", Level.ORANGE, "14:05", 1), Landed("c", at("14:09")))
    state = net.state
    assert net.takes(Ticked(at("14:09:59"))) == []
    assert net.state is state, "a tick that finds nothing due changes nothing"
    (raised,) = net.takes(Ticked(at("14:12")))
    assert (raised.at, raised.level) == (at("14:10"), Level.ORANGE)


def test_silence_alone_may_be_blue_and_a_neighbour_makes_it_a_step_more() -> None:
    net = Net.of(SILENCE.replace("silent_min", 'alone = "blue"\nsilent_min'))
    net.takes(*(Landed(name, at(f"14:{minute:02d}")) for minute in range(12) for name in "bc"))
    assert [(one.level, one.at) for one in net.decided] == [(Level.BLUE, at("14:10"))]
    net.takes(row("b", Level.BLUE, "14:12", 1))
    assert net.decided[-1].level == Level.YELLOW


def test_a_heartbeat_a_sleeping_link_and_the_hub_s_own_absence_are_no_silence() -> None:
    net = Net.of(SILENCE)
    net.takes(row("b", Level.RED, "14:05", 1), Landed("c", at("14:05")))
    net.takes(Heard("a", at("14:40")), Started(at("14:45")))
    net.takes(Ticked(at("14:54:59")))
    assert net.decided == []
    assert net.takes(Ticked(at("14:56")))[0].at == at("14:55")


def test_a_stale_series_is_silence_too_and_a_quantity_chooses_which() -> None:
    net = Net.of(SILENCE.replace("silent_min", 'quantity = "rain_mm"\nsilent_min'))
    calls = [Landed(name, at(f"14:{minute:02d}")) for minute in range(31) for name in "abc"]
    net.takes(*calls[:30], stale("a", "14:10", series="radar/stage_m"), row("b", Level.RED, "14:10", 1), *calls[30:60])
    assert net.decided == []
    net.takes(stale("a", "14:20"), *calls[60:])
    assert [(one.level, one.at) for one in net.decided] == [(Level.RED, at("14:30"))]
    net.takes(stale("a", "14:31", fresh=True), *(Landed(name, at("14:32")) for name in "abc"))
    assert [one.level for one in net.decided] == [Level.RED, Level.CLEAR]


def test_what_was_raised_too_long_ago_raises_nothing_until_it_speaks_live() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.RED, "13:00", 1, arrived="14:00"), row("b", Level.RED, "14:01", 1))
    assert net.decided == []
    net.takes(Ticked(at("14:02")))
    (asked,) = net.asked
    assert (asked.first, asked.last, asked.at) == (at("13:00"), at("13:00"), at("14:00") + SETTLED_MS)
    assert [one.level for one in net.takes(row("a", Level.ORANGE, "14:10", 2))] == [Level.YELLOW]


def test_a_station_that_counts_lower_after_a_power_cut_is_heard_as_at_the_desk() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 3))
    net.takes(row("b", Level.BLUE, "14:01", 4))
    net.takes(Ticked(at("16:00")))
    assert [one.level for one in net.decided] == [2, 0]
    net.takes(row("b", Level.RED, "16:01", 2, boot=NEXT_BOOT), row("b", Level.BLUE, "14:01", 1))
    net.takes(Ticked(at("18:00")))
    assert [one.level for one in net.decided] == [2, 0, 2]


def test_a_late_clear_counts_and_a_late_repeat_does_not() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.RED, "14:00", 2), row("b", Level.RED, "14:00", 1))
    net.takes(row("a", Level.CLEAR, "13:30", 1, arrived="14:50"))
    net.takes(row("a", Level.CLEAR, "14:10", 3, arrived="15:00"), Ticked(at("18:00")))
    assert [(one.level, one.at) for one in net.decided] == [(2, at("14:00")), (0, at("15:10"))]


def test_other_rules_clear_nothing_and_one_that_is_gone_falls_later() -> None:
    net = Net.of(COINCIDENCE)
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 1))
    net.rules = groups(COINCIDENCE.replace("yellow = 2", "yellow = 2.5"))
    assert net.takes(Ruled(at("14:05"), {})) == []
    assert net.takes(Ticked(at("14:14:59"))) == []
    assert [(one.level, one.at) for one in net.takes(Ticked(at("14:15")))] == [(0, at("14:15"))]
    net.takes(row("c", Level.YELLOW, "14:20", 1))
    assert net.decided[-1].level == Level.RED
    net.rules = ()
    assert net.takes(Ruled(at("14:30"), {}), Ticked(at("14:59:59"))) == []
    (gone,) = net.takes(Ticked(at("15:00")))
    assert (gone.level, gone.previous, gone.group) == (0, 4, "rain net")
    assert net.state.groups == {}


def test_a_rule_put_back_in_time_goes_on_and_a_new_rule_knows_what_stands() -> None:
    net = Net.of(COINCIDENCE)
    before = net.rules
    net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 1))
    net.rules = ()
    net.takes(Ruled(at("14:05"), {}))
    net.rules = before
    net.takes(Ruled(at("14:10"), {}), Ticked(at("18:00")))
    assert [one.level for one in net.decided] == [2]
    net.rules = groups(COINCIDENCE + COINCIDENCE.replace("rain net", "second"))
    assert [(one.group, one.level) for one in net.takes(Ruled(at("18:01"), {}))] == [("second", 2)]


def test_a_shadow_rule_decides_and_says_that_it_is_one() -> None:
    net = Net.of(COINCIDENCE.replace("over_min", "shadow = true\nover_min"))
    (raised,) = net.takes(row("a", Level.YELLOW, "14:00", 1), row("b", Level.YELLOW, "14:00", 1))
    assert raised.shadow


def test_heartbeats_of_stations_that_these_rules_do_not_watch_are_nothing() -> None:
    """A hub's log is replayed with other rules than it was written for."""
    net = Net.of(SILENCE)
    before = net.state
    net.takes(Heard("elsewhere", at("14:05")))
    assert net.state is before
    assert net.takes(Started(at("14:10"))) == []
