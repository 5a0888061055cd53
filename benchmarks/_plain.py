"""What one would write by hand in plain Python for one station: running sums, N of M, hysteresis, and nothing more.

No coverage, no off delay, no episode, no lateness, no saved state: less than the kernel does.
"""

from collections import deque
from collections.abc import Sequence

from thresholds.plan import LevelRule, Plan, Rule
from tocsin.readings import Quality

MISSING = int(Quality.MISSING)


class _Judge:
    """One rule on one series."""

    def __init__(self, rule: Rule) -> None:
        self.level = 0
        self._over_ms = rule.over_ms
        self._window: deque[tuple[int, int]] = deque()
        self._sum = 0
        self._levels: list[tuple[LevelRule, deque[bool]]] = [
            (level, deque([False] * level.m, level.m)) for level in rule.levels]

    def take(self, t: int, raw: int, rise: int) -> None:
        value = self._summed(t, rise) if self._over_ms else raw
        now = 0
        for level, past in self._levels:
            past.append(value >= level.on)
            if sum(past) >= level.n or (self.level >= level.level and value >= level.off):
                now = int(level.level)
        self.level = now

    def _summed(self, t: int, rise: int) -> int:
        window = self._window
        window.append((t, rise))
        self._sum += rise
        while window[0][0] <= t - self._over_ms:
            self._sum -= window.popleft()[1]
        return self._sum


class Plain:
    """The whole station, a row at a time."""

    def __init__(self, plan: Plan) -> None:
        self._judges: list[list[_Judge]] = [[] for _ in plan.series]
        self._counter = [series.counter for series in plan.series]
        self._bounds = [(round(low * 1000), round(high * 1000)) for low, high in (one.plausible for one in plan.series)]
        self._last: list[int | None] = [None] * len(plan.series)
        for track in plan.tracks:
            self._judges[track.series_index].append(_Judge(track.rule))

    def row(self, t: Sequence[int], raw: Sequence[int], quality: Sequence[int]) -> None:
        for index, judges in enumerate(self._judges):
            low, high = self._bounds[index]
            if quality[index] & MISSING or not low <= raw[index] <= high:
                continue
            before, self._last[index] = self._last[index], raw[index]
            rise = raw[index] - before if before is not None and raw[index] >= before else 0
            for judge in judges:
                judge.take(t[index], raw[index], rise)
