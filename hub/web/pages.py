"""The duty desk's pages: the console, a station, a warning and its answers."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.response import Redirect

from hub.answers import link
from hub.authority import holdable, moves_at, uncalled, waits_for_person
from hub.model import Warning as HubWarning
from hub.model import WarningState
from hub.orders import problems_of
from hub.stations import StationView, in_turns
from hub.web.cards import by_urgency, name_of, warning_card
from hub.web.door import officer_of
from hub.web.freshness import of_station
from hub.web.groups import group_lines
from hub.web.orders import state_of, words_of
from hub.web.overview import first_to_see, levels_of
from hub.web.panels import RANGES, Frame, panels
from hub.web.patterns import compiled, in_chinese
from hub.web.problems import Problem
from hub.web.rain import Rainfall
from hub.web.render import Asked, Site
from hub.web.requests import fields_of, refuse_foreign
from hub.web.told import detail_of
from hub.web.view import HOW_OFFICER, View
from hub.web.words import Words
from tocsin.messages import Heartbeat

RECENT = 20
RANGE = "6h"
LONGEST_NOTE = 200
LISTED = 20  # station ids in one sentence
LONGEST_NAME = 80
_DESK_ZH = compiled((  # of hub.desk
    (r'"(.*)" is not called in this warning; use nobody yet', "本次预警没有呼叫“{}”；尚未呼叫任何人"),
    (r'"(.*)" is not called in this warning; use (.*)', "本次预警没有呼叫“{}”；可用：{}"),
    (r"warning (.*) is closed", "预警 {} 已解除"),
    (r"nothing in warning (.*) can be held now", "预警 {} 现在没有可叫停的内容"),
    (r'"(.*)" is not a warning of this hub', "“{}”不是本中心的预警"),
))


def routes(site: Site) -> list[HTTPRouteHandler]:
    rainfall = Rainfall(site.view)

    @get("/", include_in_schema=False)
    async def console(request: Asked) -> Response[str]:
        return await _console(site, rainfall, request)

    @get("/stations/{station_id:str}", include_in_schema=False)
    async def station(request: Asked) -> Response[str]:
        return await _station(site, request, request.path_params["station_id"])

    @get("/warnings/{warning_id:str}", include_in_schema=False)
    async def warning(request: Asked) -> Response[str]:
        return await _warning(site, request, request.path_params["warning_id"])

    @post("/warnings/{warning_id:str}/answer", include_in_schema=False)
    async def answer(request: Asked) -> Response[Any]:
        return await _answer(site, request, request.path_params["warning_id"])

    @post("/warnings/{warning_id:str}/confirm", include_in_schema=False)
    async def confirm(request: Asked) -> Response[Any]:
        return await _confirm(site, request, request.path_params["warning_id"])

    @post("/warnings/{warning_id:str}/hold", include_in_schema=False)
    async def hold(request: Asked) -> Response[Any]:
        return await _hold(site, request, request.path_params["warning_id"])

    return [console, station, warning, answer, confirm, hold]


async def find_warning(view: View, warning_id: str) -> HubWarning:
    """Raises Problem."""
    warning = await view.warning(warning_id)
    if warning is None:
        raise Problem.of_value("warning", warning_id, "one that the duty desk lists", 404, zh="值班台列出的预警")
    return warning


async def find_station(view: View, station_id: str) -> StationView:
    """Raises Problem that lists the stations."""
    found = await view.stations([station_id])
    if not found:
        names = view.station_ids()
        more = f", and {len(names) - LISTED} more" if len(names) > LISTED else ""
        more_zh = f" 等 {len(names)} 个" if more else ""
        known = ", ".join(names[:LISTED])
        raise Problem.of_value("station", station_id, known + more or "none: no station is enrolled", 404,
                               zh=known + more_zh or "无：尚未登记监测站")
    return found[0]


async def _console(site: Site, rainfall: Rainfall, request: Asked) -> Response[str]:
    say, view, now = site.words(request), site.view, site.view.clock.now_ms()
    stations = await view.stations()
    cards = {station.id: station.card for station in stations if station.card}
    open_warnings = by_urgency(await view.open_warnings())
    states = [of_station(station, now) async for station in in_turns(stations)]
    tally = Counter(state.freshness for state in states)
    levels = levels_of(open_warnings, [station.id for station in stations])
    shown, held = first_to_see(states, levels), await view.held()
    context = {
        "open": [warning_card(warning, cards, say) for warning in open_warnings],
        "recent": [warning_card(warning, cards, say) for warning in await view.recent_warnings(RECENT)],
        "count": len(states),
        "store_down": any(station.latest is None for station in stations),
        "groups": group_lines(await view.group_decisions(RECENT), cards, say),
        "shown": shown,
        "gauges": await rainfall.of(shown),
        "names": {name: name_of(name, cards, say) for name in (*(one.view.id for one in shown), *dict(held.clones))},
        "levels": levels,
        "counts": view.counts(),
        "health": view.health(),
        "held": held,
        "tally": [(freshness.word, tally[freshness]) for freshness in sorted(tally)],
    }
    return await site.page(request, "console.html", context)


async def _station(site: Site, request: Asked, station_id: str) -> Response[str]:
    say, view, now = site.words(request), site.view, site.view.clock.now_ms()
    name = request.query_params.get("range", RANGE)
    if name not in RANGES:
        raise Problem.of_value("range", name, ", ".join(RANGES))
    found = await find_station(view, station_id)
    cards = await view.cards()
    beat = found.heartbeat
    frame = Frame(found.id, now - RANGES[name].span_ms, now, RANGES[name].bar_ms, site.zone, say,
                  beat.summary_s if beat else 0.0, found.latest or ())
    here = [w for w in await view.open_warnings() if any(e.station == found.id for e in w.episodes.values())]
    context = {
        "state": of_station(found, now),
        "name": name_of(found.id, cards, say),
        "traffic": traffic_of(beat, say) if beat else "",
        "ranges": RANGES,
        "chosen": name,
        "panels": await panels(view.store, found.card, frame) if found.card else [],
        "open": [warning_card(warning, cards, say) for warning in by_urgency(here)],
        "orders": await view.orders(found.id),
        "words_of": words_of,
        "state_of": state_of,
        "problems_of": problems_of,
    }
    return await site.page(request, "station.html", context)


def traffic_of(beat: Heartbeat, say: Words) -> str:
    """What the link took, and what the budget makes of it; "" where the station does not say."""
    if not beat.month_bytes:
        return ""
    today, month, budget = (f"{count / 1e6:.1f}" for count in (beat.today_bytes, beat.month_bytes, beat.budget_bytes))
    if not beat.budget_bytes:
        return say("traffic", today=today, month=month)
    over = say("thinned", minutes=f"{beat.summary_s / 60:g}") if beat.thinning else ""
    return say("traffic_of", today=today, month=month, budget=budget) + over


async def _warning(site: Site, request: Asked, warning_id: str) -> Response[str]:
    say, view = site.words(request), site.view
    warning = await find_warning(view, warning_id)
    phones = {person.name: person.phone for person in view.config.person}
    context = {
        "card": warning_card(warning, await view.cards(), say),
        "longest_name": LONGEST_NAME,
        "journal": [(row.t, row.why, detail_of(row, say)) for row in await view.journal(warning_id)],
        "bulletins": await view.bulletins(warning_id),
        "phones": {name: phones.get(name, "") for name in warning.calls},
        "links": {name: link(view.config, warning_id, name) for name in warning.calls},
    }
    return await site.page(request, "warning.html", context)


async def _answer(site: Site, request: Asked, warning_id: str) -> Response[Any]:
    """An officer's entry: who has heard, and a note on how that is known."""
    refuse_foreign(request, site.view.config.hub.public_url)
    site.words(request)
    warning = await find_warning(site.view, warning_id)
    fields = await fields_of(request)
    person, note = fields.get("person", ""), fields.get("note", "").strip()
    names = ", ".join(warning.calls)
    called = names or "nobody: no one has been called for this warning"
    called_zh = names or "无：本次预警尚未呼叫任何人"
    if not person:
        raise Problem.missing("person", f"one of {called}", zh=called_zh)
    if person not in warning.calls:
        raise Problem.of_value("person", person, called, zh=called_zh)
    if len(note) > LONGEST_NOTE:
        raise _too_long("note", note, LONGEST_NOTE)
    if warning.state == WarningState.CLOSED:
        raise Problem(site.words(request)("over_now"), 409)
    if not warning.calls[person].answered_at:
        said = ": ".join(filter(None, (officer_of(request), note)))
        await answer_or_refuse(site.view, person, warning_id, HOW_OFFICER, said)
    return Redirect(f"/warnings/{warning_id}", status_code=303)


