"""tocsin import: bad rows told, nothing twice, a running hub not disturbed, and what goes in comes out again."""

import asyncio
import builtins
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from hub import export, importing, sheets, survey
from hub.config import load_hub
from hub.embedded import SqliteStore
from hub.influx.rollups import WIDTHS_MS
from hub.store import LabelPoint, Point
from tests.hub_imports import MINUTE_MS, STAGE, at, held, out, sheet, store_of, taken, write
from tests.hub_messages import NOON_MS
from tests.hub_records import cells, hub_file, rows
from tests.services import InfluxDb
from tocsin.__main__ import main
from tocsin.times import ms_of


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return hub_file(tmp_path)


def test_columns_become_series_and_words_become_labels(hub: Path) -> None:
    file = sheet(hub, "time,stage_m,stage_weir_m,flow_v2_l_s,wind/speed_kn,flag,event", f"{at(0)},0.10,,3,7.5,G,1",
                 f"{at(1)},,,,,,", f"{at(2.5)},-0.0,2,,,suspect,")
    assert taken(hub, file) == 0
    assert held(hub) == [
        ("record", "event", 0, 1.0, 0), ("record", "stage_m", 0, 0.1, 0), ("record", "stage_m", 150_000, -0.0, 0),
        ("v2", "flow_l_s", 0, 3.0, 0), ("weir", "stage_m", 150_000, 2.0, 0), ("wind", "speed_kn", 0, 7.5, 0)]
    assert held(hub, "labels") == [("record", "flag", 0, "G"), ("record", "stage_m", 60_000, ""),
                                   ("record", "flag", 150_000, "suspect")]
    names, found = cells(out(hub) / "bridge.csv.gz")
    assert names == {"time", "stage_m", "stage_weir_m", "flow_v2_l_s", "wind/speed_kn", "flag", "event"}
    assert found[at(1)] == {}
    assert found[at(2.5)] == {"stage_m": 0.0, "stage_weir_m": 2.0, "flag": "suspect"}


def test_marks_of_readings_go_out_and_come_back(hub: Path) -> None:
    marked = [Point("bridge", "radar", "stage_m", NOON_MS + n, 1.0 + n, bits) for n, bits in enumerate((0, 2, 8))]
    good = Point("bridge", "bucket", "rain_total_mm", NOON_MS, 7.0, 0)
    write(hub, *marked, good)
    before = held(hub)
    exported = out(hub) / "bridge.csv.gz"
    assert next(rows(exported)) == ["time", "rain_total_bucket_mm", "stage_radar_m", "stage_radar_m_quality"]
    store_of(hub).unlink()
    assert taken(hub, exported) == 0
    assert held(hub) == before


