"""What /api/v1/stations says of the stations is the file that the dashboards are built from."""

import json
import re
import shlex
from pathlib import Path

import msgspec
import pytest

from dashboards.command import run
from dashboards.provision import read_stations
from tests.hub_web_view import client_of, station, storm
from tests.shared_data import REPOSITORY
from tocsin.messages import SirenHealth, StationCard


def commands() -> tuple[list[str], list[str]]:
    """The words of the two commands of docs/dashboards.md."""
    page = (REPOSITORY / "docs" / "dashboards.md").read_text(encoding="utf-8")
    found = re.search(r"```\n(curl .*/api/v1/stations\?.*)\ntocsin dashboards (build .* --stations .*)\n```", page)
    assert found, "docs/dashboards.md"
    return shlex.split(found[1]), shlex.split(found[2])


async def test_the_hubs_stations_become_dashboards_by_the_two_commands_of_the_docs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    curl, build = commands()
    view = storm(tmp_path)
    async with client_of(view) as client:
        answer = await client.get("/" + curl[-1].split("/", 3)[3])
    (tmp_path / curl[curl.index("-o") + 1]).write_bytes(answer.content)
    assert run(build) == 0
    cards = {station.id: station.card for station in view.stations_ if station.card}
    assert read_stations(Path(build[-1])) == cards
    made = {path.stem for path in (tmp_path / "FOLDER" / "dashboards").iterdir()}
    assert made == {"tocsin-station", *(f"tocsin-station-{name}" for name in cards)}
    page = json.loads((tmp_path / "FOLDER" / "dashboards" / "tocsin-station-longtan-upper.json").read_text())
    lines = {target["alias"] for panel in page["panels"] for target in panel["targets"] if "alias" in target}
    assert "stage red 红色 4 m" in lines


async def test_a_station_that_never_started_has_no_card(tmp_path: Path) -> None:
    view = storm(tmp_path)
    async with client_of(view) as client:
        stations = (await client.get("/api/v1/stations")).json()["stations"]
        described = (await client.get("/api/v1/openapi.json")).json()
    cards = {station["id"]: station["card"] for station in stations}
    assert cards["new-one"] is None
    assert msgspec.convert(cards["plant"], StationCard) == view.stations_[2].card
    assert "card" in described["components"]["schemas"]["StationOut"]["required"]


@pytest.mark.parametrize(("health", "words"), [
    (SirenHealth(1_723_089_600_000, "line", 1_723_089_600_000), ["siren proven", "12:00", "line check"]),
    (SirenHealth(1_723_089_600_000, "by ear"), ["siren proven", "by ear"]),
    (SirenHealth(overdue="not heard for more than 37 days"), ["siren never proven", "siren: proof overdue"]),
    (SirenHealth(fault="the line to it is broken"), ["siren fault: the line to it is broken"]),
    (None, []),
])
async def test_the_station_s_page_says_when_its_siren_was_proven(
    tmp_path: Path, health: SirenHealth | None, words: list[str]
) -> None:
    view = storm(tmp_path)
    upper = view.stations_[0]
    view.stations_[0] = station(upper.id, upper.card, siren_health=health)
    async with client_of(view) as client:
        page = (await client.get(f"/stations/{upper.id}", headers={"Accept-Language": "en"})).text
        chinese = (await client.get(f"/stations/{upper.id}", headers={"Accept-Language": "zh"})).text
    assert [word for word in words if word not in page] == []
    told = any(word in page for word in ("siren proven", "siren never", "siren fault"))
    assert (told, any(word in chinese for word in ("最近检验", "从未检验", "警报器故障"))) == (bool(words), bool(words))


@pytest.mark.parametrize("path", ["/stations/{}", "/"])
async def test_how_many_faults_a_heartbeat_had_no_room_for_is_said(tmp_path: Path, path: str) -> None:
    view = storm(tmp_path)
    upper = view.stations_[0]
    view.stations_[0] = station(upper.id, upper.card, more_devices=300, more_ill=180, more_faults=3)
    async with client_of(view) as client:
        pages = [(await client.get(path.format(upper.id), headers={"Accept-Language": lang})).text
                 for lang in ("en", "zh")]
    assert ["and 183 more" in pages[0], "另有 183 项" in pages[1]] == [True, True]
