"""What `hub.groups.run` may keep from one call to the next, to save time. It changes no outcome."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hub.groups_rules import Group
from hub.groups_state import State


@dataclass(frozen=True, slots=True)
class Index:
    """Of rules: the stations and groups that members are, the shortest silence that counts of each watched station,
    and the groups that look at a station or at another group, with the numbers of their picks that do."""

    asked: frozenset[str]
    watched: Mapping[str, int]
    of: Mapping[str, Mapping[str, Sequence[int]]]

    @classmethod
    def made(cls, groups: Sequence[Group]) -> "Index":
        watched: dict[str, int] = {}
        of: dict[str, dict[str, list[int]]] = {}
        for group in groups:
            for name in group.watched:
                watched[name] = min(group.silent_ms, watched.get(name, group.silent_ms))
                of.setdefault(name, {}).setdefault(group.name, [])
            for number, pick in enumerate(group.picks):
                for name in pick.stations:
                    of.setdefault(name, {}).setdefault(group.name, []).append(number)
        asked = frozenset(name for group in groups for pick in group.picks for name in pick.stations)
        return cls(asked, watched, of)


@dataclass(slots=True)
class Memo:
    """Of the last call, whose state and rules the next one must go on with: else nothing of it is used.

    `dues`: never later than when time alone may change a group.
    """

    state: State | None = None
    groups: Sequence[Group] | None = None
    index: Index | None = None
    dues: dict[str, int] = field(default_factory=dict)

    def index_of(self, groups: Sequence[Group]) -> Index:
        if self.index is None or self.groups is not groups:
            self.groups, self.index, self.state = groups, Index.made(groups), None
        return self.index
