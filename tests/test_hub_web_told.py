"""What the hub's own files tell in English stands in Chinese on Chinese pages."""

import re
from pathlib import Path
from typing import Any, cast, get_args

import httpx
import msgspec
import pytest

from hub.answers import link
from hub.checks import inspect
from hub.journal import Entry, GaveUp
from hub.model import Why
from hub.web.app import app
from hub.web.patterns import in_chinese
from hub.web.told import detail_of
from hub.web.view import HOW_OFFICER, JournalRow
from hub.web.words import Words
from hub.web.words_held import REFUSED
from tests.hub_messages import upload
from tests.hub_web_view import PlainView, page_of, text_of
from tests.hubs import hub_on
from tests.test_hub_checks import KNOWN, RECORDS, STATION, TOPIC, WHOLE
from tests.village import Village, at, detection
from tocsin.levels import Authority, Level

HANZI = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize("name", [*WHOLE, *RECORDS])
def test_why_something_was_refused_is_said_in_chinese(name: str) -> None:
    topic, payload = WHOLE[name][:2] if name in WHOLE else (TOPIC, upload(STATION, RECORDS[name][0]))
    (refused,) = inspect(topic, payload, KNOWN).refused
    chinese = in_chinese(refused.detail, REFUSED)
    assert HANZI.search(chinese), refused.detail
    assert not re.search(r"{}|None|（）", chinese)


def test_what_nobody_foresaw_is_said_as_it_came() -> None:
    assert in_chinese("something {new}", REFUSED) == "something {new}"


async def test_a_warnings_page_tells_its_journal_in_the_readers_language(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts()
    village.finds(detection(Level.RED, "14:00", 1, authority=Authority.CONFIRM))
    await village.reads()
    village.clock.wind_to(at("14:02"))
    async with hub_on(village) as hub:
        (warning,) = await hub.open_warnings()
        await hub.answer("Li Ming", warning.id, HOW_OFFICER, "敲门")
        await hub.confirm(warning.id, "孙燕")
        transport = httpx.ASGITransport(cast("Any", app(hub)))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub") as client:
            lines = {lang: [text_of(line) for line in (await page_of(client, f"/warnings/{warning.id}?lang={lang}"))
                            .xpath("//*[@class='timeline']/li")] for lang in ("zh", "en")}
            told = (await client.get(f"/api/v1/warnings/{warning.id}")).json()["journal"]
    assert lines["zh"][0] == "14:00:00 首次监测到 上桥，stage：红色；水位 2.35 m，阈值 2.00 m"
    assert lines["en"][0] == "14:00:00 first detection Upper Bridge stage: red; water stage 2.35 m, threshold 2.00 m"
    assert lines["zh"][1].startswith("14:00:00 首次监测到 发布 ")
    assert lines["zh"][1].endswith("，红色，准备转移")
    assert "14:00:00 首次监测到 Li Ming（村），第 1 次呼叫" in lines["zh"]
    assert "14:02:00 已回应 Li Ming，值班员登记：敲门" in lines["zh"]
    assert "14:02:00 answered Li Ming, entered by the duty officer: 敲门" in lines["en"]
    assert "14:02:00 人工确认 孙燕" in lines["zh"]
    assert (told[0]["why_zh"], told[0]["detail_zh"]) == ("首次监测到", "上桥，stage：红色；水位 2.35 m，阈值 2.00 m")


def test_every_kind_of_entry_can_be_told() -> None:
    row = JournalRow(0, Why.FAILED, "sms: b-1: no such number", GaveUp("sms", "b-1", "no such number"))
    assert detail_of(row, Words("zh")) == "sms：b-1：no such number"
    assert detail_of(JournalRow(0, Why.FAILED, "as the file has it"), Words("zh")) == "as the file has it"
    assert len(get_args(Entry)) == 8, "hub.web.told tells each of them"


async def test_a_called_persons_link_is_there_to_be_sent_on(view: PlainView, client: httpx.AsyncClient) -> None:
    public = msgspec.structs.replace(view.config.hub, public_url="https://warn.example.org")
    view.config = msgspec.structs.replace(view.config, hub=public)
    page = await page_of(client, "/warnings/w-flood?lang=zh")
    links = {str(one.get("href")) for one in page.xpath("//a[starts-with(text(), '回应链接')]")}
    assert links == {link(view.config, "w-flood", name) for name in ("Li Mei", "陈志强", "Zhao Min")}
    assert all(one.startswith("https://warn.example.org/answer/") for one in links)
    assert "回应链接" not in text_of(await page_of(client, "/warnings/w-old?lang=zh"))
