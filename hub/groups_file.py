"""The file of group rules, read: tables to rules. Every problem names file, rule, key, value and cure."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hub.groups_problems import problems_of
from hub.groups_rules import SCALE, Group, GroupKind, LevelRule, Pick
from hub.groups_tables import MINUTE_MS, OFF_DELAY_MIN, STAGES, GroupsFile, GroupTable, at_of, given_of, weights_of
from tocsin.config import ConfigError, convert, read_toml, twice
from tocsin.digests import digest
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import encode


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
        problems += [f"{where}: {what}" for what in problems_of(table, raw, earlier)]
        earlier[table.name] = table
    if problems:
        raise ConfigError(problems)
    return tuple(_compiled(table) for table in written)


def _compiled(table: GroupTable) -> Group:
    delay_min = OFF_DELAY_MIN[table.kind] if table.off_delay_min is None else table.off_delay_min
    silence = table.kind is GroupKind.SILENCE
    return Group(
        name=table.name, kind=table.kind, hazard=table.hazard, area=table.area, picks=tuple(
            replace(pick, keys=tuple(f"{number}/{name}" for name in pick.stations))
            for number, pick in enumerate(_picks(table))),
        levels=tuple(_level_rule(table, level) for level in given_of(table)),
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
    at, until = at_of(table), Level.of(table.until) if table.until else at_of(table)
    if table.kind is GroupKind.SILENCE:
        return (Pick(tuple(table.neighbours or table.stations), at, until),)
    hazard = None if table.quantity or table.rule else table.hazard
    return (Pick(tuple(table.stations), at, until, hazard, table.quantity, table.rule, to_ms=_ms(table.over_min)),)


def _level_rule(table: GroupTable, level: Level) -> LevelRule:
    on, off = weights_of(table)[level] if table.kind is GroupKind.COINCIDENCE else (level / SCALE, level / SCALE)
    if table.kind is GroupKind.SILENCE:    # it moves nobody
        return LevelRule(level, _thousandths(on), _thousandths(off))
    authority = table.authority.get(level.word, Authority.CONFIRM)  # type: ignore[call-overload]
    stage = table.stage.get(level.word, STAGES.get(level, Stage.WATCH))  # type: ignore[call-overload]
    hold_s = table.hold_s if authority is Authority.AFTER and table.hold_s else 0.0
    return LevelRule(level, _thousandths(on), _thousandths(off), stage, authority, hold_s)


def _thousandths(weight: float) -> int:
    return round(weight * SCALE)


def _ms(minutes: float) -> int:
    return round(minutes * MINUTE_MS)
