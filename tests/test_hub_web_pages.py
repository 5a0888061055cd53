"""The pages and their forms, over the ASGI application with a hub of plain data."""

import re
from pathlib import Path

import httpx
import msgspec
import pytest
from lxml import etree, html

from hub.answers import token
from hub.model import WarningState
from hub.web.app import app
from hub.web.view import HOW_OFFICER, HOW_PAGE
from hub.web.words import LANGS
from tests.hub_web_view import KEY, NOW, PlainView, calm, client_of, page_of
from tocsin.levels import Level

Client = httpx.AsyncClient
MOST_BYTES = 30_000
UNKNOWN_TAG = 801  # libxml2 knows HTML 4 alone: <main>, <svg> and their like are fine
BOTH = "I have heard 我已听到"


def pages(view: PlainView) -> dict[str, str]:
    stations = {f"station {station.id}": f"/stations/{station.id}?range=24h" for station in view.stations_}
    warnings = {f"warning {ident}": f"/warnings/{ident}" for ident in view.warnings}
    answer = {"answer": f"/answer/{token(view.config, 'w-flood', 'Li Mei')}"}
    return {"console": "/", **stations, **warnings, **answer, "problem": "/stations/nowhere"}


def attributes(page: etree._Element, *names: str) -> list[str]:
    return [str(value) for element in page.iter() for name, value in element.items() if name in names]


def text_of(page: html.HtmlElement) -> str:
    return re.sub(r"\s+", " ", page.find(".//main").text_content())


def in_lang(path: str, lang: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}lang={lang}"


@pytest.mark.parametrize("lang", LANGS)
async def test_every_page_is_sound_light_and_asks_nobody_else(view: PlainView, client: Client, lang: str) -> None:
    for name, path in pages(view).items():
        answer = await client.get(in_lang(path, lang))
        parser = etree.HTMLParser(recover=True)
        page = etree.fromstring(answer.text, parser)
        assert [str(e) for e in parser.error_log if e.type != UNKNOWN_TAG] == [], name
        ids = attributes(page, "id")
        assert len(ids) == len(set(ids)), name
        assert set(" ".join(attributes(page, "aria-labelledby")).split()) <= set(ids), name
        addresses = attributes(page, "href", "src", "action")
        assert [a for a in addresses if not re.match(r"(/(?!/)|\?|tel:|data:,$)", a)] == [], name
        assert not re.search(r"https?:|@import|url\(", answer.text), name
        assert len(re.sub(r' d="[^"]*"', "", answer.text).encode()) < MOST_BYTES, name  # without the measured data
        assert int(answer.headers["content-length"]) < MOST_BYTES / 2, name  # on the wire it is packed


async def test_the_style_sheet_asks_nobody_else(client: Client) -> None:
    (address,) = (await page_of(client, "/")).xpath("//link[@rel='stylesheet']/@href")
    answer = await client.get(address)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert not re.search(r"https?:|@import|url\(", answer.text)
    assert len(answer.content) < MOST_BYTES


async def test_pages_let_nothing_foreign_in(client: Client) -> None:
    headers = (await client.get("/")).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"


async def test_the_console_shows_the_worst_first(client: Client) -> None:
    page = await page_of(client, "/")
    first, second = page.xpath("//article")
    assert first.get("class") == "warning red"
    assert second.get("class") == "warning yellow"
    words = re.sub(r"\s+", " ", first.text_content())
    for expected in (
        "red Flood warning move now".lower(), "longtan, upper bridge", "since 14:39:00", "(41 min)",
        "water stage 4.28 m, threshold 4.00 m", "rain in 3 h 82.4 mm, threshold 75.0 mm",
        "1 of 4 answered", "not answered: li mei, 陈志强, zhao min", "answered: wang jianguo",
    ):  # fmt: skip
        assert expected in words.lower()
    assert page.findtext(".//title").startswith("2 ● red flood warning")


async def test_the_console_tells_who_is_silent(client: Client) -> None:
    page = await page_of(client, "/")
    found = {li.find(".//a").get("href"): li for li in page.xpath("//ul[@class='stations']/li")}
    classes = {address.rpartition("/")[2]: li.get("class") for address, li in found.items()}
    assert classes == {
        "longtan-upper": "fresh", "longtan-lower": "silent", "plant": "fresh", "quarry": "silent", "new-one": "unknown",
    }  # fmt: skip
    assert "radar: silent" in found["/stations/longtan-lower"].text_content()
    assert "offline" in found["/stations/quarry"].text_content()
    assert "siren: red" in found["/stations/longtan-upper"].text_content()


