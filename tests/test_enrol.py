"""`tocsin enrol`: files that run, keys that count at once, and refusals that change nothing."""

import sqlite3
import tomllib
from pathlib import Path

import pytest

from edge.config import check, load_station
from hub import enrol as enrolment
from hub import orders
from hub.config import load_hub
from hub.database import Database
from hub.roster import Roster
from hub.station_files import rules_known
from tests.hubs import HubFiles
from tests.stations import StationFiles
from tocsin.__main__ import main
from tocsin.orders import Papers
from tocsin.signing import mark_of, new_station_key

KEY = new_station_key()
NEW = ["--name", 'Mill "creek"', "--name-zh", "磨坊溪", "--area", "330112001001", "--lat", "30.2", "--lon", "119.7",
       "--broker", "mqtt://127.0.0.1:1883"]


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    return HubFiles(tmp_path / "hub", "mqtt://127.0.0.1:9", [("bridge", KEY)]).write()


def roster(hub: Path) -> dict[str, str]:
    config = load_hub(hub)
    database = Database(Path(config.hub.data) / "hub.sqlite")
    try:
        return dict(Roster(database, config.keys))
    finally:
        database.close()


@pytest.mark.parametrize("rules", rules_known())
def test_a_new_station_has_files_that_run_and_a_key_that_counts(hub: Path, tmp_path: Path, rules: str) -> None:
    out = tmp_path / "out"
    assert main(["enrol", str(hub), "mill", *NEW, "--rules", rules, "--out", str(out)]) == 0
    place = out / "station.toml"
    assert check(place) == []
    station = load_station(place)
    assert station.file.hub.key == roster(hub)["mill"]
    assert station.file.hub.public_key == load_hub(hub).public_key
    assert (station.file.station.name, station.file.station.name_zh) == ('Mill "creek"', "磨坊溪")
    assert tomllib.loads(place.read_text().replace("# ca =", "ca ="))["hub"]["ca"] == "ca.pem"
    assert station.plan.tracks
    assert roster(hub)["bridge"] == KEY
    assert (out.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(("id", "change", "why"), [
    ("bridge", {}, '"bridge" is enrolled already'),
    ("Mill", {}, 'station "Mill" is not allowed; use small letters'),
    ("mill", {"--area": "3301"}, '--area "3301" is not allowed; use 12 digits'),
    ("mill", {"--lat": "91"}, "--lat 91 is not allowed; use -90 to 90"),
    ("mill", {"--lon": "nan"}, "--lon nan is not allowed"),
    ("mill", {"--name": " "}, "--name ' ' is not allowed"),
    ("mill", {"--name-zh": "a\nb"}, "--name-zh 'a\\nb' is not allowed"),
    ("mill", {"--broker": "http://x"}, '--broker: "http://x" is not allowed; use mqtt://'),
    ("mill", {"--rules": "rian"}, '--rules "rian" is not allowed; use'),
    ("mill", {"--who": "a\nb"}, "--who"),
])
def test_what_is_wrong_is_said_and_nothing_is_made(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], id: str, change: dict[str, str], why: str  # noqa: A002
) -> None:
    words = list(NEW)
    for key, value in change.items():
        if key in words:
            words[words.index(key) + 1] = value
        else:
            words += [key, value]
    before, out = roster(hub), tmp_path / "out"
    assert main(["enrol", str(hub), id, *words, "--out", str(out)]) == 1
    assert why in capsys.readouterr().err
    assert roster(hub) == before
    assert not out.exists()


