"""Pages of group rules: the members stand as evidence, shadow and technical alarms say whom they do not call."""


import msgspec

from hub.groups_rules import GroupKind
from hub.groups_state import Decision, Member
from hub.model import Episode, Gathered, WarningState
from hub.model import Warning as HubWarning
from tests.hub_web_view import AREA, MINUTE, NOW, PlainView, client_of
from tocsin.levels import Authority, Hazard, Level, Stage

MEMBERS = [Member("longtan-upper", 3, NOW - 20 * MINUTE, 1), Member("plant", 0, NOW - 30 * MINUTE, silent=True),
           Member("group:rain net", 2, NOW - 10 * MINUTE, 2)]


def group_warning(*, technical: bool) -> HubWarning:
    kind = GroupKind.SILENCE if technical else GroupKind.CHAIN
    episode = Episode(
        "e1", "group:down the valley", f"group/{kind}", "down the valley", 3, 1, Stage.PREPARE, NOW - 20 * MINUTE,
        NOW - MINUTE, 2.0, 1.0, place="Stone Village", place_zh="石村", feature=str(kind), target=3.0,
        group=Gathered(kind, MEMBERS, "Water is on its way.", "洪水正在下泄。"),
    )  # fmt: skip
    return HubWarning(
        "w-group", AREA, Hazard.FLOOD, WarningState.OPEN, 3, 3, Stage.PREPARE, NOW - MINUTE, NOW - MINUTE,
        episodes={"group:down the valley/group/x": episode}, technical=technical,
    )  # fmt: skip


def decision(**more: object) -> Decision:
    one = Decision(
        NOW - MINUTE, "down the valley", GroupKind.CHAIN, Hazard.FLOOD, AREA, 3, 0, 1, "e1", NOW, Stage.PREPARE,
        Authority.CONFIRM, 2.0, 1.0, 3.0, MEMBERS,
    )  # fmt: skip
    return msgspec.structs.replace(one, **more)


async def page(view: PlainView, path: str) -> str:
    async with client_of(view) as client:
        answer = await client.get(path)
        assert answer.status_code == 200
        return " ".join(answer.text.split())


async def test_a_group_s_warning_shows_its_members_and_links_only_stations(view: PlainView) -> None:
    view.warnings = {"w-group": group_warning(technical=False)}
    for path in ("/?lang=en", "/warnings/w-group?lang=en"):
        text = await page(view, path)
        assert "Stone Village" in text
        assert "Water is on its way. Signs on their way here <b>2 of 3 signs</b>" in text
        assert '<a href="/stations/plant">' in text
        assert "rain net yellow since" in text
        assert '<b class="alarm">silent</b>' in text
        assert "(step 1)" in text
        assert 'href="/stations/"' not in text
        assert 'href="/stations/group' not in text
    assert "洪水正在下泄。正在向本地发展的征兆" in await page(view, "/?lang=zh")


async def test_a_technical_alarm_says_that_it_is_one(view: PlainView) -> None:
    view.warnings = {"w-group": group_warning(technical=True)}
    text = await page(view, "/warnings/w-group?lang=en")
    assert "technical alarm" in text
    assert "calls those on duty; the village is told nothing" in text
    assert "move" not in text.partition("</article>")[0].lower()
    assert "技术告警" in await page(view, "/?lang=zh")


async def test_the_console_lists_the_newest_decision_of_each_rule(view: PlainView) -> None:
    assert "Rules over several stations" not in await page(view, "/?lang=en")
    view.decided = [decision(level=Level.RED, shadow=True), decision(level=Level.BLUE), decision(rebuilt=True, level=2),
                    decision(group="who is silent", technical=True)]
    text = (await page(view, "/?lang=en")).partition('id="groups-h"')[2].partition("</section>")[0]
    assert text.count("<li>") == 3
    assert "shadow: calls nobody" in text
    assert "found afterwards from late history; nobody was called" in text
    assert "blue" not in text


async def test_a_shelved_level_is_shown_as_shelved(view: PlainView) -> None:
    warning = group_warning(technical=False)
    episode = msgspec.structs.replace(warning.episodes["group:down the valley/group/x"], shelved=True)
    view.warnings = {"w-group": msgspec.structs.replace(warning, historic=True, episodes={"x": episode})}
    for path in ("/?lang=en", "/warnings/w-group?lang=en"):
        text = await page(view, path)
        assert "shelved at the station; nobody is called" in text
        assert '<span class="tag">shelved at the station</span>' in text
        assert "learned of too late" not in text.partition('id="past-h"')[0]


async def test_programs_get_the_members_of_a_group_and_every_decision(view: PlainView) -> None:
    view.warnings = {"w-group": group_warning(technical=False)}
    view.decided = [decision(level=Level.RED, shadow=True), decision(), decision(group="who is silent", technical=True)]
    async with client_of(view) as client:
        (warning,) = (await client.get("/api/v1/warnings")).json()["warnings"]
        (episode,) = (await client.get("/api/v1/episodes")).json()["episodes"]
        newest = (await client.get("/api/v1/groups?limit=2")).json()
        oldest = (await client.get(f"/api/v1/groups?after={newest['next']}")).json()
    assert warning["stations"] == ["longtan-upper", "plant"]
    assert (episode["station"], len(episode["members"])) == ("group:down the valley", 3)
    assert episode["members"][1] == {
        "station": "plant", "level": 0, "since": NOW - 30 * MINUTE, "step": None, "silent": True}
    told = [*newest["decisions"], *oldest["decisions"]]
    assert [(one["group"], one["level"], one["shadow"], one["technical"]) for one in told] == [
        ("down the valley", 4, True, False), ("down the valley", 3, False, False), ("who is silent", 3, False, True)]
    assert (told[0]["members"], oldest["next"]) == (episode["members"], None)
