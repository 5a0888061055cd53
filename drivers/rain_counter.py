"""Tipping bucket rain gauge with a Modbus pulse counter. The table is a generic one, not a maker's.

Read with function 3 (holding registers), addresses from the setting `address`:

    0  pulses, low word     one pulse is one tip of mm_per_tip; the count is never reset by a read
    1  pulses, high word
    2  status               bit 0: bucket blocked; other bits are not used

Gives rain_total_mm, the running total: 0 .. 4294967295 tips. A counter that went back is for the reader of the series.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from drivers._words import check_answers, uint32
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_QUANTITY = "rain_total_mm"
_COUNT = 3
_BLOCKED = 1 << 0
# Buckets tip at 0.1 to 1 mm; more than 10 mm is a slip of the unit.
_LARGEST_TIP_MM = 10.0
# One micrometre: far below any tip, far above what float64 adds to 0.254 x 4294967295.
_DECIMALS = 6


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`."""

    mm_per_tip: Annotated[float, Meta(gt=0.0, le=_LARGEST_TIP_MM)]
    address: Annotated[int, Meta(ge=0, le=0x1_0000 - _COUNT)] = 0


class Driver:
    """Polled; one request."""

    def __init__(self, settings: Settings) -> None:
        self._mm_per_tip = settings.mm_per_tip
        self._requests = (Request(function=3, address=settings.address, count=_COUNT),)

    @property
    def quantities(self) -> tuple[str, ...]:
        return (_QUANTITY,)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Three words to the total in mm, or its refusal (STATUS). Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        low, high, status = answers[0]
        if status & _BLOCKED:
            return [Rejection(Reason.STATUS, "bucket blocked", _QUANTITY)]
        return [Reading(_QUANTITY, round(uint32(high, low) * self._mm_per_tip, _DECIMALS))]
