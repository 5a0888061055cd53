"""Readings of the log as rows for the kernel."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from edge.recorder import KINDS
from edge.ruling import series_of
from thresholds.kernel import Block, quantize
from thresholds.series import Series
from thresholds.tables import I64
from tocsin.inputs import ClockStep, Config
from tocsin.log import Entry
from tocsin.messages import Readings, record_of
from tocsin.readings import GIVEN, Quality

# The longest window is a day; an hour more lets held readings and counters find their base.
HISTORY_MS = 25 * 3_600_000
_ROWS = 4096             # of a block: a day at one reading a second must not become one array
_SPARE_ROWS = 100_000


def block_of(record: Readings, columns: Mapping[str, int]) -> Block:
    """A record as one row; series that have no column are left out."""
    known = [i for i, key in enumerate(record.series) if key in columns]
    block = Block.blank(1, len(columns))
    if known:
        column = np.array([columns[record.series[i]] for i in known], np.int64)
        bits = np.array([record.quality[i] & GIVEN for i in known], np.int64)
        _fill(block, np.zeros_like(column), column, np.array([record.value[i] for i in known], np.float64), bits)
        block.t_ms[0, column] = record.t[0]
    return block


def _fill(block: Block, row: I64, column: I64, value: npt.NDArray[np.float64], bits: I64) -> None:
    """A value that is no number stays missing."""
    raw, good = quantize(value)
    block.raw[row, column] = raw
    block.quality[row, column] = np.where(good, bits, int(Quality.MISSING))


class Recent:
    """The readings of the last 25 h, of entries in their order; none from before a new epoch of the clock, and none of
    a series from before its scale became another one.

    They are kept as numbers, 14 bytes a reading: a day of a station that reads each second fits a small machine.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._names: dict[str, int] = {}
        self._numbers = 0
        self._scales: dict[str, str] = {}
        self._coming: Callable[[], Iterable[Entry]] | None = None
        self._clear()
        for entry in entries:
            self.add(entry)

    @classmethod
    def later(cls, read: Callable[[], Iterable[Entry]]) -> "Recent":
        """Reads only when something is asked of it: a start needs none of it where the rules are as they were."""
        made = cls()
        made._coming = read
        return made

    def _read(self) -> None:
        coming, self._coming = self._coming, None
        for entry in coming() if coming else ():
            self.add(entry)

    def _clear(self) -> None:
        self._first = 0
        self._t, self._end = array("q"), array("q")
        self._series, self._value, self._bits = array("i"), array("d"), array("h")

    def add(self, entry: Entry) -> None:
        """What cannot be read is left out."""
        if entry.kind not in {KINDS[Readings], KINDS[ClockStep], KINDS[Config]}:
            return
        try:
            record = record_of(entry.payload)
            if isinstance(record, Config):
                self.scaled(series_of(record))
        except msgspec.DecodeError:
            return
        if isinstance(record, ClockStep) and record.epoch:
            self._clear()
        elif isinstance(record, Readings) and record.t:
            self.take(record)

    def scaled(self, series: Iterable[Series]) -> None:
        """From here on these series are read so: what was read of them in another scale goes."""
        self._read()
        for one in series:
            if self._scales.get(one.key, one.scale) != one.scale:
                self._names.pop(one.key, None)
            self._scales[one.key] = one.scale

    def _number(self, name: str) -> int:
        if name not in self._names:
            self._names[name] = self._numbers
            self._numbers += 1
        return self._names[name]

    def take(self, record: Readings) -> None:
        """One row more; what is too old for it goes."""
        self._t.append(record.t[0])
        self._series.extend(map(self._number, record.series))
        self._value.extend(record.value)
        self._bits.extend(bits & GIVEN for bits in record.quality)
        self._end.append(len(self._series))
        while self._t[self._first] <= record.t[0] - HISTORY_MS:
            self._first += 1
        if self._first > _SPARE_ROWS:
            self._forget()

    def _forget(self) -> None:
        cells = self._end[self._first - 1]
        del self._t[:self._first], self._end[:self._first]
        del self._series[:cells], self._value[:cells], self._bits[:cells]
        self._end = array("q", (end - cells for end in self._end))
        self._first = 0

    def blocks(self, columns: Mapping[str, int], t_ms: int) -> Iterator[Block]:
        """The rows of the 25 h before `t_ms`, in the order of the log."""
        self._read()
        times, ends = np.array(self._t, np.int64), np.array(self._end, np.int64)
        begins = np.append(0, ends)[:-1]
        series, value, given = (np.array(column) for column in (self._series, self._value, self._bits))
        column_of = np.full(self._numbers, -1, np.int64)
        for name, number in self._names.items():
            column_of[number] = columns.get(name, -1)
        rows = np.flatnonzero(times > t_ms - HISTORY_MS)
        rows = rows[rows >= self._first]
        for at in range(0, rows.size, _ROWS):
            part = rows[at:at + _ROWS]
            counts = ends[part] - begins[part]
            row = np.repeat(np.arange(part.size), counts)
            cell = np.arange(row.size) + np.repeat(begins[part] - np.cumsum(counts) + counts, counts)
            column = column_of[series[cell]]
            known = column >= 0
            row, cell, column = row[known], cell[known], column[known]
            block = Block.blank(part.size, len(columns))
            bits = given[cell].astype(np.int64)
            _fill(block, row, column, value[cell], bits)
            block.t_ms[row, column] = times[part][row]
            yield block
