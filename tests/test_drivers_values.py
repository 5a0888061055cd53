"""Encoded by hand from the register tables, every value of a span comes back and every bad word is refused."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers import epever_charger, gas_detector, pressure_level, radar_level, rain_counter, relay_output, tank_gauge
from drivers._spans import Measures
from tocsin.devices import GuardedDriver, OutputDriver, PolledDriver, Request, Write
from tocsin.readings import Reading, Reason, RejectedError, Rejection

STATUS = st.integers(1, 0xFFFF)


def rain(mm_per_tip: float) -> PolledDriver:
    return rain_counter.Driver(rain_counter.Settings(mm_per_tip=mm_per_tip))


def radar(measures: Measures, low: float, high: float) -> PolledDriver:
    return radar_level.Driver(radar_level.Settings(measures=measures, span_m=(low, high)))


def pressure(low: float, high: float) -> PolledDriver:
    return pressure_level.Driver(pressure_level.Settings(span_m=(low, high)))


def gas(*, gases: list[gas_detector.Gas] | None = None) -> PolledDriver:
    return gas_detector.Driver(gas_detector.Settings(gases=gases or list(gas_detector.Gas)))


def tank(low: float, high: float) -> PolledDriver:
    return tank_gauge.Driver(tank_gauge.Settings(span_m=(low, high)))


def split32(value: int) -> tuple[int, int]:
    """High and low word, two's complement."""
    raw = value.to_bytes(4, "big", signed=value < 0)
    return int.from_bytes(raw[:2], "big"), int.from_bytes(raw[2:], "big")


def word(value: int) -> int:
    return int.from_bytes(value.to_bytes(2, "big", signed=True), "big")


def reasons(found: list[Reading | Rejection]) -> list[tuple[str, Reason | None]]:
    return [(item.quantity, item.reason if isinstance(item, Rejection) else None) for item in found]


@given(tips=st.integers(0, 0xFFFF_FFFF), bucket=st.sampled_from(["0.1", "0.19874", "0.2", "0.254", "0.5", "1.0"]))
@example(tips=0, bucket="0.2")
@example(tips=0xFFFF_FFFF, bucket="0.254")
def test_every_count_of_tips_gives_its_millimetres(tips: int, bucket: str) -> None:
    high, low = split32(tips) if tips <= 0x7FFF_FFFF else split32(tips - 0x1_0000_0000)
    exact = float(tips * Fraction(bucket))
    assert rain(float(bucket)).decode([[low, high, 0]]) == [Reading("rain_total_mm", exact)]


@given(tips=st.integers(0, 0xFFFF), status=STATUS)
def test_a_blocked_bucket_says_nothing_about_rain(tips: int, status: int) -> None:
    blocked = [("rain_total_mm", Reason.STATUS)] if status % 2 else [("rain_total_mm", None)]
    assert reasons(rain(0.2).decode([[tips, 0, status]])) == blocked


@given(mm=st.integers(-2_000, 80_000), measures=st.sampled_from(Measures))
def test_every_millimetre_of_a_radar_comes_back(mm: int, measures: Measures) -> None:
    quantity = "distance_m" if measures == "distance" else "depth_m"
    answer = [*split32(mm), 0, 35]
    assert radar(measures, -2.0, 80.0).decode([answer]) == [Reading(quantity, float(Fraction(mm, 1000)))]


@given(mm=st.integers(-(2**31), 2**31 - 1), echo_db=st.integers(0, 0xFFFF))
def test_a_radar_refuses_what_is_outside_its_span_and_nothing_else(mm: int, echo_db: int) -> None:
    found = radar(Measures.LEVEL, -1.5, 15.0).decode([[*split32(mm), 0, echo_db]])
    assert reasons(found) == [("depth_m", None if -1500 <= mm <= 15000 else Reason.RANGE)]


