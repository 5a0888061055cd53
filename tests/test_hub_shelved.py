"""A level that a person has shelved at the station: the hub shows it, and calls nobody for it."""

from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from hub.bulletin import compose
from hub.happened import Held
from hub.journal import Asked
from hub.model import WarningState, Why
from hub.web.app import app
from tests.hub_web_view import page_of, text_of
from tests.hubs import hub_on
from tests.village import VILLAGERS, Life, Village, at, detection
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import BulletinKind, Detection

HUB = "http://hub"


def shelved(found: Detection) -> Detection:
    return msgspec.structs.replace(found, shelved=True)


def test_nobody_is_called_and_nothing_is_said_for_a_shelved_level() -> None:
    life = Life()
    life.found(shelved(detection(Level.RED, "14:00", 1, authority=Authority.AFTER, hold_s=60.0)))
    life.ticks("14:00:01", "14:10")
    assert (life.says, life.asks) == ([], [])
    assert (life.now.state, life.now.level) == (WarningState.OPEN, Level.RED)
    life.found(detection(Level.CLEAR, "14:20", 2, previous=Level.RED))
    assert (life.now.state, life.says) == (WarningState.CLOSED, [])


def test_a_later_word_that_is_not_shelved_calls() -> None:
    life = Life()
    life.found(shelved(detection(Level.ORANGE, "14:00", 1)))
    life.found(detection(Level.RED, "14:05", 2, previous=Level.ORANGE))
    assert life.says == [(BulletinKind.ALERT, Why.FIRST)]
    assert [person for _, person, _ in life.asks] == VILLAGERS


def test_a_level_that_stands_when_shelving_ends_calls() -> None:
    life = Life()
    life.found(shelved(detection(Level.ORANGE, "14:00", 1)))
    life.found(detection(Level.ORANGE, "14:10", 2, previous=Level.ORANGE))
    assert life.says == [(BulletinKind.ALERT, Why.FIRST)]
    assert [person for _, person, _ in life.asks] == VILLAGERS


def test_a_shelved_rise_beside_a_live_warning_raises_nothing_and_clears_nothing() -> None:
    life = Life()
    life.found(detection(Level.YELLOW, "14:00", 1))
    life.take_asks()
    life.found(shelved(detection(Level.RED, "14:05", 1, rule="rate")))
    assert (life.now.level, life.now.stage, life.take_asks()) == (Level.YELLOW, Stage.WATCH, [])
    life.found(shelved(detection(Level.RED, "14:06", 2, previous=Level.YELLOW)))
    assert (life.now.level, life.take_asks()) == (Level.YELLOW, []), "what was said stands"
    life.found(detection(Level.CLEAR, "14:20", 3, previous=Level.RED))
    assert life.now.closed_at == 0
    life.found(detection(Level.CLEAR, "14:21", 2, rule="rate", previous=Level.RED))
    assert life.now.state is WarningState.CLOSED


@pytest.mark.parametrize("later", [Level.BLUE, Level.RED])
def test_a_level_that_changes_while_it_is_shelved_takes_back_nothing_that_was_said(later: Level) -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:00", 1))
    life.found(detection(Level.BLUE, "14:01", 1), station="mill-creek")
    life.take_asks()
    for revision, level in ((2, later), (3, Level.YELLOW)):
        life.found(shelved(detection(level, f"14:0{revision}", revision)))
        assert (life.now.level, life.now.stage, life.says[1:], life.asks) == (Level.ORANGE, Stage.PREPARE, [], [])
    life.found(detection(Level.YELLOW, "14:10", 4))
    assert (life.now.level, life.says[1:]) == (Level.YELLOW, [(BulletinKind.UPDATE, Why.LOWER)])


def test_people_who_were_moved_are_not_told_otherwise_because_the_rule_is_shelved() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:00", 1, authority=Authority.AFTER, hold_s=60.0, stage=Stage.MOVE))
    life.found(detection(Level.BLUE, "14:00", 1), station="mill-creek")
    life.ticks("14:00:30", "14:02")
    assert life.now.stage is Stage.MOVE
    said = len(life.says)
    life.found(shelved(detection(Level.RED, "14:03", 2, authority=Authority.AFTER, hold_s=60.0)))
    assert (life.now.level, life.now.stage, len(life.says)) == (Level.ORANGE, Stage.MOVE, said)
    life.found(detection(Level.RED, "14:10", 3, authority=Authority.AFTER, hold_s=60.0))
    assert (life.now.level, life.now.stage) == (Level.RED, Stage.MOVE), "it was not held, and is not asked again"


def test_a_level_above_the_one_that_was_held_is_asked_anew_also_when_it_rose_shelved() -> None:
    life = Life()
    after = {"authority": Authority.AFTER, "hold_s": 60.0, "stage": Stage.MOVE}
    life.found(detection(Level.ORANGE, "14:00", 1, **after))  # type: ignore[arg-type]
    life.event(Held("Sun Yan", at("14:00:30")), "14:00:30")
    life.found(shelved(detection(Level.RED, "14:03", 2, **after)))  # type: ignore[arg-type]
    life.found(detection(Level.RED, "14:10", 3, **after))  # type: ignore[arg-type]
    life.ticks("14:10:30", "14:12")
    assert life.now.stage is Stage.MOVE


def test_a_bulletin_speaks_of_what_stands_though_it_is_shelved() -> None:
    life = Life()
    life.found(detection(Level.ORANGE, "14:00", 1))
    life.found(detection(Level.BLUE, "14:01", 1), station="mill-creek")
    life.found(shelved(detection(Level.RED, "14:02", 2, value=3.0)))
    bulletin = compose(life.now, BulletinKind.UPDATE, version=1, now_ms=at("17:00"), expires_s=3600.0,
                       zone=ZoneInfo("Asia/Shanghai"), status="Actual", cause_t=0)
    assert "Upper Bridge" in bulletin.text_en


async def test_the_journal_says_why_nobody_was_called_and_a_person_may_decide_otherwise(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts()
    village.finds(shelved(detection(Level.ORANGE, "14:00", 1)))
    await village.reads()
    warning = await village.only()
    assert [row.why for row in await village.desk.journal_of(warning.id)] == [Why.SHELVED]
    await village.desk.confirm(warning.id, "Zhao Lei")
    rows = await village.desk.journal_of(warning.id)
    assert [row.event.person for row in rows if isinstance(row.event, Asked)] == VILLAGERS
    village.close()


async def test_a_person_has_people_called_on_the_warnings_page_and_once_more_for_another(tmp_path: Path) -> None:
    village = Village(tmp_path)
    village.starts()
    village.starts("mill-creek")
    village.finds(shelved(detection(Level.ORANGE, "14:00", 1)))
    await village.reads()
    async with (hub_on(village) as hub,
                httpx.AsyncClient(transport=httpx.ASGITransport(cast("Any", app(hub))), base_url=HUB) as client):
        (warning,) = await hub.open_warnings()
        page = await page_of(client, f"/warnings/{warning.id}")
        (button,) = page.xpath("//section[@id='uncalled']/form/button")
        assert text_of(button) == "Confirm: call people now 确认：立即呼叫"
        assert (await page_of(client, "/")).xpath("//a[@href=$to]", to=f"/warnings/{warning.id}#uncalled")
        await client.post(f"/warnings/{warning.id}/confirm", data={"by": "Zhao Lei"})
        (warning,) = await hub.open_warnings()
        assert (list(warning.calls), warning.level) == (VILLAGERS, Level.ORANGE)
        assert not (await page_of(client, f"/warnings/{warning.id}")).xpath("//section[@id='uncalled']")
    village.restart()
    village.finds(shelved(detection(Level.RED, "14:00", 1)), "mill-creek")
    await village.reads()
    warning = await village.only()
    assert (warning.level, warning.confirmed_by) == (Level.ORANGE, "Zhao Lei")
    await village.desk.confirm(warning.id, "Sun Yan")
    assert ((await village.only()).level, (await village.only()).confirmed_by) == (Level.RED, "Sun Yan")
    village.close()
