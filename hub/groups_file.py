"""The file of group rules as it is written: `[[group]]` tables. Every problem names file, rule, key, value and cure.

`hub/group_starters/` shows every key with its default; docs/groups.md explains them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta

from hub.config import AreaCode
from hub.groups_rules import GROUP, SCALE, Group, GroupKind, LevelRule, Pick
from tocsin.config import ConfigError, Table, convert, read_toml, twice
from tocsin.digests import digest
from tocsin.levels import WARNING_LEVELS, Authority, Hazard, Level, Stage
from tocsin.messages import encode
from tocsin.quantities import QUANTITIES

_MINUTE_MS = 60_000
_LONGEST_MIN = 7 * 1440

At = Literal["blue", "yellow", "orange", "red"]
Member = Annotated[str, Meta(
    pattern=r"^(group:.{1,100}|[a-z0-9][a-z0-9-]{0,62})\Z", description='a station\'s id, or "group:" and a name')]
Members = Annotated[list[Member], Meta(min_length=1)]
Name = Annotated[str, Meta(
    pattern=r"^(?! )[^\x00-\x1f\x7f\\]{0,99}[^\x00-\x1f\x7f\\ /]\Z",
    description='up to 100 characters, no backslash, no line breaks, no blank at either end and no "/" at its end')]
Words = Annotated[str, Meta(pattern=r"^[^\x00-\x1f\x7f]{0,200}\Z", description="one line of up to 200 characters")]
Weight = Annotated[float, Meta(gt=0, le=1000)]
Minutes = Annotated[float, Meta(ge=0, le=_LONGEST_MIN)]
SomeMinutes = Annotated[float, Meta(gt=0, le=_LONGEST_MIN)]
HoldS = Annotated[float, Meta(gt=0, le=86400)]

_STAGES = {Level.ORANGE: Stage.PREPARE, Level.RED: Stage.MOVE}
_OFF_DELAY_MIN = {GroupKind.COINCIDENCE: 30.0, GroupKind.CHAIN: 30.0, GroupKind.SILENCE: 5.0}
_SPOKEN = {"stage", "authority", "hold_s", "text_en", "text_zh"}
_COLOURS = {level.word for level in WARNING_LEVELS}
_ALWAYS = {"name", "kind", "hazard", "area", "shadow", "on_delay_s", "off_delay_min", "place", "place_zh"}
_PICKED = {"stations", "at", "until", "quantity", "rule"}
_KEYS = {
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


def load_groups(path: Path) -> tuple[Group, ...]:
    """In the order of the file. Raises ConfigError with every problem found."""
    return groups_of(read_toml(path), str(path))


def check(path: Path) -> list[str]:
    """Every problem of the file as a sentence, for `tocsin check`."""
    try:
        load_groups(path)
    except ConfigError as err:
        return err.problems
    return []


def groups_of(tables: Mapping[str, Any], place: str) -> tuple[Group, ...]:
    """The rules of a file that was read; `place` starts every problem. Raises ConfigError."""
    written = convert(tables, GroupsFile, place).group
    problems = twice(place, "group", [table.name for table in written])
    earlier: dict[str, GroupTable] = {}
    for table, raw in zip(written, tables["group"], strict=True):
        where = f'{place}: group "{table.name}"'
        problems += [f"{where}: {what}" for what in _problems(table, raw, earlier)]
        earlier[table.name] = table
    if problems:
        raise ConfigError(problems)
    return tuple(_compiled(table) for table in written)


def _problems(table: GroupTable, raw: Mapping[str, Any], earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    for key in raw:
        if key not in _KEYS[table.kind]:
            yield f'"{key}" is not a key of a {table.kind}; use {", ".join(sorted(_KEYS[table.kind]))}'
    yield from _members(table, earlier)
    yield from {GroupKind.COINCIDENCE: _of_coincidence, GroupKind.CHAIN: _of_chain,
                GroupKind.SILENCE: _of_silence}[table.kind](table)
    yield from _of_levels(table)


def _members(table: GroupTable, earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    lists = {"stations": table.stations, "neighbours": table.neighbours}
    lists |= {f"step {number}: stations": step.stations for number, step in enumerate(table.step, 1)}
    for key, names in lists.items():
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f'{key}: "{name}" stands twice; name it once'
        for name in names:
            if name.startswith(GROUP):
                yield from (f"{key}: {what}" for what in _of_group(table, name, earlier))
    quantities = [table.quantity, *(step.quantity for step in table.step)]
    for quantity in quantities:
        if quantity and quantity not in QUANTITIES:
            yield f'quantity: "{quantity}" is not a quantity; use one of docs/rules.md, as in "rain_mm"'
    for at, until in [(table.at, table.until), *((step.at, step.until) for step in table.step)]:
        if until and Level.of(until) > Level.of(at or _at(table).word):
            yield f'until: "{until}" is above at "{at or _at(table).word}"; use that level or a lower one'


def _of_group(table: GroupTable, name: str, earlier: Mapping[str, GroupTable]) -> Iterator[str]:
    other = earlier.get(name.removeprefix(GROUP))
    if other is None:
        yield f'"{name}" is not a group that stands before this one; name a station, or move that group up'
    elif other.kind is GroupKind.SILENCE:
        yield f'"{name}" tells of silence, not of danger; name a coincidence or a chain'
    elif other.shadow and not table.shadow:
        yield f'"{name}" is a shadow rule and may decide nothing; take its shadow away, or set shadow = true here too'


def _of_coincidence(table: GroupTable) -> Iterator[str]:
    if not table.stations:
        yield 'key "stations" is missing; give at least two station ids'
    for name in table.weights:
        if name not in table.stations:
            yield f'weights: "{name}" is not among the stations; use {", ".join(table.stations) or "none"}'
    total = sum(table.weights.get(name, 1.0) for name in table.stations)
    before = 0.0
    levels = _weights(table)
    if not levels:
        yield "no level is given; give a weight for blue, yellow, orange or red"
    for level, (on, off) in levels.items():
        if on > total:
            yield f"{level.word}: {on:g} can never be reached; all stations together weigh {total:g}"
        if off > on:
            yield f"{level.word}: off {off:g} is above on {on:g}; use up to {on:g}"
        if on <= before:
            yield f"{level.word}: {on:g} is not above the level before it; use more than {before:g}"
        before = on


def _of_chain(table: GroupTable) -> Iterator[str]:
    if not table.step:
        yield "table [[group.step]] is missing; give at least one"
    before = Level.CLEAR
    for number, step in enumerate(table.step, 1):
        first, last = step.travel_min
        if first > last or last == 0:
            yield f"step {number}: travel_min: [{first:g}, {last:g}] is not allowed; give the shortest time, then the "\
                  "longest, above 0"
        if Level.of(step.level) < before:
            yield f'step {number}: level: "{step.level}" is below that of the step before; use "{before.word}" or more'
        before = Level.of(step.level)


def _of_silence(table: GroupTable) -> Iterator[str]:
    if not table.stations:
        yield 'key "stations" is missing; give the stations that must be heard'
    for name in table.stations:
        if name.startswith(GROUP):
            yield f'stations: "{name}" is a group, and a group is never silent; name stations'
        if not set(table.neighbours or table.stations) - {name}:
            yield f'stations: "{name}" has no neighbour but itself; give neighbours'


def _of_levels(table: GroupTable) -> Iterator[str]:
    given = {level.word for level in _given(table)}
    for key, per_level in (("stage", table.stage), ("authority", table.authority)):
        for word in per_level:
            if word not in given:
                yield f'{key}: {word}: this group never gives that level; use {", ".join(sorted(given)) or "none"}'
    waits = [word for word, authority in table.authority.items() if authority is Authority.AFTER]
    if waits and table.hold_s is None:
        yield f'key "hold_s" is missing: authority of {waits[0]} is "after"; give the seconds in which a person may object'
    if table.hold_s is not None and not waits:
        yield 'hold_s is for authority "after" alone; leave it out'


def _given(table: GroupTable) -> list[Level]:
    match table.kind:
        case GroupKind.COINCIDENCE:
            return list(_weights(table))
        case GroupKind.CHAIN:
            return sorted({Level.of(step.level) for step in table.step})
        case GroupKind.SILENCE:
            return list(WARNING_LEVELS)


def _weights(table: GroupTable) -> dict[Level, tuple[float, float]]:
    found = {}
    for level in WARNING_LEVELS:
        match getattr(table, level.word):
            case WeightTable(on=on, off=off):
                found[level] = (on, off)
            case float() | int() as on:
                found[level] = (on, on)
    return found


def _at(table: GroupTable) -> Level:
    return Level.of(table.at or ("blue" if table.kind is GroupKind.SILENCE else "yellow"))


def _compiled(table: GroupTable) -> Group:
    delay_min = _OFF_DELAY_MIN[table.kind] if table.off_delay_min is None else table.off_delay_min
    silence = table.kind is GroupKind.SILENCE
    return Group(
        name=table.name, kind=table.kind, hazard=table.hazard, area=table.area, picks=_picks(table),
        levels=tuple(_level_rule(table, level) for level in _given(table)),
        weights={name: _thousandths(table.weights.get(name, 1.0)) for name in table.stations},
        watched=tuple(table.stations) if silence else (), silent_ms=_ms(table.silent_min) if silence else 0,
        quantity=table.quantity if silence else "",
        alone=Level.of(table.alone) if table.alone else Level.CLEAR,
        on_delay_ms=round(table.on_delay_s * 1000), off_delay_ms=_ms(delay_min), shadow=table.shadow,
        place=table.place or table.name, place_zh=table.place_zh or table.place or table.name,
        text_en=table.text_en, text_zh=table.text_zh, hash=digest(encode(table)),
    )  # fmt: skip


def _picks(table: GroupTable) -> tuple[Pick, ...]:
    if table.kind is GroupKind.CHAIN:
        return tuple(
            Pick(tuple(step.stations), Level.of(step.at), Level.of(step.until or step.at), step.hazard, step.quantity,
                 step.rule, _ms(step.travel_min[0]), _ms(step.travel_min[1]), Level.of(step.level))
            for step in table.step)
    at, until = _at(table), Level.of(table.until) if table.until else _at(table)
    if table.kind is GroupKind.SILENCE:
        return (Pick(tuple(table.neighbours or table.stations), at, until),)
    hazard = None if table.quantity or table.rule else table.hazard
    return (Pick(tuple(table.stations), at, until, hazard, table.quantity, table.rule, to_ms=_ms(table.over_min)),)


def _level_rule(table: GroupTable, level: Level) -> LevelRule:
    on, off = _weights(table)[level] if table.kind is GroupKind.COINCIDENCE else (level / SCALE, level / SCALE)
    authority = table.authority.get(level.word, Authority.CONFIRM)  # type: ignore[call-overload]
    stage = table.stage.get(level.word, _STAGES.get(level, Stage.WATCH))  # type: ignore[call-overload]
    hold_s = table.hold_s if authority is Authority.AFTER and table.hold_s else 0.0
    return LevelRule(level, _thousandths(on), _thousandths(off), stage, authority, hold_s)


def _thousandths(weight: float) -> int:
    return round(weight * SCALE)


def _ms(minutes: float) -> int:
    return round(minutes * _MINUTE_MS)
