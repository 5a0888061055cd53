"""Records as tables: which column is which series, and tables in CSV or Parquet, read and written row by row.

The form is that of tocsin.records: `time` first (ISO 8601, UTC), then a column a series. `stage_m` is the series
record/stage_m, `stage_radar_m` is radar/stage_m, any other one stands as it is: `radar/x_m`. A column of words is one
of labels. Beside a column there may be one with `_quality` behind its name: the marks of its readings as bits
(tocsin.readings.Quality), 0 is good.
"""

import csv
import gzip
import io
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

from hub.tables import Cell
from thresholds.replay.columns import DEVICE, series_name
from tocsin.quantities import QUANTITIES
from tocsin.times import iso

TIME = "time"
QUALITY = "_quality"
CSV_ENDS, PARQUET_END = (".csv", ".csv.gz"), ".parquet"
GET_PARQUET = "pip install '.[hub,parquet]' in tocsin's folder"
NO_PARQUET = f"Parquet needs pyarrow, which is not installed: {GET_PARQUET}; --csv needs nothing more"
_PAGE = 8192
_LONG_UNITS = ("pct_lel", "pct_vol", "l_s", "l_min", "mm_h", "mg_m3")    # in names of quantities; others have no "_"

Line = tuple[int, list[str]]    # where it stands in the file, from 2 on; its cells as text, the time first
Put = Callable[[Sequence[tuple[int, list[Cell]]]], None]


class SheetError(Exception):
    """A file that cannot be read or written as a record: which one, and what is wrong."""


def series_of(column: str) -> tuple[str, str]:
    """(device, quantity) of any column."""
    device, _, quantity = column.rpartition("/")
    return (device, quantity) if device else series_name(column) or (DEVICE, column)


def column_of(device: str, quantity: str) -> str:
    """The shortest name of a column that `series_of` takes for that series."""
    name = quantity
    if device != DEVICE and quantity in QUANTITIES:
        unit = next((unit for unit in _LONG_UNITS if quantity.endswith(f"_{unit}")), quantity.rpartition("_")[2])
        name = f"{quantity.removesuffix(unit)}{device}_{unit}"
    if series_of(name) == (device, quantity) and name != TIME and not name.endswith(QUALITY):
        return name
    return f"{device}/{quantity}"


def name_of(path: Path) -> str:
    """Without folder and endings."""
    return path.name.removesuffix(".gz").removesuffix(".csv").removesuffix(PARQUET_END)


def header(path: Path) -> list[str]:
    """The names of all columns, the time's first. Raises SheetError."""
    head = _parquet_header(path) if path.suffix == PARQUET_END else _csv_header(path)
    if head[:1] != [TIME]:
        raise SheetError(f'{path}:1: the first column is "{head[0] if head else ""}"; it must be "{TIME}"')
    if len(head) == 1:
        raise SheetError(f'{path}:1: there is no column beside "{TIME}"')
    owner: dict[tuple[str, str], str] = {}
    for name in head[1:]:
        series = series_of(name)
        if not all(series):
            raise SheetError(f'{path}:1: column "{name}" is not a name; use a quantity, or DEVICE/QUANTITY')
        if series in owner:
            raise SheetError(f'{path}:1: columns "{owner[series]}" and "{name}" are both {"/".join(series)}')
        owner[series] = name
    return head


def lines(path: Path) -> Generator[Line, None, None]:
    """All rows behind the header. Raises SheetError."""
    if path.suffix == PARQUET_END:
        yield from _parquet_lines(path)
        return
    with closing(_csv_rows(path)) as rows:
        next(rows, None)
        yield from enumerate(rows, 2)


