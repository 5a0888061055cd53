"""Histories from readings that come as they were logged, or series by series from a store."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from thresholds.block import MISSING
from thresholds.kernel import quantize
from thresholds.replay.history import History, HistoryError, check_times
from thresholds.rule import Rules
from thresholds.series import Series
from thresholds.tables import I64
from tocsin.readings import GIVEN


@dataclass(slots=True)
class Gatherer:
    """Takes readings in the order processed; `history` has a row for every instant at which some came."""

    station: str
    series: dict[str, Series]
    _t: "array[int]" = field(default_factory=lambda: array("q"))
    _row: "array[int]" = field(default_factory=lambda: array("q"))
    _column: "array[int]" = field(default_factory=lambda: array("q"))
    _bits: "array[int]" = field(default_factory=lambda: array("q"))
    _value: "array[float]" = field(default_factory=lambda: array("d"))
    _columns: dict[str, int] = field(default_factory=dict)
    _in_row: set[int] = field(default_factory=set)

    def take(self, t_ms: Sequence[int], keys: Sequence[str], values: Sequence[float], bits: Sequence[int]) -> None:
        """Readings that came together; those of other series than `series` are left out."""
        self._in_row.clear()
        for t, key, value, bit in zip(t_ms, keys, values, bits, strict=True):
            if key not in self.series:
                continue
            column = self._columns.setdefault(key, len(self._columns))
            if not self._in_row or t != self._t[-1] or column in self._in_row:
                self._t.append(t)
                self._in_row.clear()
            self._in_row.add(column)
            self._row.append(len(self._t) - 1)
            self._column.append(column)
            self._value.append(value)
            self._bits.append(bit & GIVEN)

    def history(self) -> History:
        """Raises HistoryError where there was no reading."""
        series = tuple(self.series[key] for key in self._columns)
        if not series:
            raise HistoryError(f"{self.station}: holds no reading of a series that these rules judge")
        t_ms = np.frombuffer(self._t, np.int64)
        check_times(self.station, t_ms)
        raw = np.zeros((len(t_ms), len(series)), np.int64)
        quality = np.full(raw.shape, MISSING, np.int64)
        at = np.frombuffer(self._row, np.int64), np.frombuffer(self._column, np.int64)
        found, ok = quantize(np.frombuffer(self._value, np.float64))
        raw[at] = found
        quality[at] = np.where(ok, np.frombuffer(self._bits, np.int64), MISSING)
        return History(self.station, series, t_ms, raw, quality)


def by_time(
    station: str, series: Sequence[Series], columns: Sequence[tuple[I64, npt.NDArray[np.float64], I64]]
) -> History:
    """Of each series its times (rising), values and bits; a row for every instant. Raises HistoryError."""
    t_ms = np.unique(np.concatenate([t for t, _, _ in columns])) if columns else np.zeros(0, np.int64)
    check_times(station, t_ms)
    raw = np.zeros((len(t_ms), len(series)), np.int64)
    quality = np.full(raw.shape, MISSING, np.int64)
    for at, (t, values, bits) in enumerate(columns):
        rows = np.searchsorted(t_ms, t)
        found, ok = quantize(values)
        raw[rows, at] = found
        quality[rows, at] = np.where(ok, bits & GIVEN, MISSING)
    return History(station, tuple(series), t_ms, raw, quality)


def judged(series: Sequence[Series], rules: Rules) -> dict[str, Series]:
    """Those of the series, by key, that a rule or a check is about."""
    wanted = {rule.quantity for rule in rules.rules} | {check.quantity for check in rules.checks}
    return {one.key: one for one in series if one.judged_as in wanted}
