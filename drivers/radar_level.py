"""Radar water level gauge on Modbus. The table is a generic one, not a maker's.

Read with function 4 (input registers), addresses from the setting `address`:

    0  measured value, high word    int32, mm; distance or level, as the instrument is set
    1  measured value, low word
    2  status                       0 good, 1 echo lost, 2 in service
    3  echo strength, dB            not published

Gives distance_m (measures = "distance") or depth_m (measures = "level", over the instrument's own zero).
The default span is that of a 30 m instrument with a dead zone of 0.2 m; as a level the same instrument,
its zero at the far end, spans 0.0 to 29.8 m. Another zero or another instrument: set span_m.
"""

from collections.abc import Sequence
from typing import Annotated

from msgspec import Meta

from drivers._spans import Measures, Span, check_span, within
from drivers._words import check_answers, int32
from tocsin.config import Table
from tocsin.devices import Request
from tocsin.readings import Reading, Reason, Rejection

_COUNT = 4
_STATUS = {1: "echo lost", 2: "in service"}
DEFAULT_SPAN_M: dict[Measures, Span] = {Measures.DISTANCE: (0.2, 30.0), Measures.LEVEL: (0.0, 29.8)}


class Settings(Table, frozen=True, kw_only=True):
    """Keys of `[device.settings]`. Without `span_m` the span is that of DEFAULT_SPAN_M."""

    measures: Measures
    span_m: Span | None = None
    address: Annotated[int, Meta(ge=0, le=0x1_0000 - _COUNT)] = 0

    def __post_init__(self) -> None:
        if self.span_m is not None:
            check_span("span_m", self.span_m)


class Driver:
    """Polled; one request."""

    def __init__(self, settings: Settings) -> None:
        self._quantity = settings.measures.quantity
        self._span_m = settings.span_m or DEFAULT_SPAN_M[settings.measures]
        self._requests = (Request(function=4, address=settings.address, count=_COUNT),)

    @property
    def quantities(self) -> tuple[str, ...]:
        return (self._quantity,)

    @property
    def requests(self) -> tuple[Request, ...]:
        return self._requests

    def decode(self, answers: Sequence[Sequence[int]]) -> list[Reading | Rejection]:
        """Four words to one value in m, or its refusal (STATUS, RANGE). Raises RejectedError (FORMAT)."""
        check_answers(answers, self._requests)
        high, low, status, _echo_db = answers[0]
        if status:
            return [Rejection(Reason.STATUS, _STATUS.get(status, f"status {status}, not in the table"), self._quantity)]
        return [within(self._quantity, int32(high, low) / 1000, self._span_m)]
