"""Which time a landed point has: its own, or where another reading of its series is there already, the next free one.

Two records can claim one time of one series (a clock that was set back, a cloned card). A store would keep only the
last of them, so the later arrival is moved by whole milliseconds to the next free time, and the move is kept with the
record: sending it on again after a crash gives the same times. A time above the series' mark is free without a look.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from hub.store import keyed_times
from tocsin.messages import Readings, Record, record_of

_CHUNK_MS = 1_000
_MOST_SERIES = 100_000  # of which marks are remembered between commits

_SHIFTS = msgspec.json.Decoder(dict[int, int])


class Mark(NamedTuple):
    """Above `t` every time of the series is free. From `first` to before `end` none is: a clock that stands still
    makes long runs, which must not be walked for every record."""

    t: int
    first: int
    end: int


_NO_MARK = Mark(-1, 0, 0)


class Placed(NamedTuple):
    """The first and last time of a record's points, None where it has none, and by index those that were moved."""

    first: int | None
    last: int | None
    moved: dict[int, int]


class Memory:
    """What landing knows of the disk between commits; `forget` it when a commit failed."""

    def __init__(self) -> None:
        self.marks: dict[str, dict[str, Mark]] = {}
        self.newest: dict[str, tuple[str, int]] = {}
        self._sizes: dict[str, int] = {}
        self._series = 0

    def forget(self) -> None:
        self.newest.clear()
        self._forget_marks()

    def keep_marks(self, station: str, marks: dict[str, Mark]) -> None:
        self._series += len(marks) - self._sizes.get(station, 0)
        self._sizes[station] = len(marks)
        self.marks[station] = marks
        if self._series > _MOST_SERIES:
            self._forget_marks()

    def _forget_marks(self) -> None:
        self.marks.clear()
        self._sizes.clear()
        self._series = 0


class Places:
    """The times of one station's series, inside one transaction. `save` writes the marks that moved."""

    def __init__(self, connection: sqlite3.Connection, station: str, memory: Memory) -> None:
        self._connection = connection
        self._station = station
        self._memory = memory
        self._marks = memory.marks[station] if station in memory.marks else self._read()
        self._changed: set[str] = set()

    def _read(self) -> dict[str, Mark]:
        found = self._connection.execute(
            "SELECT series, t, run_first, run_end FROM marks WHERE station = ?", (self._station,)
        )
        return {series: Mark(t, first, end) for series, t, first, end in found}

    def place(self, record: Record) -> Placed:
        wanted = zip(record.series, record.t, strict=True) if type(record) is Readings else keyed_times(record)
        if (newest := self._all_free(wanted)) is None:
            return self._look(keyed_times(record))
        for series, t in newest.items():
            mark = self._marks.get(series, _NO_MARK)
            self._marks[series] = Mark(t, mark.first, mark.end)
        self._changed.update(newest)
        if type(record) is Readings and record.t:
            return Placed(min(record.t), max(record.t), {})
        return Placed(min(newest.values(), default=None), max(newest.values(), default=None), {})

    def save(self) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
            [(self._station, series, *self._marks[series]) for series in self._changed],
        )
        self._memory.keep_marks(self._station, self._marks)

    def _all_free(self, wanted: Iterable[tuple[str, int]]) -> dict[str, int] | None:
        """The newest time of each series where all lie above the marks, in order; None where one needs a look."""
        newest: dict[str, int] = {}
        for series, t in wanted:
            before = newest.get(series)
            if before is None:
                before = self._marks.get(series, _NO_MARK).t
            if t <= before:
                return None
            newest[series] = t
        return newest

    def _look(self, wanted: Sequence[tuple[str, int]]) -> Placed:
        taken = _Taken(self._connection, self._station)
        moved: dict[int, int] = {}
        for index, (series, t) in enumerate(wanted):
            mark = self._marks.get(series, _NO_MARK)
            if t > mark.t:
                self._marks[series] = Mark(t, mark.first, mark.end)
            else:
                self._marks[series] = mark = taken.next_free(series, t, mark)
                if mark.end - 1 != t:
                    moved[index] = mark.end - 1
            taken.add(series, moved.get(index, t))
            self._changed.add(series)
        times = [moved.get(index, t) for index, (_, t) in enumerate(wanted)]
        return Placed(min(times, default=None), max(times, default=None), moved)


class _Taken:
    """Which times of a station's series are taken: by landed records, looked up second by second, and by `add`."""

    def __init__(self, connection: sqlite3.Connection, station: str) -> None:
        self._connection = connection
        self._station = station
        self._own: set[tuple[str, int]] = set()
        self._chunks: dict[int, set[tuple[str, int]]] = {}

    def add(self, series: str, t: int) -> None:
        self._own.add((series, t))

    def next_free(self, series: str, t: int, mark: Mark) -> Mark:
        """A mark whose run ends with the first free time at or after t, which is now taken."""
        first, end = (mark.first, mark.end) if mark.first <= t < mark.end else (t, t)
        while end <= mark.t and self._holds(series, end):
            end += 1
        return Mark(max(mark.t, end), first, end + 1)

    def _holds(self, series: str, t: int) -> bool:
        chunk = t // _CHUNK_MS
        if chunk not in self._chunks:
            self._chunks[chunk] = self._load(chunk * _CHUNK_MS, (chunk + 1) * _CHUNK_MS - 1)
        return (series, t) in self._own or (series, t) in self._chunks[chunk]

    def _load(self, first: int, last: int) -> set[tuple[str, int]]:
        rows = self._connection.execute(
            # records span seconds: only the few wide ones are looked for without a bound on their end
            "SELECT raw, shifts FROM landing WHERE station = ?1 AND t_last BETWEEN ?2 AND ?3 + 3600000"
            " AND t_first <= ?3 AND t_last - t_first <= 3600000 UNION ALL "
            "SELECT raw, shifts FROM landing WHERE station = ?1 AND t_first <= ?3 AND t_last >= ?2"
            " AND t_last - t_first > 3600000",
            (self._station, first, last),
        )
        found: set[tuple[str, int]] = set()
        for raw, shifts in rows:
            times = shifts_of(shifts)
            found.update(
                (series, times.get(index, t)) for index, (series, t) in enumerate(keyed_times(record_of(raw)))
            )
        return found


def shifts_of(text: str) -> dict[int, int]:
    """The column `shifts` of landing."""
    return _SHIFTS.decode(text) if text else {}
