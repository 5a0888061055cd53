"""Where features reach a value, found from bounds: the same as from every reading of a whole history."""

from collections.abc import Callable, Iterator
from typing import cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thresholds.batch.features import Feature, Total
from thresholds.binding import bind
from thresholds.kernel import Block
from thresholds.plan import Plan
from thresholds.rule import SCALE
from thresholds.rules import rules_of
from thresholds.series import Series
from thresholds.tables import I64, NEVER
from thresholds.tune.recorded import Recorded, record
from tocsin.readings import Quality

PERIOD_MS = 60_000
BEGIN_MS = 1_723_075_230_000
RULES = [
    {"name": "short", "quantity": "rain_mm", "over_min": 30, "yellow": 5.0},
    {"name": "long", "quantity": "rain_mm", "over_min": 180, "yellow": 9.0},
    {"name": "stage", "quantity": "stage_m", "yellow": 2.0, "off_below": 0.1},
    {"name": "rate", "quantity": "stage_m", "feature": "rate", "over_min": 40, "yellow": 1.0},
    {"name": "slope", "quantity": "stage_m", "feature": "slope", "over_min": 40, "n_min": 35, "yellow": 1.0},
    {"name": "time", "quantity": "stage_m", "feature": "time_to", "target": 3.0, "over_min": 40, "yellow": 30},
    {"name": "cusum", "quantity": "stage_m", "feature": "cusum", "allowance": 0.05, "yellow": 1.0},
]


def plan() -> Plan:
    series = (Series("gauge/rain_total_mm", "rain_total_mm", PERIOD_MS, (0.0, 50_000.0)),
              Series("radar/stage_m", "stage_m", PERIOD_MS, (0.0, 9.0)))
    return bind(rules_of({"rule": RULES}, "test"), series)


def history(seed: int, rows: int, gaps: int, crowded: bool, wet_part: float = 0.1) -> Block:
    """A wet hour here and there, as many silences, and where it is crowded some readings that share a slot."""
    dice = np.random.default_rng(seed)
    steps = np.full(rows, PERIOD_MS) + dice.integers(-900, 900, rows)
    steps[dice.integers(0, rows, gaps)] = dice.integers(2, 240, gaps) * PERIOD_MS
    if crowded:
        steps[dice.integers(0, rows, 40)] = 200
    wet = np.repeat(dice.random(rows // 60 + 1) < wet_part, 60)[:rows]
    rain = np.cumsum(np.where(wet, dice.poisson(1.0, rows), dice.poisson(0.002, rows))) * 200
    stage = 1_000 + np.cumsum(np.where(wet, dice.integers(-20, 40, rows), 0)) % 4_000 + dice.integers(-3, 3, rows)
    t = BEGIN_MS + np.cumsum(steps)
    quality = np.where(dice.random((rows, 2)) < 0.02, int(Quality.MISSING), 0)
    return Block(np.stack([t, t], axis=1), np.stack([rain, stage], axis=1), quality, t)


def cuts(block: Block, rows: int) -> Iterator[Block]:
    for at in range(0, len(block.now_ms), rows):
        yield Block(block.t_ms[at:at + rows], block.raw[at:at + rows], block.quality[at:at + rows],
                    block.now_ms[at:at + rows])


def every(one: Recorded) -> tuple[I64, I64, I64]:
    """Value, known time and whole time at every reading: of all but a sum 1 or 0 of 1."""
    parts = []
    for piece in one.pieces:
        size = piece.stream.t.size
        value = piece.feature.values(0, size)
        if isinstance(piece.feature, Total):
            parts.append((value, *piece.feature.coverage(0, size)))
        else:
            sure = piece.feature.sure
            parts.append((value, np.ones(size, np.int64) if sure is None else sure.astype(np.int64),
                          np.ones(size, np.int64)))
    value, valid, span = (np.concatenate(one) for one in zip(*parts, strict=True))
    return value, valid, span


@given(st.integers(0, 10**9), st.sampled_from([0, 5, 60]), st.booleans(), st.sampled_from([97, 700, 3_000]),
       st.sampled_from([1000, 800, 500, 0]))
def test_bounds_hide_no_reading(seed: int, gaps: int, crowded: bool, cut: int, min_valid: int) -> None:
    block = history(seed, 1_500, gaps, crowded)
    for found in record(plan(), cuts(block, cut)):
        value, valid, span = every(found)
        known = np.ones(value.size, np.bool_) if (span > 1).any() else valid != 0
        for least in (NEVER + 1, int(np.quantile(value, 0.5)), int(np.quantile(value, 0.95)), int(value.max()) + 1):
            readings, values = found.reaching(least)
            assert np.array_equal(readings, np.flatnonzero((value >= least) & known))
            assert np.array_equal(values, value[readings])
        assert np.array_equal(found.unsure(min_valid), np.flatnonzero(valid * SCALE < min_valid * span))


@pytest.mark.parametrize("name", ["short", "long", "rate"])
def test_what_no_setting_asks_for_is_not_worked_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wet hour in a dry month: most readings lie below the bound."""
    block = history(1, 20_000, 3, crowded=False, wet_part=0.02)
    own = plan()
    found = record(own, [block])[next(at for at, track in enumerate(own.tracks) if track.rule.name == name)]
    feature = found.pieces[0].feature
    least = int(np.quantile(feature.values(0, found.strand.t.size), 0.999))
    worked_out: list[int] = []

    def values(self: Feature, begin: int, end: int) -> I64:
        worked_out.append(end - begin)
        return plain(self, begin, end)

    plain = cast(Callable[[Feature, int, int], I64], type(feature).values)
    monkeypatch.setattr(type(feature), "values", values)
    readings, _ = found.reaching(least)
    assert 0 < readings.size <= sum(worked_out) < 10_000
