"""A replay with polars: rolling sums by time, and levels as set and reset that are filled forward.

A held reading is found by looking at the next one, a CUSUM as the distance from its running minimum (its cap is not
reached on this workload). The same levels as the kernel's, and the same things left out as in `_loop.py`.
"""

from typing import Any

import numpy as np

from benchmarks._extra import peer
from thresholds.kernel import Block
from thresholds.plan import Plan, Track
from thresholds.rule import Check, Feature
from thresholds.series import Series
from tocsin.readings import Quality

MINUTE_MS, HOUR_MS, DAY_MS, UNIT_MS = 60_000, 3_600_000, 86_400_000, 1_000
WORSE_NEVER = -(2**62)
Change = tuple[int, int, int]    # time, track, level


class Replay:
    """Polars, and a plan to run with it. Raises MissingPeerError."""

    def __init__(self, plan: Plan) -> None:
        self.pl, self.plan = peer("polars"), plan

    def run(self, block: Block) -> list[Change]:
        """Every change of level."""
        found: list[Change] = []
        for column, (series, check) in enumerate(zip(self.plan.series, self.plan.checks, strict=True)):
            there = np.flatnonzero((block.quality[:, column] & int(Quality.MISSING)) == 0)
            frame = self.pl.LazyFrame({"t": block.t_ms[there, column], "x": block.raw[there, column]})
            tracks = [(index, track) for index, track in enumerate(self.plan.tracks) if track.series_index == column]
            found += self._series(frame, series, check, tracks)
        return sorted(found)

    def _series(self, frame: Any, series: Series, check: Check, tracks: list[tuple[int, Track]]) -> list[Change]:
        pl = self.pl
        low, high = (round(bound * 1000) for bound in series.plausible)
        x, t = pl.col("x"), pl.col("t")
        frame = frame.filter(x.is_between(low, high) & (t > t.cum_max().shift(1, fill_value=0)))
        frame = self._without_spikes(frame, check, series.counter)
        same_t = pl.when(x != x.shift()).then(t).forward_fill().fill_null(t.first())
        frame = frame.with_columns((t - same_t >= check.stuck_ms).alias("stuck"))
        frame = self._rain(frame, tracks) if series.counter else self._stage(frame, tracks)
        levels = (self._level(f"f{index}", track).alias(f"l{index}") for index, track in tracks)
        frame = frame.select("t", "stuck", *levels)
        return self._changes(frame.collect(), [index for index, _ in tracks])

    def _without_spikes(self, frame: Any, check: Check, total: bool) -> Any:
        pl, x, t = self.pl, self.pl.col("x"), self.pl.col("t")

        def near(base: Any, passed: Any) -> Any:
            limit = pl.max_horizontal(pl.lit(check.floor), check.rate_per_min * passed.clip(0, DAY_MS) // MINUTE_MS)
            return ((x - base).abs() <= limit) & ((x >= base) if total else pl.lit(True))

        if total:
            returns = near(x.shift(2), t - t.shift(2)).shift(-1)
            lone = ~near(x.shift(1), t - t.shift(1)) & returns
        else:
            lone = ~near(x.rolling_median(3).shift(1), t - t.shift(1))
        return frame.filter(~lone.fill_null(value=False))

    def _rain(self, frame: Any, tracks: list[tuple[int, Track]]) -> Any:
        pl, x, t = self.pl, self.pl.col("x"), self.pl.col("t")
        rise = pl.when(x >= x.shift()).then(x - x.shift()).otherwise(x)
        rise = pl.when(pl.int_range(pl.len()) == 0).then(0).otherwise(rise)
        frame = frame.with_columns(rise.alias("rise"), (t // MINUTE_MS).alias("minute"))
        # a window over an hour begins at a whole minute
        return frame.with_columns(
            (pl.col("rise").rolling_sum_by("minute", f"{track.rule.over_ms // MINUTE_MS + 1}i")
             if track.rule.over_ms > HOUR_MS else
             pl.col("rise").rolling_sum_by("t", f"{track.rule.over_ms}i")).alias(f"f{index}")
            for index, track in tracks)

    def _stage(self, frame: Any, tracks: list[tuple[int, Track]]) -> Any:
        pl, x, t = self.pl, self.pl.col("x"), self.pl.col("t")
        rules = {track.rule.feature: (index, track.rule) for index, track in tracks}
        over = rules[Feature.SLOPE][1].over_ms
        u = t // UNIT_MS - t.first() // UNIT_MS
        frame = frame.with_columns(u.alias("u"), (u * u).alias("uu"), (u * x).alias("ux"), pl.lit(1).alias("one"))
        sums = {name: pl.col(name).rolling_sum_by("t", f"{over}i") for name in ("u", "x", "uu", "ux", "one")}
        frame = frame.with_columns(**{f"s_{name}": made for name, made in sums.items()})
        n, first = pl.col("s_one"), pl.int_range(pl.len()) - pl.col("s_one") + 1
        frame = frame.with_columns(
            (n * pl.col("s_ux") - pl.col("s_u") * pl.col("s_x")).alias("num"),
            (n * pl.col("s_uu") - pl.col("s_u") * pl.col("s_u")).alias("den"),
            (t - t.gather(first)).alias("passed"), (x - x.gather(first)).alias("up"))
        return self._derived(frame, rules)

    def _derived(self, frame: Any, rules: dict[Feature, Any]) -> Any:
        pl, x, num, den = self.pl, self.pl.col("x"), self.pl.col("num"), self.pl.col("den")
        slope, to_go, cusum = (rules[one][1] for one in (Feature.SLOPE, Feature.TIME_TO, Feature.CUSUM))
        long_enough = pl.col("passed") >= slope.over_ms // 2
        known = long_enough & (pl.col("s_one") >= slope.n_min) & (den > 0)
        left = to_go.target - x
        units = pl.when(num > 0).then((-left * den // num * UNIT_MS).clip(WORSE_NEVER)).otherwise(WORSE_NEVER)
        summed = (x - (cusum.reference or 0) - cusum.allowance).cum_sum()
        values = {
            Feature.VALUE: x,
            Feature.SLOPE: pl.when(known).then(num * (HOUR_MS // UNIT_MS) // den),
            Feature.RATE: pl.when(long_enough).then(pl.col("up") * HOUR_MS // pl.col("passed")),
            Feature.TIME_TO: pl.when(left <= 0).then(0).when(known).then(units),
            Feature.CUSUM: summed - summed.cum_min().clip(None, 0),
        }
        return frame.with_columns(value.alias(f"f{rules[feature][0]}") for feature, value in values.items())

    def _level(self, name: str, track: Track) -> Any:
        """Unknown is null: neither `on` nor `off`."""
        pl, value = self.pl, self.pl.col(name)
        sign = -1 if track.rule.feature is Feature.TIME_TO else 1

        def count(found: Any, m: int) -> Any:
            return found.fill_null(value=False).cast(pl.Int8).rolling_sum(m, min_samples=1)

        reached = []
        for one in track.rule.levels:
            raised = count(value >= sign * one.on, one.m) >= one.n
            fallen = (count(value < sign * one.off, one.m) >= one.n) & value.is_not_null()
            state = pl.when(raised).then(int(one.level)).when(fallen).then(0).otherwise(None)
            reached.append(state.forward_fill().fill_null(0))
        return pl.max_horizontal(reached)

    def _changes(self, frame: Any, tracks: list[int]) -> list[Change]:
        t, found = frame["t"].to_numpy(), list[Change]()
        for index in tracks:
            level = frame[f"l{index}"].to_numpy()
            rows = np.flatnonzero(np.diff(level, prepend=0))
            found += [(int(t[row]), index, int(level[row])) for row in rows]
        return found
