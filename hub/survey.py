"""A record file before it is imported: what its columns hold, and which rows or cells cannot be taken, line by line.

A column whose name says a quantity holds numbers. Any other one holds numbers too, unless one of its cells is a word:
then all of it is words. Whatever is bad is found before anything is written.
"""

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hub.sheets import QUALITY, Line, header, lines, series_of
from hub.store import LATEST_MS, LONGEST_TEXT, OLDEST_MS, LabelPoint, Point, problem_of
from tocsin.quantities import QUANTITIES
from tocsin.times import iso, ms_of

TOLD = 20    # bad places that are told one by one
MOST_BAD = 1_000    # that are remembered: of a file of millions of rows each one may be bad
_MOST_BITS = 1 << 53


@dataclass(frozen=True, slots=True)
class Bad:
    """What cannot be taken: a row, or one cell of it."""

    line: int
    words: str


@dataclass(slots=True)
class Survey:
    """One file. `columns` without the time; `words` are those of labels, `marks` maps a column of marks to its own."""

    path: Path
    columns: list[str]
    words: set[str] = field(default_factory=set)
    marks: dict[str, str] = field(default_factory=dict)
    empty: set[str] = field(default_factory=set)
    again: dict[int, int] = field(default_factory=dict)    # line of a time that an earlier line has
    bad: list[Bad] = field(default_factory=list)
    bad_count: int = 0
    rows: int = 0
    oldest_ms: int = OLDEST_MS

    def tell(self, line: int, words: str) -> None:
        self.bad_count += 1
        if len(self.bad) < MOST_BAD:
            self.bad.append(Bad(line, words))


def survey(path: Path, oldest_ms: int = OLDEST_MS) -> Survey:
    """Reads the whole file once; rows before `oldest_ms` are bad. Raises SheetError."""
    columns = header(path)[1:]
    found = Survey(path, columns, oldest_ms=max(oldest_ms, OLDEST_MS))
    found.marks = {name: base for name in columns if (base := name.removesuffix(QUALITY)) != name and base in columns}
    found.empty = set(columns)
    times, numbers = array("q"), array("q")
    for line, cells in lines(path):
        found.rows += 1
        t = _time(found, line, cells, tell=True)
        if t is None:
            continue
        times.append(t)
        numbers.append(line)
        for name, cell in zip(columns, cells[1:], strict=True):
            if cell:
                found.empty.discard(name)
                if number(cell) is None:
                    _word(found, line, name, cell)
    found.again = _again(times, numbers)
    for line, first in found.again.items():
        found.tell(line, f"its time is that of line {first}")
    for name in columns:
        if problem := problem_of(LabelPoint("s", *series_of(name), OLDEST_MS, "")):
            found.tell(1, f"{name}: {problem}")
    _settle_marks(found)
    found.bad.sort(key=lambda bad: bad.line)
    return found


def points(of: Survey, station: str, rows: Iterable[Line]) -> Iterator[list[Point | LabelPoint]]:
    """What is good of the file's `rows`, a row at a time. A row or a column without any value leaves an empty label, so
    that it is known."""
    base = {name: (*series_of(name), name in of.words) for name in of.columns if name not in of.marks}
    marks = {own: name for name, own in of.marks.items()}
    first = True
    for line, cells in rows:
        t = _time(of, line, cells, tell=False)
        if t is None or line in of.again:
            continue
        row = dict(zip(of.columns, cells[1:], strict=True))
        made: list[Point | LabelPoint] = []
        for name, (device, quantity, is_word) in base.items():
            cell = row[name]
            if is_word and cell:
                label = LabelPoint(station, device, quantity, t, cell)
                made += [] if problem_of(label) else [label]
            elif cell and (value := number(cell)) is not None:
                bits = _bits(row[marks[name]]) if name in marks else 0
                made.append(Point(station, device, quantity, t, value, bits or 0))
        blank = [name for name in base if name in of.empty] if first else []
        if not made and not blank:
            blank = [next(iter(base))] if base else []
        made += [LabelPoint(station, *base[name][:2], t, "") for name in blank]
        first = False
        yield made


def number(cell: str) -> float | None:
    """The cell as a finite number."""
    try:
        found = float(cell) if "_" not in cell else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _time(of: Survey, line: int, cells: list[str], *, tell: bool) -> int | None:
    """The row's time in ms, None for a row that is bad by itself."""
    words = ""
    t = 0
    if len(cells) != len(of.columns) + 1:
        words = f"{len(cells)} cells; the header has {len(of.columns) + 1}"
    else:
        try:
            t = ms_of(cells[0])
        except (ValueError, OverflowError):
            words = f'time "{cells[0]}"; write ISO 8601 in UTC: 2024-08-08T07:20:00Z'
    if not words and not of.oldest_ms <= t < LATEST_MS:
        words = f"time {cells[0]}: use times from {iso(of.oldest_ms)} to {iso(LATEST_MS)}"
        if of.oldest_ms > OLDEST_MS:
            words += "; older readings are not kept: see keep_days of [store], for InfluxDB influx_keep_days"
    if words and tell:
        of.tell(line, words)
    return None if words else t


def _word(of: Survey, line: int, name: str, cell: str) -> None:
    """What is no number makes its column one of words, or is wrong where it stands."""
    if name in of.marks or series_of(name)[1] in QUANTITIES:
        of.tell(line, f'{name}: "{cell}" is not a finite number; the cell is left out')
        return
    of.words.add(name)
    if problem := problem_of(LabelPoint("s", *series_of(name), OLDEST_MS, cell)):
        of.tell(line, f"{name}: {problem}; at most {LONGEST_TEXT} bytes and no zero byte")


def _settle_marks(of: Survey) -> None:
    if not of.marks:
        return
    at = {name: place for place, name in enumerate(of.columns, 1)}
    for line, cells in lines(of.path):
        for name, own in of.marks.items():
            if len(cells) <= max(at[name], at[own]) or not cells[at[name]] or number(cells[at[name]]) is None:
                continue
            if _bits(cells[at[name]]) is None:
                of.tell(line, f'{name}: "{cells[at[name]]}" is not allowed; use whole numbers from 0 to {_MOST_BITS}')
            elif not cells[at[own]]:
                of.tell(line, f"{name}: {cells[at[name]]} marks no value: {own} is empty")


def _bits(cell: str) -> int | None:
    """Marks as bits; an empty cell is 0."""
    if not cell:
        return 0
    found = number(cell)
    return int(found) if found is not None and found.is_integer() and 0 <= found <= _MOST_BITS else None


def _again(times: "array[int]", numbers: "array[int]") -> dict[int, int]:
    """Lines whose time an earlier line has, each with that line."""
    if all(before < after for before, after in pairwise(times)):
        return {}
    owner: dict[int, int] = {}
    return {line: owner[t] for t, line in zip(times, numbers, strict=True) if owner.setdefault(t, line) != line}
