"""The page on what intake holds back: unknown stations, copied cards, what was refused and why, the disk."""

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from hub.held import known_reason
from hub.web.patterns import in_chinese
from hub.web.render import Asked, Site
from hub.web.words import Words
from hub.web.words_held import REFUSAL_ZH, REFUSED


def routes(site: Site) -> list[HTTPRouteHandler]:
    @get("/held", include_in_schema=False)
    async def held(request: Asked) -> Response[str]:
        say = site.words(request)
        context = {"held": await site.view.held(), "reason_of": lambda word: reason_of(word, say),
                   "detail_of": lambda detail: say.both(detail, in_chinese(detail, REFUSED))}
        return await site.page(request, "held.html", context)

    return [held]


def reason_of(word: str, say: Words) -> str:
    """The hub's own word where this side knows no better."""
    reason = known_reason(word)
    return say.both(word, REFUSAL_ZH[reason]) if reason else word
