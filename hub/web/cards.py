"""What a page says of a warning, from the hub's plain data. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hub.authority import moves_at, waits_for_person
from hub.evidence import Speech, finding
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


@dataclass(frozen=True, slots=True)
class WarningCard:
    """A warning as pages show it; `level` is what counts now, or the highest ever once it is closed.

    `title` says the level too, `what` stands beside a badge that does. `unconfirmed`: it waits for a person.
    `moves_at`: people are then moved unless a person holds it; 0: nothing waits for that.
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
        title=say("warning_of", level=say.level(level), hazard=say.hazard(warning.hazard)),
        what=say("hazard_warning", hazard=say.hazard(warning.hazard)),
        place=place_of(warning, cards, say),
        stations=len({episode.station for episode in warning.episodes.values()}),
        open=still,
        unconfirmed=waits_for_person(warning),
        moves_at=moves_at(warning),
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


def _line(episode: Episode, hazard: Hazard, cards: Cards, say: Words) -> EpisodeLine:
    found = finding(episode, hazard, Speech(say.lang == "zh", number, {}))
    return EpisodeLine(
        station=episode.station,
        station_name=name_of(episode.station, cards, say),
        level=Level(episode.level),
        what=found.what,
        device=episode.series.rpartition("/")[0],
        value=found.value,
        threshold=found.threshold,
        window=_window(found.over_s, say),
        rule=episode.rule,
        since=episode.since,
    )


def _window(over_s: int, say: Words) -> str:
    if not over_s:
        return ""
    if over_s % 3600 == 0:
        return say("in_hours", hours=over_s // 3600)
    return say("in_minutes", minutes=f"{over_s / 60:g}")
