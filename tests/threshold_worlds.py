"""Made-up stations with faults, for the kernel's property tests; everything follows from one seed."""

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from thresholds.kernel import Block
from thresholds.rules import Plan, bind, rules_of
from thresholds.series import Series
from tocsin.readings import Quality

BEGIN = 1_700_000_000_000
GAPS = (1, 1, 2, 3, 5, 12, 40, 90)


@dataclass
class World:
    """A plan and the rows it will see."""

    plan: Plan
    block: Block


def world_of(seed: int, rows: int) -> World:
    dice = random.Random(seed)
    period = dice.choice((1_000, 20_000, 60_000, 60_000, 300_000))
    series = [
        Series("gauge/rain_total_mm", "rain_total_mm", period, (0.0, 5000.0)),
        Series("tray/rain_mm", "rain_mm", period, (-1.0, 30.0)),
        Series("radar/stage_m", "stage_m", period, (0.0, 6.0)),
        Series("nose/o2_pct_vol", "o2_pct_vol", period // 2 + 1, (0.0, 40.0)),
    ]
    dice.shuffle(series)
    return World(bind(rules_of({"rule": _rules(dice, period)}, "world"), series), _block(dice, series, rows))


def _rules(dice: random.Random, period: int) -> list[dict[str, Any]]:
    windows = [minutes for minutes in (1, 10, 60, 61, 90, 180) if minutes * 60_000 >= period]
    rules: list[dict[str, Any]] = []
    for number in range(dice.randint(1, 3)):
        over = dice.choice(windows)
        scale = 0.3 * over * 60_000 / period + 1
        rules.append({"name": f"rain {number}", "quantity": "rain_mm", "over_min": over, "min_valid": dice.random(),
                      **_levels(dice, [round(scale * part, 3) for part in (0.5, 1.0, 1.5, 2.0)], fraction=True),
                      **_timing(dice, period)})
    rules += [{"name": f"stage {number}", "quantity": "stage_m", "off_below": dice.choice((0.0, 0.1, 0.4)),
               **_levels(dice, [1.0, 2.0, 2.5, 4.0]), **_timing(dice, period)} for number in range(dice.randint(1, 2))]
    rules.append({"name": "oxygen", "quantity": "o2_pct_vol", "direction": "low", "off_above": 0.5,
                  **_levels(dice, [21.0, 19.5, 18.0, 15.0]), **_timing(dice, period)})
    return rules


def _levels(dice: random.Random, ons: list[float], *, fraction: bool = False) -> dict[str, Any]:
    names = ["blue", "yellow", "orange", "red"]
    chosen: dict[str, Any] = dict(zip(names, ons, strict=True))
    for name in dice.sample(names, dice.randint(0, 3)):
        del chosen[name]
    top = max(chosen, key=names.index)
    if dice.random() < 0.4:
        m = dice.randint(1, 16)
        chosen[top] = {"on": chosen[top], "m": m, "n": dice.randint(m // 2 + 1, m), "on_delay_s": 0}
    if fraction:
        chosen["off_fraction"] = dice.choice((0.5, 0.8, 1.0))
    return chosen


def _timing(dice: random.Random, period: int) -> dict[str, Any]:
    m = dice.choice((1, 1, 2, 3, 5, 9))
    return {
        "m": m, "n": dice.randint(m // 2 + 1, m),
        "on_delay_s": dice.choice((0, 0, 2 * period / 1000, 7 * period / 1000)),
        "off_delay_min": min(dice.choice((0, 3, 10)) * period / 60_000, 1440),
    }


def _block(dice: random.Random, series: list[Series], rows: int) -> Block:
    block = Block.blank(rows, len(series))
    exact = dice.random() < 0.4    # every reading on time: where a window's edge meets a reading
    clock = BEGIN // 60_000 * 60_000 + (0 if exact else dice.randrange(60_000))
    levels = {one.key: _first(one) for one in series}
    wet = dice.random() < 0.5
    for row in range(rows):
        step = max(one.period_ms for one in series)
        clock += step * dice.choice(GAPS) if dice.random() < 0.05 else step // 4 if dice.random() < 0.1 else step
        wet ^= dice.random() < 0.05
        if dice.random() < 0.7:
            block.now_ms[row] = clock - dice.randrange(step)
        for column, one in enumerate(series):
            levels[one.key] = _next(dice, one, levels[one.key], wet=wet)
            if dice.random() < 0.9:
                block.t_ms[row, column] = clock + (0 if exact else dice.randrange(step // 4 + 1))
                block.raw[row, column] = levels[one.key]
                block.quality[row, column] = 0
            _fault(dice, block, row, column)
    return block


def _first(series: Series) -> int:
    return {"rain_total_mm": 4000, "rain_mm": 0, "stage_m": 900, "o2_pct_vol": 20900}[series.quantity]


def _next(dice: random.Random, series: Series, now: int, *, wet: bool) -> int:
    match series.quantity:
        case "rain_total_mm":
            return dice.choice((0, 200, 400)) if dice.random() < 0.01 else now + wet * 200 * dice.randrange(8)
        case "rain_mm":
            return wet * 200 * dice.randrange(8)
        case "stage_m":
            return min(max(now + dice.randint(-250, 250) + (30 if wet else -30), 0), 5900)
        case _:
            return min(max(now + dice.randint(-900, 900) + (-100 if wet else 100), 14000), 22000)


def _fault(dice: random.Random, block: Block, row: int, column: int) -> None:
    if dice.random() > 0.08:
        return
    cell = (row, column)
    match dice.randrange(7):
        case 0:
            block.raw[cell] = dice.choice((-9_999_000, 65_535_000, -(2**63), 2**63 - 1, -1))
        case 1:
            block.t_ms[cell] -= dice.choice((0, 60_000, 3_600_000)) if block.t_ms[cell] else 0
        case 2 if row:
            block.t_ms[cell] = block.t_ms[row - 1, column]
        case 3:
            block.raw[cell] += dice.choice((-2000, 2000))
        case 4:
            block.quality[cell] |= int(dice.choice((Quality.SERVICE, Quality.SPIKE_HELD, Quality.MISSING)))
        case 5:
            block.quality[cell] |= int(dice.choice((Quality.STUCK, Quality.CLOCK)))
        case _:
            block.quality[cell] = int(Quality.MISSING)


def cut(block: Block, begin: int, end: int) -> Block:
    """Rows begin to end, as an agent would give them."""
    return Block(*(np.array(part[begin:end]) for part in (block.t_ms, block.raw, block.quality, block.now_ms)))
