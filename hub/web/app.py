"""The hub's web side as one ASGI application."""

import logging
import re

from litestar import Litestar, Response, get
from litestar.exceptions import HTTPException, ValidationException
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from litestar.types import ExceptionHandlersMap

from hub.web import answering, api, api_page, feeds, held, operations, overview, pages
from hub.web.api_page import Rows, described
from hub.web.api_params import refusal_of
from hub.web.door import OPEN
from hub.web.live import changes, since_of
from hub.web.packing import packed
from hub.web.problems import Problem
from hub.web.render import STYLE, Asked, Site
from hub.web.view import View

LARGEST_BODY = 16 * 1024
YEAR_S = 365 * 86_400
FOR_PROGRAMS = re.compile(r"/(api|cap|static)/|/(healthz|readyz|metrics|events)$")
FAILED, FAILED_ZH = ("the hub could not do this; its log says why", 500), "处理失败，原因见中心日志"

log = logging.getLogger(__name__)


def app(view: View) -> Litestar:
    """Serve it with uvicorn; a short graceful time-out there ends the pages' open event streams."""
    site = Site(view)
    return Litestar(
        route_handlers=[handler for routes in ROUTES for handler in routes(site)],
        guards=[site.door.guard],
        before_request=site.note_changes,
        exception_handlers=_refusals(site),
        openapi_config=described(),
        plugins=[Rows()],
        middleware=[packed],
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )


def _own(site: Site) -> list[HTTPRouteHandler]:
    @get("/static/style.css", include_in_schema=False, opt=OPEN)
    async def style() -> Response[bytes]:
        headers = {"Cache-Control": f"public, max-age={YEAR_S}, immutable", "X-Content-Type-Options": "nosniff"}
        return Response(STYLE, media_type="text/css", headers=headers)

    @get("/events", include_in_schema=False)
    async def events(request: Asked) -> Stream:
        lines = changes(site.view, since_of(request.query_params.get("since", "-1")))
        return Stream(lines, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return [style, events]


ROUTES = (pages.routes, overview.routes, answering.routes, held.routes, api.routes, api_page.routes, feeds.routes,
          operations.routes, _own)


def _refusals(site: Site) -> ExceptionHandlersMap:
    """Every refusal in the form that the asker reads: a page, or JSON."""

    def refused(request: Asked, error: HTTPException) -> Response[object]:
        return _answer(site, request, _problem_of(request, error))

    def failed(request: Asked, error: Exception) -> Response[object]:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _answer(site, request, Problem(*FAILED, zh=FAILED_ZH))

    return {HTTPException: refused, 500: failed}


def _problem_of(request: Asked, error: HTTPException) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationException):
        return refusal_of(request, error)
    path, status = request.url.path[:80], error.status_code
    known = {
        404: (f'there is no page "{path}"; start at /', f"没有页面 “{path}”；请从 / 开始"),
        405: (f"{request.method} is not allowed for {path}", f"{path} 不允许 {request.method}"),
        413: (f"the form is longer than {LARGEST_BODY} bytes", f"表单超过 {LARGEST_BODY} 字节"),
    }
    english, chinese = known.get(status, (error.detail, error.detail))
    return Problem(english, status, zh=chinese, headers=error.headers)


def _answer(site: Site, request: Asked, problem: Problem) -> Response[object]:
    if FOR_PROGRAMS.match(request.url.path):
        return Response(
            problem.told, status_code=problem.status_code, media_type="application/json", headers=problem.headers)
    return site.problem_page(request, problem)  # type: ignore[return-value]
