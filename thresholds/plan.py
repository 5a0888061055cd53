"""Rules in whole numbers, and their binding to the series of a station."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from thresholds.rulefile import LIMIT, SCALE
from thresholds.series import Series
from tocsin.config import ConfigError
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.messages import RuleCard
from tocsin.quantities import QUANTITIES

# A window of W ms is kept in slots of at least this many ms, and of half the series' period.
SLOT_MS = 500
MINUTE_MS = 60_000
SUM_LIMIT = 2**62


@dataclass(frozen=True, slots=True)
class LevelRule:
    """One level of a rule. `on` and `off` in thousandths of the unit, delays in ms, `min_valid` in thousandths."""

    level: Level
    on: int
    off: int
    n: int
    m: int
    on_delay_ms: int
    off_delay_ms: int
    min_valid: int
    stage: Stage
    authority: Authority


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `over_ms` is the window of a sum, 0 for the value itself; `device` "" binds to every device."""

    name: str
    quantity: str
    over_ms: int
    low: bool
    device: str
    datum: str
    levels: tuple[LevelRule, ...]

    @property
    def hazard(self) -> Hazard:
        return QUANTITIES[self.quantity].hazard

    @property
    def over_s(self) -> int:
        return self.over_ms // 1000

    @property
    def canonical(self) -> bytes:
        """The same bytes for the same rule, however it was written."""
        return msgspec.json.encode(self, order="sorted")

    def at(self, level: Level) -> LevelRule | None:
        """The rule's thresholds of that level, None where it has none."""
        return next((own for own in self.levels if own.level == level), None)


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of a file. `place` names it in problems; it is no part of what the rules are."""

    rules: tuple[Rule, ...]
    place: str = field(default="rules", compare=False)

    @property
    def hash(self) -> str:
        """32 hex digits over the canonical form."""
        return _hash(rule.canonical for rule in self.rules)


@dataclass(frozen=True, slots=True)
class Track:
    """One rule on one series: what has a level."""

    rule: Rule
    series_index: int
    series: Series


@dataclass(frozen=True, slots=True)
class Plan:
    """What a kernel runs: the series of a station in the order of a block's columns, and the tracks on them."""

    rules: Rules
    series: tuple[Series, ...]
    tracks: tuple[Track, ...]

    @property
    def hash(self) -> str:
        """32 hex digits over rules and series: the same plan, the same state."""
        return _hash((self.rules.hash.encode(), *(msgspec.json.encode(one, order="sorted") for one in self.series)))


def _hash(parts: Iterator[bytes] | Sequence[bytes]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()


def slot_ms(series: Series) -> int:
    """Readings of one slot are counted as one, at the time of the last of them, in windows of up to an hour."""
    return max(series.period_ms // 2, SLOT_MS)


def bind(rules: Rules, series: Sequence[Series]) -> Plan:
    """Every rule on every series it means. Raises ConfigError with every problem."""
    problems = [f"{rules.place}: {problem}" for problem in _of_series(series)]
    if problems:
        raise ConfigError(problems)
    tracks: list[Track] = []
    for rule in rules.rules:
        found = [Track(rule, index, one) for index, one in enumerate(series) if _means(rule, one)]
        wrong = [why for track in found for why in _of_track(track)] if found else [_of_nothing(rule, series)]
        problems += [f'{rules.place}: rule "{rule.name}": {why}' for why in wrong]
        tracks += found
    if problems:
        raise ConfigError(problems)
    return Plan(rules, tuple(series), tuple(tracks))


def _means(rule: Rule, series: Series) -> bool:
    return series.judged_as == rule.quantity and rule.device in {"", series.device}


def _of_series(series: Sequence[Series]) -> Iterator[str]:
    seen: set[str] = set()
    for one in series:
        low, high = one.plausible
        if one.key in seen:
            yield f"series {one.key}: is there twice; use one name a device"
        if one.quantity not in QUANTITIES:
            yield f'series {one.key}: "{one.quantity}" is not a quantity; use {", ".join(QUANTITIES)}'
        if one.period_ms <= 0:
            yield f"series {one.key}: period_ms {one.period_ms} is not allowed; use a number above 0"
        if not -LIMIT < low * SCALE <= high * SCALE < LIMIT:
            yield (f"series {one.key}: plausible {low:g} to {high:g} is not allowed; "
                   f"use low and high within ±{LIMIT // SCALE}")
        seen.add(one.key)


def _of_nothing(rule: Rule, series: Sequence[Series]) -> str:
    devices = [one.device for one in series if one.judged_as == rule.quantity]
    if devices:
        return f'device: "{rule.device}" gives no {rule.quantity} here; use {", ".join(devices)}'
    there = ", ".join(dict.fromkeys(one.judged_as for one in series))
    cure = f"use {there}" if there else "the station has no series"
    return f'quantity: no device here gives "{rule.quantity}"; {cure}'


def _of_track(track: Track) -> Iterator[str]:
    rule, series = track.rule, track.series
    if rule.datum != series.datum:
        said = f'"{rule.datum}" is not the datum of {series.key}' if rule.datum else f"is missing for {series.key}"
        yield f'datum: {said}; use "{series.datum}"'
    if rule.over_ms:
        if rule.over_ms < series.period_ms:
            yield (f"over_min: {rule.over_ms / MINUTE_MS:g} is shorter than the period of {series.key}; "
                   f"use at least {series.period_ms / MINUTE_MS:g}")
        slots = rule.over_ms // slot_ms(series) + 2
        if slots * series.plausible[1] * SCALE >= SUM_LIMIT:
            yield (f"over_min: {rule.over_ms / MINUTE_MS:g} min of {series.key} can overflow; use a shorter window, "
                   f"a longer period, or a plausible range below {series.plausible[1]:g}")
        return
    low, high = series.plausible
    for level in rule.levels:
        if not low <= level.on / SCALE <= high:
            yield (f"{level.level.word}: on {level.on / SCALE:g} can never be read: {series.key} is plausible from "
                   f"{low:g} to {high:g}")


def cards(plan: Plan) -> list[RuleCard]:
    """The tracks as the station describes them to the hub."""
    return [
        RuleCard(
            name=track.rule.name, series=track.series.key, quantity=track.rule.quantity, hazard=track.rule.hazard,
            levels={level.level.word: level.on / SCALE for level in track.rule.levels},
            over_s=track.rule.over_s, low=track.rule.low,
        )
        for track in plan.tracks
    ]

