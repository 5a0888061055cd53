"""Plays a record (measured, or sampled from a hazard) into simulated instruments, row by row."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import accumulate

from simulators.instruments import Instrument, Number
from tocsin.clock import Clock
from tocsin.records import Record
from tocsin.times import iso


@dataclass(frozen=True, slots=True)
class Feed:
    """Column `column` of the record is shown by `device` as `quantity`."""

    column: str
    device: Instrument
    quantity: str


class Player:
    """`go_to(row)` sets every fed instrument to that row; asked again, or out of order, it gives the same registers.

    A column fed as `rain_mm` (rain in the step of each row) is summed from row 0 on, exactly, and shown as
    `rain_total_mm`: the counter turns it into whole tips and keeps the rest. An empty cell makes the instrument say
    "no value" in its own way; the rain of such a row is none. Until the first `go_to` the instruments are as they were.
    """

    def __init__(self, record: Record, feeds: Sequence[Feed]) -> None:
        """Raises ValueError for a column that the record has not, or a quantity that the instrument has not."""
        self._name = record.name
        self._t_ms = record.t_ms
        self.row = -1
        self._plays = [_play(record, feed) for feed in feeds]

    def __len__(self) -> int:
        return len(self._t_ms)

    @property
    def t_ms(self) -> list[int]:
        """The rows' times, ms UTC."""
        return self._t_ms

    def go_to(self, row: int) -> int:
        """Shows that row. Its time, ms UTC. Raises IndexError outside 0..len-1, ValueError for what does not fit."""
        if not 0 <= row < len(self._t_ms):
            raise IndexError(f"row {row} is not in the record; use 0 to {len(self._t_ms) - 1}")
        for device, quantity, values in self._plays:
            try:
                device.set(quantity, values[row])
            except ValueError as err:
                raise ValueError(f"{self._name}: row {row}, {iso(self._t_ms[row])}: {err}") from err
        self.row = row
        return self._t_ms[row]

    async def run(self, clock: Clock, shift_ms: int = 0) -> None:
        """Shows each row when the clock reads its time plus `shift_ms`, then returns. Rows already past are skipped."""
        for row, t_ms in enumerate(self._t_ms):
            last = row == len(self._t_ms) - 1
            if not last and self._t_ms[row + 1] + shift_ms <= clock.now_ms():
                continue
            await clock.sleep_until(clock.monotonic_s() + (t_ms + shift_ms - clock.now_ms()) / 1000)
            self.go_to(row)


def _play(record: Record, feed: Feed) -> tuple[Instrument, str, Sequence[Number | None]]:
    if feed.column not in record.columns:
        raise ValueError(f'{record.name}: "{feed.column}" is not a column; use {", ".join(record.columns)}')
    if feed.quantity not in feed.device.quantities:
        allowed = ", ".join(feed.device.quantities) or "nothing"
        raise ValueError(f'{type(feed.device).__name__} has no "{feed.quantity}"; use {allowed}')
    values = record.columns[feed.column]
    if feed.quantity == "rain_mm":
        return feed.device, "rain_total_mm", _totals(values)
    return feed.device, feed.quantity, values


def _totals(steps: Sequence[float | None]) -> list[Decimal | None]:
    for step in steps:
        if step is not None and not 0 <= step < math.inf:
            raise ValueError(f"rain_mm: {step} is not allowed; use a number of at least 0")
    exact = accumulate(Decimal(repr(step)) if step is not None else Decimal(0) for step in steps)
    return [None if step is None else total for step, total in zip(steps, exact, strict=True)]
