"""What a page says of a warning, from the hub's plain data. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from hub.authority import moves_at, uncalled, waits_for_person
from hub.evidence import Speech, finding
from hub.groups_rules import GROUP
from hub.groups_state import Member
from hub.model import Call, Episode, WarningState
from hub.model import Warning as HubWarning
from hub.web.words import Words, number
from tocsin.levels import Hazard, Level
from tocsin.messages import StationCard

Cards = Mapping[str, StationCard]


@dataclass(frozen=True, slots=True)
class EpisodeLine:
    """One rule's state in words: `water stage 4.31 m, threshold 4.00 m`; what is compared is in `what`."""

    station: str
    station_name: str
    level: Level
    what: str
    device: str
    value: str
    threshold: str
    window: str
    rule: str
    since: int
    shelved: bool = False
    members: Sequence["MemberLine"] = ()


@dataclass(frozen=True, slots=True)
class MemberLine:
    """A member of a group rule as evidence; `station` is "" where it has no page of its own."""

    station: str
    name: str
    level: Level
    step: int
    silent: bool
    since: int


@dataclass(frozen=True, slots=True)
class WarningCard:
    """A warning as pages show it; `level` is what counts now, or the highest ever once it is closed.

    `title` says the level too, `what` stands beside a badge that does. `unconfirmed`: it waits for a person.
    `moves_at`: people are then moved unless a person holds it; 0: nothing waits for that. `uncalled`: a person may have
    people called. `note`: why few or none are called, "" for a warning like any other.
    """

    warning: HubWarning
    level: Level
    title: str
    what: str
    place: str
    stations: int
    open: bool
    unconfirmed: bool
    moves_at: int
    uncalled: bool
    note: str
    episodes: Sequence[EpisodeLine]
    waiting: Sequence[Call]
    answered: Sequence[Call]

    @property
    def calls(self) -> list[Call]:
        """Whom to go to first: those who have not answered, the longest called first."""
        return [*self.waiting, *self.answered]


def warning_card(warning: HubWarning, cards: Cards, say: Words) -> WarningCard:
    still = warning.state == WarningState.OPEN
    level = Level(warning.level if still else warning.peak)
    calls = sorted(warning.calls.values(), key=lambda call: (call.first_at, call.person))
    return WarningCard(
        warning=warning,
        level=level,
        title=_title(warning, level, say),
        what=say("technical_alarm") if warning.technical else say("hazard_warning", hazard=say.hazard(warning.hazard)),
        place=place_of(warning, cards, say),
        stations=len({episode.station for episode in warning.episodes.values()}),  # a group rule counts as one
        open=still,
        unconfirmed=waits_for_person(warning),
        moves_at=moves_at(warning),
        uncalled=uncalled(warning),
        note=_note(warning, say),
        episodes=[
            _line(episode, warning.hazard, cards, say)
            for episode in sorted(warning.episodes.values(), key=lambda episode: (-episode.level, episode.since))
        ],
        waiting=[call for call in calls if not call.answered_at],
        answered=sorted((call for call in calls if call.answered_at), key=lambda call: call.answered_at),
    )


def by_urgency(warnings: Sequence[HubWarning]) -> list[HubWarning]:
    """The highest level first, then the newest."""
    return sorted(warnings, key=lambda warning: (-warning.level, -warning.opened_at, warning.id))


def place_of(warning: HubWarning, cards: Cards, say: Words) -> str:
    """The names of the stations that found it; the area's code where there are none."""
    names = dict.fromkeys(_place(episode, cards, say) for episode in warning.episodes.values())
    return say.both(", ", "、").join(names) or warning.area


def name_of(station: str, cards: Cards, say: Words) -> str:
    card = cards.get(station)
    return (say.both(card.name, card.name_zh) if card else "") or station


def _place(episode: Episode, cards: Cards, say: Words) -> str:
    """By its card; by what it said with the detection where the card is gone."""
    known = name_of(episode.station, cards, say) if episode.station in cards else ""
    return known or say.both(episode.place, episode.place_zh) or episode.station


def members_of(members: Sequence[Member], cards: Cards, say: Words) -> list[MemberLine]:
    """What a group rule looked at, in the rule's order."""
    return [
        MemberLine(
            "" if one.station.startswith(GROUP) else one.station,
            (name_of(one.station, cards, say) if one.station in cards else "")
            or say.both(one.place, one.place_zh) or one.station.removeprefix(GROUP),
            Level(one.level), one.step, one.silent, one.began)
        for one in members
    ]


def _title(warning: HubWarning, level: Level, say: Words) -> str:
    if warning.technical:
        return say("technical_of", level=say.level(level))
    return say("warning_of", level=say.level(level), hazard=say.hazard(warning.hazard))


def _note(warning: HubWarning, say: Words) -> str:
    if warning.technical:
        return say("technical")
    if not warning.historic:
        return ""
    raised = [episode for episode in warning.episodes.values() if episode.level > 0]
    shelved = bool(raised) and all(episode.shelved for episode in raised)
    return say("shelved_only") if shelved else say("historic")


def _line(episode: Episode, hazard: Hazard, cards: Cards, say: Words) -> EpisodeLine:
    spoken = episode
    if episode.group is not None:    # its members stand below, with links
        spoken = msgspec.structs.replace(episode, group=msgspec.structs.replace(episode.group, members=[]))
    found = finding(spoken, hazard, Speech(say.lang == "zh", number, {}))
    return EpisodeLine(
        station="" if episode.group else episode.station,
        station_name=_place(episode, cards, say) if episode.group else name_of(episode.station, cards, say),
        level=Level(episode.level),
        what=found.what,
        device=say("group_rule") if episode.group else episode.series.rpartition("/")[0],
        value=found.value,
        threshold=found.threshold,
        window=say.window(found.over_s),
        rule=episode.rule,
        since=episode.since,
        shelved=episode.shelved,
        members=members_of(episode.group.members, cards, say) if episode.group else (),
    )