@pytest.mark.parametrize(("measures", "mm", "refused"), [
    ("distance", 199, True), ("distance", 200, False), ("distance", 30_000, False), ("distance", 30_001, True),
    ("level", -1, True), ("level", 0, False), ("level", 29_800, False), ("level", 29_801, True),
])
def test_a_radar_without_a_span_has_that_of_the_table(measures: str, mm: int, refused: bool) -> None:
    driver = radar_level.Driver(radar_level.Settings(measures=Measures(measures)))
    assert isinstance(driver.decode([[*split32(mm), 0, 35]])[0], Rejection) is refused


@given(status=STATUS, high=st.integers(0, 0xFFFF), low=st.integers(0, 0xFFFF))
def test_a_radar_that_is_not_well_is_refused_whatever_the_value(status: int, high: int, low: int) -> None:
    found = radar(Measures.DISTANCE, 0.2, 30.0).decode([[high, low, status, 0]])
    assert reasons(found) == [("distance_m", Reason.STATUS)]


@given(
    raw=st.integers(0, 10_000),
    low_cm=st.integers(-100, 100), width_cm=st.integers(10, 20_000),
    temp=st.integers(0, 0xFFFF),
)
def test_every_raw_pressure_comes_back_over_the_span(raw: int, low_cm: int, width_cm: int, temp: int) -> None:
    exact = Fraction(low_cm, 100) + Fraction(raw, 10_000) * Fraction(width_cm, 100)
    driver = pressure(low_cm / 100, (low_cm + width_cm) / 100)
    assert driver.decode([[raw, temp, 0]]) == [Reading("depth_m", float(exact))]


@given(raw=st.integers(10_001, 0xFFFF))
@example(raw=10_001)
@example(raw=0xFFFE)
@example(raw=0xFFFF)
def test_a_pressure_above_full_is_over_range_and_ffff_is_a_broken_sensor(raw: int) -> None:
    reason = Reason.STATUS if raw == 0xFFFF else Reason.RANGE
    assert reasons(pressure(0.0, 10.0).decode([[raw, 152, 0]])) == [("depth_m", reason)]


@given(status=STATUS, raw=st.integers(0, 0xFFFF))
def test_a_faulty_pressure_sensor_is_refused_whatever_the_value(status: int, raw: int) -> None:
    assert reasons(pressure(0.0, 10.0).decode([[raw, 152, status]])) == [("depth_m", Reason.STATUS)]


@given(
    ch4=st.integers(-50, 1000), h2s=st.integers(-50, 1000), co=st.integers(-10, 1000), o2=st.integers(0, 300),
)
@example(ch4=0, h2s=0, co=0, o2=0)
def test_every_gas_value_of_the_default_spans_comes_back(ch4: int, h2s: int, co: int, o2: int) -> None:
    assert gas().decode([[word(ch4), word(h2s), word(co), word(o2), 0, 0]]) == [
        Reading("ch4_pct_lel", float(Fraction(ch4, 10))),
        Reading("h2s_ppm", float(Fraction(h2s, 10))),
        Reading("co_ppm", float(co)),
        Reading("o2_pct_vol", float(Fraction(o2, 10))),
    ]


@given(bits=st.integers(0, 0xFFFF), words=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4))
def test_a_gas_over_range_is_a_reading_at_the_end_of_its_span(bits: int, words: list[int]) -> None:
    found = gas().decode([[*words, 0, bits]])
    free = gas().decode([[*words, 0, 0]])
    for n, (quantity, end) in enumerate(
        [("ch4_pct_lel", 100.0), ("h2s_ppm", 100.0), ("co_ppm", 1000.0), ("o2_pct_vol", 30.0)]
    ):
        assert found[n] == (Reading(quantity, end) if bits & 2**n else free[n])


@pytest.mark.parametrize(("register", "quantity", "low", "high"), [
    (0, "ch4_pct_lel", -50, 1000), (1, "h2s_ppm", -50, 1000), (2, "co_ppm", -10, 1000), (3, "o2_pct_vol", 0, 300),
])
def test_a_gas_outside_its_span_without_its_bit_is_refused(register: int, quantity: str, low: int, high: int) -> None:
    for raw, refused in ((low - 1, True), (low, False), (high, False), (high + 1, True)):
        words = [0, 0, 0, 209]
        words[register] = word(raw)
        expected = Reason.RANGE if refused else None
        assert (quantity, expected) in reasons(gas().decode([[*words, 0, 0]]))


