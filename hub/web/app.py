"""The hub's web side as one ASGI application."""

import logging
import re

from litestar import Litestar, Response, get
from litestar.config.compression import CompressionConfig
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.response import Stream
from litestar.types import ExceptionHandlersMap

from hub.web import answering, api, feeds, held, pages
from hub.web.live import changes, since_of
from hub.web.problems import Problem
from hub.web.render import STYLE, Asked, Site
from hub.web.view import View
from tocsin import __version__

LARGEST_BODY = 16 * 1024
YEAR_S = 365 * 86_400
FOR_PROGRAMS = re.compile(r"/(api|cap|schema|static)/|/(healthz|events)$")

log = logging.getLogger(__name__)


def app(view: View) -> Litestar:
    """Serve it with uvicorn; a short graceful time-out there ends the pages' open event streams."""
    site = Site(view)
    return Litestar(
        route_handlers=[handler for routes in ROUTES for handler in routes(site)],
        exception_handlers=_refusals(site),
        # plain JSON alone: the usual documentation pages load scripts from elsewhere
        openapi_config=OpenAPIConfig(
            title="tocsin hub", version=__version__, path="/schema", render_plugins=[JsonRenderPlugin()]
        ),
        compression_config=CompressionConfig(backend="gzip", exclude="^/events"),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )


def _own(site: Site) -> list[HTTPRouteHandler]:
    @get("/static/style.css", include_in_schema=False)
    async def style() -> Response[bytes]:
        headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(STYLE, media_type="text/css", headers=headers)

    @get("/events", include_in_schema=False)
    async def events(request: Asked) -> Stream:
        lines = changes(site.view, since_of(request.query_params.get("since", "-1")))
        return Stream(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return [style, events]


ROUTES = (pages.routes, answering.routes, api.routes, feeds.routes, held.routes, _own)


def _refusals(site: Site) -> ExceptionHandlersMap:
    """Every refusal in the form that the asker reads: a page, or JSON."""

    def refused(request: Asked, error: HTTPException) -> Response[object]:
        return _answer(site, request, error.status_code, _sentence(request, error))

    def failed(request: Asked, error: Exception) -> Response[object]:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(site, request, 500, "the hub could not do this; its log says why")

    return {HTTPException: refused, 500: failed}


def _sentence(request: Asked, error: HTTPException) -> str:
    if isinstance(error, Problem):
        return error.sentence
    path = request.url.path[:80]
    known = {
        404: f'there is no page "{path}"; start at /',
        405: f"{request.method} is not allowed for {path}",
        413: f"the form is longer than {LARGEST_BODY} bytes",
    }
    return known.get(error.status_code, error.detail)


def _answer(site: Site, request: Asked, status: int, sentence: str) -> Response[object]:
    if FOR_PROGRAMS.match(request.url.path):
        return Response({"error": sentence}, status_code=status, media_type="application/json")
    return site.plain_page(request, "problem.html", {"code": status, "sentence": sentence}, status)  # type: ignore[return-value]
