"""Very many stations: pages stay small, what needs a look stands first, and nobody is left out."""

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from hub.health import Health
from hub.web.overview import SHOWN
from tests.hub_web_view import NOW, STAGE, PlainView, card, client_of, config, page_of, station, storm
from tocsin.faults import Fault, OpenFault

MANY = 2 * SHOWN + 5
NAMES = [f"s{n:03d}" for n in range(MANY)]


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    """All is well with each of them."""
    view = storm(tmp_path)
    view.config = config(NAMES)
    view.stations_ = [station(name, card(name, "", [STAGE], [])) for name in NAMES]
    for name in NAMES:
        view.store.points[name, "radar", "stage_m"] = [(NOW, 1.0)]
    return view


async def shown(view: PlainView, path: str) -> list[str]:
    async with client_of(view) as client:
        page = await page_of(client, path)
    return [link.get("href").rpartition("/")[2] for link in page.xpath("//ul[@class='stations']//a")]


async def test_the_console_shows_first_what_needs_a_look(view: PlainView) -> None:
    flood = view.warnings["w-flood"]
    episodes = {key: msgspec.structs.replace(one, station=NAMES[120]) for key, one in flood.episodes.items()}
    view.warnings = {"w-flood": msgspec.structs.replace(flood, episodes=episodes)}
    view.stations_[110] = replace(view.stations_[110], heard_at=NOW - 3_600_000)
    view.stations_[100] = station(
        NAMES[100], view.stations_[100].card, faults=[OpenFault(Fault.HEAT, "cpu", "91 C", NOW)])
    found = await shown(view, "/?lang=en")
    assert found == [NAMES[120], NAMES[110], NAMES[100], *NAMES[: SHOWN - 3]]
    async with client_of(view) as client:
        text = (await client.get("/?lang=en")).text
    assert f"{SHOWN} of {MANY} stations" in text
    assert f"{MANY - 1} fresh" in text


async def test_every_station_stands_on_one_of_the_pages(view: PlainView) -> None:
    found, path = list[str](), "/stations"
    while path:
        found += await shown(view, path)
        async with client_of(view) as client:
            links = (await page_of(client, path)).xpath("//nav[@class='ranges']/a")
        path = next((f"/stations{link.get('href')}" for link in links if "after" in link.get("href")), "")
    assert found == NAMES
    assert await shown(view, "/stations?after=zzz") == []


async def test_few_stations_stand_on_the_console_in_their_order(view: PlainView) -> None:
    view.stations_ = view.stations_[:SHOWN]
    view.config = config(NAMES[:SHOWN])
    assert await shown(view, "/") == NAMES[:SHOWN]
    async with client_of(view) as client:
        assert 'href="/stations"' not in (await client.get("/")).text


@pytest.mark.parametrize("path", ["/warnings/w-flood", "/warnings/w-old"])
async def test_a_warning_s_page_asks_no_store(view: PlainView, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def asked(*_: object) -> object:
        raise AssertionError("who was called waits for no store")

    monkeypatch.setattr(view, "stations", asked)
    async with client_of(view) as client:
        assert (await client.get(path)).status_code == 200


async def test_what_keeps_the_hub_from_its_work_stands_above_the_warnings_and_the_rest_below(view: PlainView) -> None:
    view.health_ = Health(["the desk is 84 s behind"], ["the store is 1200 s behind"])
    for lang, why, trouble in (("en", "the desk is 84 s behind", "the store is 1200 s behind"),
                               ("zh", "预警处理滞后 84 秒", "数据写入存储滞后 1200 秒")):
        async with client_of(view) as client:
            text = (await client.get(f"/?lang={lang}")).text
        assert text.index(why) < text.index('id="open-h"') < text.index(trouble) < text.index('id="stations-h"')
