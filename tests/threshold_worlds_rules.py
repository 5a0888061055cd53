"""Made-up rules of every feature, and checks, for the made-up stations."""

import random
from collections.abc import Sequence
from typing import Any

from thresholds.rule import Check, Feature, LevelRule, Rule, Rules
from thresholds.series import Series
from tocsin.levels import WARNING_LEVELS, Authority, Level, Stage

MINUTE = 60_000
HOUR = 60 * MINUTE


def rules_for(dice: random.Random, series: Sequence[Series], period: int) -> Rules:
    """Rules on these series; some of every feature over a few hundred seeds."""
    there = {one.judged_as for one in series}
    devices = {one.device for one in series}
    rules = [rule for make in (_rain, _stage, _trends, _oxygen, _methane)
             for rule in make(dice, period) if rule.quantity in there and rule.device in {"", *devices}]
    counted = [rule for rule in rules
               if sum(one.judged_as == rule.quantity and rule.device in {"", one.device} for one in series) > 1]
    if counted and dice.random() < 0.7:
        rules.append(_coincidence(dice, dice.choice(counted), period, series))
    dice.shuffle(rules)
    return Rules(tuple(rules), tuple(_checks(dice, series, period)), "world")


def levels_of(dice: random.Random, ons: Sequence[int], back: int, period: int) -> tuple[LevelRule, ...]:
    """One to four levels; `off` is up to twice `back` on the good side of `on` (its sign says which side)."""
    chosen = sorted(dice.sample(range(4), dice.randint(1, 4)))
    timing = _timing(dice, period)
    latch = dice.random() < 0.25
    found = []
    for number in chosen:
        own = timing if dice.random() < 0.7 else _timing(dice, period)
        found.append(LevelRule(
            level=WARNING_LEVELS[number], on=ons[number], off=ons[number] - back * dice.choice((0, 1, 1, 2)),
            min_valid=dice.choice((0, 300, 800, 1000)), stage=dice.choice(list(Stage)),
            authority=dice.choice(list(Authority)), latch=latch and dice.random() < 0.7,
            hold_ms=dice.choice((0, 90_000)), **own))
    return tuple(found)


