"""A station for timetable tests: readings are told with the time of day and the value, levels are looked up."""

from typing import Any

import numpy as np

from thresholds.kernel import Block, Change, Outcome, State, levels, pending, quantize, stale, start, step, sums
from thresholds.rules import bind, rules_of
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.readings import Quality

MIDNIGHT = 1_723_075_200_000    # 2024-08-08T00:00:00Z
STAGE = Series("radar/stage_m", "stage_m", 60_000, (0.0, 9.0))
RAIN = Series("gauge/rain_total_mm", "rain_total_mm", 60_000, (0.0, 100_000.0))
TRAY = Series("tray/rain_mm", "rain_mm", 60_000, (0.0, 100.0))


def ms(clock: str) -> int:
    """`07:20`, `07:20:30`; hours go on over 24 on the next day."""
    hours, minutes, *seconds = clock.split(":")
    return MIDNIGHT + (int(hours) * 60 + int(minutes)) * 60_000 + round(1000 * float(seconds[0] if seconds else 0))


class Desk:
    """One series under one rule or more."""

    def __init__(self, series: Series, *rules: dict[str, Any], station: str = "upper village") -> None:
        named = [{"name": f"rule {number}", **rule} for number, rule in enumerate(rules)]
        self.plan = bind(rules_of({"rule": named}, "test"), [series])
        self.state: State = start(self.plan, station)
        self.changes: list[Change] = []
        self.freshness: list[tuple[str, bool]] = []

    def read(self, clock: str, value: float, quality: Quality = Quality.GOOD) -> Quality:
        """One reading; returns the quality it was given."""
        block = Block.blank(1, 1)
        block.t_ms[0, 0] = ms(clock)
        block.raw[0], ok = quantize(np.array([value]))
        assert ok.all()
        block.quality[0, 0] = int(quality)
        return Quality(int(self._step(block).quality[0, 0]))

    def each_minute(self, begin: str, *values: float) -> None:
        for number, value in enumerate(values):
            seconds = (ms(begin) - MIDNIGHT) // 1000 + 60 * number
            self.read(f"{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}", value)

    def tick(self, clock: str) -> None:
        block = Block.blank(1, 1)
        block.now_ms[0] = ms(clock)
        self._step(block)

    def level(self, rule: int = 0) -> Level:
        return Level(int(levels(self.state)[rule]))

    def pending(self, rule: int = 0) -> bool:
        return bool(pending(self.state)[rule])

    def stale(self) -> bool:
        return bool(stale(self.state)[0])

    def sum(self, rule: int = 0) -> float:
        return int(sums(self.state).value[rule]) / 1000

    def coverage(self, rule: int = 0) -> float:
        found = sums(self.state)
        return int(found.covered_ms[rule]) / int(found.span_ms[rule])

    def told(self) -> list[tuple[str, Level]]:
        """The changes so far: `HH:MM` and the level."""
        return [(f"{(one.t_ms - MIDNIGHT) // 3_600_000:02}:{(one.t_ms - MIDNIGHT) // 60_000 % 60:02}", one.level)
                for one in self.changes]

    def _step(self, block: Block) -> Outcome:
        outcome = step(self.state, block)
        self.changes += outcome.changes
        self.freshness += [(f"{(one.t_ms - MIDNIGHT) // 3_600_000:02}:{(one.t_ms - MIDNIGHT) // 60_000 % 60:02}",
                            one.stale) for one in outcome.freshness]
        return outcome
