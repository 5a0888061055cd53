"""The file of group rules as it is written: `[[group]]` tables, and what holds where they say nothing.

The starter sets in `hub/group_starters/` show every key with its default; docs/groups.md explains them.
"""

from typing import Annotated, Literal

from msgspec import Meta

from hub.groups_rules import GroupKind
from tocsin.config import AreaCode, Table
from tocsin.levels import WARNING_LEVELS, Authority, Hazard, Level, Stage
from tocsin.topics import STATION_ID

MINUTE_MS = 60_000
_LONGEST_MIN = 7 * 1440

At = Literal["blue", "yellow", "orange", "red"]
Member = Annotated[str, Meta(
    pattern=rf"^(group:.{{1,100}}|{STATION_ID.pattern})\Z", description='a station\'s id, or "group:" and a name')]
Members = Annotated[list[Member], Meta(min_length=1)]
Name = Annotated[str, Meta(
    pattern=r"^(?! )[^\x00-\x1f\x7f\\]{0,99}[^\x00-\x1f\x7f\\ /]\Z",
    description='up to 100 characters, no backslash, no line breaks, no blank at either end and no "/" at its end')]
Words = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,200}\Z", description="one line of up to 200 characters")]
Weight = Annotated[float, Meta(gt=0, le=1000)]
Minutes = Annotated[float, Meta(ge=0, le=_LONGEST_MIN)]
SomeMinutes = Annotated[float, Meta(gt=0, le=_LONGEST_MIN)]
HoldS = Annotated[float, Meta(gt=0, le=86400)]

STAGES = {Level.ORANGE: Stage.PREPARE, Level.RED: Stage.MOVE}
OFF_DELAY_MIN = {GroupKind.COINCIDENCE: 30.0, GroupKind.CHAIN: 30.0, GroupKind.SILENCE: 5.0}
_SPOKEN = {"stage", "authority", "hold_s", "text_en", "text_zh"}
_COLOURS = {level.word for level in WARNING_LEVELS}
_ALWAYS = {"name", "kind", "hazard", "area", "shadow", "on_delay_s", "off_delay_min", "place", "place_zh"}
_PICKED = {"stations", "at", "until", "quantity", "rule"}
KEYS = {
    GroupKind.COINCIDENCE: _ALWAYS | _PICKED | _SPOKEN | _COLOURS | {"over_min", "weights"},
    GroupKind.CHAIN: _ALWAYS | _SPOKEN | {"step"},
    GroupKind.SILENCE: _ALWAYS | _PICKED - {"rule"} | {"neighbours", "silent_min", "alone"},
}


class WeightTable(Table, frozen=True, kw_only=True):
    """A level that falls at another weight than it rises at."""

    on: Weight
    off: Weight


class StepTable(Table, frozen=True, kw_only=True):
    """One `[[group.step]]` of a chain."""

    stations: Members
    level: At
    at: At = "yellow"
    until: At | None = None
    hazard: Hazard | None = None
    quantity: str = ""
    rule: str = ""
    travel_min: tuple[Minutes, Minutes] = (0.0, 60.0)


class GroupTable(Table, frozen=True, kw_only=True):
    """One `[[group]]`."""

    name: Name
    kind: GroupKind
    hazard: Hazard
    area: AreaCode
    stations: list[Member] = []
    at: At | None = None
    until: At | None = None
    quantity: str = ""
    rule: str = ""
    over_min: SomeMinutes = 30.0
    blue: Weight | WeightTable | None = None
    yellow: Weight | WeightTable | None = None
    orange: Weight | WeightTable | None = None
    red: Weight | WeightTable | None = None
    weights: dict[str, Weight] = {}
    step: list[StepTable] = []
    neighbours: list[Member] = []
    silent_min: SomeMinutes = 15.0
    alone: At | None = None
    on_delay_s: Annotated[float, Meta(ge=0, le=86400)] = 0.0
    off_delay_min: Minutes | None = None
    stage: dict[At, Stage] = {}
    authority: dict[At, Authority] = {}
    hold_s: HoldS | None = None
    place: Words = ""
    place_zh: Words = ""
    text_en: Words = ""
    text_zh: Words = ""
    shadow: bool = False


class GroupsFile(Table, frozen=True):
    """The whole file."""

    group: list[GroupTable]


def given_of(table: GroupTable) -> list[Level]:
    """The levels that it can give, in order."""
    match table.kind:
        case GroupKind.COINCIDENCE:
            return list(weights_of(table))
        case GroupKind.CHAIN:
            return sorted({Level.of(step.level) for step in table.step})
        case GroupKind.SILENCE:
            return list(WARNING_LEVELS)


def weights_of(table: GroupTable) -> dict[Level, tuple[float, float]]:
    """The weights at which each level rises and falls."""
    found = {}
    for level in WARNING_LEVELS:
        match getattr(table, level.word):
            case WeightTable(on=on, off=off):
                found[level] = (on, off)
            case float() | int() as on:
                found[level] = (on, on)
    return found


def at_of(table: GroupTable) -> Level:
    """From which level on a member counts."""
    return Level.of(table.at or ("blue" if table.kind is GroupKind.SILENCE else "yellow"))