def _timing(dice: random.Random, period: int) -> dict[str, int]:
    m = dice.choice((1, 1, 2, 3, 3, 5, 9, 16))
    return {
        "n": dice.randint(m // 2 + 1, m), "m": m,
        "on_delay_ms": dice.choice((0, 0, 0, 2 * period, 7 * period + 1)),
        "off_delay_ms": dice.choice((0, 3, 10)) * period,
    }


def _rule(name: str, quantity: str, feature: Feature, levels: tuple[LevelRule, ...], **more: Any) -> Rule:
    given: dict[str, Any] = {"over_ms": 0, "low": False, "device": "", "datum": ""} | more
    return Rule(name=name, quantity=quantity, feature=feature, levels=levels, **given)


def _rain(dice: random.Random, period: int) -> list[Rule]:
    windows = [over for over in (MINUTE, 10 * MINUTE, HOUR, 61 * MINUTE, 90 * MINUTE, 3 * HOUR, 24 * HOUR, 4 * period)
               if period <= over <= 300 * period]
    found = []
    for number in range(dice.randint(1, 3)):
        over = dice.choice(windows)
        scale = 300 * over // period + 1000
        levels = levels_of(dice, [scale // 2, scale, 3 * scale // 2, 2 * scale], scale // 8, period)
        found.append(_rule(f"rain {number}", "rain_mm", Feature.SUM, levels, over_ms=over))
    return found


def _stage(dice: random.Random, period: int) -> list[Rule]:
    return [_rule(f"stage {number}", "stage_m", Feature.VALUE,
                  levels_of(dice, [1000, 2000, 2500, 4000], dice.choice((0, 100, 300)), period),
                  device=dice.choice(("", "", "radar")))
            for number in range(dice.randint(1, 2))]


def _trends(dice: random.Random, period: int) -> list[Rule]:
    found = []
    for number in range(dice.randint(1, 3)):
        over = dice.choice((4, 10, 17, 30)) * period
        unit = dice.choice((100, 500)) * HOUR // over
        high = levels_of(dice, [unit, 2 * unit, 3 * unit, 5 * unit], unit // 3, period)
        n_min, robust = dice.choice((2, 3, over // period)), dice.random() < 0.5
        more: dict[str, Any] = {"over_ms": over, "n_min": n_min, "robust": robust}
        low = dice.random() < 0.3
        if low:
            high = tuple(_turned(level) for level in high)
        match dice.randrange(3):
            case 0:
                found.append(_rule(f"rate {number}", "stage_m", Feature.RATE, high, over_ms=over, low=low))
            case 1:
                found.append(_rule(f"slope {number}", "stage_m", Feature.SLOPE, high, low=low, **more))
            case _:
                times = levels_of(dice, [16 * over, 8 * over, 3 * over, over], -over // 2, period)
                found.append(_rule(
                    f"time {number}", "stage_m", Feature.TIME_TO, times, low=low, target=500 if low else 4500,
                    floor=dice.choice((None, 2500)), **more))
    return found


def _turned(level: LevelRule) -> LevelRule:
    return LevelRule(level.level, -level.on, -level.off, level.n, level.m, level.on_delay_ms, level.off_delay_ms,
                     level.min_valid, level.stage, level.authority, level.latch, level.hold_ms)


def _oxygen(dice: random.Random, period: int) -> list[Rule]:
    found = [_rule("oxygen", "o2_pct_vol", Feature.VALUE, levels_of(dice, [21000, 19500, 18000, 15000], -500, period),
                   low=True)]
    if dice.random() < 0.5:
        found.append(_rule("oxygen creeps", "o2_pct_vol", Feature.CUSUM, _cusum_levels(dice, period), low=True,
                           allowance=dice.choice((0, 200)),
                           reference=_reference(dice.choice((None, 20500)), period, 20500)))
    return found


def _methane(dice: random.Random, period: int) -> list[Rule]:
    return [_rule(f"methane {number}", "ch4_pct_lel", Feature.CUSUM, _cusum_levels(dice, period),
                  allowance=dice.choice((0, 300, 1000)),
                  reference=_reference(dice.choice((None, None, 1500)), period, 1500))
            for number in range(dice.randint(1, 2))]


def _reference(chosen: int | None, period: int, number: int) -> int | None:
    """A series that is read less often than every 24 min finds no reference of its own, and the loader refuses that."""
    return number if period > 1_440_000 else chosen


def _cusum_levels(dice: random.Random, period: int) -> tuple[LevelRule, ...]:
    return levels_of(dice, [2000, 5000, 10000, 20000], 500, period)


def _coincidence(dice: random.Random, of: Rule, period: int, series: Sequence[Series]) -> Rule:
    members = [one.device for one in series if one.judged_as == of.quantity and of.device in {"", one.device}]
    levels = levels_of(dice, [1000, 1000, 1500, 2000], dice.choice((0, 500)), period)
    weights = tuple((device, dice.choice((500, 1500, 2000))) for device in members if dice.random() < 0.3)
    total = sum(dict(weights).get(device, 1000) for device in members)
    return _rule("together", of.quantity, Feature.COINCIDENCE,
                 tuple(level for level in levels if level.on <= total) or
                 levels_of(dice, [total] * 4, 0, period),
                 of=of.name, over_ms=dice.choice((3, 10, 30)) * period, weights=weights,
                 at=dice.choice((Level.BLUE, of.levels[-1].level)))


def _checks(dice: random.Random, series: Sequence[Series], period: int) -> list[Check]:
    quantities = dict.fromkeys(one.judged_as for one in series)
    found = [_check(dice, quantity, "", period) for quantity in quantities if dice.random() < 0.75]
    if dice.random() < 0.3:
        one = dice.choice(series)
        found.insert(dice.randint(0, len(found)), _check(dice, one.judged_as, one.device, period))
    return found


def _check(dice: random.Random, quantity: str, device: str, period: int) -> Check:
    floor = {"rain_mm": 1000, "stage_m": 280, "o2_pct_vol": 1000, "ch4_pct_lel": 1500}[quantity]
    return Check(
        quantity, device,
        rate_per_min=dice.choice((0, floor * MINUTE // period // 2, floor * MINUTE // period)),
        floor=dice.choice((0, floor, floor)),
        stuck_ms=dice.choice((0, 3 * period, 5 * period)),
        blocked=dice.choice((0, 400, 2000, 9000)) if quantity == "rain_mm" else 0,
        stale_ms=dice.choice((0, 0, 2 * period, 20 * period, 8 * HOUR)))
