"""What can be wrong around a replay: names with brackets, files that cannot be written, options that mean nothing."""

import json
from datetime import UTC
from pathlib import Path

import numpy as np
import pytest

from edge.own_log import decisions_of
from edge.ruling import config_of
from tests.test_replay_sources import RAIN, STAGE, STAGES, StationLog, reading
from tests.test_replay_sources import log as log
from tests.test_replay_sources import rules as rules
from tests.threshold_desk import MIDNIGHT
from thresholds.replay.command import run
from thresholds.replay.figures import readings_figure
from thresholds.replay.history import History
from thresholds.replay.overview import overview
from thresholds.replay.run import replay
from thresholds.rules import bind, load_rules, rules_of
from thresholds.series import Series
from tocsin.readings import Quality
from tocsin.records import write

MINUTE = 60_000
RULE = '[[rule]]\nname = "stage"\nquantity = "stage_m"\nyellow = 2.0\noff_below = 0.5\n'
RISE = [1.0] * 10 + [2.5] * 10


def record(path: Path, values: list[float], column: str = "stage_m") -> Path:
    with path.open("w", encoding="utf-8") as file:
        write(file, [column], [(MIDNIGHT + n * MINUTE, [value]) for n, value in enumerate(values)])
    return path


@pytest.fixture
def rule(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULE, encoding="utf-8")
    return path


def test_names_are_shown_as_they_are(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule.write_text(RULE.replace('"stage"', '"up [north] [/b] :warning:"'), encoding="utf-8")
    weir = record(tmp_path / "[b]{weir}.csv", RISE)
    assert run([str(rule), str(weir)]) == 0
    told = capsys.readouterr().out
    assert "up [north] [/b] :warning:" in told
    assert "预警过程 [b]{weir}" in told
    monkeypatch.setenv("FORCE_COLOR", "1")    # as on a terminal, with the bar of progress
    assert run([str(rule), str(weir)]) == 0


def test_a_page_that_cannot_be_written_costs_no_table(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(rule), str(record(tmp_path / "a.csv", RISE)), "--html", str(tmp_path / "no" / "a.html")]) == 1
    told = capsys.readouterr()
    assert "yellow 黄色" in told.out
    assert "a.html: cannot be written" in told.err


