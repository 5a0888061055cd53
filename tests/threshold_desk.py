"""A station for timetable tests: readings are told with the time of day and the value, levels are looked up."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from thresholds import kernel
from thresholds.kernel import (
    Block,
    Change,
    Freshness,
    Outcome,
    State,
    levels,
    pending,
    quantize,
    restore,
    save,
    stale,
    start,
    step,
)
from thresholds.rules import bind, rules_of
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

MIDNIGHT = 1_723_075_200_000    # 2024-08-08T00:00:00Z
STAGE = Series("radar/stage_m", "stage_m", 60_000, (0.0, 9.0))
RAIN = Series("gauge/rain_total_mm", "rain_total_mm", 60_000, (0.0, 100_000.0))
TRAY = Series("tray/rain_mm", "rain_mm", 60_000, (0.0, 100.0))
GAS = Series("fence/h2s_ppm", "h2s_ppm", 60_000, (-5.0, 100.0))
UNCHECKED = {"quantity": "rain_mm", "max_rate_per_min": 0}    # rain is checked by default


def ms(clock: str) -> int:
    """`07:20`, `07:20:30`; hours go on over 24 on the next day."""
    hours, minutes, *seconds = clock.split(":")
    return MIDNIGHT + (int(hours) * 60 + int(minutes)) * 60_000 + round(1000 * float(seconds[0] if seconds else 0))


def clock_of(t_ms: int) -> str:
    """`HH:MM`."""
    return f"{(t_ms - MIDNIGHT) // 3_600_000:02}:{(t_ms - MIDNIGHT) // 60_000 % 60:02}"


class Desk:
    """One series or more, under one rule or more. Tracks count as the rules do, where each means one series."""

    def __init__(self, series: Series | Sequence[Series], *rules: dict[str, Any],
                 checks: Sequence[dict[str, Any]] = (UNCHECKED,), station: str = "upper village") -> None:
        named = [{"name": f"rule {number}", **rule} for number, rule in enumerate(rules)]
        every = [series] if isinstance(series, Series) else list(series)
        self.plan = bind(rules_of({"rule": named, "check": list(checks)}, "test"), every)
        self.state: State = start(self.plan, station)
        self.changes: list[Change] = []
        self.said: list[Freshness] = []

    def read(self, clock: str, value: float, quality: Quality = Quality.GOOD, series: int = 0) -> Quality:
        """One reading; returns the quality it was given."""
        return self.row(clock, *[None] * series, value, quality=quality)[series]

    def row(self, clock: str, *values: float | None, quality: Quality = Quality.GOOD) -> list[Quality]:
        """Readings of several series at once, None: no reading; returns the quality each was given."""
        block = Block.blank(1, len(self.plan.series))
        for column, value in enumerate(values):
            if value is not None:
                found, ok = quantize(np.array([value]))
                assert ok.all()
                block.t_ms[0, column], block.raw[0, column] = ms(clock), found[0]
                block.quality[0, column] = int(quality)
        return [Quality(bits) for bits in self._step(block).quality[0].tolist()]

    def each_minute(self, begin: str, *values: float, series: int = 0,
                    quality: Quality = Quality.GOOD) -> list[Quality]:
        """A reading a minute; returns the quality each was given."""
        found = []
        for number, value in enumerate(values):
            seconds = (ms(begin) - MIDNIGHT) // 1000 + 60 * number
            found.append(self.read(f"{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}", value, quality, series))
        return found

    def tick(self, clock: str) -> None:
        block = Block.blank(1, len(self.plan.series))
        block.now_ms[0] = ms(clock)
        self._step(block)

    def restart(self) -> None:
        self.state = restore(self.plan, save(self.state))

    def acknowledge(self, rule: int = 0) -> None:
        kernel.acknowledge(self.state, rule)

    def clear(self, clock: str, rule: int = 0) -> Change | None:
        return kernel.clear(self.state, rule, ms(clock))

    def shelve(self, until: str, rule: int = 0) -> None:
        kernel.shelve(self.state, rule, ms(until))

    def new_epoch(self) -> None:
        kernel.new_epoch(self.state)

    def level(self, rule: int = 0) -> Level:
        return Level(int(levels(self.state)[rule]))

    def pending(self, rule: int = 0) -> bool:
        return bool(pending(self.state)[rule])

    def stale(self, series: int = 0) -> bool:
        return bool(stale(self.state)[series])

    def value(self, rule: int = 0) -> float | None:
        """What the rule compared last, as people read it; None: unknown."""
        found = kernel.features(self.state)
        return self.plan.tracks[rule].rule.shown(int(found.value[rule])) if found.valid[rule] else None

    def sum(self, rule: int = 0) -> float:
        return int(kernel.features(self.state).value[rule]) / 1000

    def coverage(self, rule: int = 0) -> float:
        found = kernel.features(self.state)
        return int(found.valid[rule]) / int(found.span[rule])

    def told(self, rule: int | None = None) -> list[tuple[str, Level]]:
        """The changes so far, of one rule or of all: `HH:MM` and the level."""
        tracks = self.plan.tracks
        return [(clock_of(one.t_ms), one.level) for one in self.changes if rule is None or one.track is tracks[rule]]

    @property
    def freshness(self) -> list[tuple[str, bool]]:
        """`HH:MM`, and whether stale."""
        return [(clock_of(one.t_ms), one.stale) for one in self.said]

    def _step(self, block: Block) -> Outcome:
        outcome = step(self.state, block)
        self.changes += outcome.changes
        self.said += outcome.freshness
        return outcome
