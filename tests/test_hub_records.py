"""Records into a hub's store and out again: every cell as it was, in CSV and Parquet, through both stores."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from hub import export, importing
from tests.hub_records import cells, hub_file
from tests.services import InfluxDb
from tests.shared_data import shared_path, shared_root

RECORDS = sorted(path.name for path in (shared_root() / "data/records").glob("*.csv.gz"))
LARGE = 100_000    # bytes; larger ones are for make prove
SOME = ("us_dead_run_2018.csv.gz", "us_floodnet_carroll_st_2021_2026.csv.gz", "ru_skab_other_a.csv.gz",
        "gb_wye_cefn_brwyn_1987_1988.csv.gz")


def there_and_back(hub: Path, source: Path, form: str = "csv") -> Path:
    """The export of an import."""
    assert importing.run([str(hub), str(source), "--station", "place"]) == 0
    assert export.run([str(hub), f"--{form}", str(hub.parent / "out")]) == 0
    return hub.parent / "out" / f"place.{'csv.gz' if form == 'csv' else form}"


@pytest.mark.parametrize("name", RECORDS)
def test_every_real_record_comes_back_cell_by_cell(
    name: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    source = shared_path(f"data/records/{name}")
    if source.stat().st_size > count(LARGE, 1 << 30):
        source = head_of(source, tmp_path / name, 2_000)
    assert cells(there_and_back(hub_file(tmp_path), source)) == cells(source)


def head_of(source: Path, path: Path, lines: int) -> Path:
    """The first lines of a record as a file of its own."""
    with gzip.open(source, "rt") as whole, gzip.open(path, "wt") as head:
        head.writelines(line for _, line in zip(range(lines), whole, strict=False))
    return path


@pytest.mark.parametrize("name", SOME)
def test_through_influxdb_and_through_parquet_too(name: str, tmp_path: Path, influxdb: InfluxDb) -> None:
    source = head_of(shared_path(f"data/records/{name}"), tmp_path / name, 3_000)
    assert cells(there_and_back(hub_file(tmp_path, influxdb), source)) == cells(source)
    parquet = there_and_back(hub_file(tmp_path), source, "parquet")
    again = parquet.with_name("again.parquet")
    parquet.rename(again)
    hub = hub_file(tmp_path, influxdb)
    assert cells(there_and_back(hub, again)) == cells(source)