@contextmanager
def written(path: Path, columns: Sequence[str], kinds: Sequence[type]) -> Iterator[Put]:
    """A file of this name, Parquet by its ending, once it is whole; none where no row was put. `kinds`: float, int or
    str, a column. Raises OSError and SheetError."""
    part = path.with_name(f".{path.name}.part")
    count = 0
    try:
        with (_parquet_writer if path.suffix == PARQUET_END else _csv_writer)(part, columns, kinds) as put:

            def counted(rows: Sequence[tuple[int, list[Cell]]]) -> None:
                nonlocal count
                put(rows)
                count += len(rows)

            yield counted
        if count:
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _csv_writer(path: Path, columns: Sequence[str], _kinds: Sequence[type]) -> Iterator[Put]:
    """Gzipped. Numbers are written so that reading gives the same bits back. Raises OSError."""
    with gzip.open(path, "wt", encoding="utf-8", newline="", compresslevel=6) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow([TIME, *columns])
        yield lambda rows: out.writerows([iso(t), *cells] for t, cells in rows)


@contextmanager
def _parquet_writer(path: Path, columns: Sequence[str], kinds: Sequence[type]) -> Iterator[Put]:
    """Raises OSError and SheetError."""
    arrow, parquet = _arrow()
    types = {float: arrow.float64(), int: arrow.int64(), str: arrow.string()}
    schema = arrow.schema([(TIME, arrow.timestamp("ms", tz="UTC")),
                           *((name, types[kind]) for name, kind in zip(columns, kinds, strict=True))])
    with parquet.ParquetWriter(path, schema) as writer:

        def put(rows: Sequence[tuple[int, list[Cell]]]) -> None:
            if rows:
                found = [[t for t, _ in rows], *zip(*(cells for _, cells in rows), strict=True)]
                arrays = [arrow.array(_typed(cells, kind), one.type)
                          for cells, kind, one in zip(found, [int, *kinds], schema, strict=True)]
                writer.write_batch(arrow.record_batch(arrays, schema=schema))

        yield put


def _typed(cells: Sequence[Cell], kind: type) -> list[Cell]:
    """A column that was once imported as numbers and once as words is one of words."""
    return [None if cell is None else str(cell) for cell in cells] if kind is str else list(cells)


def need_parquet() -> None:
    """Raises SheetError where pyarrow is not installed."""
    _arrow()


def _unreadable(path: Path, err: Exception) -> SheetError:
    why = os.strerror(err.errno) if isinstance(err, OSError) and err.errno else err
    return SheetError(f"{path}: cannot be read: {why}")


def _csv_rows(path: Path) -> Generator[list[str], None, None]:
    try:
        with _text(path) as file:    # a mark in front of UTF-8 is the habit of spreadsheets
            yield from csv.reader(file)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as err:
        raise _unreadable(path, err) from err


def _csv_header(path: Path) -> list[str]:
    with closing(_csv_rows(path)) as found:
        return next(found, [])


def _text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return io.TextIOWrapper(gzip.open(path, "rb"), encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _parquet_header(path: Path) -> list[str]:
    arrow, parquet = _arrow()
    try:
        schema = parquet.read_schema(path)
    except (OSError, arrow.ArrowException) as err:
        raise _unreadable(path, err) from err
    if schema.names[:1] == [TIME] and not arrow.types.is_timestamp(schema.field(0).type):
        raise SheetError(f"{path}: column {TIME} is of type {schema.field(0).type}; it must be a timestamp")
    return list(schema.names)


def _parquet_lines(path: Path) -> Generator[Line, None, None]:
    arrow, parquet = _arrow()
    try:
        with parquet.ParquetFile(path) as file:
            line = 2
            for batch in file.iter_batches(_PAGE):
                times = batch.column(0).cast(arrow.timestamp("ms", tz="UTC")).cast(arrow.int64()).to_pylist()
                texts = [["" if t is None else iso(t) for t in times]]
                texts += [["" if cell is None else str(cell) for cell in column.to_pylist()]
                          for column in batch.columns[1:]]
                for row in zip(*texts, strict=True):
                    yield line, list(row)
                    line += 1
    except (OSError, arrow.ArrowException) as err:
        raise _unreadable(path, err) from err


def _arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet part: large, so imported only where they are wanted. Raises SheetError."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as err:
        raise SheetError(NO_PARQUET) from err
    return pa, pq
