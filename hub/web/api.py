"""The hub's data for programs, as JSON: /api/v1, described at /api/v1/openapi.json. docs/api.md explains it."""

from typing import Any

import msgspec
from litestar import Router, get
from litestar.datastructures import ResponseHeader
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec

from hub.web import api_answers as answers
from hub.web import api_params as params
from hub.web import api_shapes as shapes
from hub.web import api_warnings as told
from hub.web.api_access import ROOT, Answer, guard_of
from hub.web.api_words import both
from hub.web.door import OPEN
from hub.web.freshness import of_station
from hub.web.pages import find_station, find_warning
from hub.web.problems import ErrorOut
from hub.web.render import Site
from hub.web.view import View
from tocsin.times import iso

_ERRORS = {
    400: "a parameter is not allowed",
    401: "a token is needed, or an officer's name and password",
    403: "this hub answers its own machine alone",
    404: "there is no such thing",
    429: "too many log in at once",
    503: "the store cannot be reached now; ask again after Retry-After seconds",
}
_RESPONSES = {code: ResponseSpec(ErrorOut, description=why, generate_examples=False) for code, why in _ERRORS.items()}
_SLOW = [ResponseHeader(name="Cache-Control", value="private, max-age=3600")]


class HealthOut(msgspec.Struct, frozen=True):
    """`status` is "ok" whenever the hub answers at all; `counts` since its start."""

    status: str
    now: str
    counts: dict[str, int]


def _asked(path: str, english: str, chinese: str, **more: Any) -> get:
    return get(path, summary=both(english, chinese), responses=_RESPONSES, **more)


def routes(site: Site) -> list[HTTPRouteHandler | Router]:
    view = site.view

    @get("/healthz", include_in_schema=False, opt=OPEN)
    async def healthz() -> HealthOut:
        return HealthOut("ok", iso(view.clock.now_ms()), view.counts())

    tokens = view.config.api.tokens
    router = Router(
        ROOT,
        route_handlers=[*_stations(view), *_measurements(view), *_warnings(view), *_hub(view)],
        guards=[guard_of(tokens, site.door)],
        opt=OPEN,  # its own guard decides
        before_request=params.refuse_unknown,
        response_class=Answer,
        security=_security(bool(tokens), site.door.locked),
    )
    return [healthz, router]


def _security(tokens: bool, officers: bool) -> list[dict[str, list[str]]] | None:
    return [{name: []} for name, there in (("token", tokens), ("officer", officers)) if there] or None


def _stations(view: View) -> list[HTTPRouteHandler]:
    @_asked("/stations", "The stations, with state, newest values and card", "监测站：状态、最新数值、说明")
    async def stations(
        area: params.Area = None,
        freshness: params.FreshnessWord = None,
        after: params.After = None,
        limit: params.Limit = params.PAGE,
    ) -> shapes.StationsOut:
        return await answers.stations(view, area or "", freshness or "", after or "", limit)

    @_asked("/stations/{station:str}", "One station, with its heartbeat", "单个监测站及其心跳")
    async def station(station: params.StationParam) -> shapes.StationWhole:
        found = await find_station(view, station)
        beat = msgspec.structs.replace(found.heartbeat, mark="") if found.heartbeat else None
        return shapes.StationWhole(answers.station(of_station(found, view.clock.now_ms())), beat)

    @_asked("/latest", "The newest reading of every series", "各测项的最新读数")
    async def latest(
        station: params.OneStation = None,
        area: params.Area = None,
        quantity: params.OneQuantity = None,
        after: params.After = None,
        limit: params.Rows = params.ROWS,
    ) -> shapes.LatestOut:
        return await answers.latest(view, answers.Sought(station or "", area or "", quantity or ""), after or "", limit)

    return [stations, station, latest]


def _measurements(view: View) -> list[HTTPRouteHandler]:
    @_asked("/quantities", "What is measured", "测项的名称和单位", response_headers=_SLOW)
    async def quantities() -> shapes.QuantitiesOut:
        return answers.quantities()

    @_asked("/series", "The curve of one series, thinned out with its peaks", "测项过程线，抽稀后保留峰值")
    async def series(
        station: params.StationParam,
        device: params.Device,
        quantity: params.Quantity,
        start: params.Time = None,
        end: params.Time = None,
        most: params.Most = params.POINTS,
    ) -> shapes.PointsOut:
        span = params.span_of(start, end, view.clock.now_ms())
        await answers.known_series(view, station, device, quantity)
        return await answers.series(view.store, (station, device, quantity), span, most)

    @_asked("/readings", "Every reading of one series, as it came", "单个测项的全部原始读数")
    async def readings(
        station: params.StationParam,
        device: params.Device,
        quantity: params.Quantity,
        start: params.Time = None,
        end: params.Time = None,
        after: params.After = None,
        limit: params.Rows = params.ROWS,
    ) -> shapes.ReadingsOut:
        span = params.span_of(start, end, view.clock.now_ms(), params.LONGEST_READINGS_MS)
        await answers.known_series(view, station, device, quantity)
        return await answers.readings(view.store, (station, device, quantity), span, after or "", limit)

    return [quantities, series, readings]


def _warnings(view: View) -> list[HTTPRouteHandler]:
    @_asked("/warnings", "The warnings of all years", "历年预警")
    async def warnings(
        status: params.Status = None,
        station: params.OneStation = None,
        area: params.Area = None,
        hazard: params.HazardParam = None,
        level: params.LevelParam = None,
        start: params.Time = None,
        end: params.Time = None,
        after: params.After = None,
        limit: params.Limit = params.PAGE,
    ) -> shapes.WarningsOut:
        wanted = told.wanted(status, station, area, hazard, level, start, end)
        return await told.warnings(view.archive, wanted, after or "", limit)

    @_asked("/warnings/{warning:str}", "One warning, its decisions and bulletins", "单个预警及其决策与发布")
    async def warning(warning: params.OneWarning) -> shapes.WarningWhole:
        return await told.warning(view, await find_warning(view, warning))

    @_asked("/episodes", "What rules found at stations, of all years", "历年各站规则触发过程")
    async def episodes(
        status: params.Status = None,
        station: params.OneStation = None,
        area: params.Area = None,
        hazard: params.HazardParam = None,
        level: params.LevelParam = None,
        warning: params.OfWarning = None,
        start: params.Time = None,
        end: params.Time = None,
        after: params.After = None,
        limit: params.Limit = params.PAGE,
    ) -> shapes.EpisodesOut:
        wanted = told.wanted(status, station, area, hazard, level, start, end, warning or "")
        return await told.episodes(view.archive, wanted, after or "", limit)

    @_asked("/groups", "What rules over several stations decided, shadow rules too", "组合规则的历次决策（含试运行）")
    async def groups(after: params.After = None, limit: params.Limit = params.PAGE) -> shapes.GroupsOut:
        return await told.groups(view.archive, after or "", limit)

    return [warnings, warning, episodes, groups]


def _hub(view: View) -> list[HTTPRouteHandler]:
    @_asked("/health", "How the hub is", "中心运行状况")
    async def health() -> shapes.HealthNow:
        return await answers.health(view)

    return [health]
