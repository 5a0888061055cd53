"""What the episodes of a warning come to: kept from step to step, so that a storm over thousands of stations costs for
each of them what it costs for one. It changes no outcome."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hub import authority
from hub.model import Episode
from hub.model import Warning as HubWarning
from tocsin.levels import Stage


class Weight(NamedTuple):
    """What one raised episode asks for. `counted` is 0 where people are not called for it."""

    counted: int
    level: int
    stage: Stage


@dataclass(slots=True)
class _Known:
    episodes: Mapping[str, Episode]
    confirmed: bool
    weights: Counter[Weight]


class Tallies:
    """By warning; nothing of one is used unless its episodes are the very ones that were counted."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def of(self, warning: HubWarning) -> Collection[Weight]:
        """Every different weight of its raised episodes."""
        known = self._known.get(warning.id)
        if known is None or not _fits(known, warning):
            weights = Counter(found for one in warning.episodes.values() if (found := weight_of(one, warning)))
            known = self._known[warning.id] = _Known(warning.episodes, bool(warning.confirmed_by), weights)
        if not known.weights:
            del self._known[warning.id]
        return known.weights.keys()

    def move(self, before: HubWarning, key: str, after: HubWarning) -> None:
        """`after` is other than `before` in this episode alone."""
        known = self._known.pop(before.id, None)
        if known is None or not _fits(known, before):
            return
        old = before.episodes.get(key)
        if old is not None and (weight := weight_of(old, before)):
            known.weights[weight] -= 1
            if not known.weights[weight]:
                del known.weights[weight]
        if weight := weight_of(after.episodes[key], after):
            known.weights[weight] += 1
        known.episodes = after.episodes
        self._known[after.id] = known


def weight_of(episode: Episode, warning: HubWarning) -> Weight | None:
    """None for one that is clear."""
    if episode.level == 0:
        return None
    return Weight(episode.counted, episode.level, authority.stage_of(episode, warning))


def _fits(known: _Known, warning: HubWarning) -> bool:
    return known.episodes is warning.episodes and known.confirmed == bool(warning.confirmed_by)
