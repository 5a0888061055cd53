"""Simulated instruments: physical values in, raw registers or lines out.

Addresses count from 0, words are 16 bit, 32-bit values have the high word first unless said otherwise. Every instrument
counts in `served` the good answers (or lines) that a wire gave in its name. `set(quantity, value)` takes the value in
the unit of the quantity's name; None makes the instrument say "no value" in its own way, which each class describes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import ClassVar

from simulators.instruments import Code, Instrument, Measures, ModbusDevice, Number, decimal_of, int32, whole

GASES = {"ch4": "ch4_pct_lel", "h2s": "h2s_ppm", "co": "co_ppm", "o2": "o2_pct_vol"}
TANK = ("tank_level_m", "tank_pressure_kpa", "tank_temp_c")


class RainCounter(ModbusDevice):
    """Tipping bucket with a pulse counter.

    Function 3: 0 pulses, low word; 1 pulses, high word; 2 status (bit 0: bucket blocked).
    Water that does not fill the bucket stays in it for the next tip. No value = the blocked bit, and the count stands
    still. `rain_mm` is rain that falls now, `rain_total_mm` all that has fallen since the instrument was made.
    `pulses` is the count it starts with, for rehearsing a counter that wraps at 2**32.
    """

    def __init__(self, mm_per_tip: Number, address: int = 0, pulses: int = 0) -> None:
        super().__init__(address)
        self._mm_per_tip = decimal_of(mm_per_tip)
        if self._mm_per_tip <= 0:
            raise ValueError(f"RainCounter: mm_per_tip: {mm_per_tip} is not allowed; use a number above 0")
        self._first_pulses = pulses
        self._fallen_mm = Decimal(0)
        self.blocked = False

    @property
    def quantities(self) -> tuple[str, ...]:
        return ("rain_mm", "rain_total_mm")

    @property
    def pulses(self) -> int:
        """Tips since it was made, and those it started with; 32 bit."""
        return (self._first_pulses + int(self._fallen_mm // self._mm_per_tip)) % 2**32

    def rain(self, mm: Number) -> None:
        """That much more rain falls into it, in mm of depth."""
        if mm < 0:
            raise ValueError(f"RainCounter: rain_mm: {mm} is not allowed; use a number of at least 0")
        self._fallen_mm += decimal_of(mm)

    def _show(self, quantity: str, value: Number | None) -> None:
        if value is not None and quantity == "rain_total_mm":
            self._fallen_mm = Decimal(0)
        if value is not None:
            self.rain(value)
        self.blocked = value is None

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        pulses = self.pulses
        return {3: {0: (pulses & 0xFFFF, pulses >> 16, int(self.blocked))}}


class _Level:
    """Where a level instrument hangs, and what it makes of a stage.

    `zero_m` is the height of its own zero over the datum of `stage_m`: the radar's face for `distance`.
    """

    def __init__(self, measures: Measures, zero_m: float) -> None:
        self.measures = measures
        self.zero_m = zero_m
        self.quantities = ("stage_m", measures.quantity)

    def value(self, quantity: str, value: Number) -> float:
        """What the instrument measures, in m."""
        if quantity != "stage_m":
            return float(value)
        over = float(value) - self.zero_m
        return -over if self.measures is Measures.DISTANCE else over


class RadarLevel(ModbusDevice):
    """Radar over the water.

    Function 4: 0-1 measured value, int32 mm; 2 status (0 good, 1 echo lost, 2 in service); 3 echo strength, dB.
    No value = status 1; the last measured value stays in the registers.
    """

    def __init__(self, measures: Measures, zero_m: float = 0.0, address: int = 0) -> None:
        super().__init__(address)
        self._level = _Level(measures, zero_m)
        self._mm = 0
        self.status = 1
        self.echo_db = 60

    @property
    def quantities(self) -> tuple[str, ...]:
        return self._level.quantities

    def _show(self, quantity: str, value: Number | None) -> None:
        if value is not None:
            self._mm = whole(quantity, self._level.value(quantity, value), 1000, 32)
        self.status = 0 if value is not None else 1

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        return {4: {0: (*int32(self._mm), self.status, self.echo_db)}}


class PressureLevel(ModbusDevice):
    """Pressure probe under the water.

    Function 4: 0 raw 0..10000 over the span, above it 10001, broken sensor 0xFFFF; 1 water temperature, int16 0.1 C;
    2 status (0 good, 1 fault). Below its span it stays at 0. No value = raw 0xFFFF.
    """

    BROKEN = 0xFFFF
    FULL = 10_000

    def __init__(self, span_m: tuple[float, float], zero_m: float = 0.0, address: int = 0) -> None:
        super().__init__(address)
        low, high = span_m
        if not low < high:
            raise ValueError(f"PressureLevel: span_m: {list(span_m)} is not allowed; use [low, high], low below high")
        self._level = _Level(Measures.LEVEL, zero_m)
        self._span_m = span_m
        self.raw = self.BROKEN
        self.water_temp_c = 12.0
        self.status = 0

    @property
    def quantities(self) -> tuple[str, ...]:
        return self._level.quantities

    def _show(self, quantity: str, value: Number | None) -> None:
        if value is None:
            self.raw = self.BROKEN
            return
        low, high = self._span_m
        raw = round((self._level.value(quantity, value) - low) / (high - low) * self.FULL)
        self.raw = min(max(raw, 0), self.FULL + 1)

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        return {4: {0: (self.raw, whole("water_temp_c", self.water_temp_c, 10, 16) & 0xFFFF, self.status)}}


class GasDetector(ModbusDevice):
    """Gas detector, in clean air until told otherwise.

    Function 3: 0 CH4 0.1 % LEL, 1 H2S 0.1 ppm, 2 CO 1 ppm, 3 O2 0.1 % vol (int16); 4 mode (0 normal, 1 warm-up,
    2 calibration, 3 fault); 5 over-range bits (bit n = register n, which then shows the span's end).
    No value for one gas = mode 3 for the whole detector. `mode` set by hand stands over that.
    """

    STEPS: ClassVar = {"ch4": 10, "h2s": 10, "co": 1, "o2": 10}
    SPANS: ClassVar = {"ch4": 100.0, "h2s": 100.0, "co": 1000.0, "o2": 30.0}

    def __init__(self, gases: Sequence[str] = tuple(GASES), address: int = 0,
                 spans: Mapping[str, float] | None = None) -> None:
        super().__init__(address)
        unknown = [gas for gas in (*gases, *(spans or {})) if gas not in GASES]
        if unknown:
            raise ValueError(f'GasDetector: "{unknown[0]}" is not a gas; use {", ".join(GASES)}')
        self._gases = tuple(gases)
        self._spans = {**self.SPANS, **(spans or {})}
        self._value: dict[str, float | None] = {gas: 20.9 if gas == "o2" else 0.0 for gas in gases}
        self.mode = 0

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(GASES[gas] for gas in self._gases)

    def _show(self, quantity: str, value: Number | None) -> None:
        gas = next(gas for gas, name in GASES.items() if name == quantity)
        if value is not None:
            whole(quantity, min(float(value), self._spans[gas]), self.STEPS[gas], 16)
        self._value[gas] = None if value is None else float(value)

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        words, over = [], 0
        for number, gas in enumerate(GASES):
            value = self._value.get(gas) or 0.0
            over |= (value > self._spans[gas]) << number
            words.append(round(min(value, self._spans[gas]) * self.STEPS[gas]) & 0xFFFF)
        fault = 3 if None in self._value.values() else 0
        return {3: {0: (*words, self.mode or fault, over)}}


class TankGauge(ModbusDevice):
    """Tank gauge.

    Function 4: 0-1 level, int32 mm; 2 pressure, int16 0.1 kPa; 3 temperature, int16 0.1 C, 0x8000 where not fitted.
    Function 3: 100 status bits (0 level bad, 1 pressure bad, 2 temperature bad). No value = that quantity's bad bit.
    """

    NOT_FITTED = -0x8000

    def __init__(self, temperature: bool = True, address: int = 0) -> None:
        super().__init__(address)
        self._fitted = TANK if temperature else TANK[:2]
        self._raw = dict(zip(TANK, (0, 0, 0 if temperature else self.NOT_FITTED), strict=True))
        self._bad = set(self._fitted)

    @property
    def quantities(self) -> tuple[str, ...]:
        return self._fitted

    def _show(self, quantity: str, value: Number | None) -> None:
        if value is None:
            self._bad.add(quantity)
            return
        steps, bits = (1000, 32) if quantity == TANK[0] else (10, 16)
        self._raw[quantity] = whole(quantity, float(value), steps, bits)
        self._bad.discard(quantity)

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        level, *small = (self._raw[name] for name in TANK)
        status = sum(1 << number for number, name in enumerate(TANK) if name in self._bad)
        return {4: {0: (*int32(level), *(raw & 0xFFFF for raw in small))}, 3: {100: (status,)}}


class Relay(ModbusDevice):
    """The siren's relay: function 5 (and 1) coil 0, function 2 discrete input 0 is the feedback contact.

    `commands` has every write, `changes` those that changed the output, as (time.monotonic() in s, on).
    `stuck` = the output no longer moves, and the contact says so.
    """

    def __init__(self, coil: int = 0, feedback_input: int = 0) -> None:
        super().__init__()
        self._coil = coil
        self._feedback_input = feedback_input
        self.on = False
        self.stuck = False
        self.commands: list[tuple[float, bool]] = []
        self.changes: list[tuple[float, bool]] = []
        self.on_change: Callable[[float, bool], None] | None = None

    @property
    def quantities(self) -> tuple[str, ...]:
        return ()

    def _show(self, quantity: str, value: Number | None) -> None:
        raise ValueError(f"Relay: {quantity}: {value} is not allowed; a relay shows nothing")

    def table(self) -> Mapping[int, Mapping[int, Sequence[int]]]:
        coil = {self._coil: (int(self.on),)}
        return {1: coil, 2: {self._feedback_input: (int(self.on),)}} if self._feedback_input >= 0 else {1: coil}

    def write(self, function: int, address: int, value: int) -> Code | None:
        if function != 5:
            return Code.ILLEGAL_FUNCTION
        if address != self._coil:
            return Code.ILLEGAL_ADDRESS
        at, on = time.monotonic(), bool(value)
        self.commands.append((at, on))
        if on != self.on and not self.stuck:
            self.on = on
            self.changes.append((at, on))
            if self.on_change:
                self.on_change(at, on)
        return None


class AsciiLevel(Instrument):
    """Plain serial level instrument, 9600 8N1, that speaks by itself: `$LVL,<address>,<value>,m*HH` CR LF.

    HH is the XOR of the bytes between $ and * (as in NMEA 0183). No value = `E1` in the value's place.
    """

    def __init__(self, measures: Measures, address: str = "01", zero_m: float = 0.0) -> None:
        super().__init__()
        if len(address) != 2 or not (address.isascii() and address.isdigit()):
            raise ValueError(f'AsciiLevel: address: "{address}" is not allowed; use two digits')
        self.address = address
        self._level = _Level(measures, zero_m)
        self._value: float | None = None

    @property
    def quantities(self) -> tuple[str, ...]:
        return self._level.quantities

    def _show(self, quantity: str, value: Number | None) -> None:
        self._value = None if value is None else self._level.value(quantity, value)

    def line(self, address: str = "") -> bytes:
        """The next line; `address` speaks in another instrument's name."""
        value = "E1" if self._value is None else f"{self._value:+.3f}"
        body = f"LVL,{address or self.address},{value},m".encode()
        check = 0
        for byte in body:
            check ^= byte
        return b"$%b*%02X\r\n" % (body, check)
