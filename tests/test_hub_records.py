"""Records into a hub's store and out again: every cell as it was, in CSV and Parquet, through both stores."""

import csv
import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import pytest

from hub import export, importing
from tests.services import InfluxDb
from tests.shared_data import shared_path, shared_root
from tocsin.signing import new_signing_key

RECORDS = sorted(path.name for path in (shared_root() / "data/records").glob("*.csv.gz"))
LARGE = 100_000    # bytes; larger ones are for make prove
SOME = ("us_dead_run_2018.csv.gz", "us_floodnet_carroll_st_2021_2026.csv.gz", "ru_skab_other_a.csv.gz",
        "gb_wye_cefn_brwyn_1987_1988.csv.gz")

Cells = dict[str, dict[str, float | str]]    # by time, by column; empty cells are not there


class MakeHub(Protocol):
    """Writes a hub.toml with a data folder of its own."""

    def __call__(self, *, influx: InfluxDb | None = None, keep_days: int = 0) -> Path: ...


@pytest.fixture
def make_hub(tmp_path: Path) -> MakeHub:
    def make(*, influx: InfluxDb | None = None, keep_days: int = 0) -> Path:
        path = tmp_path / "hub.toml"
        store = f"keep_days = {keep_days}"
        if influx is not None:
            store = f'kind = "influxdb1"\nurl = "{influx.url}"\ndatabase = "records_{uuid4().hex}"'
        path.write_text(f'[hub]\nname = "County"\nbroker = "embedded:1883"\nprivate_key = "{new_signing_key()[0]}"\n'
                        f'[cap]\nsender = "example.org"\n[store]\n{store}\n', encoding="utf-8")
        return path

    return make


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


def there_and_back(hub: Path, source: Path, form: str = "csv") -> Path:
    """The export of an import."""
    assert importing.run([str(hub), str(source), "--station", "place"]) == 0
    assert export.run([str(hub), f"--{form}", str(hub.parent / "out")]) == 0
    return hub.parent / "out" / f"place.{'csv.gz' if form == 'csv' else form}"


@pytest.mark.parametrize("name", RECORDS)
def test_every_real_record_comes_back_cell_by_cell(
    name: str, make_hub: MakeHub, count: Callable[[int, int], int]
) -> None:
    source = shared_path(f"data/records/{name}")
    if source.stat().st_size > count(LARGE, 1 << 30):
        source = head_of(source, make_hub().parent / name, 2_000)
    assert cells(there_and_back(make_hub(), source)) == cells(source)


def head_of(source: Path, path: Path, lines: int) -> Path:
    """The first lines of a record as a file of its own."""
    with gzip.open(source, "rt") as whole, gzip.open(path, "wt") as head:
        head.writelines(line for _, line in zip(range(lines), whole, strict=False))
    return path


@pytest.mark.parametrize("name", SOME)
def test_through_influxdb_and_through_parquet_too(name: str, make_hub: MakeHub, influxdb: InfluxDb) -> None:
    source = head_of(shared_path(f"data/records/{name}"), make_hub().parent / name, 3_000)
    assert cells(there_and_back(make_hub(influx=influxdb), source)) == cells(source)
    parquet = there_and_back(make_hub(), source, "parquet")
    again = parquet.with_name("again.parquet")
    parquet.rename(again)
    hub = make_hub(influx=influxdb)
    assert cells(there_and_back(hub, again)) == cells(source)