async def _confirm(site: Site, request: Asked, warning_id: str) -> Response[Any]:
    """An officer takes it on them, by name, that people are moved. Pressing twice is harmless: the first one counts."""
    refuse_foreign(request, site.view.config.hub.public_url)
    say = site.words(request)
    warning = await find_warning(site.view, warning_id)
    by = _officer(request, await fields_of(request), "confirms")
    if warning.state == WarningState.CLOSED:
        raise Problem(say("confirm_over"), 409)
    if not warning.confirmed_by or uncalled(warning):
        if not (waits_for_person(warning) or moves_at(warning) or uncalled(warning)):
            raise Problem(say("confirm_none"), 409)
        try:
            await site.view.confirm(warning_id, by)
        except ValueError as err:
            raise _refused(err) from err
    return Redirect(f"/warnings/{warning_id}", status_code=303)


async def _hold(site: Site, request: Asked, warning_id: str) -> Response[Any]:
    """An officer objects, by name, to what a rule would do by itself. Pressing twice is harmless."""
    refuse_foreign(request, site.view.config.hub.public_url)
    say = site.words(request)
    warning = await find_warning(site.view, warning_id)
    by = _officer(request, await fields_of(request), "holds it")
    if not holdable(warning):
        if waits_for_person(warning) and warning.held_by:
            return Redirect(f"/warnings/{warning_id}", status_code=303)
        raise Problem(say("hold_none"), 409)
    try:
        await site.view.hold(warning_id, by)
    except ValueError as err:
        raise _refused(err) from err
    return Redirect(f"/warnings/{warning_id}", status_code=303)


