"""The same readings in a CSV file, in an agent's log and in a hub's store give the same episodes, ids and all."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from edge.own_log import decisions_of
from edge.recorder import KINDS
from edge.ruling import config_of
from hub.database import Database
from hub.embedded import SqliteStore
from hub.influx import InfluxStore
from hub.store import Point, Store
from tests.services import InfluxDb
from tests.threshold_desk import MIDNIGHT
from thresholds.replay.command import run
from thresholds.rules import bind, load_rules
from thresholds.series import Series
from tocsin.log import Entry, Log
from tocsin.messages import Readings, Record, SeriesCard, StationCard, encode
from tocsin.readings import Quality
from tocsin.records import write
from tocsin.signing import new_signing_key, new_station_key

MINUTE = 60_000
RULES = """
[[rule]]
name = "stage"
quantity = "stage_m"
datum = "gauge zero"
yellow = 2.0
red = 3.0
off_below = 0.5

[[rule]]
name = "rain 1 h"
quantity = "rain_mm"
over_min = 60
yellow = 5.0
"""
STAGE = Series("radar/stage_m", "stage_m", 2 * MINUTE, (0.0, 9.0), "gauge zero")
RAIN = Series("bucket/rain_total_mm", "rain_total_mm", 2 * MINUTE, (0.0, 1e6))
STAGES = [1.0, 1.5, 2.1, 2.4, 3.4, 3.5, 77.0, 3.6, 2.7, *[1.2] * 20, 2.2, 2.3, 2.3]
TOTALS = [7.0 + 0.5 * max(0, n - 3) for n in range(len(STAGES))]


class StationLog:
    """A station's data folder, filled record by record."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._log = Log(folder / "log")

    def add(self, record: Record) -> None:
        seq = self._log.next_seq
        payload = encode(msgspec.structs.replace(record, boot="0" * 16, seq=seq))
        self._log.append([Entry(seq, KINDS[type(record)], payload)])


def at(number: int, series: Series = STAGE) -> int:
    """The bucket is read 20 s after the radar."""
    return MIDNIGHT + number * MINUTE + (20_000 if series is RAIN else 0)


def reading(number: int, series: Series, value: float, quality: int = 0) -> Readings:
    return Readings("", 0, [at(number, series)], [series.key], [value], [quality])


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def log(tmp_path: Path, rules: Path) -> StationLog:
    """The readings of the flood, under the rules."""
    log = StationLog(tmp_path / "station-data")
    log.add(config_of(bind(load_rules(rules), [STAGE, RAIN]), None, "bridge", MIDNIGHT - MINUTE))
    for number, (stage, total) in enumerate(zip(STAGES, TOTALS, strict=True)):
        log.add(reading(number, STAGE, stage))
        log.add(reading(number, RAIN, total))
    return log


