"""The page on what intake holds back, and what the console says of it."""

from pathlib import Path

import pytest
from lxml import html

from hub.refusal import Refusal
from hub.web.words_held import REFUSAL_ZH
from tests.hub_web_held import troubled
from tests.hub_web_view import NOW, PlainView, client_of, storm


@pytest.fixture
def view(tmp_path: Path) -> PlainView:
    made = storm(tmp_path)
    made.held_ = troubled(NOW)
    return made


async def text(view: PlainView, path: str) -> str:
    async with client_of(view) as client:
        answer = await client.get(path)
    assert answer.status_code == 200
    return " ".join(" ".join(map(str, html.fromstring(answer.content).itertext())).split())


async def test_the_page_tells_who_waits_what_was_refused_and_why(view: PlainView) -> None:
    page = await text(view, "/held?lang=en")
    assert "mill Stone Bridge area 330112001003 · 30.25000, 119.75000" in page
    assert "messages: 412, records: 1240 · 1240 records waiting at the station" in page
    assert "test-unit-7 it has not said where it stands" in page
    assert "longtan-lower two machines speak under this station's name" in page
    assert "impossible time tocsin/1/longtan-upper/readings" in page
    assert "5 ms is not between" in page
    assert "<script>alert(1)</script>" in page, "shown as text"
    assert "12 malformed 3 impossible time 1 a reason of tomorrow" in page
    assert "0.4 GB free; 0.5 GB are kept free" in page


async def test_the_page_in_chinese(view: PlainView) -> None:
    page = await text(view, "/held?lang=zh")
    assert "未登记的监测站" in page
    assert "12 格式错误 3 时间不可能 1 a reason of tomorrow" in page
    assert "石桥" in page


async def test_the_console_says_what_must_be_looked_at(view: PlainView) -> None:
    page = await text(view, "/?lang=en")
    assert "2 unknown stations wait for approval" in page
    assert "two machines speak under this station's name" in page
    assert "The hub's disk is nearly full" in page


async def test_a_calm_hub_says_nothing_of_it(tmp_path: Path) -> None:
    view = storm(tmp_path)
    page = await text(view, "/?lang=en")
    for words in ("wait for approval", "two machines", "disk is nearly full"):
        assert words not in page
    assert "Nothing was refused." in await text(view, "/held?lang=en")


def test_every_reason_has_its_words() -> None:
    assert set(REFUSAL_ZH) == set(Refusal)
