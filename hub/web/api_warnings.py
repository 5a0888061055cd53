"""The answers of /api/v1 about warnings, episodes and rules over several stations."""

from collections.abc import Iterable

from hub.archive import Archive, Kept, Wanted
from hub.errors import TransientError
from hub.groups_log import Told
from hub.groups_rules import GROUP
from hub.groups_state import Member
from hub.model import Call, Episode
from hub.model import Warning as HubWarning
from hub.store import LATEST_MS
from hub.web.api_answers import store_away
from hub.web.api_params import bad_cursor, moment, number_of
from hub.web.api_shapes import (
    CallOut,
    DecisionOfGroup,
    DecisionOut,
    EpisodeOut,
    EpisodesOut,
    GroupsOut,
    MemberOut,
    WarningOut,
    WarningsOut,
    WarningWhole,
)
from hub.web.problems import Problem
from hub.web.told import detail_of
from hub.web.view import View
from hub.web.words import Words
from tocsin.levels import Hazard


def wanted(
    status: str | None, station_id: str | None, area: str | None, hazard: Hazard | None, level: int | None,
    start: str | None, end: str | None, warning_id: str = "",
) -> Wanted:  # fmt: skip
    """Raises Problem."""
    start_ms = moment("start", start) if start else 0
    end_ms = moment("end", end) if end else LATEST_MS
    if start_ms >= end_ms:
        raise Problem.of_value("start", start or "", "a time before the end", zh="早于结束时间的时间")
    return Wanted(station_id or "", area or "", hazard or "", level or 0, start_ms, end_ms,
                  None if status is None else status == "open", warning_id)


async def warnings(archive: Archive, sought: Wanted, after: str, limit: int) -> WarningsOut:
    """Raises Problem."""
    before = None
    if after:
        opened, _, name = after.partition("/")
        before = (number_of(opened), name)
        if not name:
            raise bad_cursor(after)
    try:
        found = await archive.warnings(sought, before, limit + 1)
    except TransientError as err:
        raise store_away(err) from err
    last = found[limit - 1] if len(found) > limit else None
    return WarningsOut([_warning(one) for one in found[:limit]], f"{last.opened_at}/{last.id}" if last else None)


async def warning(view: View, found: HubWarning) -> WarningWhole:
    chinese = Words("zh")
    journal = [DecisionOut(row.t, row.why, chinese.why(row.why), row.detail, detail_of(row, chinese))
               for row in await view.journal(found.id)]
    return WarningWhole(_warning(found), journal, await view.bulletins(found.id))


async def episodes(archive: Archive, sought: Wanted, after: str, limit: int) -> EpisodesOut:
    """Raises Problem."""
    try:
        found = await archive.episodes(sought, number_of(after) if after else None, limit + 1)
    except TransientError as err:
        raise store_away(err) from err
    following = str(found[limit - 1].number) if len(found) > limit else None
    return EpisodesOut([_episode(one) for one in found[:limit]], following)


async def groups(archive: Archive, after: str, limit: int) -> GroupsOut:
    """Raises Problem."""
    try:
        found = await archive.groups(number_of(after) if after else None, limit + 1)
    except TransientError as err:
        raise store_away(err) from err
    following = str(found[limit - 1].id) if len(found) > limit else None
    return GroupsOut([_decision(one) for one in found[:limit]], following)


def _episode(kept: Kept) -> EpisodeOut:
    one = kept.episode
    return EpisodeOut(
        episode=one.id, warning=kept.warning, station=one.station, series=one.series, rule=one.rule,
        hazard=kept.hazard, area=kept.area, level=one.level, peak=kept.peak, stage=one.stage, authority=one.authority,
        revision=one.revision, since=one.since, changed_at=one.changed_at, cleared_at=kept.cleared_at or None,
        feature=one.feature, value=one.value, threshold=one.threshold, target=one.target, over_s=one.over_s,
        historic=one.historic, members=_members(one.group.members if one.group else ()),
    )  # fmt: skip


def _decision(told: Told) -> DecisionOfGroup:
    one = told.decision
    return DecisionOfGroup(
        t=one.at, group=one.group, kind=one.kind, hazard=one.hazard, area=one.area, level=one.level,
        previous=one.previous, revision=one.revision, episode=one.episode, since=one.since, stage=one.stage,
        authority=one.authority, value=one.value, threshold=one.threshold, target=one.target, shadow=one.shadow,
        technical=one.technical, rebuilt=one.rebuilt, members=_members(one.members),
    )  # fmt: skip


def _members(members: Iterable[Member]) -> list[MemberOut]:
    return [MemberOut(one.station, one.level, one.began, one.step or None, one.silent) for one in members]


def _stations_of(episodes: Iterable[Episode]) -> list[str]:
    """Of a rule over several stations, its members."""
    named = [member.station for one in episodes for member in (one.group.members if one.group else (one,))]
    return [name for name in dict.fromkeys(named) if not name.startswith(GROUP)]


def _warning(one: HubWarning) -> WarningOut:
    return WarningOut(
        id=one.id, area=one.area, hazard=one.hazard, status=one.state, level=one.level, peak=one.peak, stage=one.stage,
        opened_at=one.opened_at, changed_at=one.changed_at, closed_at=one.closed_at or None, historic=one.historic,
        confirmed_at=one.confirmed_at or None, confirmed_by=one.confirmed_by,
        held_at=one.held_at or None, held_by=one.held_by,
        episodes=[episode.id for episode in one.episodes.values()],
        stations=_stations_of(one.episodes.values()),
        calls=[_call(call) for call in one.calls.values()],
        bulletins=one.bulletins,
    )  # fmt: skip


def _call(call: Call) -> CallOut:
    return CallOut(call.person, call.role, call.tier, call.level, call.first_at or None, call.last_at or None,
                   call.times, call.answered_at or None, call.how, call.note)
