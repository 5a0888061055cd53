"""Rules: from the file to whole numbers, and from rules and series to a plan that the kernel runs."""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from thresholds.plan import LevelRule, Plan, Rule, Rules, Track, bind, cards
from thresholds.rulefile import (
    EITHER_WAY,
    MIN_VALID,
    SCALE,
    SUMMED,
    Defaults,
    Direction,
    LevelTable,
    RulesTable,
    RuleTable,
    default_stage,
    defaults_of,
    milli,
    times,
)
from tocsin.config import ConfigError, convert, read_toml
from tocsin.levels import WARNING_LEVELS, Authority, Level, Stage
from tocsin.quantities import QUANTITIES, quantity

__all__ = ["LevelRule", "Plan", "Rule", "Rules", "Track", "bind", "cards", "load_rules", "rules_of"]

T = TypeVar("T", int, float)

OFF_KEYS = ("off", "off_fraction", "off_below", "off_above")


def load_rules(path: Path) -> Rules:
    """The rules of a file. Raises ConfigError with every problem: rule, key, value, and what is allowed."""
    return rules_of(read_toml(path), str(path))


def rules_of(value: Mapping[str, Any], place: str) -> Rules:
    """The rules of a table already read; `place` starts every problem. Raises ConfigError."""
    table = convert(value, RulesTable, place)
    problems: list[str] = []
    rules: list[Rule] = []
    names: set[str] = set()
    for written in table.rule:
        reader = _Reader(written, f'{place}: rule "{written.name}"')
        if written.name in names:
            reader.refuse("name", f'"{written.name}" is already taken; use another')
        names.add(written.name)
        rule = reader.rule()
        problems += reader.problems
        if rule is not None:
            rules.append(rule)
    if problems:
        raise ConfigError(problems)
    return Rules(tuple(rules), place)