def test_bad_rows_are_told_by_line_and_nothing_is_written(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sheet(hub, "time,stage_m,stage_m_quality,flag", f"{at(0)},1.5,0,a", "yesterday,1.5,,", f"{at(1)},1.5,",
                 f"{at(2)},high,,", f"{at(3)},nan,,b", f"{at(0)},9.9,,", "1969-01-01T00:00:00Z,1.5,,",
                 f"{at(4)},1.0,-3,", f"{at(5)},,4,", f"{at(6)},1.25,4,")
    assert taken(hub, file) == 1
    told = capsys.readouterr().err
    for line, words in (
        (3, 'time "yesterday"; write ISO 8601 in UTC'), (4, "3 cells; the header has 4"),
        (5, 'stage_m: "high" is not a finite number; the cell is left out'), (6, 'stage_m: "nan" is not a finite'),
        (7, "its time is that of line 2"), (8, "time 1969-01-01T00:00:00Z: use times from 1970-01-02T00:00:00Z"),
        (9, 'stage_m_quality: "-3" is not allowed'), (10, "stage_m_quality: 4 marks no value: stage_m is empty"),
    ):
        assert f"{file}:{line}: {words}" in told
    assert "8 bad rows or cells: nothing of this file is imported" in told
    assert held(hub) == []
    assert taken(hub, file, "--skip-bad") == 0
    assert held(hub) == [("record", "stage_m", 0, 1.5, 0), ("record", "stage_m", 240_000, 1.0, 0),
                         ("record", "stage_m", 360_000, 1.25, 4)]
    assert [row[2:] for row in held(hub, "labels")] == [(0, "a"), (120_000, ""), (180_000, "b"), (300_000, "")]


def test_a_file_that_is_bad_throughout_is_told_and_not_remembered_whole(
    hub: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decimal commas in a record of years: the hub beside it needs the memory."""
    monkeypatch.setattr(survey, "MOST_BAD", 30)
    file = sheet(hub, "time,stage_m,flag", *(f"{at(n)},1,5,x" for n in range(200)))
    assert len(survey.survey(file).bad) == 30
    assert taken(hub, file) == 1
    told = capsys.readouterr().err
    assert told.count("4 cells; the header has 3") == 20
    assert "200 bad rows or cells (180 more are not shown): nothing of this file is imported" in told


@pytest.mark.parametrize(("lines", "words"), [
    (["date,stage_m"], 'the first column is "date"; it must be "time"'),
    (["time"], 'there is no column beside "time"'),
    (["time,stage_m,record/stage_m"], 'columns "stage_m" and "record/stage_m" are both record/stage_m'),
    (["time,a,"], 'column "" is not a name'),
    (["time,a\\b", "2024-01-01T00:00:00Z,1"], "no backslash"),
])
def test_a_file_that_is_no_record_says_why(
    hub: Path, lines: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert taken(hub, sheet(hub, *lines)) == 1
    assert words in capsys.readouterr().err


def test_names_of_stations_and_files_are_checked_before_anything_is_read(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert taken(hub, sheet(hub, "time,a", name="Upper_Bridge.csv")) == 1
    assert '"Upper_Bridge" is not allowed as a station' in capsys.readouterr().err
    assert taken(hub, sheet(hub, "time,a", name="a.txt")) == 1
    assert "use a file whose name ends in .csv, .csv.gz, .parquet" in capsys.readouterr().err
    assert taken(hub, hub.parent / "none.csv", "--station", "x") == 1
    assert capsys.readouterr().err == f"{hub.parent / 'none.csv'}: cannot be read: No such file or directory\n"
    assert taken(hub, hub.parent / "none.parquet", "--station", "x") == 1
    assert capsys.readouterr().err == f"{hub.parent / 'none.parquet'}: cannot be read: No such file or directory\n"


def test_again_changes_nothing_and_another_value_is_left_unless_replaced(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sheet(hub, "time,stage_radar_m,flag", f"{at(0)},1.5,a", f"{at(1)},2.5,b")
    write(hub, STAGE, Point("bridge", "radar", "stage_m", NOON_MS + MINUTE_MS, 2.25, 0),
          LabelPoint("bridge", "record", "flag", NOON_MS, "z"))
    before = held(hub)
    assert taken(hub, file) == 1
    told = capsys.readouterr()
    assert '2 rows for station "bridge": 1 values written, 1 were there already' in told.out
    assert "2 values differ from the store's, left as they are" in told.err
    assert f"the first: record/flag at {at(0)}: the store has z, the file a" in told.err
    assert held(hub) == before
    assert taken(hub, file, "--replace") == 0
    assert [row[3] for row in held(hub)] == [1.5, 2.5]
    assert [row[3] for row in held(hub, "labels")] == ["a", "b"]
    capsys.readouterr()
    assert taken(hub, file) == 0
    assert "0 values written, 4 were there already" in capsys.readouterr().out


def test_what_would_be_deleted_again_at_once_is_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = hub_file(tmp_path, keep_days=30)
    assert taken(hub, sheet(hub, "time,stage_m", "2001-01-01T00:00:00Z,1")) == 1
    assert "older readings are not kept: see keep_days of [store]" in capsys.readouterr().err


def test_an_import_that_was_stopped_goes_on(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importing, "BATCH", 10)
    file = sheet(hub, "time,stage_m", *(f"{at(n)},{n}" for n in range(100)))
    write_ = SqliteStore.write
    left = [3]

    async def stop(self: SqliteStore, points: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        await write_(self, points)

    with monkeypatch.context() as patch:
        patch.setattr(SqliteStore, "write", stop)
        assert taken(hub, file) == importing.STOPPED
    assert "the same command goes on from there" in capsys.readouterr().err
    assert len(held(hub)) == 30
    assert taken(hub, file) == 0
    assert "70 values written, 30 were there already" in capsys.readouterr().out
    assert [row[3] for row in held(hub)] == [float(n) for n in range(100)]


def test_a_hub_that_writes_meanwhile_loses_nothing_and_its_rollups_stay_right(hub: Path) -> None:
    """Two processes on one file: the import of an old month, and the hub's readings of now."""
    file = sheet(hub, "time,stage_radar_m", *(f"{at(-n)},{n % 7}" for n in range(40_000, 0, -1)))
    write(hub, STAGE)
    ended = threading.Event()

    def import_it() -> None:
        subprocess.run([sys.executable, "-m", "tocsin", "import", hub, file], check=True, capture_output=True)
        ended.set()

    async def go_on() -> int:
        store = SqliteStore(store_of(hub))
        number = 0
        try:
            while not ended.is_set() or number < 100:
                number += 1
                await store.write([Point("bridge", "radar", "stage_m", NOON_MS + number * 1_000, 1.0, 0)])
            found = await store.rollups(STAGE, 600_000, 0, 1 << 50)
            assert sum(one.number for one in found) == 40_000 + 1 + number
            assert {one.number for one in found if one.t_ms + 600_000 <= NOON_MS} == {10}
        finally:
            await store.close()
        return number

    thread = threading.Thread(target=import_it)
    thread.start()
    written = asyncio.run(go_on())
    thread.join()
    assert len(held(hub)) == 40_000 + 1 + written


def test_without_pyarrow_parquet_says_what_to_install(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = builtins.__import__

    def none(name: str, *rest: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return find(name, *rest)

    write(hub, STAGE)
    monkeypatch.setattr(builtins, "__import__", none)
    assert export.run([str(hub), "--parquet", str(hub.parent / "out")]) == 1
    assert capsys.readouterr().err.strip() == sheets.NO_PARQUET
    (hub.parent / "x.parquet").write_bytes(b"PAR1")
    assert taken(hub, hub.parent / "x.parquet") == 1
    assert sheets.NO_PARQUET in capsys.readouterr().err


def test_a_parquet_file_that_is_none_or_has_no_times_says_so(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    bad = hub.parent / "bad.parquet"
    bad.write_bytes(b"not parquet at all")
    assert taken(hub, bad) == 1
    assert "bad.parquet: cannot be read: " in capsys.readouterr().err
    pq.write_table(pa.table({"time": [1, 2], "stage_m": [1.0, 2.0]}), bad)
    assert taken(hub, bad) == 1
    assert "column time is of type int64; it must be a timestamp" in capsys.readouterr().err


def test_what_is_imported_into_influxdb_is_downsampled(tmp_path: Path, influxdb: InfluxDb) -> None:
    hub = hub_file(tmp_path, influxdb, more='downsample = "auto"')
    old = ["2011-03-01T00:00:00Z,1.0", "2011-03-01T00:09:59Z,3.0", "2011-03-01T23:59:59Z,8.0",
           "2011-03-09T12:00:00Z,2.0"]
    file = sheet(hub, "time,stage_m", *old)
    assert taken(hub, file) == 1    # nothing is ready for it
    assert main(["hub", "setup", str(hub)]) == 0
    assert taken(hub, file) == 0    # all readings are there already
    database = load_hub(hub).store.database
    made = {width: [(row["time"], row["min"], row["max"], row["sum"], row["count"])
                    for row in influxdb.query(database, f'SELECT * FROM "downsampled"."readings_{width}"')]
            for width in WIDTHS_MS}
    day = ms_of("2011-03-01T00:00:00Z")
    last = ms_of("2011-03-09T12:00:00Z")
    assert made == {
        "10m": [(day, 1.0, 3.0, 4.0, 2), (day + 86_400_000 - 600_000, 8.0, 8.0, 8.0, 1), (last, 2.0, 2.0, 2.0, 1)],
        "1h": [(day, 1.0, 3.0, 4.0, 2), (day + 82_800_000, 8.0, 8.0, 8.0, 1), (last, 2.0, 2.0, 2.0, 1)],
        "1d": [(day, 1.0, 8.0, 12.0, 3), (last - 43_200_000, 2.0, 2.0, 2.0, 1)],
    }


def test_rows_that_influxdb_would_not_keep_are_told_by_line(
    tmp_path: Path, influxdb: InfluxDb, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = hub_file(tmp_path, influxdb, more="influx_keep_days = 30")
    assert main(["hub", "setup", str(hub)]) == 0
    file = sheet(hub, "time,stage_m", "2011-03-01T00:00:00Z,1.0")
    assert taken(hub, file) == 1
    assert "bridge.csv:2: time 2011-03-01T00:00:00Z" in capsys.readouterr().err
    assert taken(hub, file, "--skip-bad") == 0
