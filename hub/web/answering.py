"""The page behind an answer link: one warning, one person, one button."""

from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from hub.answers import person_of
from hub.model import Call, Tier, WarningState
from hub.model import Warning as HubWarning
from hub.web.cards import warning_card
from hub.web.door import OPEN
from hub.web.pages import answer_or_refuse
from hub.web.problems import Problem
from hub.web.render import Asked, Site
from hub.web.view import HOW_PAGE
from hub.web.words import Words

PAST = 50  # closed warnings whose links still open a page


def routes(site: Site) -> list[HTTPRouteHandler]:
    @get("/answer/{token:str}", include_in_schema=False, opt=OPEN)
    async def show(request: Asked) -> Response[str]:
        return await _show(site, request, request.path_params["token"])

    @post("/answer/{token:str}", include_in_schema=False, opt=OPEN)
    async def press(request: Asked) -> Response[Any]:
        return await _press(site, request, request.path_params["token"])

    return [show, press]


async def _find(site: Site, token: str, say: Words) -> tuple[HubWarning, Call]:
    """Raises Problem."""
    view = site.view
    for warnings in (await view.open_warnings(), await view.recent_warnings(PAST)):
        found = person_of(view.config, token, warnings)
        if found:
            warning, person = found
            return warning, warning.calls.get(person) or _uncalled(site, warning, person)
    raise Problem(say("unknown_link"), 404)


def _uncalled(site: Site, warning: HubWarning, person: str) -> Call:
    """Someone who has the link though it was not their turn yet."""
    known = next((known for known in site.view.config.person if known.name == person), None)
    role, tier = (known.role, known.tier) if known else ("", Tier.HOUSEHOLD)
    return Call(person, role, tier, warning.level, first_at=0, last_at=0, times=0)


async def _show(site: Site, request: Asked, token: str) -> Response[str]:
    say = site.words(request)
    warning, call = await _find(site, token, say)
    bulletins = await site.view.bulletins(warning.id)
    texts = [("zh-CN", bulletins[-1].text_zh), ("en", bulletins[-1].text_en)] if bulletins else []
    context = {
        "card": warning_card(warning, await site.view.cards(), say),
        "call": call,
        "texts": texts if say.lang == "zh" else texts[::-1],
    }
    return await site.page(request, "answer.html", context)


async def _press(site: Site, request: Asked, token: str) -> Response[Any]:
    """Pressing twice is harmless: the first answer stands."""
    warning, call = await _find(site, token, site.words(request))
    if warning.state == WarningState.OPEN and not call.answered_at:
        await answer_or_refuse(site.view, call.person, warning.id, HOW_PAGE, "")
    # a token that was found holds only letters, digits, - and _
    return Redirect(f"/answer/{token}", status_code=303)
