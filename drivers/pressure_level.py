"""Submersible pressure transmitter for water level, on Modbus. The table is a generic one, not a maker's.

Read with function 4 (input registers), addresses from the setting `address`:

    0  raw value            0 .. 10000 over the span; 0xFFFF sensor broken, others above 10000 over range
    1  water temperature    int16, 0.1 C, not published
    2  status               0 good, 1 fault

Gives depth_m, the water over the sensor: span low + raw / 10000 x (span high - span low).
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from drivers._spans import Span, check_span
from drivers._words import check_answers
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_QUANTITY = "depth_m"
_COUNT = 3
_FULL = 10_000
_BROKEN = 0xFFFF
_STATUS = {1: "fault"}
# One micrometre: below one step of any span of water, above the noise of float64.
_DECIMALS = 6


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    span_m: Span
    address: Annotated[int, Meta(ge=0, le=0x1_0000 - _COUNT)] = 0

    def __post_init__(self) -> None:
        check_span("span_m", self.span_m)


class Driver:
    """Polled; one request."""

    def __init__(self, settings: Settings) -> None:
        self._span_m = settings.span_m
        self._requests = (Request(function=4, address=settings.address, count=_COUNT),)

    @property
    def quantities(self) -> tuple[str, ...]:
        return (_QUANTITY,)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Three words to one depth in m, or its refusal (STATUS, RANGE). Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        raw, _temp, status = answers[0]
        if status:
            return [Rejection(Reason.STATUS, _STATUS.get(status, f"status {status}, not in the table"), _QUANTITY)]
        if raw == _BROKEN:
            return [Rejection(Reason.STATUS, "sensor broken", _QUANTITY)]
        if raw > _FULL:
            return [Rejection(Reason.RANGE, f"raw {raw} is over range, above {_FULL}", _QUANTITY)]
        low, high = self._span_m
        return [Reading(_QUANTITY, round(low + raw * (high - low) / _FULL, _DECIMALS))]
