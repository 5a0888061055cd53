"""The levels of one rule: from what is written to whole numbers, and what is wrong with them."""

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import msgspec

from thresholds.rule import SCALE, Feature, LevelRule
from thresholds.rulefile import (
    FARTHEST_MIN,
    MIN_VALID,
    OFF_KEYS,
    Direction,
    LevelTable,
    RuleTable,
    default_latch,
    default_stage,
    defaults_of,
    milli,
    scale_of,
    times,
)
from tocsin.levels import WARNING_LEVELS, Authority, Level, Stage

T = TypeVar("T", int, float)
SPEEDS = frozenset({Feature.RATE, Feature.SLOPE})


class LevelReader:
    """Reads the levels of a rule whose quantity and feature are known. `refuse` takes a key and why."""

    def __init__(self, written: RuleTable, quantity: str, feature: Feature, refuse: Callable[[str, str], None]) -> None:
        self.written = written
        self.quantity = quantity
        self.feature = feature
        self.refuse = refuse
        self.defaults = defaults_of(quantity, feature)
        low = written.direction is Direction.LOW
        self.signed = low and feature in {Feature.VALUE, *SPEEDS}    # those of a CUSUM are sizes, on either side
        self.falls = self.signed or feature is Feature.TIME_TO
        self.scale = scale_of(feature)

    def levels(self) -> tuple[LevelRule, ...]:
        """Those without problems, in order of severity."""
        given = [level for level in WARNING_LEVELS if getattr(self.written, level.word) is not None]
        if not given:
            self.refuse("levels", "none is given; give at least one of blue, yellow, orange, red")
        if self.written.hold_s is not None and all(self.asks(level)[1] is not Authority.AFTER for level in given):
            self.refuse("hold_s", f'{self.written.hold_s:g} is not allowed: no level has authority "after"')
        read = [self._level(level) for level in given]
        levels = [level for level in read if level is not None]
        for lower, higher in pairwise(levels):
            self._check_order(lower, higher)
        return tuple(levels)

    def asks(self, level: Level) -> tuple[Stage, Authority]:
        """What the rule asks of people at this level, and who decides."""
        stage = getattr(self.written.stage, level.word) or default_stage(self.quantity, self.feature, level.word)
        return stage, getattr(self.written.authority, level.word) or Authority.AUTO

    def _level(self, level: Level) -> LevelRule | None:
        table = getattr(self.written, level.word)
        table = table if isinstance(table, LevelTable) else LevelTable(on=table)
        refused = self._counting(level, table)
        on = self._whole(f"{level.word}: on", table.on)
        if on is None or self._never_still(f"{level.word}: on", on) or refused:
            return None
        off = self._off(level, table, on)
        if off is None:
            return None
        stage, authority = self.asks(level)
        latch = self._said(table, "latch")
        return LevelRule(
            level=level, on=on, off=off,
            n=self._of(table, "n", self.defaults.n),
            m=self._of(table, "m", self.defaults.m),
            on_delay_ms=round(self._of(table, "on_delay_s", 0.0) * 1000),
            off_delay_ms=round(self._of(table, "off_delay_min", self.defaults.off_delay_min) * 60_000),
            min_valid=round(self._of(table, "min_valid", MIN_VALID) * SCALE) if self.feature is Feature.SUM else 0,
            stage=stage, authority=authority,
            latch=default_latch(self.quantity, self.feature, level) if latch is None else latch is True,
            hold_ms=round(self._of(table, "hold_s", 0.0) * 1000) if authority is Authority.AFTER else 0,
        )

    def _counting(self, level: Level, table: LevelTable) -> bool:
        """Refuses how often, over what and after whom the level counts; whether it did."""
        refused = False
        n, m = self._of(table, "n", self.defaults.n), self._of(table, "m", self.defaults.m)
        if not m / 2 < n <= m:
            self.refuse(level.word, f"n {n} of m {m} is not allowed; use an n of {m // 2 + 1} to {m}")
            refused = True
        if table.min_valid is not None and self.feature is not Feature.SUM:
            self.refuse(f"{level.word}: min_valid",
                        f'{table.min_valid:g} is not allowed with feature "{self.feature}"; leave it out')
            refused = True
        after = self.asks(level)[1] is Authority.AFTER
        if table.hold_s is not None and not after:
            self.refuse(f"{level.word}: hold_s", f'{table.hold_s:g} is not allowed: it belongs to authority "after"; '
                                                 f'use authority {level.word} = "after", or leave it out')
            refused = True
        elif after and self._said(table, "hold_s") is None:
            self.refuse(f"{level.word}: hold_s", 'is missing: authority "after" needs it; give the seconds in which a '
                                                 "person may object")
            refused = True
        return refused

    def _said(self, table: LevelTable, key: str) -> bool | float | None:
        """The level's own value, else the rule's."""
        own: bool | float | None = getattr(table, key)
        rules: bool | float | None = getattr(self.written, key)
        return rules if own is None else own

    def _of(self, table: LevelTable, key: str, default: T) -> T:
        """The level's own value, else the rule's, else the default."""
        for source in (table, self.written):
            value: T | None = getattr(source, key)
            if value is not None:
                return value
        return default

    def _whole(self, key: str, value: float) -> int | None:
        try:
            return milli(value) * self.scale // SCALE
        except ValueError as err:
            self.refuse(key, str(err))
            return None

    def _never_still(self, key: str, raw: int) -> bool:
        """Refuses a threshold that is reached where nothing happens at all."""
        shown = f"{raw / self.scale:g}"
        if self.feature is Feature.VALUE:
            return False
        if self.feature is Feature.TIME_TO and raw > FARTHEST_MIN * self.scale:
            self.refuse(key, f"{shown} is not allowed; use minutes above 0 and up to {FARTHEST_MIN}")
            return True
        if (raw >= 0) if self.signed else (raw <= 0):
            side = "below 0: a fall is negative" if self.signed else "above 0"
            what = "minutes" if self.feature is Feature.TIME_TO else "a number"
            self.refuse(key, f"{shown} is not allowed: nothing at all would reach it; use {what} {side}")
            return True
        return False

    def _ways(self) -> tuple[str, ...]:
        """The keys that can say `off` here."""
        beside = "off_above" if self.falls else "off_below"
        fraction = self.feature in SPEEDS or not self.falls
        return ("off", beside, "off_fraction") if fraction else ("off", beside)

    def _side(self) -> str:
        """What decides on which side `off` lies."""
        if self.feature in {Feature.TIME_TO, Feature.CUSUM}:
            return f'feature "{self.feature}"'
        return f'direction "{"low" if self.falls else "high"}"'

    def _off(self, level: Level, table: LevelTable, on: int) -> int | None:
        ways, allowed = _ways(table) or _ways(self.written), self._ways()
        default = self.defaults.off_fraction
        if not ways and default is not None and not (self.feature is Feature.VALUE and self.falls):
            return self._checked_off(f"{level.word}: off", times(on, default), on)
        if len(ways) != 1:
            said = f"{' and '.join(ways)} are given" if ways else "is not given"
            self.refuse(f"{level.word}: off", f"{said}; give one of {', '.join(allowed)}")
            return None
        (key, value), = ways.items()
        place = f"{level.word}: {key}"
        if key not in allowed:
            self.refuse(place, f"{value:g} is not allowed with {self._side()}; use {allowed[1]}")
            return None
        if key == "off_fraction":
            return self._checked_off(place, times(on, value), on)
        off = self._whole(place, value)
        if off is None:
            return None
        if key in {"off_below", "off_above"}:
            off = on + off if self.falls else on - off
        return self._checked_off(place, off, on)

    def _checked_off(self, place: str, off: int, on: int) -> int | None:
        if (off < on) if self.falls else (off > on):
            self.refuse(place, f"off {off / self.scale:g} is on the wrong side of on {on / self.scale:g}; "
                               f"use at {'least' if self.falls else 'most'} {on / self.scale:g}")
            return None
        still = self.feature not in {Feature.VALUE, Feature.TIME_TO}
        if still and ((off >= 0) if self.signed else (off <= 0)):
            self.refuse(place, f"off {off / self.scale:g} would never let the level fall; use a number "
                               f"{'below' if self.signed else 'above'} 0")
            return None
        return off

    def _check_order(self, lower: LevelRule, higher: LevelRule) -> None:
        for key, strict in (("on", True), ("off", False)):
            a, b = getattr(lower, key), getattr(higher, key)
            step = a - b if self.falls else b - a
            if step < 0 or (strict and step == 0):
                self.refuse(higher.level.word, f"{key} {b / self.scale:g} is not {'below' if self.falls else 'above'} "
                                               f"{lower.level.word}'s {a / self.scale:g}; with {self._side()} levels "
                                               f"{'fall' if self.falls else 'rise'} from blue to red")


def _ways(table: LevelTable | RuleTable) -> dict[str, float]:
    given = msgspec.structs.asdict(table)
    return {key: given[key] for key in OFF_KEYS if given.get(key) is not None}
