"""Solar charge controllers of EPEVER's Tracer B, Tracer A, LS-B and VS-B series, Modbus RTU at 115200 8N1.

After the maker's "B-Series MODBUS Specification" (V2.3, 2015) and the LS-B table (V1.1). Function 4 (input registers):

    0x3104  battery voltage      uint16, 0.01 V
    0x3110  battery temperature  int16, 0.01 C; 25.00 where no probe is fitted
    0x3111  temperature inside   int16, 0.01 C
    0x311A  state of charge      uint16, %
    0x3200  battery status       bits 0 to 3: 0 normal, 1 over voltage, 2 under voltage, 3 load switched off, 4 fault

Four reads: between them lie registers that some models answer with an exception. Gives battery_v, battery_temp_c,
cabinet_temp_c (the controller's own: it hangs in the cabinet) and battery_pct. A fault refuses voltage and charge; a
voltage that is low or high is a good reading, and the one that matters most. Not confirmed on an instrument yet.
"""

from collections.abc import Sequence

from drivers._spans import Span, check_span, within
from drivers._words import check_answers, int16
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_VOLTAGE, _CHARGE, _BATTERY_TEMP, _CABINET_TEMP = "battery_v", "battery_pct", "battery_temp_c", "cabinet_temp_c"
_REQUESTS = (
    Request(function=4, address=0x3104, count=1),
    Request(function=4, address=0x3110, count=2),
    Request(function=4, address=0x311A, count=1),
    Request(function=4, address=0x3200, count=1),
)
_FAULT = 4
_TEMP_SPAN_C = (-50.0, 120.0)
_CHARGE_SPAN_PCT = (0.0, 100.0)


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`. A controller without its battery says 0 V, and needs 8 V to start."""

    span_v: Span = (8.0, 72.0)

    def __post_init__(self) -> None:
        check_span("span_v", self.span_v)


class Driver:
    """Polled; four requests."""

    def __init__(self, settings: Settings) -> None:
        self._span_v = settings.span_v

    @property
    def quantities(self) -> tuple[str, ...]:
        return (_VOLTAGE, _CHARGE, _BATTERY_TEMP, _CABINET_TEMP)

    @property
    def requests(self) -> tuple[Request, ...]:
        return _REQUESTS

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """All answers to values in V, % and C, or refusals (STATUS, RANGE). Raises RejectedError (FORMAT)."""
        check_answers(answers, _REQUESTS)
        (voltage,), (battery_temp, cabinet_temp), (charge,), (status,) = answers
        found: list[Reading | Rejection] = []
        if status & 0xF == _FAULT:
            found += [Rejection(Reason.STATUS, "battery fault", name) for name in (_VOLTAGE, _CHARGE)]
        else:
            found.append(within(_VOLTAGE, voltage / 100, self._span_v))
            found.append(within(_CHARGE, float(charge), _CHARGE_SPAN_PCT))
        found.append(within(_BATTERY_TEMP, int16(battery_temp) / 100, _TEMP_SPAN_C))
        found.append(within(_CABINET_TEMP, int16(cabinet_temp) / 100, _TEMP_SPAN_C))
        return found
