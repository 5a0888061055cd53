"""Gas detector with up to four sensors, on Modbus. The table is a generic one, not a maker's.

Read with function 3 (holding registers), addresses from the setting `address`:

    0  CH4          int16, 0.1 % LEL
    1  H2S          int16, 0.1 ppm
    2  CO           int16, 1 ppm
    3  O2           int16, 0.1 % vol
    4  mode         0 normal, 1 warm-up, 2 calibration, 3 fault; anything but 0 refuses every fitted gas
    5  over range   bit n: register n is over range, the gas is "at least" the span's high end; bits 4 .. 15 not used

Gives ch4_pct_lel, h2s_ppm, co_ppm, o2_pct_vol, those of the fitted gases. An over-range gas is a reading at the
high end of its span: the worst air must not look like missing air. The default spans are common ones for
catalytic and electrochemical sensors, with room below zero for drift; not confirmed on an instrument.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from drivers._spans import Span, check_span, within
from drivers._words import check_answers, int16
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_COUNT = 6
_MODES = {1: "warm-up", 2: "calibration", 3: "fault"}


class Gas(StrEnum):
    """A sensor that can be fitted."""

    CH4 = "ch4"
    H2S = "h2s"
    CO = "co"
    O2 = "o2"


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`. The order of `gases` does not matter."""

    gases: list[Gas] = msgspec.field(default_factory=lambda: list(Gas))
    ch4_span_pct_lel: Span = (-5.0, 100.0)
    h2s_span_ppm: Span = (-5.0, 100.0)
    co_span_ppm: Span = (-10.0, 1000.0)
    o2_span_pct_vol: Span = (0.0, 30.0)
    address: Annotated[int, Meta(ge=0, le=0x1_0000 - _COUNT)] = 0

    def __post_init__(self) -> None:
        if not self.gases or len(set(self.gases)) != len(self.gases):
            shown = ", ".join(self.gases)
            raise ValueError(f"gases: [{shown}] is not allowed; use one or more of {', '.join(Gas)}, each once")
        for key in ("ch4_span_pct_lel", "h2s_span_ppm", "co_span_ppm", "o2_span_pct_vol"):
            check_span(key, getattr(self, key))


class _Sensor(NamedTuple):
    register: int
    quantity: str
    per_unit: int
    span: Span


def _fitted(settings: Settings) -> tuple[_Sensor, ...]:
    every = {
        Gas.CH4: _Sensor(0, "ch4_pct_lel", 10, settings.ch4_span_pct_lel),
        Gas.H2S: _Sensor(1, "h2s_ppm", 10, settings.h2s_span_ppm),
        Gas.CO: _Sensor(2, "co_ppm", 1, settings.co_span_ppm),
        Gas.O2: _Sensor(3, "o2_pct_vol", 10, settings.o2_span_pct_vol),
    }
    return tuple(sensor for gas, sensor in every.items() if gas in settings.gases)


class Driver:
    """Polled; one request."""

    def __init__(self, settings: Settings) -> None:
        self._sensors = _fitted(settings)
        self._requests = (Request(function=3, address=settings.address, count=_COUNT),)

    @property
    def quantities(self) -> tuple[str, ...]:
        return tuple(sensor.quantity for sensor in self._sensors)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Six words to one value or refusal (STATUS, RANGE) a fitted gas. Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        *values, mode, over_range = answers[0]
        if mode:
            detail = _MODES.get(mode, f"mode {mode}, not in the table")
            return [Rejection(Reason.STATUS, detail, sensor.quantity) for sensor in self._sensors]
        return [_value(sensor, values[sensor.register], over_range) for sensor in self._sensors]


def _value(sensor: _Sensor, word: int, over_range: int) -> Reading | Rejection:
    if over_range >> sensor.register & 1:
        return Reading(sensor.quantity, sensor.span[1])
    return within(sensor.quantity, int16(word) / sensor.per_unit, sensor.span)
