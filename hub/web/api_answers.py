"""The answers of /api/v1 about stations, measurements and the hub, from its own words."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from hub.callout import covers
from hub.errors import TransientError
from hub.stations import StationView, in_turns
from hub.store import LATEST_MS, Point, Store
from hub.web.api_params import bad_cursor, number_of
from hub.web.api_shapes import (
    HealthNow,
    LatestOut,
    LatestPoint,
    PointsOut,
    QuantitiesOut,
    QuantityOut,
    ReadingsOut,
    SeriesOut,
    StationOut,
    StationsOut,
)
from hub.web.freshness import StationState, of_station
from hub.web.pages import find_station
from hub.web.problems import Problem
from hub.web.view import View
from hub.web.words import unit_of
from tocsin import __version__
from tocsin.quantities import QUANTITIES

T = TypeVar("T")
RETRY_S = 5
HEALTH_S = 5.0
AT_ONCE = 1_000  # stations that are looked at together once a page's length of them has not filled the page
SeriesName = tuple[str, str, str]  # station, device, quantity


@dataclass(frozen=True, slots=True)
class Sought:
    """Of which stations and series; "" asks for nothing."""

    station: str = ""
    area: str = ""
    quantity: str = ""


def store_away(err: TransientError) -> Problem:
    return Problem(
        f"the store cannot be reached now; ask again later: {err}", 503,
        zh=f"数据库暂时无法访问，请稍后再试：{err}", headers={"Retry-After": str(RETRY_S)},
    )


async def stations(view: View, area: str, freshness: str, after: str, limit: int) -> StationsOut:
    found: list[StationOut] = []
    async for one in _views(view, Sought(area=area), after, limit + 1):
        state = of_station(one, view.clock.now_ms())
        if freshness in {"", state.freshness.word}:
            found.append(station(state))
            if len(found) > limit:
                break
    return StationsOut(found[:limit], found[limit - 1].id if len(found) > limit else None)


def station(state: StationState) -> StationOut:
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
        heard_at=view.heard_at or None,
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
                t=one.point.t_ms if one.point else None,
                value=one.point.value if one.point else None,
                quality=one.point.quality if one.point else None,
            )
            for one in state.series
        ],
        card=card,
    )


async def latest(view: View, sought: Sought, after: str, limit: int) -> LatestOut:
    """Raises Problem."""
    if sought.station:
        await find_station(view, sought.station)
    behind = _series_of(after) if after else ("", "", "")
    found: list[LatestPoint] = []
    # the last page may have ended inside a station
    async for one in _views(view, sought, behind[0], limit + 1, again=True):
        if one.latest is None:
            raise store_away(TransientError("no answer"))
        found += [
            LatestPoint(one.id, point.device, point.quantity, unit_of(point.quantity), point.t_ms, point.value,
                        point.quality)
            for point in sorted(one.latest, key=_name_of)
            if _name_of(point) > behind and sought.quantity in {"", point.quantity}
        ]
        if len(found) > limit:
            break
    last = found[limit - 1] if len(found) > limit else None
    return LatestOut(found[:limit], f"{last.station}/{last.device}/{last.quantity}" if last else None)


def quantities() -> QuantitiesOut:
    return QuantitiesOut([
        QuantityOut(one.name, one.unit, one.en, one.zh, one.hazard, one.plausible, one.increments or None)
        for one in QUANTITIES.values()
    ])


async def known_series(view: View, station_id: str, device: str, quantity: str) -> None:
    """Whether the station says that it has this series, or once had it. Raises Problem that lists what there is."""
    found = await find_station(view, station_id)
    said = [series.key for series in found.card.series] if found.card else []
    kept = [f"{point.device}/{point.quantity}" for point in found.latest or ()]
    names = [key.rpartition("/")[::2] for key in dict.fromkeys([*said, *kept])]
    if (device, quantity) in names:
        return
    if found.latest is None:
        raise store_away(TransientError("no answer"))
    devices = ", ".join(dict.fromkeys(name for name, _ in names))
    if device not in {name for name, _ in names}:
        raise Problem.of_value("device", device, devices or "none: the station has not reported yet", 404,
                               zh=devices or "无：该站尚未上报")
    raise Problem.of_value("quantity", quantity, ", ".join(name for owner, name in names if owner == device), 404)


async def series(store: Store, name: SeriesName, span: tuple[int, int], most: int) -> PointsOut:
    """Raises Problem."""
    try:
        points = await store.series(*name, *span, most)
        rows = await store.readings(Point(*name, 0, 0.0, 0), *span, len(points) + 1)
    except TransientError as err:
        raise store_away(err) from err
    whole = [(t, value) for t, value, _ in rows]
    return PointsOut(*name, unit_of(name[2]), *span, thinned=whole != points, points=points)


async def readings(store: Store, name: SeriesName, span: tuple[int, int], after: str, limit: int) -> ReadingsOut:
    """Times are unique in a series, so the last one seen is the cursor. Raises Problem."""
    start = max(span[0], number_of(after) + 1) if after else span[0]
    try:
        rows = await store.readings(Point(*name, 0, 0.0, 0), min(start, LATEST_MS), span[1], limit + 1)
    except TransientError as err:
        raise store_away(err) from err
    following = str(rows[limit - 1][0]) if len(rows) > limit else None
    return ReadingsOut(*name, unit_of(name[2]), *span, list(rows[:limit]), following)


async def health(view: View) -> HealthNow:
    """Whatever hangs, within HEALTH_S."""
    stations, well = view.station_ids(), view.health()
    store, waiting, warnings = await asyncio.gather(
        _soon(view.store.latest(next(iter(stations), ""))), _soon(view.behind()), _soon(view.open_warnings()))
    return HealthNow(
        status="not ready" if not well.ready else "ok" if store is not None else "store away",
        hub=view.config.hub.name,
        version=__version__,
        now=view.clock.now_ms(),
        ready=well.ready,
        reasons=well.reasons,
        troubles=well.troubles,
        store=store is not None,
        waiting=waiting,
        stations=len(stations),
        open_warnings=None if warnings is None else len(warnings),
        counts=view.counts(),
    )


async def _soon(asked: Coroutine[Any, Any, T]) -> T | None:
    """None where there is no answer."""
    try:
        return await asyncio.wait_for(asked, HEALTH_S)
    except (TransientError, TimeoutError, sqlite3.Error):
        return None


async def _views(
    view: View, sought: Sought, after: str, first: int, *, again: bool = False
) -> AsyncIterator[StationView]:
    """The stations behind `after` by id, with `again` that one too; `first` of them at first, as a page rarely needs
    all."""
    ids: Iterable[str] = (name for name in sorted(view.station_ids()) if name > after or (again and name == after))
    asked = [name for name in ids if sought.station in {"", name}]
    for begin, end in pairwise([0, *range(first, len(asked), AT_ONCE), len(asked)]):
        async for one in in_turns(await view.stations(asked[begin:end])):
            if not sought.area or (one.card is not None and covers(sought.area, one.card.area)):
                yield one


def _series_of(after: str) -> SeriesName:
    name, _, series_key = after.partition("/")
    device, _, quantity = series_key.rpartition("/")
    if not (name and device and quantity):
        raise bad_cursor(after)
    return name, device, quantity


def _name_of(point: Point) -> SeriesName:
    return point.station, point.device, point.quantity
