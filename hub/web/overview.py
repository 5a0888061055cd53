"""Stations as cards: those that need a look first on the console, all of them page by page.

A county's thousands do not go onto one page: making it would hold up the hub, and no phone would load it.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from hub.model import Warning as HubWarning
from hub.web.cards import name_of
from hub.web.freshness import StationState, of_station
from hub.web.rain import Rainfall
from hub.web.render import Asked, Site
from tocsin.levels import Level

SHOWN = 60

Levels = Mapping[str, Level]


def routes(site: Site) -> list[HTTPRouteHandler]:
    rainfall = Rainfall(site.view)

    @get("/stations", include_in_schema=False)
    async def stations(request: Asked) -> Response[str]:
        say, view = site.words(request), site.view
        after, ids = request.query_params.get("after", ""), view.station_ids()
        behind = [name for name in ids if name > after]
        found = await view.stations(behind[:SHOWN])
        cards = {station.id: station.card for station in found if station.card}
        shown = [of_station(station, view.clock.now_ms()) for station in found]
        context = {
            "count": len(ids),
            "after": after,
            "next": urlencode({"after": behind[SHOWN - 1]}) if len(behind) > SHOWN else "",
            "shown": shown,
            "gauges": await rainfall.of(shown),
            "names": {station.id: name_of(station.id, cards, say) for station in found},
            "levels": levels_of(await view.open_warnings(), behind[:SHOWN]),
        }
        return await site.page(request, "stations.html", context)

    return [stations]


def first_to_see(states: Sequence[StationState], levels: Levels) -> Sequence[StationState]:
    """All in their order where they fit; else in warning before the rest, then silent, late, with faults."""
    if len(states) <= SHOWN:
        return states
    return sorted(states, key=lambda one: (
        -levels[one.view.id], -one.freshness, not (one.faults or one.ills), one.view.id))[:SHOWN]


def levels_of(warnings: Sequence[HubWarning], names: Sequence[str]) -> Levels:
    """Each station's highest open level; CLEAR where there is none."""
    levels = dict.fromkeys(names, Level.CLEAR)
    for warning in warnings:
        for episode in warning.episodes.values():
            levels[episode.station] = max(levels.get(episode.station, Level.CLEAR), Level(episode.level))
    return levels
