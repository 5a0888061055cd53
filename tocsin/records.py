"""Record files: CSV, gzipped where the name ends in .gz.

First column `time` (ISO 8601, UTC, Z), then one column a quantity with its unit in the name; an empty cell is a missing
value. Columns that hold words (a provider's flag, an experiment's name) are kept as labels.
"""

import csv
import gzip
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from tocsin.times import iso, ms_of

AT_ONCE = 4096    # rows are turned into columns by so many


class RecordError(Exception):
    """A record file that cannot be read; names file, line, column, value and what is allowed."""


@dataclass(frozen=True, slots=True)
class Record:
    """One station's record: `t_ms[i]` (ms UTC) is the time of row i; every column is as long as `t_ms`."""

    name: str
    t_ms: list[int]
    columns: dict[str, list[float | None]]
    labels: dict[str, list[str]]

    def window(self, start_ms: int, end_ms: int) -> "Record":
        """The rows with start <= time < end."""
        rows = [i for i, t in enumerate(self.t_ms) if start_ms <= t < end_ms]
        return Record(
            self.name,
            [self.t_ms[i] for i in rows],
            {key: [column[i] for i in rows] for key, column in self.columns.items()},
            {key: [column[i] for i in rows] for key, column in self.labels.items()},
        )


def read(path: Path) -> Record:
    """Raises RecordError."""
    try:
        with _open(path) as file:
            return _parse(path, csv.reader(file))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as err:
        raise RecordError(f"{path}: cannot be read: {err}") from err


def write(file: TextIO, columns: list[str], rows: Iterable[tuple[int, list[float | None]]]) -> None:
    """Rows of (time in ms UTC, a value a column); floats are written so that reading gives the same bits back."""
    out = csv.writer(file, lineterminator="\n")
    out.writerow(["time", *columns])
    for t_ms, values in rows:
        out.writerow([iso(t_ms), *("" if value is None else repr(value) for value in values)])


def _open(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")    # spreadsheets put a mark in front of UTF-8


def _parse(path: Path, rows: Iterator[list[str]]) -> Record:
    head = next(rows, [])
    if head[:1] != ["time"]:
        raise RecordError(f'{path}:1: the first column is "{head[0] if head else ""}"; it must be "time"')
    if len(set(head)) < len(head):
        twice = next(name for name in head if head.count(name) > 1)
        raise RecordError(f'{path}:1: column "{twice}" is there twice; give each its own name')
    t_ms: list[int] = []
    cells: list[list[str]] = [[] for _ in head[1:]]
    line = 2
    while some := list(islice(rows, AT_ONCE)):
        try:
            times, *others = zip(*some, strict=True)
            t_ms += map(ms_of, times)
            for column, more in zip(cells, others, strict=True):
                column += more
        except ValueError:
            raise _wrong(path, line, some, len(head)) from None
        line += len(some)
    columns: dict[str, list[float | None]] = {}
    labels: dict[str, list[str]] = {}
    for name, column in zip(head[1:], cells, strict=True):
        try:
            columns[name] = [float(cell) if cell else None for cell in column]
        except ValueError:
            labels[name] = column
    return Record(path.name.removesuffix(".gz").removesuffix(".csv"), t_ms, columns, labels)


def _wrong(path: Path, line: int, rows: list[list[str]], width: int) -> RecordError:
    """What is wrong with the first of these rows that is not as it should be; `line` is where they begin."""
    for at, row in enumerate(rows, line):
        if len(row) != width:
            return RecordError(f"{path}:{at}: {len(row)} cells; the header has {width}")
        try:
            ms_of(row[0])
        except ValueError:
            return RecordError(f'{path}:{at}: time "{row[0]}"; write ISO 8601 in UTC: 2024-08-08T07:20:00Z')
    raise AssertionError("no row is wrong")