def test_every_problem_is_said_at_once(hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("kept")
    words = ["x" if word == "330112001001" else word for word in NEW]
    assert main(["enrol", str(hub), "bridge", *words, "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert any("is not empty; name a new folder" in line for line in said)
    assert (tmp_path / "out" / "mine").read_text() == "kept"


def test_a_folder_that_cannot_be_made_enrols_nobody(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["enrol", str(hub), "mill", *NEW, "--out", str(tmp_path / "file" / "out")]) == 1
    assert "mill" not in roster(hub)
    assert "--out" in capsys.readouterr().err


def test_a_command_to_a_hub_that_does_not_run_waits_for_it(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["send", str(hub), "bridge", "command", "levels", "--who", "Zhao Min", "--wait", "0"]
    assert main(said) == 1
    assert "has this hub ever run here?" in capsys.readouterr().err
    roster(hub)    # opens it
    assert main(said) == 1
    assert "the hub has not sent it yet: is it running" in capsys.readouterr().err
    assert main(["send", str(hub), "bridge", "history"]) == 0
    assert "Zhao Min" in capsys.readouterr().out
    assert main(["send", str(hub), "bridge", "history", "--lang", "zh"]) == 0, "at the end too"
    assert "指令" in capsys.readouterr().out
    for words, why in ((["weir", "history"], '"weir" is not a station of this hub; use bridge'),
                       (["bridge", "command", "ack", "rule", "--who", "x"], '"rule" is not allowed; use KEY=VALUE'),
                       (["bridge", "command", "levels", "--who", " "], "--who ' ' is not allowed"),
                       (["bridge", "command", "levels", "--who", "x", "--within", "0"], "0 minutes are not allowed"),
                       (["bridge", "command", "levels", "--who", "x", "--within", "inf"], "inf is not allowed"),
                       (["bridge", "command", "levels", "--who", "x", "--within", "nan"], "nan is not allowed"),
                       (["bridge", "rollback", str(1 << 70), "--who", "x"], "was never sent")):
        assert main(["send", str(hub), *words]) == 1
        assert why in capsys.readouterr().err


def test_a_database_that_refuses_is_told_in_words(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    roster(hub)

    def refused(*_: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("hub.orders.note", refused)
    for words in (["send", str(hub), "bridge", "command", "levels", "--who", "x"],
                  ["enrol", str(hub), "mill", *NEW, "--out", str(tmp_path / "out")]):
        assert main(words) == 1
        assert "readonly database; run this as the user who runs the hub" in capsys.readouterr().err
    assert "mill" not in roster(hub)
    assert not (tmp_path / "out").exists()


def test_the_command_line_must_be_whole(hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["enrol", str(hub), "mill", "--name", "x", "--out", str(tmp_path / "out")])
    assert ended.value.code == 2
    assert "--area, --lat, --lon, --broker" in capsys.readouterr().err


def test_a_station_that_never_sent_its_papers_has_no_successor_yet(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = roster(hub)
    for station, why in (("bridge", "never sent its papers"), ("weir", "is not a station of this hub; use bridge")):
        assert main(["enrol", str(hub), station, "--replace", "--out", str(tmp_path / "out")]) == 1
        assert why in capsys.readouterr().err
    assert roster(hub) == before
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("lang", "said"), [("en", "its key in"), ("zh", "中该站的密钥已失效：请删去“bridge”的")])
def test_a_key_of_the_hub_file_that_counts_no_more_is_told(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
    lang: str, said: str,
) -> None:  # fmt: skip
    config = load_hub(hub)
    database = Database(Path(config.hub.data) / "hub.sqlite")
    Roster(database, config.keys).tell_overruled()
    assert not caplog.text
    sent = StationFiles(tmp_path / "edge", "tcp://127.0.0.1:9", "mqtt://127.0.0.1:9").write().read_text()
    with database.transaction() as connection:
        orders.take_papers(connection, "bridge", Papers("", 0, 0, sent, {"rules.toml": "r"}, ""))
    assert main(["enrol", str(hub), "bridge", "--replace", "--out", str(tmp_path / "out"), "--lang", lang]) == 0
    assert said in capsys.readouterr().out
    Roster(database, config.keys).tell_overruled()
    assert 'station "bridge": its key in hub.toml counts no more' in caplog.text
    database.close()


def test_of_two_who_enrol_one_station_at_once_one_is_told(
    hub: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make, first, second = enrolment._make, tmp_path / "first", tmp_path / "second"

    def beside(out: Path, files: dict[str, str]) -> None:
        make(out, files)
        if out == second:
            assert main(["enrol", str(hub), "mill", *NEW, "--out", str(first)]) == 0

    monkeypatch.setattr(enrolment, "_make", beside)
    assert main(["enrol", str(hub), "mill", *NEW, "--out", str(second)]) == 1
    assert '"mill" is enrolled already' in capsys.readouterr().err
    assert not second.exists()
    assert roster(hub)["mill"] == load_station(first / "station.toml").file.hub.key


def test_of_two_successors_at_once_only_the_later_key_counts(
    hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["enrol", str(hub), "mill", *NEW, "--out", str(tmp_path / "mill")]) == 0
    sent = (tmp_path / "mill" / "station.toml").read_text()
    database = Database(Path(load_hub(hub).hub.data) / "hub.sqlite")
    with database.transaction() as connection:
        orders.take_papers(connection, "mill", Papers("", 0, 0, sent, {"rules.toml": "r"}, ""))
    make, first, second = enrolment._make, tmp_path / "first", tmp_path / "second"
    replace = ["enrol", str(hub), "mill", "--replace", "--out"]

    def beside(out: Path, files: dict[str, str]) -> None:
        make(out, files)
        if out == second:
            assert main([*replace, str(first)]) == 0

    monkeypatch.setattr(enrolment, "_make", beside)
    assert main([*replace, str(second)]) == 0

    def key(folder: str) -> str:
        return str(tomllib.loads((tmp_path / folder / "station.toml").read_text())["hub"]["key"])

    known = Roster(database, {})
    assert known["mill"] == key("second")
    assert known.revoked == {("mill", mark_of(key("mill"))), ("mill", mark_of(key("first")))}
    database.close()