@given(
    gases=st.lists(st.sampled_from(gas_detector.Gas), min_size=1, unique=True),
    mode=st.integers(0, 5), words=st.lists(st.integers(0, 0xFFFF), min_size=4, max_size=4),
)
def test_a_gas_detector_speaks_of_its_fitted_gases_and_only_in_normal_mode(
    gases: list[gas_detector.Gas], mode: int, words: list[int]
) -> None:
    order = {"ch4": "ch4_pct_lel", "h2s": "h2s_ppm", "co": "co_ppm", "o2": "o2_pct_vol"}
    wanted = [quantity for name, quantity in order.items() if name in gases]
    driver = gas(gases=gases)
    found = reasons(driver.decode([[*words, mode, 0]]))
    assert [quantity for quantity, _ in found] == wanted == list(driver.quantities)
    if mode:
        assert {reason for _, reason in found} == {Reason.STATUS}
    else:
        assert Reason.STATUS not in {reason for _, reason in found}


@given(mm=st.integers(-1_000, 20_000), kpa10=st.integers(-0x8000, 0x7FFF), c10=st.integers(-0x7FFF, 0x7FFF))
@example(mm=0, kpa10=0, c10=0)
def test_every_tank_value_comes_back(mm: int, kpa10: int, c10: int) -> None:
    assert tank(-1.0, 20.0).decode([[*split32(mm), word(kpa10), word(c10)], [0]]) == [
        Reading("tank_level_m", float(Fraction(mm, 1000))),
        Reading("tank_pressure_kpa", float(Fraction(kpa10, 10))),
        Reading("tank_temp_c", float(Fraction(c10, 10))),
    ]


@given(status=st.integers(0, 0xFFFF), fitted=st.booleans())
def test_each_bad_bit_of_a_tank_refuses_its_own_value(status: int, fitted: bool) -> None:
    wanted: list[tuple[str, Reason | None]] = [
        (quantity, Reason.STATUS if status & bit else None)
        for bit, quantity in ((1, "tank_level_m"), (2, "tank_pressure_kpa"), (4, "tank_temp_c"))
        if fitted or bit != 4 or status & 4
    ]
    assert reasons(tank(0.0, 20.0).decode([[0, 6500, 1013, 250 if fitted else 0x8000], [status]])) == wanted


@given(mm=st.integers(-(2**31), 2**31 - 1))
def test_a_tank_level_outside_the_span_is_refused_and_the_rest_is_read(mm: int) -> None:
    found = reasons(tank(0.0, 12.0).decode([[*split32(mm), 0, 0], [0]]))
    assert found == [
        ("tank_level_m", None if 0 <= mm <= 12_000 else Reason.RANGE),
        ("tank_pressure_kpa", None),
        ("tank_temp_c", None),
    ]


def test_a_level_above_an_outer_bound_is_refused_with_value_and_bounds_named() -> None:
    (refused,) = radar(Measures.DISTANCE, 0.2, 30.0).decode([[*split32(31_000), 0, 0]])
    assert refused == Rejection(Reason.RANGE, "31.0 is outside the instrument's span 0.2 to 30.0", "distance_m")


@pytest.mark.parametrize(("answers", "says"), [
    ([], "0 answers to 2 requests"),
    ([[0, 0, 0, 0], [0], [0]], "3 answers to 2 requests"),
    ([[0, 0, 0, 0], []], "0 words from address 100, asked for 1"),
    ([[0, 0, 0x1_0000, 0], [0]], "65536 is not a 16-bit word"),
    ([[0, 0, 0, -1], [0]], "-1 is not a 16-bit word"),
])
def test_an_answer_of_another_shape_is_refused_as_a_whole(answers: list[list[int]], says: str) -> None:
    with pytest.raises(RejectedError, match=says) as caught:
        tank(0.0, 12.0).decode(answers)
    assert caught.value.reason is Reason.FORMAT


@given(volts=st.integers(800, 7200), c=st.integers(-5_000, 12_000), inside=st.integers(-5_000, 12_000),
       pct=st.integers(0, 100), status=st.integers(0, 0xFFFF))
