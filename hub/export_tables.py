"""Detections, events, summaries and rollups of a station into a file: a row each, in order of time."""

from collections.abc import Callable
from pathlib import Path

from hub.sheets import written
from hub.stores import AnyStore
from hub.tables import COLUMNS, Cell, Table, TableRow
from tocsin.times import iso

PAGE = 20_000
_SINCE = "since"


async def export_table(
    store: AnyStore, table: Table, station: str, span: tuple[int, int], series: str, path: Path,
    told: Callable[[int], None],
) -> int:  # fmt: skip
    """Of start <= time < end in ms; a `series` of "" is all. Returns the number of rows, and writes nothing where there
    is none. Raises TransientError, SheetError and OSError."""
    columns = COLUMNS[table]
    kinds = [str if name == _SINCE else kind for name, kind in columns.items()]
    start_ms, end_ms = span
    count = 0
    with written(path, list(columns), kinds) as put:
        while page := await store.table(table, station, start_ms, end_ms, PAGE):
            rows = [(row[0], _cells(table, row)) for row in page if series in {"", _series_of(table, row)}]
            put(rows)
            count += len(rows)
            told(len(rows))
            start_ms = page[-1][0] + 1
    return count


def _series_of(table: Table, row: TableRow) -> str:
    _, *cells = row
    return str(cells[0]) if table is Table.DETECTIONS else f"{cells[0]}/{cells[1]}"


def _cells(table: Table, row: TableRow) -> list[Cell]:
    return [iso(int(cell or 0)) if name == _SINCE else cell for name, cell in zip(COLUMNS[table], row[1:], strict=True)]
