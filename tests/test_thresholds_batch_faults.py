"""The path for many rows where readings are faulty in ways that it has short cuts for: spikes, gaps, still values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_thresholds_batch import by_batch, by_tick, same
from tests.threshold_worlds import BEGIN, World, cut
from thresholds.batch import stream, track
from thresholds.binding import bind
from thresholds.kernel import Block, save, start
from thresholds.plan import Plan
from thresholds.rules import rules_of
from thresholds.series import Series
from tocsin.readings import Quality

MINUTE, ROWS = 60_000, 260
STAGE, TOTAL, AMOUNT = range(3)


def plan() -> Plan:
    """A stage, a running total and amounts, all checked; windows that gaps leave partly uncovered."""
    series = [Series("radar/stage_m", "stage_m", MINUTE, (0.0, 9.0)),
              Series("gauge/rain_total_mm", "rain_total_mm", MINUTE, (0.0, 50_000.0)),
              Series("bucket/rain_mm", "rain_mm", MINUTE, (0.0, 100.0))]
    sums = {"quantity": "rain_mm", "n": 2, "m": 3}
    return bind(rules_of({"rule": [
        {"name": "stage", "quantity": "stage_m", "off_below": 0.2, "yellow": 1.5, "red": 3.0, "n": 3, "m": 5},
        {"name": "10 min", "over_min": 10, "blue": 4.0, "orange": 9.0, "min_valid": 0.9, **sums},
        {"name": "90 min", "over_min": 90, "blue": 9.0, "orange": 30.0, "min_valid": 0.95, **sums},
    ], "check": [
        {"quantity": "stage_m", "max_rate_per_min": 0.1, "spike_floor": 0.3, "stuck_after_h": 0.2},
        {"quantity": "rain_mm", "stuck_after_h": 0.4},
    ]}, "faults"), series)


def world_of(seed: int) -> World:
    """Four hours with spikes alone and in pairs, values that stay, readings missing, out of order and out of range."""
    dice = np.random.default_rng(seed)
    minutes = np.arange(ROWS)
    block = Block.blank(ROWS, 3)
    block.now_ms[:] = np.where(dice.random(ROWS) < 0.9, BEGIN + minutes * MINUTE, 0)
    block.t_ms[:] = (BEGIN + minutes * MINUTE)[:, None] + dice.integers(0, 4000, (ROWS, 3))
    swell = np.exp(-((minutes - 130) / 30.0) ** 2)
    block.raw[:, STAGE] = 900 + (2500 * swell).astype(np.int64) + dice.integers(0, 3, ROWS) * (minutes % 70 < 40)
    block.raw[:, STAGE] += dice.integers(-1, 2, ROWS) * dice.choice((0, 170))
    block.raw[:, TOTAL] = 200 * np.cumsum(dice.poisson(2 * swell))
    block.raw[:, AMOUNT] = 200 * dice.poisson(swell)
    for column, size in ((STAGE, 900), (TOTAL, 40_000), (AMOUNT, 40_000)):
        struck = dice.choice(ROWS, dice.integers(0, 20), replace=False)
        block.raw[struck, column] += dice.choice((size, -size, size // 2), struck.size)
        block.raw[np.minimum(struck + 1, ROWS - 1), column] -= dice.choice((0, 0, 200), struck.size)
        wild = dice.choice(ROWS - 1, 4, replace=False)
        wild = np.append(wild, wild[0] + 1)
        block.raw[wild, column] = 65_535_000
        late = np.append(dice.choice(ROWS, dice.integers(0, 3), replace=False), dice.choice(wild, dice.integers(0, 3)))
        block.t_ms[late, column] += dice.integers(-3 * MINUTE, 2 * MINUTE, late.size)
    chance = dice.choice((0.0, 0.02, 0.2))
    block.quality[:] = np.where(dice.random((ROWS, 3)) < chance, int(Quality.MISSING), 0)
    block.quality[dice.random((ROWS, 3)) < 0.004] |= int(Quality.SERVICE)
    return World(plan(), block, [])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from((8, 16, 512)), st.sampled_from((30, 1000)))
def test_faulty_readings_at_once_are_the_same_as_one_by_one(seed: int, stretch: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "STRETCH", stretch)
        patch.setattr(track, "STRETCH", stretch)
        same(world_of(seed), most, seed)


def test_what_was_below_before_a_piece_is_known_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STRETCH", 4)
    monkeypatch.setattr(track, "STRETCH", 4)
    low, between, high = 900, 1400, 1600
    values = [low] * 10 + [between] * 20 + [high, low, low, high, high]
    own = bind(rules_of({"rule": [{"name": "stage", "quantity": "stage_m", "yellow": 1.5, "off_below": 0.2, "n": 3,
                                   "m": 5}]}, "below"), [Series("radar/stage_m", "stage_m", MINUTE, (0.0, 9.0))])
    block, ours, theirs = Block.blank(len(values), 1), start(own), start(own)
    block.t_ms[:, 0], block.raw[:, 0] = BEGIN + np.arange(len(values)) * MINUTE, values
    block.quality[:] = 0
    for part in (cut(block, 0, 10), cut(block, 10, len(values))):
        got, want = by_batch(ours, part), by_tick(theirs, part)
        assert got.changes == want.changes
    assert [change.since_ms for change in got.changes] == [BEGIN + 30 * MINUTE]
    assert save(ours) == save(theirs)