def lines(capsys: pytest.CaptureFixture[str], *words: Path | str) -> list[dict[str, Any]]:
    assert run([*map(str, words), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def expected(tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a CSV file with the same readings gives."""
    with (tmp_path / "bridge.csv").open("w", encoding="utf-8") as file:
        write(file, ["stage_radar_m", "rain_total_bucket_mm"], [
            row for number, (stage, total) in enumerate(zip(STAGES, TOTALS, strict=True))
            for row in ((at(number), [stage, None]), (at(number, RAIN), [None, total]))])
    found = lines(capsys, rules, tmp_path / "bridge.csv", "--plausible", "stage_m=0:9", "--plausible",
                  "rain_total_mm=0:1000000", "--period", "2min")
    assert [(one["rule"], one["level"]) for one in found] == [
        ("stage", "red"), ("rain 1 h", "yellow"), ("stage", "yellow")]
    return found


def test_a_log_gives_what_the_file_gives(
    rules: Path, log: StationLog, expected: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert lines(capsys, rules, log.folder) == expected


def test_readings_of_a_service_period_are_not_judged(
    rules: Path, log: StationLog, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lines(capsys, rules, log.folder)
    for number in range(100, 110):
        log.add(reading(number, STAGE, 8.0, int(Quality.SERVICE | Quality.SPIKE_HELD)))
    assert lines(capsys, rules, log.folder) == before
    assert run([str(rules), str(log.folder)]) == 0
    # every, readings, missing, range, held, stuck, late, clock, service
    assert re.search(r"radar/stage_m +2 min +42 +34 +1 +0 +0 +0 +0 +10 ", capsys.readouterr().out)


def test_a_log_without_such_readings_says_what_it_has(
    tmp_path: Path, log: StationLog, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gas.toml").write_text('[[rule]]\nname = "co"\nquantity = "co_ppm"\nyellow = 30\n', encoding="utf-8")
    assert run([str(tmp_path / "gas.toml"), str(log.folder)]) == 1
    assert "(co_ppm); it has radar/stage_m, bucket/rain_total_mm" in capsys.readouterr().err


def test_what_a_station_decided_itself_is_found_again(
    log: StationLog, expected: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    for told in decisions_of(log.folder):
        log.add(told)
    found = lines(capsys, log.folder)
    assert [{**one, "peak": None, "quantity": None} for one in found] == [
        {**one, "peak": None, "quantity": None} for one in expected]
    assert run([str(log.folder)]) == 0
    told_err = capsys.readouterr().err
    assert "changes of level follow from the log's inputs: exactly what the station told" in told_err


def test_a_station_that_told_something_else_is_found_out(log: StationLog, capsys: pytest.CaptureFixture[str]) -> None:
    first, *others = decisions_of(log.folder)
    for told in [msgspec.structs.replace(first, value=first.value + 1), *others]:
        log.add(told)
    assert run([str(log.folder)]) == 1
    assert "NOT what the station told" in capsys.readouterr().err


@pytest.mark.parametrize(("made", "words"), [
    ("empty", "it has no folder named log"), ("empty/log", "its folder log holds nothing")])
def test_a_folder_that_is_no_station(
    tmp_path: Path, made: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / made).mkdir(parents=True)
    assert run([str(tmp_path / "empty")]) == 1
    assert words in capsys.readouterr().err


def points(values: Sequence[float], series: Series, station: str = "bridge") -> list[Point]:
    return [Point(station, series.device, series.quantity, at(number, series), value, 0)
            for number, value in enumerate(values)]


@pytest.fixture(params=["embedded", "influxdb1"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """hub.toml; `bridge` saw the flood, `mill` never spoke, `weir` never described itself."""
    store: Store
    if request.param == "embedded":
        store, table = SqliteStore(tmp_path / "hub-data" / "store.sqlite"), 'kind = "embedded"'
    else:
        server: InfluxDb = request.getfixturevalue("influxdb")
        name = f"replay_{uuid4().hex}"
        store = InfluxStore(server.url, name)
        table = f'kind = "influxdb1"\nurl = "{server.url}"\ndatabase = "{name}"'
    await store.write([*points(STAGES, STAGE), *points(TOTALS, RAIN), *points(STAGES[:8], STAGE, "weir")])
    await store.close()
    cards = [SeriesCard(one.key, one.quantity, one.period_ms / 1000, one.plausible, one.datum) for one in (STAGE, RAIN)]
    card = StationCard("Bridge", "桥", "330112001001", 30.2, 119.3, cards, [], "0")
    database = Database(tmp_path / "hub-data" / "hub.sqlite")
    with database.transaction() as connection:
        connection.execute("INSERT INTO stations (id, card) VALUES ('bridge', ?)", (encode(card).decode(),))
        connection.execute("INSERT INTO stations (id) VALUES ('mill'), ('weir')")
    database.close()
    path = tmp_path / "hub.toml"
    path.write_text(
        f'[hub]\nname = "County"\nbroker = "embedded:1883"\nprivate_key = "{new_signing_key()[0]}"\n'
        f'[store]\n{table}\n[cap]\nsender = "example.org"\n[[station]]\nid = "bridge"\nkey = "{new_station_key()}"\n',
        encoding="utf-8")
    return path


def test_a_hubs_store_gives_what_the_file_gives(
    rules: Path, hub: Path, expected: list[dict[str, Any]], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hub.history.PAGE", 7)    # a page of a large store
    assert [one for one in lines(capsys, rules, hub) if one["station"] == "bridge"] == expected
    assert lines(capsys, rules, hub, "--station", "bridge", "--from", "2024-08-08", "--to", "2024-08-09") == expected


def test_a_period_is_what_the_station_said_or_what_its_readings_show(
    rules: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([str(rules), str(hub)]) == 0
    told = capsys.readouterr()
    assert re.search(r"weir +radar/stage_m +1 min +8 +0 ", told.out)
    assert re.search(r"bridge +radar/stage_m +2 min +32 +0 +1 ", told.out)
    assert "count from" not in told.err


def test_a_station_that_was_only_imported_is_judged_too(
    rules: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lines(capsys, rules, hub)
    database = Database(hub.parent / "hub-data" / "hub.sqlite")
    with database.transaction() as connection:
        connection.execute("DELETE FROM stations WHERE id = 'weir'")
    database.close()
    assert {one["station"] for one in before} == {"bridge", "weir"}
    assert lines(capsys, rules, hub) == before


def test_a_station_that_cannot_be_judged_does_not_stop_the_others(
    tmp_path: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sea.toml").write_text(RULES.partition('[[rule]]\nname = "rain')[0].replace("gauge zero", "sea"))
    assert run([str(tmp_path / "sea.toml"), str(hub), "--json"]) == 1
    told = capsys.readouterr()
    assert 'datum: "sea" is not the datum of radar/stage_m; use "gauge zero"' in told.err
    assert [json.loads(line)["station"] for line in told.out.splitlines()] == ["weir"]


def test_a_hub_that_has_nothing_to_judge_says_so(
    rules: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, why in ((["--station", "mill"], "no station of this hub has readings that a rule of"),
                       (["--station", "rock"], '"rock" is not a station of this hub; use bridge, mill, weir'),
                       (["--from", "2030-01-01"], "no station of this hub has readings that a rule of")):
        assert run([str(rules), str(hub), *words]) == 1
        assert why in capsys.readouterr().err


def test_a_hub_that_never_ran_here_says_so(
    tmp_path: Path, rules: Path, hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.rename(tmp_path / "moved.toml")
    (tmp_path / "hub-data").rename(tmp_path / "elsewhere")
    assert run([str(rules), str(tmp_path / "moved.toml")]) == 1
    assert "is not there; has this hub ever run here?" in capsys.readouterr().err
    assert not (tmp_path / "hub-data").exists()
