"""A station's page says which rules are in force, what was sent, and what came of it."""

from pathlib import Path

from hub.orders import CommandState, StationOrders
from tests.hub_web_orders import orders_at
from tests.hub_web_view import client_of, page_of, storm, text_of
from tocsin.messages import VERSION
from tocsin.orders import RulesState

PAGE = "/stations/longtan-upper"


async def test_rules_and_commands_stand_on_the_page_in_both_languages(tmp_path: Path) -> None:
    async with client_of(storm(tmp_path)) as client:
        english = text_of(await page_of(client, PAGE, {"Accept-Language": "en"}))
        chinese = text_of(await page_of(client, PAGE, {"Accept-Language": "zh-CN"}))
    for words in ("version 6 of the hub's rules is in force", "version 7 was refused", '"rad" is not a key',
                  "version 8, sent by Zhao Min, is not yet answered", "service device=radar minutes=30",
                  "not yet sent", "sent, no answer yet", "done", "a <warning> is open", "ran out without an answer",
                  "since 60 s"):
        assert words in english
    for words in ("使用中心规则第 6 版", "第 7 版被拒绝", "第 8 版（Zhao Min 下发）尚未应答", "siren_test",
                  "过期未应答", "待发送", "规则“stage”：没有“rad”这个键", "有<预警>", "已 60 秒"):
        assert words in chinese
    assert "command_" not in english + chinese
    assert "<warning>" not in chinese, "each reader hears his own language alone"


async def test_a_station_that_was_never_told_anything_says_so(tmp_path: Path) -> None:
    view = storm(tmp_path)
    async with client_of(view) as client:
        page = text_of(await page_of(client, "/stations/plant"))
        assert "the station has not said which rules are in force" in page
        assert "No command was ever sent." in page
        own = RulesState(VERSION, "plant", 0, 0, "cd" * 8)
        view.orders_["plant"] = StationOrders(0, "", 0, own, [])
        page = text_of(await page_of(client, "/stations/plant"))
    assert "the station's own rules are in force cdcdcdcd" in page
    assert "is not yet answered" not in page


def test_every_state_of_a_command_is_shown_once() -> None:
    assert [row.state for row in orders_at(0).commands] == list(CommandState)
