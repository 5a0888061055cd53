"""Tank gauge for level, pressure and temperature, on Modbus. The table is a generic one, not a maker's.

Two reads, addresses from the setting `address`. Function 4 (input registers):

    0    level, high word   int32, mm
    1    level, low word
    2    pressure           int16, 0.1 kPa, gauge
    3    temperature        int16, 0.1 C; 0x8000 not fitted

Function 3 (holding registers):

    100  status             bit 0 level bad, bit 1 pressure bad, bit 2 temperature bad; other bits are not used

Gives tank_level_m, tank_pressure_kpa, tank_temp_c. A temperature that is not fitted is absent: neither reading nor
refusal; where its bad bit is set as well, the bit wins. Pressure and temperature span all that the register can say.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from drivers._spans import Span, check_span, within
from drivers._words import check_answers, int16, int32
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_LEVEL, _PRESSURE, _TEMP = "tank_level_m", "tank_pressure_kpa", "tank_temp_c"
_LEVEL_BAD, _PRESSURE_BAD, _TEMP_BAD = 1 << 0, 1 << 1, 1 << 2
_VALUES_COUNT = 4
_STATUS_OFFSET = 100
_NOT_FITTED = 0x8000


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    span_m: Span
    address: Annotated[int, Meta(ge=0, le=0xFFFF - _STATUS_OFFSET)] = 0

    def __post_init__(self) -> None:
        check_span("span_m", self.span_m)


class Driver:
    """Polled; two requests."""

    def __init__(self, settings: Settings) -> None:
        self._span_m = settings.span_m
        self._requests = (
            Request(function=4, address=settings.address, count=_VALUES_COUNT),
            Request(function=3, address=settings.address + _STATUS_OFFSET, count=1),
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        return (_LEVEL, _PRESSURE, _TEMP)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Both answers to values in m, kPa and C, or refusals (STATUS, RANGE). Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        (high, low, pressure, temp), (status,) = answers
        found: list[Reading | Rejection] = []
        if status & _LEVEL_BAD:
            found.append(Rejection(Reason.STATUS, "level bad", _LEVEL))
        else:
            found.append(within(_LEVEL, int32(high, low) / 1000, self._span_m))
        if status & _PRESSURE_BAD:
            found.append(Rejection(Reason.STATUS, "pressure bad", _PRESSURE))
        else:
            found.append(Reading(_PRESSURE, int16(pressure) / 10))
        if status & _TEMP_BAD:
            found.append(Rejection(Reason.STATUS, "temperature bad", _TEMP))
        elif temp != _NOT_FITTED:
            found.append(Reading(_TEMP, int16(temp) / 10))
        return found