def test_every_value_of_a_charger_comes_back_unless_its_battery_has_a_fault(
    volts: int, c: int, inside: int, pct: int, status: int
) -> None:
    found = epever_charger.Driver(epever_charger.Settings()).decode([[volts], [word(c), word(inside)], [pct], [status]])
    temperatures = [Reading("battery_temp_c", float(Fraction(c, 100))),
                    Reading("cabinet_temp_c", float(Fraction(inside, 100)))]
    assert found[2:] == temperatures
    if status % 16 == 4:
        assert reasons(found[:2]) == [("battery_v", Reason.STATUS), ("battery_pct", Reason.STATUS)]
    else:
        assert found[:2] == [Reading("battery_v", float(Fraction(volts, 100))), Reading("battery_pct", float(pct))]


@given(coil=st.integers(0, 0xFFFF), on=st.booleans())
def test_a_relay_is_told_with_one_write_and_answers_with_one_bit(coil: int, on: bool) -> None:
    driver: OutputDriver = relay_output.Driver(relay_output.Settings(coil=coil))
    (write,) = driver.command(on=on)
    assert (write.function, write.address, write.value) == (5, coil, 1 if on else 0)
    assert driver.is_on([write.value]) is on


@given(register=st.integers(0, 0xFFFF), time=st.integers(1, 0xFFFF), line=st.integers(0, 0xFFFF))
def test_a_relay_is_told_its_watchdog_s_time_with_one_write_and_its_line_is_one_bit(
    register: int, time: int, line: int
) -> None:
    driver = relay_output.Driver(
        relay_output.Settings(watchdog_register=register, watchdog_value=time, line_input=line, hold_s=3.0))
    assert isinstance(driver, GuardedDriver)
    assert driver.guard == (Write(6, register, time),)
    assert (driver.line, driver.hold_s) == (Request(2, line, 1), 3.0)
    assert [driver.is_whole([bit]) for bit in (0, 1)] == [False, True]
    for answer in ([], [2], [0, 1]):
        with pytest.raises(RejectedError, match="is not one bit"):
            driver.is_whole(answer)


@given(register=st.integers(0, 0xFFFF), parts=st.lists(st.integers(1, 0xFFFF), min_size=2, max_size=2, unique=True),
       current=st.integers(0, 0xFFFF))
def test_where_the_current_is_measured_it_is_the_feedback_and_the_line(
    register: int, parts: list[int], current: int
) -> None:
    line, sounds = sorted(parts)
    driver = relay_output.Driver(
        relay_output.Settings(current_register=register, sounds_from=sounds, line_from=line))
    assert (driver.feedback, driver.line) == (Request(4, register, 1), Request(4, register, 1))
    assert driver.is_on([current]) is (current >= sounds)
    assert driver.is_whole([current]) is (current >= line)
    for answer in ([], [1, 2], [0x10000]):
        with pytest.raises(RejectedError, match="is not one word"):
            driver.is_on(answer)


def test_a_current_says_from_where_it_counts() -> None:
    driver = relay_output.Driver(relay_output.Settings(current_register=7, sounds_from=500, line_input=1))
    assert (driver.feedback, driver.line) == (Request(4, 7, 1), Request(2, 1, 1))
    for wrong, words in (({"current_register": 7}, "give both"), ({"sounds_from": 7}, "give both"),
                         ({"current_register": 7, "sounds_from": 5, "line_from": 5}, "under sounds_from"),
                         ({"current_register": 7, "sounds_from": 5, "line_from": 2, "line_input": 1}, "no line_input"),
                         ({"line_from": 2}, "under sounds_from")):
        with pytest.raises(ValueError, match=words):
            relay_output.Settings(**wrong)


def test_a_plain_relay_has_neither() -> None:
    driver = relay_output.Driver(relay_output.Settings())
    assert (driver.guard, driver.line) == ((), None)
    for wrong in ({"watchdog_register": 5}, {"watchdog_value": 5}):
        with pytest.raises(ValueError, match="give both"):
            relay_output.Settings(**wrong)
