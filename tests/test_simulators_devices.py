"""Simulated instruments: what stands in the registers for a physical value."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.devices import AsciiLevel, GasDetector, PressureLevel, RadarLevel, RainCounter, Relay, TankGauge
from simulators.instruments import Code, Instrument, Measures, ModbusDevice


def words(device: ModbusDevice, function: int, count: int, address: int = 0) -> list[int]:
    answer = device.read(function, address, count)
    assert isinstance(answer, list)
    return answer


def test_five_tips_of_rain() -> None:
    gauge = RainCounter(mm_per_tip=0.2)
    gauge.rain(1.05)
    assert words(gauge, 3, 3) == [5, 0, 0]


def test_water_stays_in_the_bucket_for_the_next_tip() -> None:
    gauge = RainCounter(mm_per_tip=0.2)
    gauge.rain(0.15)
    assert gauge.pulses == 0
    gauge.rain(0.05)
    assert gauge.pulses == 1


def test_blocked_bucket_says_so_and_keeps_its_count() -> None:
    gauge = RainCounter(mm_per_tip=0.2)
    gauge.set("rain_mm", 1.0)
    gauge.set("rain_mm", None)
    assert words(gauge, 3, 3) == [5, 0, 1]
    gauge.set("rain_mm", 0.0)
    assert words(gauge, 3, 3) == [5, 0, 0]


def test_count_wraps_at_32_bits_through_the_high_word() -> None:
    gauge = RainCounter(mm_per_tip=1, pulses=2**32 - 1)
    assert words(gauge, 3, 2) == [0xFFFF, 0xFFFF]
    gauge.rain(2)
    assert words(gauge, 3, 2) == [1, 0]


@given(st.lists(st.integers(0, 5000), max_size=60), st.sampled_from(["0.1", "0.2", "0.254", "0.5", "1"]))
def test_tips_are_exact_for_any_rain_in_hundredths(hundredths: list[int], tip: str) -> None:
    gauge = RainCounter(mm_per_tip=float(tip))
    for amount in hundredths:
        gauge.rain(amount / 100)
    assert gauge.pulses == int(Decimal(sum(hundredths)) / 100 // Decimal(tip))


@given(st.integers(-2_000_000, 2_000_000))
def test_radar_gives_millimetres_as_int32(mm: int) -> None:
    radar = RadarLevel(Measures.LEVEL)
    radar.set("depth_m", mm / 1000)
    high, low, status, _ = words(radar, 4, 4)
    assert int.from_bytes(bytes([high >> 8, high & 255, low >> 8, low & 255]), "big", signed=True) == mm
    assert status == 0


def test_radar_on_a_bridge_measures_down_to_the_stage() -> None:
    radar = RadarLevel(Measures.DISTANCE, zero_m=12.0)
    radar.set("stage_m", 4.75)
    assert words(radar, 4, 3) == [0, 7250, 0]


def test_radar_that_lost_its_echo_keeps_the_old_value_and_says_so() -> None:
    radar = RadarLevel(Measures.LEVEL)
    assert words(radar, 4, 3) == [0, 0, 1]
    radar.set("depth_m", 1.5)
    radar.set("depth_m", None)
    assert words(radar, 4, 3) == [0, 1500, 1]


@pytest.mark.parametrize(("stage_m", "raw"), [(101.0, 0), (103.5, 2500), (111.0, 10_000), (111.1, 10_001), (90.0, 0)])
def test_pressure_probe_counts_over_its_span(stage_m: float, raw: int) -> None:
    probe = PressureLevel(span_m=(0.0, 10.0), zero_m=101.0)
    probe.set("stage_m", stage_m)
    assert words(probe, 4, 3) == [raw, 120, 0]


def test_broken_pressure_probe() -> None:
    probe = PressureLevel(span_m=(0.0, 10.0))
    assert words(probe, 4, 1) == [0xFFFF]


def test_gas_detector_in_clean_air_and_in_gas() -> None:
    detector = GasDetector()
    assert words(detector, 3, 6) == [0, 0, 0, 209, 0, 0]
    detector.set("ch4_pct_lel", 23.4)
    detector.set("h2s_ppm", -0.3)
    detector.set("co_ppm", 1200)
    assert words(detector, 3, 6) == [234, 0xFFFD, 1000, 209, 0, 0b100]


def test_gas_without_a_value_puts_the_whole_detector_into_fault() -> None:
    detector = GasDetector(gases=["ch4", "o2"])
    detector.set("ch4_pct_lel", None)
    assert words(detector, 3, 1, address=4) == [3]
    detector.set("ch4_pct_lel", 0.0)
    assert words(detector, 3, 1, address=4) == [0]
    with pytest.raises(ValueError, match="co_ppm"):
        detector.set("co_ppm", 1.0)


def test_tank_gauge_in_two_blocks() -> None:
    tank = TankGauge(address=20)
    tank.set("tank_level_m", 70.123)
    tank.set("tank_temp_c", -5.2)
    assert words(tank, 4, 4, address=20) == [1, 4587, 0, 0x10000 - 52]
    assert words(tank, 3, 1, address=120) == [0b010]


def test_tank_gauge_without_a_thermometer() -> None:
    tank = TankGauge(temperature=False)
    tank.set("tank_level_m", 1.0)
    tank.set("tank_pressure_kpa", 0.0)
    assert words(tank, 4, 4) == [0, 1000, 0, 0x8000]
    assert words(tank, 3, 1, address=100) == [0]


def test_relay_remembers_commands_and_changes() -> None:
    relay = Relay(coil=4, feedback_input=2)
    heard: list[bool] = []
    relay.on_change = lambda _, on: heard.append(on)
    for value in (1, 1, 0):
        assert relay.write(5, 4, value) is None
    assert [on for _, on in relay.commands] == [True, True, False]
    assert [on for _, on in relay.changes] == [True, False]
    assert [at for at, _ in relay.commands] == sorted(at for at, _ in relay.commands)
    assert heard == [True, False]
    assert words(relay, 2, 1, address=2) == [0]


def test_stuck_relay_admits_it_at_its_contact() -> None:
    relay = Relay()
    relay.stuck = True
    assert relay.write(5, 0, 1) is None
    assert words(relay, 2, 1) == [0]
    assert relay.changes == []


def test_relay_refuses_what_it_has_not() -> None:
    relay = Relay(feedback_input=-1)
    assert relay.write(5, 1, 1) is Code.ILLEGAL_ADDRESS
    assert relay.write(6, 0, 1) is Code.ILLEGAL_FUNCTION
    assert relay.read(2, 0, 1) is Code.ILLEGAL_FUNCTION


@pytest.mark.parametrize(("value", "line"), [
    (1.234, b"$LVL,01,+1.234,m*17\r\n"),
    (-0.33, b"$LVL,01,-0.330,m*15\r\n"),
    (None, b"$LVL,01,E1,m*62\r\n"),
])
def test_ascii_lines_with_their_check(value: float | None, line: bytes) -> None:
    # the check was worked with a separate one-line XOR over the bytes between $ and *
    instrument = AsciiLevel(Measures.LEVEL)
    instrument.set("depth_m", value)
    assert instrument.line() == line


@given(st.integers(0, 5), st.integers(0, 12), st.integers(-1, 10))
def test_reads_outside_the_table_are_refused(function: int, address: int, count: int) -> None:
    radar = RadarLevel(Measures.LEVEL, address=5)
    inside = count >= 1 and address >= 5 and address + count <= 9
    answer = radar.read(function, address, count)
    if function != 4:
        assert answer is Code.ILLEGAL_FUNCTION
    elif inside:
        assert isinstance(answer, list)
        assert len(answer) == count
    else:
        assert answer is Code.ILLEGAL_ADDRESS


@pytest.mark.parametrize("device", [
    RainCounter(0.2), RadarLevel(Measures.LEVEL), PressureLevel((0, 5)), GasDetector(), TankGauge(), Relay(),
    AsciiLevel(Measures.DISTANCE),
])
def test_what_cannot_be_shown_is_refused_by_name(device: Instrument) -> None:
    with pytest.raises(ValueError, match="snow_mm"):
        device.set("snow_mm", 1.0)
    for quantity in device.quantities:
        with pytest.raises(ValueError, match=quantity):
            device.set(quantity, float("nan"))


def test_register_overflow_names_the_bounds() -> None:
    with pytest.raises(ValueError, match=r"tank_temp_c: 4000.0 is not allowed; .* 3276\.7"):
        TankGauge().set("tank_temp_c", 4000)
