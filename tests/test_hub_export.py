"""tocsin export: what was chosen, every row once, no half file, a column for each series."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub import export
from hub.errors import TransientError
from hub.sheets import column_of, series_of
from hub.store import LabelPoint, Point
from tests.hub_imports import STAGE, at, out, sheet, store_of, taken, write
from tests.hub_messages import NOON_MS
from tests.hub_records import cells, hub_file, rows
from tocsin.quantities import QUANTITIES
from tocsin.times import iso


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return hub_file(tmp_path)


def test_export_gives_what_was_chosen_and_says_what_there_is(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(hub, STAGE, Point("bridge", "bucket", "rain_mm", NOON_MS + 1, 0.0, 0),
          Point("weir", "radar", "stage_m", NOON_MS, 4.0, 0))
    folder = out(hub)
    assert sorted(path.name for path in folder.iterdir()) == ["bridge.csv.gz", "weir.csv.gz"]
    assert list(rows(folder / "bridge.csv.gz")) == [
        ["time", "rain_bucket_mm", "stage_radar_m"], [at(0), "", "1.5"], [iso(NOON_MS + 1), "0.0", ""]]
    out(hub, "--station", "bridge", "--series", "radar/stage_m")
    assert list(rows(folder / "bridge.csv.gz")) == [["time", "stage_radar_m"], [at(0), "1.5"]]
    capsys.readouterr()
    out(hub, "--from", "2025-01-01", "--to", "2025-02-01T00:00:00Z")
    assert "weir: nothing in this choice, no file" in capsys.readouterr().out
    assert list(rows(folder / "bridge.csv.gz")) == [["time", "stage_radar_m"], [at(0), "1.5"]]
    assert export.run([str(hub), "--csv", str(folder), "--station", "mill"]) == 1
    assert 'the store has nothing of "mill"; use bridge, weir' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        export.run([str(hub), "--csv", str(folder), "--from", "soon"])
    assert '"soon" is not allowed; use 2018-08-20' in capsys.readouterr().err


@pytest.mark.parametrize(("words", "said"), [
    (["--series", "radar/stage_cm"],
     'no series "radar/stage_cm" of bridge, weir; use lab/flag, radar/stage_m'),
    (["--station", "weir", "--series", "lab/flag"], 'no series "lab/flag" of weir; use radar/stage_m'),
    (["--from", "2024-06-02", "--to", "2024-06-02"],
     "--from 2024-06-02T00:00:00Z is not before --to 2024-06-02T00:00:00Z"),
    (["--csv", "FILE"], "is not a folder; use one, or a new name"),
])
def test_a_choice_that_can_never_give_anything_is_an_error(
    hub: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(hub, STAGE, replace(STAGE, station="weir"), LabelPoint("bridge", "lab", "flag", NOON_MS, "G"))
    words = [str(hub) if word == "FILE" else word for word in words]
    assert export.run([str(hub), *([] if "--csv" in words else ["--csv", str(hub.parent / "out")]), *words]) == 1
    assert said in capsys.readouterr().err
    assert not (hub.parent / "out").exists()


def test_a_hub_that_never_ran_has_nothing_to_export(hub: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.run([str(hub), "--csv", str(hub.parent / "out")]) == 1
    assert "is not there; has this hub ever run here?" in capsys.readouterr().err
    assert not store_of(hub).exists()


def test_pages_of_every_length_give_every_row_once(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{at(n)},{n if n % 3 else ''},{n / 2 if n % 5 == 0 else ''},{'ab'[n % 2] if n % 4 else ''}"
             for n in range(60)]
    file = sheet(hub, "time,stage_m,flow_m3s,flag", *lines)
    assert taken(hub, file) == 0
    whole = cells(out(hub) / "bridge.csv.gz")
    assert len(whole[1]) == 60
    for page in (2, 3, 7, 20, 59, 60, 61):
        monkeypatch.setattr(export, "PAGE", page)
        assert cells(out(hub) / "bridge.csv.gz") == whole


def test_a_failed_export_leaves_no_half_file(
    hub: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(hub, STAGE)
    before = (out(hub) / "bridge.csv.gz").read_bytes()

    async def away(*_: object) -> None:
        raise TransientError("disk I/O error")

    monkeypatch.setattr(export, "_fill", away)
    monkeypatch.setattr(export, "_is_marked", lambda *_: asyncio.sleep(0, result=False))
    assert export.run([str(hub), "--csv", str(hub.parent / "out")]) == 1
    assert "disk I/O error" in capsys.readouterr().err
    assert [path.name for path in (hub.parent / "out").iterdir()] == ["bridge.csv.gz"]
    assert (hub.parent / "out" / "bridge.csv.gz").read_bytes() == before


@pytest.mark.parametrize("device", ["record", "radar", "x1", "total", "l", "m", "quality", "stage", "a_b", "1"])
def test_every_series_has_a_column_that_means_it(device: str) -> None:
    found = [column_of(device, quantity) for quantity in (*QUANTITIES, "time", "anomaly", "stage_radar_m", "x_quality")]
    assert len(set(found)) == len(found)
    assert [series_of(name) for name in found] == [
        (device, quantity) for quantity in (*QUANTITIES, "time", "anomaly", "stage_radar_m", "x_quality")]
    assert "time" not in found


@given(device=st.text("ab_1/", min_size=1), quantity=st.text("abm_/", min_size=1))
def test_a_column_is_never_another_series(device: str, quantity: str) -> None:
    if "/" not in quantity:
        assert series_of(column_of(device, quantity)) == (device, quantity)


def test_columns_look_as_in_records() -> None:
    assert [column_of(*one) for one in (
        ("record", "stage_m"), ("radar", "stage_m"), ("pu1", "flow_l_s"), ("1", "soil_water_m3m3"),
        ("west", "ch4_pct_lel"), ("record", "anomaly"), ("radar", "speed_kn"))] == [
        "stage_m", "stage_radar_m", "flow_pu1_l_s", "soil_water_1_m3m3", "ch4_west_pct_lel", "anomaly",
        "radar/speed_kn"]
