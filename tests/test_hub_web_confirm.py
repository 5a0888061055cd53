"""A person confirms that people are moved: the form, what it refuses, and the real desk behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from hub.authority import waits_for_person
from hub.happened import Confirmed
from hub.model import WarningState, Why
from hub.service import Hub
from hub.web.app import app
from tests.hub_web_view import NOW, PlainView, page_of, text_of
from tests.hubs import hub_on
from tests.village import Life, Village, at, detection
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import BulletinKind
from tocsin.times import utc

Client = httpx.AsyncClient
BUTTON = "Confirm: move people now 确认：立即转移"
WAITS = "waits for a person's confirmation 等待人工确认"
PATH = "/warnings/w-gas/confirm"


def forms_of(page: html.HtmlElement) -> list[html.HtmlElement]:
    return [form for form in page.forms if str(form.get("action")).endswith("/confirm")]


async def test_the_console_shows_what_waits_and_where_to_confirm(client: Client) -> None:
    flood, gas = (await page_of(client, "/")).xpath("//article")
    (link,) = gas.xpath(".//*[@class='unconfirmed']/a")
    assert (link.text, link.get("href")) == (WAITS, "/warnings/w-gas#confirm")
    assert "prepare to move" in text_of(gas)
    assert WAITS not in text_of(flood)


@pytest.mark.parametrize(
    ("lang", "button", "waits", "label", "done"),
    [
        ("en", BUTTON, WAITS, "Name of the officer who confirms", "confirmed by 孙燕 <b> at 15:20:00"),
        ("zh", "确认：立即转移 Confirm: move people now", "等待人工确认 waits for a person's confirmation",
         "确认人（值班员）姓名", "由 孙燕 <b> 人工确认，时间 15:20:00"),
    ],
)  # fmt: skip
async def test_an_officer_confirms_by_name(
    view: PlainView, client: Client, lang: str, button: str, waits: str, label: str, done: str
) -> None:
    page = await page_of(client, f"/warnings/w-gas?lang={lang}")
    (section,) = page.xpath("//section[@class='confirm'][@id='confirm']")
    (form,) = forms_of(page)
    assert form.getparent() is section
    assert text_of(section).startswith(waits)
    assert ([one.text for one in form.xpath("button")], text_of(form.xpath("label")[0])) == ([button], label)
    (field,) = form.xpath("input")
    assert (field.get("name"), field.get("type"), "required" in field.attrib) == ("by", "text", True)
    answer = await client.post(form.get("action"), data={"by": "  孙燕 <b> "})
    assert (answer.status_code, str(answer.url)) == (200, "http://hub/warnings/w-gas")
    assert view.confirmations == [("w-gas", "孙燕 <b>")]
    for path in ("/warnings/w-gas", "/"):
        page = await page_of(client, path)
        assert [text_of(line) for line in page.xpath("//*[@class='confirmed']")] == [done]
        assert forms_of(page) == page.xpath("//*[@class='unconfirmed']") == []


async def test_of_several_confirmations_the_first_one_counts(view: PlainView, client: Client) -> None:
    for name in ("Sun Yan", "Zhao Min"):
        answer = await client.post(PATH, data={"by": name})
        assert answer.status_code == 200
        assert "confirmed by Sun Yan at" in answer.text
    assert view.confirmations == [("w-gas", "Sun Yan")]


@pytest.mark.parametrize("origin", ["cross-site", "same-site"])
async def test_another_sites_form_cannot_move_people(view: PlainView, client: Client, origin: str) -> None:
    answer = await client.post(PATH, data={"by": "Sun Yan"}, headers={"sec-fetch-site": origin})
    assert answer.status_code == 403
    assert "came from another site" in answer.text
    assert view.confirmations == []


async def test_what_the_hub_refuses_is_told(view: PlainView, client: Client) -> None:
    view.refuse_answers = "the desk is being restarted; try again"
    answer = await client.post(PATH, data={"by": "Sun Yan"})
    assert answer.status_code == 409
    assert view.refuse_answers in answer.text


@pytest.mark.parametrize(("form", "warning", "fields", "said"), [
    ("confirm", "w-gas", {}, "缺少 by；请给出：值班员姓名"),
    ("confirm", "w-gas", {"by": "x" * 81}, "by 有 81 个字符；最多 80 个"),
    ("confirm", "w-gas", {"by": "a\tb"}, "by “a\\tb” 无效；可用：文字、数字、空格和符号，一行之内"),
    ("answer", "w-flood", {"person": "Li Mei", "note": "x" * 201}, "note 有 201 个字符；最多 200 个"),
    ("answer", "w-late", {"person": "nobody"}, "person “nobody” 无效；可用：无：本次预警尚未呼叫任何人"),
])
async def test_what_is_wrong_with_a_form_is_told_in_chinese_too(
    client: Client, form: str, warning: str, fields: dict[str, str], said: str
) -> None:
    answer = await client.post(f"/warnings/{warning}/{form}?lang=zh", data=fields)
    assert answer.status_code == 400
    assert said in text_of(html.fromstring(answer.text))


async def test_what_the_desk_refuses_is_told_in_chinese_too(view: PlainView, client: Client, tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts()
    village.finds(detection(Level.ORANGE, "14:00", 1))
    await village.reads()
    warning = await village.only()
    for asked in (village.desk.answer("x", warning.id, "", ""), village.desk.hold(warning.id, "x"),
                  village.desk.confirm("flood-1", "x")):
        with pytest.raises(ValueError, match="warning") as caught:
            await asked
        view.refuse_answers = str(caught.value)
        told = (await client.post(PATH, data={"by": "Sun Yan"}, params={"lang": "zh"})).text
        assert "本次预警没有呼叫" in told or "没有可叫停" in told or "不是本中心的预警" in told
        assert "Li Mei" not in told
    village.close()


async def test_only_an_open_warning_that_waits_has_the_form(view: PlainView, client: Client) -> None:
    for ident in ("w-flood", "w-old", "w-late"):
        assert forms_of(await page_of(client, f"/warnings/{ident}")) == []
    gas = view.warnings["w-gas"]
    closed = msgspec.structs.replace(
        gas, state=WarningState.CLOSED, closed_at=NOW, confirmed_by="Sun Yan", confirmed_at=NOW - 60_000
    )
    view.warnings["w-gas"] = msgspec.structs.replace(closed, confirmed_by="")
    assert forms_of(await page_of(client, "/warnings/w-gas")) == []
    view.warnings["w-gas"] = closed
    assert "confirmed by Sun Yan at 15:19:00" in text_of(await page_of(client, "/warnings/w-gas"))


@dataclass(frozen=True)
class Found:
    level: Level
    authority: Authority
    stage: Stage
    late: bool


FOUND = st.builds(Found, st.sampled_from(Level), st.sampled_from(Authority), st.sampled_from(Stage), st.booleans())


@given(st.lists(FOUND, min_size=1, max_size=3))
def test_what_waits_moves_people_once_confirmed_and_not_before(found: list[Found]) -> None:
    life = Life()
    for number, one in enumerate(found):
        t = "13:00" if one.late else "14:00"
        life.found(detection(one.level, t, 1, rule=f"r{number}", stage=one.stage, authority=one.authority), "14:00")
    if life.warning is None or life.now.state is WarningState.CLOSED:
        return
    before, waits = life.now, waits_for_person(life.now)
    asks = any(o.level and o.authority is Authority.CONFIRM and o.stage is Stage.MOVE for o in found)
    assert waits == (asks and before.stage is not Stage.MOVE)
    life.event(Confirmed("Sun Yan", at("14:01")), "14:01")
    assert not waits_for_person(life.now)
    if waits:
        assert (life.now.stage, life.says[-1][1]) == (Stage.MOVE, Why.CONFIRMED)


@pytest.mark.parametrize(
    ("level", "authority", "stage", "waits"),
    [
        (Level.RED, Authority.CONFIRM, Stage.MOVE, True), (Level.RED, Authority.AUTO, Stage.MOVE, False),
        (Level.RED, Authority.CONFIRM, Stage.PREPARE, False), (Level.BLUE, Authority.CONFIRM, Stage.MOVE, True),
    ],
)  # fmt: skip
def test_a_rule_that_may_not_move_people_waits(level: Level, authority: Authority, stage: Stage, waits: bool) -> None:
    life = Life()
    life.found(detection(level, "14:00", 1, stage=stage, authority=authority))
    assert waits_for_person(life.now) == waits
    life.found(detection(Level.CLEAR, "14:01", 2, previous=level, stage=Stage.MOVE, authority=authority))
    assert not waits_for_person(life.now)


def test_who_has_confirmed_is_not_asked_again() -> None:
    life = Life()
    confirm, move = Authority.CONFIRM, Stage.MOVE
    life.found(detection(Level.RED, "14:00", 1, authority=confirm))
    life.event(Confirmed("Sun Yan", at("14:01")), "14:01")
    life.found(detection(Level.ORANGE, "14:02", 2, previous=Level.RED, authority=confirm))
    late = detection(Level.RED, "13:00", 1, rule="rain", episode="e2", authority=confirm, stage=move)
    life.found(late, "14:03")
    assert (life.now.stage, life.now.episodes["upper-bridge/radar/stage_m/rain"].historic) == (Stage.PREPARE, True)
    assert not waits_for_person(life.now)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[tuple[Hub, Village]]:
    """The real hub on a village's disk, its pages asked without a network."""
    village = Village(tmp_path)
    village.starts()
    found = detection(Level.RED, "14:00", 1, authority=Authority.CONFIRM)
    village.finds(found)
    await village.reads()
    village.clock.wind_to(at("14:02"))
    async with hub_on(village) as there:
        yield there, village


