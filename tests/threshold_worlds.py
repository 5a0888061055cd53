"""Made-up stations with faults, for the kernel's property tests; everything follows from one seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.threshold_worlds_rules import HOUR, rules_for
from thresholds.binding import bind
from thresholds.kernel import Block
from thresholds.plan import Plan
from thresholds.series import Series
from tocsin.readings import Quality

BEGIN = 1_700_000_000_000
GAPS = (1, 1, 2, 3, 5, 12, 40, 90)
PERIODS = (1_000, 20_000, 60_000, 60_000, 300_000, 900_000, 3_600_000)
SENTINELS = (65_535, -9_999_000, 65_535_000, -(2**63), 2**63 - 1, -1)
FIRST = {"rain_total_mm": 4000, "rain_mm": 0, "stage_m": 900, "o2_pct_vol": 20900, "ch4_pct_lel": 1000}


@dataclass(frozen=True)
class Control:
    """What a person or the clock does before row `row`. `what`: acknowledge, clear, shelve or new_epoch."""

    row: int
    what: str
    track: int
    t_ms: int


@dataclass
class World:
    """A plan, the rows it will see, and what is done between them."""

    plan: Plan
    block: Block
    controls: list[Control]


def world_of(seed: int, rows: int, *, controls: bool = True) -> World:
    dice = random.Random(seed)
    period = dice.choice(PERIODS)
    possible = [
        Series("gauge/rain_total_mm", "rain_total_mm", period, (0.0, 5000.0)),
        Series("tray/rain_mm", "rain_mm", period, (-1.0, 60.0)),
        Series("bucket/rain_total_mm", "rain_total_mm", period, (0.0, 5000.0)),
        Series("radar/stage_m", "stage_m", period, (0.0, 6.0)),
        Series("float/stage_m", "stage_m", period, (0.0, 6.0)),
        Series("nose/o2_pct_vol", "o2_pct_vol", period // 2 + 1, (0.0, 40.0)),
        Series("fence/ch4_pct_lel", "ch4_pct_lel", period, (-1.0, 100.0)),
    ]
    series = dice.sample(possible, dice.randint(3, 6))
    plan = bind(rules_for(dice, [*series], period), series)
    block, epochs = Weather(dice, series, rows, epochs=controls).fill()
    return World(plan, block, _controls(dice, plan, block, epochs) if controls else [])


def _controls(dice: random.Random, plan: Plan, block: Block, epochs: Sequence[int]) -> list[Control]:
    rows = len(block.now_ms)
    found = [Control(row, "new_epoch", 0, 0) for row in epochs]
    for _ in range(dice.randrange(rows // 8)):
        row = dice.randrange(rows)
        t = int(max(block.t_ms[row].max(), BEGIN))
        what = dice.choice(("acknowledge", "acknowledge", "clear", "shelve"))
        found.append(Control(row, what, dice.randrange(len(plan.tracks)), t + dice.choice((0, 0, -HOUR, HOUR))))
    return sorted(found, key=lambda one: one.row)


@dataclass
class Weather:
    """Readings row by row, with faults. `spiked` are the rows for which a spike still lasts."""

    dice: random.Random
    series: Sequence[Series]
    rows: int
    epochs: bool

    def fill(self) -> tuple[Block, list[int]]:
        """The rows, and before which of them the clock was set back by hours."""
        dice, block = self.dice, Block.blank(self.rows, len(self.series))
        step = max(one.period_ms for one in self.series)
        exact = dice.random() < 0.4    # every reading on time: where a window's edge meets a reading
        clock = BEGIN // 60_000 * 60_000 + (0 if exact else dice.randrange(60_000))
        now = {one.key: FIRST[one.quantity] for one in self.series}
        wet, spiked, service, epochs = dice.random() < 0.5, dict.fromkeys(now, 0), dict.fromkeys(now, 0), []
        calm = dice.choice((0.0, 0.5, 0.9))
        for row in range(self.rows):
            clock += self._passed(step)
            if self.epochs and dice.random() < 0.01:
                clock -= dice.choice((2, 30)) * HOUR
                epochs.append(row)
            wet ^= dice.random() < 0.05
            if dice.random() < 0.7:
                block.now_ms[row] = clock - dice.randrange(step)
            for column, one in enumerate(self.series):
                now[one.key] = _next(dice, one, now[one.key], wet=wet, calm=calm)
                if dice.random() < 0.93:
                    block.t_ms[row, column] = clock + (0 if exact else dice.randrange(step // 4 + 1))
                    block.raw[row, column] = now[one.key] + self._spike(one, spiked)
                    block.quality[row, column] = self._service(one, service)
                if dice.random() < 0.05:
                    _fault(dice, block, row, column)
        return block, epochs

    def _passed(self, step: int) -> int:
        dice = self.dice
        if dice.random() < 0.05:
            return step * dice.choice(GAPS)
        if dice.random() < 0.02:
            return -step * dice.choice((1, 3))    # the clock goes back a little
        return step // 4 if dice.random() < 0.1 else step

    def _spike(self, one: Series, spiked: dict[str, int]) -> int:
        """Of one reading, or of two or three that agree more or less."""
        dice, left = self.dice, spiked[one.key]
        if left == 0 and dice.random() < 0.04:
            left = dice.choice((1, 1, 2, 3)) * dice.choice((-1, 1, 1))
        spiked[one.key] = left - (left > 0) + (left < 0)
        high = {"rain_mm": 8000, "rain_total_mm": 9000, "stage_m": 2000}.get(one.quantity, 6000)
        return dice.choice((high, high, high // 2)) * (1 if left > 0 else -1) if left else 0

    def _service(self, one: Series, service: dict[str, int]) -> int:
        dice, left = self.dice, service[one.key]
        if left == 0 and dice.random() < 0.01:
            left = dice.randint(1, 5)
        service[one.key] = max(left - 1, 0)
        return int(Quality.SERVICE) if left else 0


def _next(dice: random.Random, series: Series, now: int, *, wet: bool, calm: float) -> int:
    """The true value after one more period. `calm` is how likely it does not move at all."""
    if dice.random() < calm and not wet:
        return 0 if series.quantity == "rain_mm" else now
    match series.quantity:
        case "rain_total_mm":
            reset = dice.random() < 0.01
            return dice.choice((0, 200, 400)) if reset else (now + wet * 200 * dice.randrange(8)) % 5_000_000
        case "rain_mm":
            return wet * 200 * dice.randrange(8)
        case "stage_m":
            return min(max(now + dice.randint(-250, 250) + (60 if wet else -40), 0), 5900)
        case "ch4_pct_lel":
            return min(max(now + dice.randint(-400, 400) + (80 if wet else -80), 0), 30_000)
        case _:
            return min(max(now + dice.randint(-900, 900) + (-100 if wet else 100), 14000), 22000)


def _fault(dice: random.Random, block: Block, row: int, column: int) -> None:
    cell = (row, column)
    match dice.randrange(6):
        case 0:
            block.raw[cell] = dice.choice(SENTINELS)
        case 1:
            block.t_ms[cell] -= dice.choice((0, 60_000, 3_600_000)) if block.t_ms[cell] else 0
        case 2 if row:
            block.t_ms[cell] = block.t_ms[row - 1, column]
        case 3:
            block.quality[cell] |= int(dice.choice((Quality.SERVICE, Quality.SPIKE_HELD, Quality.MISSING)))
        case 4:
            block.quality[cell] |= int(dice.choice((Quality.STUCK, Quality.CLOCK)))
        case _:
            block.quality[cell] = int(Quality.MISSING)


def cut(block: Block, begin: int, end: int) -> Block:
    """Rows begin to end, as an agent would give them."""
    return Block(*(np.array(part[begin:end]) for part in (block.t_ms, block.raw, block.quality, block.now_ms)))