def test_one_name_is_for_one_record(tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(record(tmp_path / name, RISE)) for name in ("a.csv", "b.csv")]
    assert run([str(rule), *files, "--station", "bridge"]) == 1
    assert '--station "bridge" names one record, and 2 CSV files are given' in capsys.readouterr().err
    assert run([str(rule), files[0], "--station", "bridge", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["station"] == "bridge"


def test_a_column_that_no_record_has_is_told(tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(record(tmp_path / "a.csv", RISE)), str(record(tmp_path / "b.csv", RISE, "flow_m3s"))]
    assert run([str(rule), *files, "--column", "flow_m3s=stage_m"]) == 0
    assert run([str(rule), *files[:1], "--column", "flow_m3=stage_m"]) == 1
    told = capsys.readouterr()
    assert "--column flow_m3=stage_m: no record has that column" in told.err
    assert "yellow 黄色" in told.out


def test_checks_of_devices_that_a_record_has_not_are_left_out(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rule.open("a", encoding="utf-8") as file:
        file.write('[[check]]\nquantity = "stage_m"\ndevice = "radar"\nmax_rate_per_min = 0.5\n')
    assert run([str(rule), str(record(tmp_path / "a.csv", RISE))]) == 0
    told = capsys.readouterr()
    assert "yellow 黄色" in told.out
    assert "a: left out: " in told.err
    assert 'check of stage_m of radar: device: "radar" gives no stage_m here; use record' in told.err


def test_a_coincidence_counts_from_the_zero_of_its_members(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rule.write_text(RULE + 'datum = "gauge zero"\n[[rule]]\nname = "both"\nfeature = "coincidence"\nof = "stage"\n'
                    "over_min = 30\nred = 2\n", encoding="utf-8")
    with (tmp_path / "a.csv").open("w", encoding="utf-8") as file:
        write(file, ["stage_up_m", "stage_down_m"], [(MIDNIGHT + n * MINUTE, [x, x]) for n, x in enumerate(RISE)])
    assert run([str(rule), str(tmp_path / "a.csv"), "--json"]) == 0
    assert [json.loads(line)["rule"] for line in capsys.readouterr().out.splitlines()] == ["stage", "stage", "both"]


def test_rows_that_stand_from_new_to_old_are_told(
    tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *rows = record(tmp_path / "a.csv", RISE).read_text(encoding="utf-8").splitlines()
    (tmp_path / "a.csv").write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    assert run([str(rule), str(tmp_path / "a.csv")]) == 0
    assert "a: record/stage_m: 19 of 20 readings are not newer than one before them" in capsys.readouterr().err


def test_a_word_among_numbers_is_named(tmp_path: Path, rule: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = record(tmp_path / "a.csv", RISE)
    path.write_text(path.read_text(encoding="utf-8").replace("2.5", "n/a", 1), encoding="utf-8")
    assert run([str(rule), str(path)]) == 1
    assert 'column stage_m holds words, not numbers: "n/a" at 2024-08-08T00:10:00Z' in capsys.readouterr().err


@pytest.mark.parametrize("words", [
    ["--from", "2024-08-08"], ["--to", "2024-08-08"], ["--station", "mill"], ["--no-latch"], ["--period", "1min"],
    ["--column", "x=stage_m"], ["--plausible", "stage_m=0:9"], ["--datum", "sea"]])
def test_what_a_station_decided_takes_no_option_that_would_change_it(
    log: StationLog, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(log.folder), *words]) == 1
    assert f"{words[0]} is not for what a station decided itself" in capsys.readouterr().err


def test_a_station_names_the_quantity_of_its_rules(
    tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = '[[rule]]\nname = "two"\nfeature = "coincidence"\nof = "stage"\nover_min = 30\nred = 2\n'
    rules.write_text(rules.read_text(encoding="utf-8") + more, encoding="utf-8")
    second = Series("weir/stage_m", "stage_m", STAGE.period_ms, STAGE.plausible, STAGE.datum)
    log = StationLog(tmp_path / "two")
    log.add(config_of(bind(load_rules(rules), [STAGE, RAIN, second]), None, "bridge", MIDNIGHT - MINUTE))
    for number, stage in enumerate(STAGES):
        log.add(reading(number, STAGE, stage))
        log.add(reading(number, second, stage))
        log.add(reading(number, RAIN, 7.0 + number))
    for told in decisions_of(log.folder):
        log.add(told)
    assert run([str(log.folder), "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(one["rule"], one["quantity"]) for one in found} == {
        ("stage", "stage_m"), ("rain 1 h", "rain_mm"), ("two", "stage_m")}


@pytest.mark.parametrize("hurt", [b'"readings"', b'"detection"'])
def test_a_damaged_log_is_told_even_if_the_decisions_are_the_same(
    log: StationLog, hurt: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    for told in decisions_of(log.folder):
        log.add(told)
    (segment,) = (log.folder / "log").glob("segment-*.log")
    data = segment.read_bytes()
    place = data.index(hurt)
    segment.write_bytes(data[:place] + b"#" + data[place + 1:])
    assert run([str(log.folder)]) == 1
    assert "1 record is missing" in capsys.readouterr().err


def test_a_record_of_a_few_readings_in_centuries_has_its_page(tmp_path: Path, rule: Path) -> None:
    rows = ["1971-01-01T00:00:00Z,3", "3199-01-01T00:00:00Z,3", "6199-01-01T00:01:00Z,3"]
    (tmp_path / "a.csv").write_text("\n".join(["time,stage_m", *rows]) + "\n", encoding="utf-8")
    assert run([str(rule), str(tmp_path / "a.csv"), "--html", str(tmp_path / "a.html")]) == 0
    assert "6199" in (tmp_path / "a.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("rows", [1, 65_536])
def test_a_picture_of_rain_leaves_out_what_was_poured_in_for_a_test(
    rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thresholds.replay.overview.ROWS", rows)
    raw = np.array([[7000], [7500], [9000], [9500], [9700]], np.int64)
    quality = np.array([[0], [0], [int(Quality.SERVICE)], [0], [0]], np.int64)
    one = History("bridge", (RAIN,), MIDNIGHT + MINUTE * np.arange(5), raw, quality)
    seen = overview(one, quality.astype(np.uint8), 0, (0, 5), MIDNIGHT, MIDNIGHT + 5 * MINUTE, 5)
    assert [amount for _, _, amount in seen.amounts] == [0.5, 0.2]


def test_a_burst_of_rain_that_waited_for_the_next_reading_is_seen() -> None:
    tray = Series("tray/rain_mm", "rain_mm", MINUTE, (0.0, 500.0))
    raw = np.array([[0], [60_000], [55_000], [0]], np.int64)
    one = History("bridge", (tray,), MIDNIGHT + MINUTE * np.arange(4), raw, np.zeros((4, 1), np.int64))
    hour = {"name": "rain", "quantity": "rain_mm", "over_min": 60, "red": 100}
    found = replay(one, bind(rules_of({"rule": [hour]}, "test"), one.series))
    assert [told.value for told in found.episodes[0].told] == [115.0]
    seen = overview(one, found.marks, 0, (0, 4), MIDNIGHT, MIDNIGHT + 4 * MINUTE, 4)
    assert seen.held == [(MIDNIGHT + MINUTE, 60.0)]
    drawn = readings_figure(seen, tray, [], UTC)
    assert "dots held" in drawn
    assert '">60</text>' in drawn.replace(".0<", "<")
