"""What the battery allows: states with bounds and time, and the reserve of the siren."""


import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.power import DOWN_S, UP_S, Power, PowerState, PowerTable
from tocsin.config import ConfigError, convert

NORMAL, SAVING, CRITICAL, OFF = PowerState
TABLE = PowerTable()


def course(table: PowerTable, volts: list[float], every_s: float = 60.0, *, sounding: bool = False) -> list[PowerState]:
    """The state after each reading."""
    power, states = Power(table), []
    for number, value in enumerate(volts):
        power.take(value, number * every_s, sounding=sounding)
        states.append(power.state)
    return states


def test_a_state_begins_after_five_minutes_below_and_ends_after_ten_above() -> None:
    assert course(TABLE, [11.99] * 5 + [12.0] + [11.99] * 6)[-2:] == [NORMAL, SAVING]
    assert course(TABLE, [11.9] * 6 + [12.19] * 60)[-1] is SAVING
    assert course(TABLE, [11.9] * 6 + [12.2] * 11)[-2:] == [SAVING, NORMAL]
    assert course(TABLE, [11.9] * 6 + [12.2] * 9 + [12.1] + [12.2] * 10)[-1] is SAVING


def test_each_state_has_its_own_bounds() -> None:
    assert course(TABLE, [11.59] * 6)[-1] is CRITICAL
    assert course(TABLE, [11.29] * 6)[-1] is OFF
    assert course(TABLE, [11.29] * 6 + [12.59] * 60)[-1] is OFF
    assert course(TABLE, [11.29] * 6 + [12.6] * 11)[-1] is NORMAL
    assert course(PowerTable(nominal_v=24), [22.58] * 6)[-1] is OFF
    assert course(PowerTable(nominal_v=24), [24.1] * 6)[-1] is NORMAL


def test_a_battery_recovers_one_state_after_the_other() -> None:
    table = PowerTable(critical_v=(11.6, 12.0))
    assert course(table, [11.5] * 6 + [12.1] * 60)[-1] is SAVING


def test_while_the_siren_pulls_the_voltage_down_no_state_gets_worse() -> None:
    assert course(TABLE, [10.9] * 30, sounding=True)[-1] is NORMAL
    assert course(TABLE, [13.0] * 30, sounding=True)[-1] is NORMAL


def test_readings_far_apart_make_no_time_below() -> None:
    assert course(TABLE, [11.0] * 10, every_s=1000.0)[-1] is NORMAL
    assert course(TABLE, [11.0] * 10, every_s=300.0)[-1] is OFF


def test_a_battery_that_is_read_every_half_an_hour_has_states_too() -> None:
    power, states = Power(PowerTable(), every_s=1800.0), []
    for reading in range(7):
        power.take(11.5 if reading < 3 else 13.0, reading * 1800.0)
        states.append(power.state)
    assert (states[2], states[6]) == (PowerState.CRITICAL, PowerState.NORMAL)


@given(st.lists(st.tuples(st.floats(9.0, 15.0), st.integers(1, 400)), max_size=120))
def test_no_state_changes_without_its_time(readings: list[tuple[float, int]]) -> None:
    """Against a plain look back over all that was read."""
    power, now_s = Power(TABLE), 0.0
    past: list[tuple[float, float]] = []
    for volts, passed in readings:
        now_s += passed
        past.append((now_s, volts))
        before = power.state
        power.take(volts, now_s)
        if power.state > before:
            held = [v for at_s, v in past if at_s >= now_s - DOWN_S]
            assert max(held) < TABLE.bounds(power.state)[0]
        if power.state < before:
            assert volts >= TABLE.bounds(before)[1]
            assert min(v for at_s, v in past if at_s >= now_s - UP_S) >= TABLE.bounds(PowerState(power.state + 1))[1]


def test_the_reserve_of_the_siren_makes_critical_begin_earlier() -> None:
    """100 Ah at 12 V are 1200 Wh; 100 W for an hour are 1/12 of it over what is left at 11.3 V: 11.58 is 20 %."""
    table = PowerTable(battery_ah=100.0, siren_w=100.0, siren_min=60.0)
    assert table.reserve_v == pytest.approx(11.31 + 0.27 * (0.0988 + 0.0833 - 0.1) / 0.1, abs=0.002)
    assert table.bounds(CRITICAL)[0] == 11.6
    small = PowerTable(battery_ah=18.0, siren_w=60.0, siren_min=60.0)
    assert small.bounds(CRITICAL) == pytest.approx((11.85, 12.2), abs=0.02)
    assert PowerTable(battery_ah=7.0).bounds(CRITICAL)[0] == 12.0, "never before saving"


@pytest.mark.parametrize(("table", "says"), [
    ({"saving_v": [12.2, 12.0]}, "saving_v: [12.2, 12.0] is not allowed; use [enter below, leave from]"),
    ({"off_v": [11.7, 12.6]}, "off_v: 11.7 is not allowed; it is entered below critical_v, use less than 11.6"),
    ({"nominal_v": 13}, "nominal_v: 13 is not allowed; use 12, 24, 36, 48"),
    ({"link_up_min": 40}, "link_up_min: 40 is not allowed; it is longer than"),
    ({"modem_on": [""]}, "modem_on"),
    ({"critical_v": [float("nan"), 12.2]}, "critical_v"),
])
def test_a_wrong_key_is_told_with_what_is_allowed(table: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        convert(table, PowerTable, "station.toml: power")
    assert says in "; ".join(caught.value.problems)