async def test_calm_is_said_calmly(tmp_path: Path) -> None:
    async with client_of(calm(tmp_path)) as client:
        page = await page_of(client, "/")
    assert "No open warning." in text_of(page)
    assert page.xpath("//article") == []


async def test_times_are_local_with_utc_beside(client: Client) -> None:
    (opened,) = (await page_of(client, "/warnings/w-old")).xpath("//article//p//time[1]")
    assert (opened.text, opened.get("title")) == ("2024-08-07 09:20:00", "2024-08-07 01:20:00 UTC")
    assert opened.get("datetime") == "2024-08-07T01:20:00Z"


@pytest.mark.parametrize(
    ("query", "headers", "word"),
    [
        ("", {}, "Open warnings"),
        ("?lang=zh", {}, "当前预警"),
        ("", {"accept-language": "zh-CN,zh;q=0.9,en;q=0.5"}, "当前预警"),
        ("", {"accept-language": "de, en;q=0.5, zh;q=0.7"}, "当前预警"),
        ("", {"accept-language": "zh;q=0, *"}, "Open warnings"),
        ("?lang=en", {"accept-language": "zh"}, "Open warnings"),
        ("", {"cookie": "lang=zh"}, "当前预警"),
        ("", {"cookie": "lang=xx", "accept-language": ";;;q="}, "Open warnings"),
    ],
)
async def test_the_reader_chooses_the_language(client: Client, query: str, headers: dict[str, str], word: str) -> None:
    assert word in text_of(await page_of(client, "/" + query, headers))


async def test_a_language_once_chosen_stays(client: Client) -> None:
    await page_of(client, "/?lang=zh")
    assert "龙潭村上桥" in text_of(await page_of(client, "/stations/longtan-upper"))


async def test_the_language_link_keeps_the_rest(client: Client) -> None:
    page = await page_of(client, "/stations/plant?range=1h")
    assert page.xpath("//header//nav/a/@href") == ["?range=1h&lang=zh"]


async def test_a_station_has_a_chart_per_quantity_and_rain_window(client: Client) -> None:
    page = await page_of(client, "/stations/longtan-upper?range=24h")
    captions = [" ".join(f.text_content().split()) for f in page.xpath("//figcaption")]
    assert captions == ["water stage m radar", "rain per 1 h mm gauge", "rain in 1 h mm gauge", "rain in 3 h mm gauge"]
    (stage,) = page.xpath("//svg[@class='chart'][@aria-labelledby='c0-t c0-d']")
    assert stage.xpath(".//line[starts-with(@class, 'limit')]/@class") == [
        f"limit {level.word}" for level in reversed(Level) if level
    ]
    (curve,) = stage.xpath(".//path/@d")
    assert curve.count("M") == 2  # the radar was silent for half an hour


async def test_charts_ask_for_what_lies_before_a_rain_window(view: PlainView, client: Client) -> None:
    await page_of(client, "/stations/longtan-upper?range=1h")
    starts = {asked[2]: asked[3] for asked in view.store.asked}
    assert starts == {"stage_m": NOW - 3_600_000, "rain_total_mm": NOW - 4 * 3_600_000}


async def test_pages_work_while_the_store_is_down(view: PlainView, client: Client) -> None:
    view.store.down = True
    for path in ("/", "/stations/longtan-upper"):
        assert "The store cannot be reached." in text_of(await page_of(client, path))
    assert (await page_of(client, "/")).xpath("//article")[0].get("class") == "warning red"


async def test_what_people_wrote_is_text_not_markup(view: PlainView, client: Client) -> None:
    evil = "<script>alert(1)</script>"
    await client.post("/warnings/w-flood/answer", data={"person": "Li Mei", "note": evil})
    page = await page_of(client, "/warnings/w-flood")
    assert evil in text_of(page)
    assert "Li Mei <third call>" in text_of(page)
    assert len(page.xpath("//script")) == 1


