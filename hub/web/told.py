"""What the journal says of a decision, in the reader's language: the file keeps it as data, and a line of English."""

from hub.evidence import Speech, finding
from hub.groups_rules import GROUP
from hub.happened import Answered, Confirmed, EpisodeChanged, Held, Tick
from hub.journal import Asked, Entry, GaveUp, Said
from hub.warnings import episode_of
from hub.web.view import JournalRow
from hub.web.words import Words, number


def detail_of(row: JournalRow, say: Words) -> str:
    """The file's own line where it has no more than that."""
    return row.detail if row.event is None else _said(row.event, say)


def _said(entry: Entry, say: Words) -> str:
    comma, colon = say.both(", ", "，"), say.both(": ", "：")
    match entry:
        case EpisodeChanged():
            return _found(entry, say)
        case Said(bulletin=one):
            return comma.join([f"{say.kind(one.kind)} {one.id}", say.level(one.level), say.stage(one.stage)])
        case Asked(person=person, tier=tier, times=times):
            return say("asked", person=person, tier=say.tier(tier), times=times)
        case GaveUp():
            return colon.join([entry.channel, entry.bulletin, entry.reason])
        case Answered():
            return comma.join([entry.person, colon.join(filter(None, [say.how(entry.how), entry.note]))])
        case Confirmed() | Held():
            return entry.by
        case Tick():
            return ""


def _found(event: EpisodeChanged, say: Words) -> str:
    """As the warning's page tells an episode, with the name of its rule."""
    episode = episode_of(event, historic=False)
    found = finding(episode, event.detection.hazard, Speech(say.lang == "zh", number, {}))
    window = f" {say.window(found.over_s)}" if found.over_s else ""
    place = say.both(event.place, event.place_zh) or event.station.removeprefix(GROUP)
    values = say.both(", ", "，").join([f"{found.what}{window} {found.value}", f"{say('threshold')} {found.threshold}"])
    sentence = say.both("{} {}: {}; {}", "{}，{}：{}；{}")
    return sentence.format(place, event.detection.rule, say.level(episode.level), values)
