"""The same facts for programs, as JSON; described at /schema/openapi.json."""

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import Parameter

from hub.errors import TransientError
from hub.model import Warning as HubWarning
from hub.web.freshness import StationState, of_station
from hub.web.pages import find_station
from hub.web.problems import Problem
from hub.web.render import Site
from hub.web.view import StationView, View
from hub.web.words import unit_of
from tocsin.faults import OpenFault
from tocsin.messages import DeviceHealth, StationCard
from tocsin.times import iso, ms_of

DAY_MS = 86_400_000
LONGEST_MS = 400 * DAY_MS
MOST_POINTS = 5_000
MOST_WARNINGS = 200
Text = Annotated[str | None, Parameter(required=False)]


class SeriesOut(msgspec.Struct, frozen=True):
    """One series and its newest value; null where there is none. `t` is UTC."""

    device: str
    quantity: str
    unit: str
    period_s: float
    freshness: str
    t: str | None = None
    value: float | None = None
    quality: int | None = None


class StationOut(msgspec.Struct, frozen=True):
    """One station. `heard_at` is UTC, null before its first word. `faults` are of its devices, `ills` of itself.

    `card` is what the station said of itself when it started, with its series and rules; null before that. A list of
    these is what `tocsin dashboards --stations` takes.
    """

    id: str
    name: str
    name_zh: str
    area: str
    latitude: float | None
    longitude: float | None
    freshness: str
    offline: bool
    heard_at: str | None
    faults: list[DeviceHealth]
    ills: list[OpenFault]
    power: str
    series: list[SeriesOut]
    card: StationCard | None


class WarningsOut(msgspec.Struct, frozen=True):
    """Open warnings, and closed ones newest first. Times are ms UTC, 0 is never."""

    open: list[HubWarning]
    recent: list[HubWarning]


class PointsOut(msgspec.Struct, frozen=True):
    """`points` are [ms UTC, value in `unit`]; of many, the extremes of equal stretches of time."""

    station: str
    device: str
    quantity: str
    unit: str
    start: str
    end: str
    points: list[tuple[int, float]]


class HealthOut(msgspec.Struct, frozen=True):
    """`status` is "ok" whenever the hub answers at all; `counts` since its start."""

    status: str
    now: str
    counts: dict[str, int]


def routes(site: Site) -> list[HTTPRouteHandler]:
    view = site.view

    @get("/healthz")
    async def healthz() -> HealthOut:
        return HealthOut("ok", iso(view.clock.now_ms()), view.counts())

    @get("/api/stations")
    async def stations() -> list[StationOut]:
        now = view.clock.now_ms()
        return [_station(of_station(station, now)) for station in await view.stations()]

    @get("/api/warnings")
    async def warnings(limit: Text = None) -> WarningsOut:
        most = _whole("limit", limit, 20, MOST_WARNINGS)
        return WarningsOut(await view.open_warnings(), await view.recent_warnings(most))

    @get("/api/series")
    async def series(
        station: Text = None,
        device: Text = None,
        quantity: Text = None,
        start: Text = None,
        end: Text = None,
        most: Text = None,
    ) -> PointsOut:
        found = await find_station(view, _given("station", station, "a station's id"))
        device, quantity = _known(found, _given("device", device, "a device of the station"), quantity)
        span = _span(start, end, view.clock.now_ms())
        return await _points(view, found.id, device, quantity, span, _whole("most", most, 1_000, MOST_POINTS, least=2))

    return [healthz, stations, warnings, series]


async def _points(
    view: View, station: str, device: str, quantity: str, span: tuple[int, int], most: int
) -> PointsOut:
    try:
        points = await view.store.series(station, device, quantity, *span, most)
    except TransientError as err:
        raise Problem(f"the store cannot be reached now; ask again later: {err}", 503) from err
    return PointsOut(station, device, quantity, unit_of(quantity), iso(span[0]), iso(span[1]), points)


def _station(state: StationState) -> StationOut:
    view, card = state.view, state.view.card
    return StationOut(
        id=view.id,
        name=card.name if card else "",
        name_zh=card.name_zh if card else "",
        area=card.area if card else "",
        latitude=card.latitude if card else None,
        longitude=card.longitude if card else None,
        freshness=state.freshness.word,
        offline=state.offline,
        heard_at=iso(view.heard_at) if view.heard_at else None,
        faults=state.faults,
        ills=state.ills,
        power=view.heartbeat.power if view.heartbeat else "",
        series=[
            SeriesOut(
                device=one.device,
                quantity=one.quantity,
                unit=unit_of(one.quantity),
                period_s=one.series.period_s,
                freshness=one.freshness.word,
                t=iso(one.point.t_ms) if one.point else None,
                value=one.point.value if one.point else None,
                quality=one.point.quality if one.point else None,
            )
            for one in state.series
        ],
        card=card,
    )


def _given(name: str, value: str | None, allowed: str) -> str:
    if not value:
        raise Problem.missing(name, allowed)
    return value


def _whole(name: str, word: str | None, default: int, most: int, least: int = 1) -> int:
    if word is None:
        return default
    number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else None
    if number is None or not least <= number <= most:
        raise Problem.of_value(name, word, f"a whole number from {least} to {most}")
    return number


def _known(station: StationView, device: str, quantity: str | None) -> tuple[str, str]:
    """Raises Problem that lists what the station has."""
    keys = [series.key for series in station.card.series] if station.card else []
    known = [tuple(key.rpartition("/")[::2]) for key in keys]
    devices = list(dict.fromkeys(device for device, _ in known))
    if device not in devices:
        raise Problem.of_value("device", device, ", ".join(devices) or "none: the station has not reported yet", 404)
    quantities = [name for owner, name in known if owner == device]
    quantity = _given("quantity", quantity, f"one of {', '.join(quantities)}")
    if quantity not in quantities:
        raise Problem.of_value("quantity", quantity, ", ".join(quantities), 404)
    return device, quantity


def _span(start: str | None, end: str | None, now_ms: int) -> tuple[int, int]:
    """The last 24 h where nothing is said. Raises Problem."""
    end_ms = _moment("end", end) if end else now_ms
    start_ms = _moment("start", start) if start else end_ms - DAY_MS
    if not 0 < end_ms - start_ms <= LONGEST_MS:
        raise Problem(
            f'start "{iso(start_ms)}" and end "{iso(end_ms)}" are not allowed; start lies before end, '
            f"by at most {LONGEST_MS // DAY_MS} days"
        )
    return start_ms, end_ms


def _moment(name: str, word: str) -> int:
    allowed = "a time like 2024-08-08T07:20:00Z, from year 2000 to 2099"
    try:
        ms = ms_of(word.replace(" ", "+"))  # an unescaped + of a zone arrives as a blank
    except (ValueError, OverflowError):
        raise Problem.of_value(name, word, allowed) from None
    if not ms_of("2000-01-01T00:00:00Z") <= ms < ms_of("2100-01-01T00:00:00Z"):
        raise Problem.of_value(name, word, allowed)
    return ms