def _officer(request: Asked, fields: Mapping[str, str], does: str) -> str:
    """Who is logged in, else the name given, which goes into the journal as it is. Raises Problem."""
    if known := officer_of(request):
        return known  # as hub.toml has it
    name = fields.get("by", "").strip()
    if not name:
        raise Problem.missing("by", f"the name of the officer who {does}", zh="值班员姓名")
    if len(name) > LONGEST_NAME:
        raise _too_long("by", name, LONGEST_NAME)
    if not name.isprintable():
        raise Problem.of_value("by", ascii(name)[1:-1], "letters, digits, blanks and signs, on one line",
                               zh="文字、数字、空格和符号，一行之内")
    return name


def _too_long(field: str, given: str, most: int) -> Problem:
    return Problem(f"{field} has {len(given)} characters; use at most {most}",
                   zh=f"{field} 有 {len(given)} 个字符；最多 {most} 个")


def _refused(err: ValueError) -> Problem:
    """What the desk says."""
    return Problem(str(err), 409, zh=in_chinese(str(err), _DESK_ZH))


async def answer_or_refuse(view: View, person: str, warning_id: str, how: str, note: str) -> None:
    """Raises Problem with the hub's own sentence."""
    try:
        await view.answer(person, warning_id, how, note)
    except ValueError as err:
        raise _refused(err) from err
