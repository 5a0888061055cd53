"""Who may move people: the rule alone, the rule after a time in which a person may hold it, or a person. Pure.

A move with authority `after` is said to be `prepare` while a person may hold it. When the time is over it becomes
`move` by itself. Held, it waits for a person who confirms, like a move with authority `confirm`.
"""

import msgspec

from hub.model import Consent, Episode, WarningState
from hub.model import Warning as HubWarning
from tocsin.levels import Authority, Stage


def stage_of(episode: Episode, warning: HubWarning) -> Stage:
    """The stage that may be said now; of a shelved level what was said before."""
    if episode.shelved and episode.stands:
        return episode.stands_stage
    if episode.stage is not Stage.MOVE or warning.confirmed_by:
        return episode.stage
    alone = episode.authority is Authority.AUTO or episode.consent is Consent.GIVEN
    return Stage.MOVE if alone else Stage.PREPARE


def asked(episode: Episode, known: Episode | None, now_ms: int) -> Episode:
    """The episode as a station now tells it, with the time to hold it that began when it first asked to move people.

    A higher level than the one that was held is asked anew: the person has not judged it.
    """
    same = known is not None and known.id == episode.id
    if known is not None and same and episode.shelved and known.consent in {Consent.GIVEN, Consent.HELD}:
        return msgspec.structs.replace(episode, consent=known.consent, asked_at=known.asked_at)
    asks = episode.level > 0 and episode.stage is Stage.MOVE and episode.authority is Authority.AFTER
    if not asks or not episode.counts:
        return episode
    if known is not None and same and known.consent is not Consent.NONE:
        anew = known.consent is Consent.HELD and episode.level > known.counted
        if not anew:
            return msgspec.structs.replace(episode, consent=known.consent, asked_at=known.asked_at)
    consent = Consent.OPEN if episode.hold_s > 0 else Consent.GIVEN
    return msgspec.structs.replace(episode, consent=consent, asked_at=now_ms)


def holdable(warning: HubWarning) -> dict[str, Episode]:
    """The episodes that a person may hold now."""
    if warning.state is WarningState.CLOSED or warning.confirmed_by:
        return {}
    return {
        key: episode
        for key, episode in warning.episodes.items()
        if episode.consent is Consent.OPEN and episode.counts
    }


def moves_at(warning: HubWarning) -> int:
    """When people are moved unless a person holds it, ms UTC; 0 where nothing waits for that."""
    if warning.stage is Stage.MOVE:
        return 0
    return min((_until(episode) for episode in holdable(warning).values()), default=0)


def waits_for_person(warning: HubWarning) -> bool:
    """A raised rule asks to move people and may not by itself, nobody has confirmed, and nothing else moves them."""
    if warning.state is WarningState.CLOSED or warning.confirmed_by or warning.stage is Stage.MOVE:
        return False
    return any(
        episode.authority is Authority.CONFIRM or episode.consent is Consent.HELD
        for episode in warning.episodes.values()
        if episode.level > 0 and episode.stage is Stage.MOVE and not episode.shelved
    )


def uncalled(warning: HubWarning) -> bool:
    """Something is raised that nobody is called for (shelved, or told too late): a person may decide otherwise."""
    if warning.state is WarningState.CLOSED or warning.technical:
        return False
    return any(episode.level > 0 and not episode.counts for episode in warning.episodes.values())


def held(warning: HubWarning, by: str, at: int, now_ms: int) -> HubWarning:
    """Everything that could be held is; the same object where nothing could."""
    episodes = _with(holdable(warning), Consent.HELD)
    if not episodes:
        return warning
    return msgspec.structs.replace(
        warning, episodes=warning.episodes | episodes, held_by=by, held_at=at, changed_at=now_ms
    )


def run_out(warning: HubWarning, now_ms: int) -> HubWarning:
    """Where the time to hold is over, the rule moves people; the same object where it is not.

    A clock that was set back prolongs the time, but never to more than twice its length: by more than that length, and
    the time counts as over, because moving people too early is the lesser evil.
    """
    over = {
        key: episode
        for key, episode in holdable(warning).items()
        if abs(now_ms - episode.asked_at) >= _hold_ms(episode)
    }
    if not over:
        return warning
    return msgspec.structs.replace(
        warning, episodes=warning.episodes | _with(over, Consent.GIVEN), changed_at=now_ms
    )


def _with(episodes: dict[str, Episode], consent: Consent) -> dict[str, Episode]:
    return {key: msgspec.structs.replace(episode, consent=consent) for key, episode in episodes.items()}


def _hold_ms(episode: Episode) -> int:
    return round(episode.hold_s * 1000)


def _until(episode: Episode) -> int:
    return episode.asked_at + _hold_ms(episode)