async def test_an_officer_enters_an_answer(view: PlainView, client: Client) -> None:
    page = await page_of(client, "/warnings/w-flood")
    forms = {form.xpath("input[@name='person']/@value")[0]: form for form in page.forms}
    assert list(forms) == ["Li Mei", "陈志强", "Zhao Min"]
    form = forms["陈志强"]
    assert form.xpath("button")[0].text == BOTH
    answer = await client.post(form.get("action"), data={**dict(form.form_values()), "note": " 已上门叫醒 "})
    assert answer.status_code == 200
    assert str(answer.url).endswith("/warnings/w-flood")
    assert view.answers == [("陈志强", "w-flood", HOW_OFFICER, "已上门叫醒")]
    assert "2 of 4 answered" in answer.text


async def test_the_same_entry_twice_is_harmless(view: PlainView, client: Client) -> None:
    for _ in range(2):
        await client.post("/warnings/w-flood/answer", data={"person": "Li Mei", "note": ""})
    assert len(view.answers) == 1


async def test_another_sites_form_cannot_answer_for_the_officer(view: PlainView, client: Client) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    answer = await client.post("/warnings/w-flood/answer", data={"person": "Li Mei"}, headers=foreign)
    assert answer.status_code == 403
    assert "came from another site" in answer.text
    assert view.answers == []


async def test_a_person_answers_on_the_page_behind_the_link(view: PlainView, client: Client) -> None:
    path = f"/answer/{token(view.config, 'w-flood', 'Li Mei')}"
    page = await page_of(client, path)
    assert "请立即沿预定路线前往安置点" in text_of(page)
    assert "Go to the shelter" in text_of(page)
    assert [button.text for button in page.xpath("//form[@method='post']/button")] == [BOTH]
    for _ in range(2):
        answer = await client.post(path)
        assert answer.status_code == 200
        assert "recorded at 15:20:00" in " ".join(str(html.document_fromstring(answer.text).xpath("string()")).split())
        view.clock.wind_to(NOW + 5_000)
    assert view.answers == [("Li Mei", "w-flood", HOW_PAGE, "")]
    assert (await page_of(client, path)).forms == []


async def test_someone_not_called_yet_may_answer_early(view: PlainView, client: Client) -> None:
    gas = token(view.config, "w-gas", "Zhao Min")
    assert "To: Zhao Min, town duty desk" in text_of(await page_of(client, f"/answer/{gas}"))
    await client.post(f"/answer/{gas}")
    assert view.answers == [("Zhao Min", "w-gas", HOW_PAGE, "")]


async def test_a_link_to_a_closed_warning_asks_for_nothing(view: PlainView, client: Client) -> None:
    flood = view.warnings["w-flood"]
    path = f"/answer/{token(view.config, 'w-flood', 'Li Mei')}"
    view.warnings["w-flood"] = msgspec.structs.replace(flood, state=WarningState.CLOSED, closed_at=NOW)
    page = await page_of(client, path)
    assert "This warning is over." in text_of(page)
    assert page.forms == []
    assert (await client.post(path)).status_code == 200
    assert view.answers == []


async def test_what_the_hub_refuses_is_told(view: PlainView, client: Client) -> None:
    view.refuse_answers = "the desk is being restarted; try again"
    answer = await client.post(f"/answer/{token(view.config, 'w-flood', 'Li Mei')}")
    assert answer.status_code == 409
    assert view.refuse_answers in answer.text


async def test_the_hubs_secrets_are_on_no_page_and_in_no_answer(view: PlainView, client: Client) -> None:
    data = ["stations", "stations/plant", "warnings", "health", "docs"]
    paths = [*pages(view).values(), "/healthz", *(f"/api/v1/{path}" for path in data)]
    for path in paths:
        body = (await client.get(path)).text
        assert view.config.hub.private_key not in body
        assert KEY not in body


async def test_every_address_stands_in_the_docs(view: PlainView) -> None:
    docs = Path(__file__).parent.parent / "docs"
    words = "".join((docs / name).read_text(encoding="utf-8") for name in ("console.md", "api.md"))
    ours = [re.sub(r"\{(\w+):str\}", r"<\1>", str(route.path)) for route in app(view).routes]
    known = [path for path in ours if not path.startswith(("/static", "/api/v1/<path>"))]
    assert len(known) >= 10
    assert [path for path in known if f"`{path}`" not in words] == []