async def test_from_the_form_through_the_real_desk_to_the_outbox(hub: tuple[Hub, Village]) -> None:
    view, village = hub
    (warning,) = await view.open_warnings()
    transport = httpx.ASGITransport(cast("Any", app(view)))
    async with Client(transport=transport, base_url="http://hub", follow_redirects=True) as client:
        page = await page_of(client, f"/warnings/{warning.id}")
        (form,) = forms_of(page)
        answer = await client.post(form.get("action"), data={"by": "Sun Yan"})
        again = await client.post(form.get("action"), data={"by": "Zhao Lei"})
        console = await page_of(client, "/")
    assert (answer.status_code, again.status_code) == (200, 200)
    shown = text_of(html.document_fromstring(again.text))
    assert "confirmed by Sun Yan at 14:02:00" in shown
    assert "a person confirmed Sun Yan" in shown
    assert "move now" in text_of(console.xpath("//article")[0])
    said = await view.bulletins(warning.id)
    assert [(one.kind, one.stage, one.sent) for one in said] == [
        (BulletinKind.ALERT, Stage.PREPARE, at("14:00")), (BulletinKind.UPDATE, Stage.MOVE, at("14:02"))
    ]  # fmt: skip
    assert {name for name, _ in village.outbox()} == {one.id for one in said}
    calls = (await view.open_warnings())[0].calls
    assert {f"{utc(call.last_at):%H:%M}" for call in calls.values()} == {"06:02"}
