"""For who keeps the hub running: is it ready, and what does it count."""

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from hub.metrics import CONTENT_TYPE
from hub.web.door import OPEN
from hub.web.render import Site

_FRESH = {"Cache-Control": "no-store"}


class ReadyOut(msgspec.Struct, frozen=True):
    """`reasons`: why the hub cannot do its work; `troubles`: it can, but somebody should look. Sentences."""

    ready: bool
    reasons: list[str]
    troubles: list[str]


def routes(site: Site) -> list[HTTPRouteHandler]:
    view = site.view

    @get("/readyz", include_in_schema=False, opt=OPEN)
    async def readyz() -> Response[ReadyOut]:
        health = view.health()
        body = ReadyOut(health.ready, health.reasons, health.troubles)
        return Response(body, status_code=200 if health.ready else 503, headers=_FRESH)

    @get("/metrics", include_in_schema=False, opt=OPEN)
    async def metrics() -> Response[bytes]:
        return Response(await view.metrics(), media_type=CONTENT_TYPE, headers=_FRESH)

    return [readyz, metrics]
