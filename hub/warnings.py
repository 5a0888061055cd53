"""The life of a warning: a pure function of its state, an event and the time.

One warning runs per area and hazard while any of its episodes is above clear. Only a station's own word clears an
episode; silence, a restart or a reload never do. docs/warnings.md tells the rules in prose.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

import msgspec

from hub import authority
from hub.callout import Ask, Policy, answered, call_all, call_due
from hub.happened import Answered, Confirmed, EpisodeChanged, Event, Held, Tick
from hub.model import Episode, WarningState, Why
from hub.model import Warning as HubWarning
from hub.runs import newer
from hub.tally import Tallies
from tocsin.levels import Stage
from tocsin.messages import BulletinKind, Detection
from tocsin.times import utc

_STAGES = tuple(Stage)


@dataclass(frozen=True, slots=True)
class Say:
    """Publish a bulletin about the warning as it now is."""

    kind: BulletinKind
    why: Why


Action = Say | Ask


def step(
    warning: HubWarning | None, event: Event, now_ms: int, policy: Policy, tallies: Tallies | None = None
) -> tuple[HubWarning | None, list[Action]]:
    """The warning after the event, and what must now be done.

    `warning` is the newest one of the event's area and hazard, open or closed; None if there never was one. An event
    that changes nothing gives the same object back. `tallies` are the caller's own, the same in every call: they save
    time.
    """
    after, actions = _stepped(warning, event, now_ms, policy, tallies or Tallies())
    if after is not None and after.technical:    # whoever is on duty is called; the village is told nothing
        actions = [action for action in actions if isinstance(action, Ask)]
    return after, actions


def _stepped(
    warning: HubWarning | None, event: Event, now_ms: int, policy: Policy, tallies: Tallies
) -> tuple[HubWarning | None, list[Action]]:
    match event:
        case EpisodeChanged():
            return _changed(warning, event, now_ms, policy, tallies)
        case _ if warning is None:
            return None, []
        case Answered():
            # an answer from before the level rose answers something lower
            if event.at < warning.rose_at:
                return warning, []
            return answered(warning, event.person, event.how, event.note, event.at, policy), []
        case Confirmed():
            return _confirmed(warning, event, now_ms, policy, tallies)
        case Held():
            return authority.held(warning, event.by, event.at, now_ms), []
        case Tick():
            return _tick(warning, now_ms, policy, tallies)


def said(warning: HubWarning, bulletin: str, at: int) -> HubWarning:
    """The warning after that bulletin was written down."""
    return msgspec.structs.replace(warning, bulletins=[*warning.bulletins, bulletin], said=[*warning.said, at])


def why_of(after: HubWarning, event: Event, actions: Iterable[Action]) -> Why:
    """The named reason of a step, for the journal."""
    for action in actions:
        return action.why
    match event:
        case Answered():
            return Why.ANSWERED
        case Confirmed():
            return Why.CONFIRMED
        case Held():
            return Why.HELD
        case Tick():
            return Why.UNHELD
        case EpisodeChanged(detection=detection) if after.episodes[key_of(event.station, detection)].historic:
            return Why.HISTORIC
        case EpisodeChanged(detection=detection) if detection.shelved and detection.level > 0:
            return Why.SHELVED
        case EpisodeChanged() if after.technical and after.state is WarningState.CLOSED:
            return Why.CLEARED
        case EpisodeChanged(detection=detection) if detection.level > 0 and detection.previous == 0:
            return Why.JOINED
    return Why.UNCHANGED


def key_of(station: str, detection: Detection) -> str:
    return f"{station}/{detection.series}/{detection.rule}"


def known_of(warning: HubWarning | None, key: str) -> Episode | None:
    """The episode as last heard, of this warning or of one before it."""
    return (warning.episodes.get(key) or warning.earlier.get(key)) if warning else None


def _changed(
    warning: HubWarning | None, event: EpisodeChanged, now_ms: int, policy: Policy, tallies: Tallies
) -> tuple[HubWarning | None, list[Action]]:
    key = key_of(event.station, event.detection)
    known = known_of(warning, key)
    if known is not None and not newer(
        event.detection, known.id, known.revision, known.boot, known.changed_at, now_ms, outlived=event.outlived
    ):
        return warning, []
    episode = authority.asked(_standing(_episode(event, known, policy), known, warning), known, now_ms)
    if warning is not None and warning.state is WarningState.OPEN:
        earlier = warning.earlier
        if key in earlier:
            earlier = {name: known for name, known in earlier.items() if name != key}
        episodes = warning.episodes | {key: episode}
        after = msgspec.structs.replace(warning, episodes=episodes, earlier=earlier, changed_at=now_ms)
        tallies.move(warning, key, after)
        return _weighed(after, min(event.detection.t, now_ms), now_ms, policy, tallies)
    if warning is not None and episode.level == 0:
        return msgspec.structs.replace(warning, episodes=warning.episodes | {key: episode}), []
    return _opened(warning, key, episode, event, now_ms, policy, tallies)


def _episode(event: EpisodeChanged, known: Episode | None, policy: Policy) -> Episode:
    detection = event.detection
    unheard = known is None or known.level == 0 or known.historic
    late = event.settled or event.arrived_at - detection.t > policy.too_old_s * 1000
    return episode_of(event, historic=unheard and late if detection.level else known is None or known.historic)


def _standing(episode: Episode, known: Episode | None, warning: HubWarning | None) -> Episode:
    """Shelved while it stood: what was said of it stands until its station tells it unshelved, or clear."""
    if known is None or warning is None or not (episode.shelved and episode.level and known.counted):
        return episode
    return msgspec.structs.replace(
        episode, stands=known.counted, stands_stage=authority.stage_of(known, warning)
    )


def episode_of(event: EpisodeChanged, *, historic: bool) -> Episode:
    """As the detection tells it."""
    detection = event.detection
    return Episode(
        detection.episode,
        event.station,
        detection.series,
        detection.rule,
        detection.level,
        detection.revision,
        detection.stage,
        detection.since,
        detection.t,
        detection.value,
        detection.threshold,
        detection.over_s,
        detection.authority,
        historic,
        event.place,
        event.place_zh,
        event.latitude,
        event.longitude,
        detection.feature,
        detection.target,
        detection.hold_s,
        boot=detection.boot,
        shelved=detection.shelved,
        group=event.group,
    )


def _opened(
    before: HubWarning | None, key: str, episode: Episode, event: EpisodeChanged, now_ms: int, policy: Policy,
    tallies: Tallies,
) -> tuple[HubWarning, list[Action]]:
    earlier = before.earlier | before.episodes if before else {}
    warning = HubWarning(
        id=_new_id(event, key),
        area=event.area,
        hazard=event.detection.hazard,
        state=WarningState.OPEN,
        level=0,
        peak=max(episode.level, event.detection.previous),
        stage=Stage.WATCH,
        opened_at=now_ms,
        changed_at=now_ms,
        historic=True,
        episodes={key: episode},
        earlier={name: known for name, known in earlier.items() if name != key},
        technical=event.technical,
    )
    return _weighed(warning, min(event.detection.t, now_ms), now_ms, policy, tallies)


def _weighed(
    warning: HubWarning, rose_at: int, now_ms: int, policy: Policy, tallies: Tallies
) -> tuple[HubWarning, list[Action]]:
    """The warning with level and stage as its episodes ask, and what follows from the difference."""
    raised = tallies.of(warning)
    if not raised:
        return _closed(warning, now_ms)
    live = [weight for weight in raised if weight.counted]
    if not live and not warning.historic:
        # only episodes that nobody was told of are left: what was said stands until their stations speak
        return warning, []
    weigh = live or raised
    level = max(weight.counted or weight.level for weight in weigh)
    stage = max((weight.stage for weight in weigh), key=_STAGES.index)
    after = msgspec.structs.replace(
        warning, level=level, peak=max(level, warning.peak), stage=stage, historic=not live
    )
    if not live:
        return after, []
    if warning.historic:
        return _rose(after, BulletinKind.ALERT, Why.FIRST, rose_at, now_ms, policy)
    if level > warning.level or _STAGES.index(stage) > _STAGES.index(warning.stage):
        return _rose(after, BulletinKind.UPDATE, Why.HIGHER, rose_at, now_ms, policy)
    if (level, stage) != (warning.level, warning.stage):
        return after, [Say(BulletinKind.UPDATE, Why.LOWER)]
    return after, []


def _rose(
    warning: HubWarning, kind: BulletinKind, why: Why, rose_at: int, now_ms: int, policy: Policy
) -> tuple[HubWarning, list[Action]]:
    warning, asks = call_all(msgspec.structs.replace(warning, rose_at=rose_at), why, now_ms, policy)
    return warning, [Say(kind, why), *asks]


def _closed(warning: HubWarning, now_ms: int) -> tuple[HubWarning, list[Action]]:
    after = msgspec.structs.replace(
        warning, state=WarningState.CLOSED, level=0, stage=Stage.WATCH, changed_at=now_ms, closed_at=now_ms
    )
    return after, [] if warning.historic else [Say(BulletinKind.CLOSE, Why.CLEARED)]


def _confirmed(
    warning: HubWarning, event: Confirmed, now_ms: int, policy: Policy, tallies: Tallies
) -> tuple[HubWarning, list[Action]]:
    nothing_new = bool(warning.confirmed_by) and not authority.uncalled(warning)
    if warning.state is WarningState.CLOSED or nothing_new:
        return warning, []
    episodes = {
        key: msgspec.structs.replace(episode, historic=False, shelved=False)
        for key, episode in warning.episodes.items()
    }
    warning = msgspec.structs.replace(
        warning, episodes=episodes, confirmed_by=event.by, confirmed_at=event.at, changed_at=now_ms
    )
    warning, actions = _weighed(warning, min(event.at, now_ms), now_ms, policy, tallies)
    return warning, [replace(action, why=Why.CONFIRMED) for action in actions]


def _tick(
    warning: HubWarning, now_ms: int, policy: Policy, tallies: Tallies
) -> tuple[HubWarning, list[Action]]:
    if warning.state is WarningState.CLOSED:
        return warning, []
    moved = authority.run_out(warning, now_ms)
    if moved is not warning:
        after, actions = _weighed(moved, now_ms, now_ms, policy, tallies)
        return after, [replace(action, why=Why.UNHELD) for action in actions]
    renew = bool(warning.said) and now_ms - warning.said[-1] >= policy.renew_s * 1000
    warning, asks = call_due(warning, now_ms, policy)
    return warning, [*([Say(BulletinKind.UPDATE, Why.RENEWED)] if renew else []), *asks]


def _new_id(event: EpisodeChanged, key: str) -> str:
    """From the detection that opened it, so that a replay finds the same one."""
    detection = event.detection
    first = f"{event.area}/{key}/{detection.episode}/{detection.revision}/{detection.boot}/{detection.seq}"
    digest = hashlib.blake2b(first.encode(), digest_size=6).hexdigest()
    return f"{detection.hazard}-{utc(detection.t):%Y%m%d}-{digest}"
