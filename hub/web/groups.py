"""What the hub's rules over several stations decided lately, for the console. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from hub.groups_state import Decision
from hub.web.cards import Cards, MemberLine, members_of
from hub.web.words import Words
from tocsin.levels import Level


@dataclass(frozen=True, slots=True)
class GroupLine:
    """The newest decision of one rule; `note` says why it called nobody, "" where it could."""

    name: str
    level: Level
    at: int
    note: str
    members: Sequence[MemberLine]


def group_lines(decisions: Sequence[Decision], cards: Cards, say: Words) -> list[GroupLine]:
    """Of each rule the newest decision, and of each rule the newest that was found afterwards."""
    newest: dict[tuple[str, bool], Decision] = {}
    for one in decisions:
        newest.setdefault((one.group, one.rebuilt), one)
    return [
        GroupLine(one.group, Level(one.level), one.at, _note(one, say), members_of(one.members, cards, say))
        for one in newest.values()
    ]


def _note(one: Decision, say: Words) -> str:
    if one.rebuilt:
        return say("group_rebuilt")
    if one.shadow:
        return say("group_shadow")
    return say("technical") if one.technical else ""
