"""A hub for records, and record files read by themselves, for tests of import and export."""

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from tests.services import InfluxDb
from tocsin.signing import new_signing_key

Cells = dict[str, dict[str, float | str]]    # by time, by column; empty cells are not there


def hub_file(folder: Path, influx: InfluxDb | None = None, keep_days: int = 0, more: str = "") -> Path:
    """A hub.toml; its data lie beside it, or in a new database."""
    path = folder / "hub.toml"
    store = f"keep_days = {keep_days}"
    if influx is not None:
        store = f'kind = "influxdb1"\nurl = "{influx.url}"\ndatabase = "records_{uuid4().hex}"'
    store = f"{store}\n{more}"
    path.write_text(f'[hub]\nname = "County"\nbroker = "embedded:1883"\nprivate_key = "{new_signing_key()[0]}"\n'
                    f'[cap]\nsender = "example.org"\n[store]\n{store}\n', encoding="utf-8")
    return path


def rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


def cells(path: Path) -> tuple[set[str], Cells]:
    """Columns and cells of a record file, as numbers where they are numbers."""
    head, *others = rows(path)
    found = {row[0]: {name: parsed(cell) for name, cell in zip(head[1:], row[1:], strict=True) if cell}
             for row in others}
    assert len(found) == len(others)
    assert list(found) == sorted(found)
    return set(head), found


def parsed(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell
