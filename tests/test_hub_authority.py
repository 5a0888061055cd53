"""A move that a rule makes by itself after a time, unless a person holds it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from hub import journal
from hub.authority import holdable, moves_at, waits_for_person
from hub.callout import Policy
from hub.happened import Confirmed, Held, Tick
from hub.model import Consent, WarningState, Why
from hub.service import Hub
from hub.web.app import app
from tests.hub_web_view import page_of, text_of
from tests.hubs import hub_on
from tests.village import VILLAGERS, Life, Village, at, detection
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import BulletinKind, Detection

UPDATE = BulletinKind.UPDATE
HOLD = "Hold: do not move people yet 叫停：暂不转移"
CONFIRM = "Confirm: move people now 确认：立即转移"


def after(level: Level, when: str, revision: int, *, hold_s: float = 120.0, rule: str = "stage") -> Detection:
    """A detection whose move needs nobody, after a time."""
    return detection(level, when, revision, authority=Authority.AFTER, hold_s=hold_s, rule=rule)


def test_a_move_after_a_time_is_said_as_prepare_first_and_then_by_itself() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    assert (life.now.stage, life.now.level, moves_at(life.now)) == (Stage.PREPARE, Level.RED, at("14:07"))
    life.take_asks()
    life.event(Tick(at("14:06:59")), "14:06:59")
    assert (life.now.stage, life.says[1:]) == (Stage.PREPARE, [])
    life.take_asks()
    life.event(Tick(at("14:07")), "14:07")
    assert (life.now.stage, life.says[1:], moves_at(life.now)) == (Stage.MOVE, [(UPDATE, Why.UNHELD)], 0)
    assert {(person, why) for _, person, why in life.asks} == {(name, Why.UNHELD) for name in VILLAGERS}
    assert life.now.rose_at == at("14:07")
    life.event(Tick(at("14:07:01")), "14:07:01")
    assert len(life.says) == 2


def test_held_in_time_it_waits_for_a_person_who_confirms() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.event(Held("Sun Yan", at("14:06")), "14:06")
    assert (life.now.held_by, life.now.held_at, moves_at(life.now)) == ("Sun Yan", at("14:06"), 0)
    assert waits_for_person(life.now)
    life.ticks("14:06:01", "14:20")
    assert (life.now.stage, [why for _, why in life.says]) == (Stage.PREPARE, [Why.FIRST])
    life.event(Confirmed("Zhao Lei", at("14:21")), "14:21")
    assert (life.now.stage, life.says[-1]) == (Stage.MOVE, (UPDATE, Why.CONFIRMED))
    assert not waits_for_person(life.now)


def test_who_does_not_want_to_wait_confirms_at_once() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.event(Confirmed("Sun Yan", at("14:05:10")), "14:05:10")
    assert (life.now.stage, life.says[-1]) == (Stage.MOVE, (UPDATE, Why.CONFIRMED))
    life.ticks("14:05:11", "14:07:30")
    assert Why.UNHELD not in [why for _, why in life.says]


def test_too_late_to_hold_and_nothing_to_hold_change_nothing() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.event(Tick(at("14:07")), "14:07")
    moved = life.now
    life.event(Held("Sun Yan", at("14:08")), "14:08")
    assert life.now is moved
    other = Life()
    other.found(detection(Level.RED, "14:05", 1, authority=Authority.CONFIRM))
    waits = other.now
    other.event(Held("Sun Yan", at("14:06")), "14:06")
    assert other.now is waits


def test_a_rise_while_the_time_runs_does_not_begin_it_anew() -> None:
    life = Life()
    asks = msgspec.structs.replace(after(Level.ORANGE, "14:05", 1), stage=Stage.MOVE)
    life.found(asks)
    life.found(after(Level.RED, "14:06", 2))
    assert moves_at(life.now) == at("14:07")
    life.event(Tick(at("14:07")), "14:07")
    assert life.now.stage is Stage.MOVE
    life.found(msgspec.structs.replace(after(Level.ORANGE, "14:08", 3), stage=Stage.MOVE))
    assert life.now.stage is Stage.MOVE


def test_a_level_above_the_one_that_was_held_is_asked_anew() -> None:
    life = Life()
    life.found(msgspec.structs.replace(after(Level.ORANGE, "14:05", 1), stage=Stage.MOVE))
    life.event(Held("Sun Yan", at("14:06")), "14:06")
    life.found(after(Level.RED, "14:10", 2))
    assert (moves_at(life.now), waits_for_person(life.now)) == (at("14:12"), False)
    life.event(Tick(at("14:12")), "14:12")
    assert (life.now.stage, life.says[-1]) == (Stage.MOVE, (UPDATE, Why.UNHELD))


def test_another_rule_is_asked_anew_and_the_held_one_goes_on_waiting() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.event(Held("Sun Yan", at("14:06")), "14:06")
    life.found(after(Level.RED, "14:10", 1, rule="rain"))
    assert [episode.rule for episode in holdable(life.now).values()] == ["rain"]
    assert (waits_for_person(life.now), moves_at(life.now)) == (True, at("14:12"))


def test_beside_a_rule_that_moves_people_alone_nothing_is_announced() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.found(detection(Level.RED, "14:06", 1, rule="stage-2"))
    assert (life.now.stage, moves_at(life.now)) == (Stage.MOVE, 0)
    life.event(Tick(at("14:07")), "14:07")
    assert [why for _, why in life.says] == [Why.FIRST, Why.HIGHER]
    life.found(detection(Level.CLEAR, "14:08", 2, rule="stage-2", previous=Level.RED))
    assert life.now.stage is Stage.MOVE


def test_what_fell_in_time_moves_nobody() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.found(detection(Level.ORANGE, "14:06", 2, previous=Level.RED))
    life.ticks("14:06:01", "14:10")
    assert (life.now.stage, moves_at(life.now)) == (Stage.PREPARE, 0)
    life.found(detection(Level.CLEAR, "14:11", 3, previous=Level.ORANGE))
    assert life.now.state is WarningState.CLOSED
    assert Why.UNHELD not in [why for _, why in life.says]


def test_learned_of_too_late_it_moves_nobody_until_its_station_speaks_again() -> None:
    life = Life()
    life.found(msgspec.structs.replace(after(Level.ORANGE, "13:00", 1), stage=Stage.MOVE), "14:00")
    life.ticks("14:00:01", "14:04")
    assert (life.now.historic, life.says, moves_at(life.now)) == (True, [], 0)
    life.found(after(Level.RED, "14:05", 2))
    assert moves_at(life.now) == at("14:07")


def test_the_hubs_own_clock_counts_from_when_it_heard() -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1), "14:15")
    assert moves_at(life.now) == at("14:17")


@pytest.mark.parametrize(("back_to", "moved"), [("14:04", False), ("13:05", True)])
def test_a_clock_that_was_set_back_does_not_prolong_it_for_long(back_to: str, moved: bool) -> None:
    life = Life()
    life.found(after(Level.RED, "14:05", 1))
    life.event(Tick(at(back_to)), back_to)
    assert (life.now.stage is Stage.MOVE) == moved


@given(st.integers(0, 60), st.integers(0, 60), st.booleans())
def test_people_are_moved_exactly_when_the_time_is_over_and_nobody_held(hold_s: int, held_s: int, hold: bool) -> None:
    life = Life()
    life.found(after(Level.RED, "14:00", 1, hold_s=hold_s))
    # a person is heard as long as nobody has been told to move
    start, holds = at("14:00"), hold and held_s <= hold_s > 0
    for second in range(62):
        when = f"14:{second // 60:02}:{second % 60:02}"
        if hold and second == held_s:
            life.event(Held("Sun Yan", start + second * 1000), when)
        life.event(Tick(start + second * 1000), when)
        assert (life.now.stage is Stage.MOVE) == (second >= hold_s and not holds)


@pytest.fixture
def village(tmp_path: Path) -> Village:
    there = Village(tmp_path)
    there.starts()
    there.finds(after(Level.RED, "14:00", 1))
    return there


async def test_a_restart_forgets_neither_the_time_nor_who_held_it(village: Village) -> None:
    await village.reads()
    village.restart()
    assert moves_at(await village.only()) == at("14:02")
    await village.ticks("14:01")
    await village.desk.hold((await village.only()).id, "Sun Yan")
    village.restart()
    await village.ticks("14:10")
    warning = await village.only()
    assert (warning.stage, warning.held_by, waits_for_person(warning)) == (Stage.PREPARE, "Sun Yan", True)
    rows = await village.database.run(journal.read, village.database.connection)
    assert [(row.why, row.detail) for row in rows if isinstance(row.event, Held)] == [(Why.HELD, "Sun Yan")]
    assert journal.replay(rows, Policy.of(village.config)) == {warning.id: warning}
    with pytest.raises(ValueError, match="can be held now"):
        await village.desk.hold(warning.id, "Zhao Lei")
    village.close()


async def test_time_that_ran_out_while_the_hub_was_down_moves_people_and_says_why(village: Village) -> None:
    await village.reads()
    village.restart()
    await village.ticks("14:05", every_s=300)
    warning = await village.only()
    assert [one.stage for one in await village.desk.bulletins_of(warning.id)] == [Stage.PREPARE, Stage.MOVE]
    rows = await village.database.run(journal.read, village.database.connection)
    assert [row.why for row in rows if isinstance(row.event, Tick)] == [Why.UNHELD]
    assert journal.replay(rows, Policy.of(village.config)) == {warning.id: warning}
    village.close()


@pytest.fixture
async def hub(village: Village) -> AsyncIterator[tuple[Hub, Village]]:
    await village.reads()
    village.clock.wind_to(at("14:01"))
    async with hub_on(village) as there:
        yield there, village


def client_of(hub: Hub) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(cast("Any", app(hub)))
    return httpx.AsyncClient(transport=transport, base_url="http://hub", follow_redirects=True)


def forms_of(page: html.HtmlElement) -> dict[str, str]:
    return {str(form.get("action")): text_of(form.xpath("button")[0]) for form in page.xpath("//section/form")
            if "answer" not in form.get("action")}  # fmt: skip


async def test_an_officer_holds_by_name_on_the_warnings_page(hub: tuple[Hub, Village]) -> None:
    view, _ = hub
    (warning,) = await view.open_warnings()
    path = f"/warnings/{warning.id}"
    async with client_of(view) as client:
        (link,) = (await page_of(client, "/")).xpath("//*[@class='unconfirmed']/a")
        assert (link.get("href"), text_of(link)) == (
            f"{path}#hold", "people are moved, unless a person holds it, at 14:02:00"
        )  # fmt: skip
        page = await page_of(client, path)
        assert forms_of(page) == {f"{path}/hold": HOLD, f"{path}/confirm": CONFIRM}
        (section,) = page.xpath("//section[@id='hold']")
        assert "Name of the officer who holds it" in text_of(section)
        foreign = await client.post(f"{path}/hold", data={"by": "Sun Yan"}, headers={"sec-fetch-site": "cross-site"})
        assert foreign.status_code == 403
        assert moves_at((await view.open_warnings())[0])
        answer = await client.post(f"{path}/hold", data={"by": " 孙燕 <b> "})
        assert answer.status_code == 200
        again = await client.post(f"{path}/hold", data={"by": "Zhao Lei"})
        assert again.status_code == 200
        page = await page_of(client, path)
        assert [text_of(line) for line in page.xpath("//*[@class='held']")] == ["held by 孙燕 <b> at 14:01:00"]
        assert forms_of(page) == {f"{path}/confirm": CONFIRM}
        assert "a person holds it; it waits for one who confirms 孙燕 <b>" in text_of(page)
        chinese = text_of(await page_of(client, f"{path}?lang=zh"))
        assert "由 孙燕 <b> 叫停，时间 14:01:00" in chinese
        assert "人工叫停，等待确认" in chinese
    assert (await view.open_warnings())[0].episodes["upper-bridge/radar/stage_m/stage"].consent is Consent.HELD


async def test_confirming_beside_the_hold_form_moves_people_at_once(hub: tuple[Hub, Village]) -> None:
    view, _ = hub
    (warning,) = await view.open_warnings()
    async with client_of(view) as client:
        await client.post(f"/warnings/{warning.id}/confirm", data={"by": "Sun Yan"})
        late = await client.post(f"/warnings/{warning.id}/hold", data={"by": "Zhao Lei"})
    assert late.status_code == 409
    assert "Nothing in this warning can be held" in late.text
    assert [one.stage for one in await view.bulletins(warning.id)] == [Stage.PREPARE, Stage.MOVE]