class _Reader:
    """Reads one rule and collects what is wrong with it."""

    def __init__(self, written: RuleTable, place: str) -> None:
        self.written = written
        self.place = place
        self.problems: list[str] = []
        self.low = written.direction is Direction.LOW

    def refuse(self, key: str, why: str) -> None:
        self.problems.append(f"{self.place}: {key}: {why}")

    def rule(self) -> Rule | None:
        """None where there are problems."""
        try:
            quantity(self.written.quantity)
        except ValueError as err:
            self.refuse("quantity", str(err))
            return None
        self._check_feature()
        self._check_direction()
        self._check_stages()
        levels = self._levels()
        if self.problems:
            return None
        written = self.written
        over_ms = round((written.over_min or 0) * 60_000)
        return Rule(written.name, written.quantity, over_ms, self.low, written.device or "", written.datum, levels)

    def _check_feature(self) -> None:
        written = self.written
        summed = written.quantity in SUMMED
        if QUANTITIES[written.quantity].increments:
            self.refuse("quantity", f'"{written.quantity}" only ever rises; '
                                    f'use "{QUANTITIES[written.quantity].increments}" with over_min')
        elif summed and written.over_min is None:
            self.refuse("over_min", f"is missing; {written.quantity} is judged as a sum, give minutes")
        elif not summed and written.over_min is not None:
            self.refuse("over_min", f"{written.over_min:g} is not allowed: {written.quantity} is judged as it is; "
                                    f"only {', '.join(sorted(SUMMED))} is summed")
        if not summed and written.min_valid is not None:
            self.refuse("min_valid", f"{written.min_valid:g} is not allowed: it belongs to sums")
        over_s = (written.over_min or 0) * 60
        if over_s > 3600 and over_s % 60:
            self.refuse("over_min", f"{written.over_min:g} is not allowed; use whole minutes above 60")
        elif over_s % 1:
            self.refuse("over_min", f"{written.over_min:g} is not allowed; use a window of whole seconds")

    def _check_direction(self) -> None:
        written = self.written
        if written.direction is None and written.quantity in EITHER_WAY:
            self.refuse("direction", f'is missing; say whether "high" or "low" {written.quantity} is the bad side')
        if self.low and written.quantity in SUMMED:
            self.refuse("direction", '"low" is not allowed for a sum; use "high"')

    def _check_stages(self) -> None:
        written = self.written
        for level in WARNING_LEVELS:
            for key in ("stage", "authority"):
                given = getattr(getattr(written, key), level.word)
                if given is not None and getattr(written, level.word) is None:
                    self.refuse(f"{key}: {level.word}", f'"{given}" is not allowed: the rule has no {level.word}')
            stage, authority = self._asks(level)
            if written.quantity in SUMMED and stage is Stage.MOVE and authority is Authority.AUTO:
                self.refuse(f"stage: {level.word}",
                            '"move" on authority "auto" is not allowed for the rain of one gauge; '
                            f'use "prepare", or authority {level.word} = "confirm"')

    def _asks(self, level: Level) -> tuple[Stage, Authority]:
        stage = getattr(self.written.stage, level.word) or default_stage(self.written.quantity, level.word)
        return stage, getattr(self.written.authority, level.word) or Authority.AUTO

    def _levels(self) -> tuple[LevelRule, ...]:
        levels: list[LevelRule] = []
        given = [level for level in WARNING_LEVELS if getattr(self.written, level.word) is not None]
        if not given:
            self.refuse("levels", "none is given; give at least one of blue, yellow, orange, red")
        for level in given:
            table = getattr(self.written, level.word)
            rule = self._level(level, table if isinstance(table, LevelTable) else LevelTable(on=table))
            if rule is not None:
                levels.append(rule)
        for lower, higher in pairwise(levels):
            self._check_order(lower, higher)
        return tuple(levels)

    def _level(self, level: Level, table: LevelTable) -> LevelRule | None:
        defaults = defaults_of(self.written.quantity)
        before = len(self.problems)
        on = self._milli(f"{level.word}: on", table.on)
        off = self._off(level, table, on, defaults)
        n = self._of(table, "n", defaults.n)
        m = self._of(table, "m", defaults.m)
        if not m / 2 < n <= m:
            self.refuse(level.word, f"n {n} of m {m} is not allowed; use an n of {m // 2 + 1} to {m}")
        if table.min_valid is not None and self.written.quantity not in SUMMED:
            self.refuse(f"{level.word}: min_valid", f"{table.min_valid:g} is not allowed: it belongs to sums")
        if len(self.problems) > before:
            return None
        stage, authority = self._asks(level)
        return LevelRule(
            level=level, on=on, off=off, n=n, m=m,
            on_delay_ms=round(self._of(table, "on_delay_s", 0.0) * 1000),
            off_delay_ms=round(self._of(table, "off_delay_min", defaults.off_delay_min) * 60_000),
            min_valid=round(self._of(table, "min_valid", MIN_VALID) * SCALE) if self.written.over_min else 0,
            stage=stage, authority=authority,
        )

    def _of(self, table: LevelTable, key: str, default: T) -> T:
        """The level's own value, else the rule's, else the default."""
        for source in (table, self.written):
            value: T | None = getattr(source, key)
            if value is not None:
                return value
        return default

    def _milli(self, key: str, value: float) -> int:
        try:
            return milli(value)
        except ValueError as err:
            self.refuse(key, str(err))
            return 0

    def _off(self, level: Level, table: LevelTable, on: int, defaults: Defaults) -> int:
        ways = _ways(table) or _ways(self.written)
        if not ways and defaults.off_fraction is not None and not self.low:
            ways = {"off_fraction": defaults.off_fraction}
        if len(ways) != 1:
            above = "off_above" if self.low else "off_below"
            said = f"{' and '.join(ways)} are given" if ways else "is not given"
            self.refuse(f"{level.word}: off", f"{said}; give one of off, {above}{'' if self.low else ', off_fraction'}")
            return on
        (key, value), = ways.items()
        place = f"{level.word}: {key}"
        if (key, self.low) in {("off_below", True), ("off_above", False), ("off_fraction", True)}:
            side, other = ("low", "off_above") if self.low else ("high", "off_below")
            self.refuse(place, f'{value:g} is not allowed with direction "{side}"; use {other}')
            return on
        off = times(on, value) if key == "off_fraction" else self._milli(place, value)
        if key in {"off_below", "off_above"}:
            off = on + off if self.low else on - off
        if (off < on) if self.low else (off > on):
            self.refuse(place, f"off {off / SCALE:g} is on the wrong side of on {on / SCALE:g}; "
                               f"use at {'least' if self.low else 'most'} {on / SCALE:g}")
        return off

    def _check_order(self, lower: LevelRule, higher: LevelRule) -> None:
        for key, strict in (("on", True), ("off", False)):
            a, b = getattr(lower, key), getattr(higher, key)
            step = a - b if self.low else b - a
            if step < 0 or (strict and step == 0):
                side = "below" if self.low else "above"
                self.refuse(higher.level.word, f"{key} {b / SCALE:g} is not {side} {lower.level.word}'s {a / SCALE:g}; "
                                               f'with direction "{"low" if self.low else "high"}" levels '
                                               f'{"fall" if self.low else "rise"} from blue to red')


def _ways(table: LevelTable | RuleTable) -> dict[str, float]:
    given = msgspec.structs.asdict(table)
    return {key: given[key] for key in OFF_KEYS if given.get(key) is not None}
