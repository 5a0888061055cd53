"""The windows added up anew at every tick, over all series at once: what one does with pandas or bottleneck.

The readings of the last day stand in a buffer, a row a minute, NaN where there is none. The workload has one reading a
minute: of a window of up to an hour only the oldest row has to be looked at by its time. The rest (held readings, stuck
values, N of M, hysteresis) is numpy over the series. Same marks and levels as the kernel's, same things left out as in
`_loop.py`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks._extra import peer
from thresholds.plan import Plan
from thresholds.rule import Feature, Rule
from tocsin.readings import Quality

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Row = tuple[I64, I64, Bools]    # times, values, and which of them are taken
Adder = Callable[[F64], F64]    # sums over rows, without NaN

MISSING, RANGE, LATE = int(Quality.MISSING), int(Quality.RANGE), int(Quality.LATE)
HELD, STUCK = int(Quality.SPIKE_HELD), int(Quality.STUCK)
UNKNOWN, WORSE_NEVER, NONE = -(2**63), -(2**62), -1
MINUTE_MS, HOUR_MS, DAY_MS, UNIT_MS = 60_000, 3_600_000, 86_400_000, 1_000
ONES = np.array([bits.bit_count() for bits in range(32)], np.int64)
SPARE = 1_440    # rows that the buffer takes before it is moved up


def with_bottleneck() -> Adder:
    """Raises MissingPeerError."""
    nansum = peer("bottleneck").nansum
    return lambda rows: nansum(rows, axis=0)


def with_pandas() -> Adder:
    """Raises MissingPeerError."""
    frame = peer("pandas").DataFrame
    return lambda rows: frame(rows, copy=False).sum().to_numpy()


class Buffer:
    """The newest rows of several columns, in one piece."""

    def __init__(self, rows: int, columns: int, fill: float) -> None:
        self._rows, self._end = rows, rows
        self._kept = np.full((rows + SPARE, columns), fill)

    def push(self, row: Any) -> None:
        if self._end == len(self._kept):
            self._kept[:self._rows] = self._kept[self._end - self._rows:self._end].copy()
            self._end = self._rows
        self._kept[self._end] = row
        self._end += 1

    def last(self, rows: int) -> F64:
        kept: F64 = self._kept[self._end - rows:self._end]
        return kept

    def before(self, rows: int) -> F64:
        """The one row in front of the last so many."""
        row: F64 = self._kept[self._end - rows - 1]
        return row


class Sensors:
    """Marks and held readings of some columns: kinds of `_loop.Sensor`."""

    def __init__(self, plan: Plan, columns: I64, total: bool) -> None:
        def of(values: Sequence[float]) -> I64:
            return np.array(values, np.int64)

        series, checks = [plan.series[index] for index in columns], [plan.checks[index] for index in columns]
        self.columns, self.total = columns, total
        self.low = of([round(one.plausible[0] * 1000) for one in series])
        self.high = of([round(one.plausible[1] * 1000) for one in series])
        self.rate, self.floor = of([one.rate_per_min for one in checks]), of([one.floor for one in checks])
        self.stuck = of([one.stuck_ms for one in checks])
        self.last_t, self.good_t, self.same_t, self.held_t, self.held, self.seen = np.full((6, len(columns)), NONE)
        self.seen[:] = 0
        self.past = np.zeros((3, len(columns)), np.int64)

    def sift(self, t: I64, x: I64, bits: I64) -> tuple[Bools, Bools, I64, I64]:
        """What is taken of this row; what was held and is confirmed, with time and value. Marks go into `bits`."""
        there = (bits & MISSING) == 0
        outside, late = (x < self.low) | (x > self.high), t <= self.last_t
        bits |= np.where(there & outside, RANGE, 0) | np.where(there & late, LATE, 0)
        np.copyto(self.last_t, t, where=there & ~late)
        good = there & ~outside & ~late
        base = self._base()
        near = (self.seen > 0) & self._near(base, t - self.good_t, x)
        confirmed = good & (self.held_t != NONE)
        held_t, held = self.held_t, self.held
        if confirmed.any():
            side = ((x > base) & (held > base)) | ((x < base) & (held < base))
            agrees = side & (~near | (2 * np.abs(x - held) <= np.abs(held - base)))
            confirmed &= np.where(self.seen > 0, agrees, self._near(held, t - held_t, x))
        taken: Bools = good & (near | confirmed)
        held_now = good & ~taken
        bits |= np.where(held_now, HELD, 0)
        self.held_t = np.where(held_now, t, np.where(good, NONE, held_t))
        self.held = np.where(held_now, x, held)
        return taken, confirmed, held_t, held

    def note(self, t: I64, x: I64, taken: Bools) -> None:
        """After the features were worked out."""
        np.copyto(self.same_t, t, where=taken & ((self.seen == 0) | (self.past[0] != x)))
        for place in (2, 1):
            np.copyto(self.past[place], self.past[place - 1], where=taken)
        np.copyto(self.past[0], x, where=taken)
        np.copyto(self.good_t, t, where=taken)
        self.seen = np.minimum(self.seen + taken, 3)

    def stuck_bits(self, t: I64, taken: Bools) -> I64:
        bits: I64 = np.where(taken & (t - self.same_t >= self.stuck), STUCK, 0)
        return bits

    def _base(self) -> I64:
        a: I64
        a, b, c = self.past
        if self.total:
            return a
        middle = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
        return np.where(self.seen < 3, a, middle)

    def _near(self, base: I64, passed: I64, x: I64) -> Bools:
        limit = np.maximum(self.floor, self.rate * np.minimum(passed, DAY_MS) // MINUTE_MS)
        near: Bools = np.abs(x - base) <= limit
        return near & (x >= base) if self.total else near


class Judge:
    """One rule on all its series: N of M with hysteresis, the last M as bits."""

    def __init__(self, rule: Rule, tracks: I64) -> None:
        sign = -1 if rule.feature is Feature.TIME_TO else 1
        self.tracks = tracks
        self.on = sign * np.array([[level.on] for level in rule.levels])
        self.off = sign * np.array([[level.off] for level in rule.levels])
        self.n, self.all = rule.levels[0].n, (1 << rule.levels[0].m) - 1
        self.ons, self.offs, self.reached = np.zeros((3, len(rule.levels), len(tracks)), np.int64)
        self.ranks = np.arange(1, len(rule.levels) + 1)[:, None]

    def take(self, value: I64, taken: Bools) -> None:
        known = value != UNKNOWN
        self.ons = np.where(taken, (self.ons << 1 | (value >= self.on)) & self.all, self.ons)
        self.offs = np.where(taken, (self.offs << 1 | (known & (value < self.off))) & self.all, self.offs)
        reached = np.where(ONES[self.ons] >= self.n, 1, np.where((ONES[self.offs] >= self.n) & known, 0, self.reached))
        self.reached = np.where(taken, reached, self.reached)

    @property
    def level(self) -> I64:
        level: I64 = (self.reached * self.ranks).max(axis=0)
        return level


class Rain:
    """Sums of all running totals."""

    def __init__(self, judges: dict[int, Judge], columns: int) -> None:
        self.judges = judges
        longest = max(judges) // MINUTE_MS + 2
        self.t, self.rise = Buffer(longest, columns, np.nan), Buffer(longest, columns, np.nan)

    def take(self, sensors: Sensors, row: Row, add: Adder) -> None:
        t, x, taken = row
        before = np.where(sensors.seen > 0, sensors.past[0], x)
        rise = np.where(x >= before, x - before, x)
        self.t.push(np.where(taken, t, np.nan))
        self.rise.push(np.where(taken, rise, np.nan))
        for over, judge in self.judges.items():
            rows = over // MINUTE_MS
            total = add(self.rise.last(rows))
            oldest = self.rise.before(rows)
            inside = ~np.isnan(oldest)
            if over <= HOUR_MS:
                inside &= self.t.before(rows) > t - over
            judge.take((total + np.where(inside, oldest, 0)).astype(np.int64), taken)


class Stage:
    """Value, trends and CUSUM of all stages."""

    def __init__(self, rules: dict[Feature, Rule], judges: dict[Feature, Judge], columns: int) -> None:
        self.judges, self.over = judges, rules[Feature.SLOPE].over_ms
        self.n_min, self.target = rules[Feature.SLOPE].n_min, rules[Feature.TIME_TO].target
        self.less = (rules[Feature.CUSUM].reference or 0) + rules[Feature.CUSUM].allowance
        self.cap = 2 * max(level.on for level in rules[Feature.CUSUM].levels)
        self.rows = self.over // MINUTE_MS + 1
        self.t, self.x = Buffer(self.rows, columns, np.nan), Buffer(self.rows, columns, np.nan)
        self.cusum = np.zeros(columns, np.int64)

    def take(self, _sensors: Sensors, row: Row, add: Adder) -> None:
        t, x, taken = row
        self.t.push(np.where(taken, t, np.nan))
        self.x.push(np.where(taken, x, np.nan))
        judges = self.judges
        judges[Feature.VALUE].take(x, taken)
        slope, rate, to_go = self._trends(row, add)
        judges[Feature.SLOPE].take(slope, taken)
        judges[Feature.RATE].take(rate, taken)
        judges[Feature.TIME_TO].take(to_go, taken)
        cusum = np.minimum(np.maximum(self.cusum + x - self.less, 0), self.cap)
        self.cusum = np.where(taken, cusum, self.cusum)
        judges[Feature.CUSUM].take(self.cusum, taken)

    def _trends(self, row: Row, add: Adder) -> tuple[I64, I64, I64]:
        t, x, taken = row
        now = np.where(taken, t, 0)
        times, values = self.t.last(self.rows), self.x.last(self.rows)
        inside = times > now - self.over
        since = np.where(inside, times, np.nan)
        u = since // UNIT_MS - now // UNIT_MS
        y = np.where(inside, values, np.nan)
        n = inside.sum(axis=0)
        su, sx, suu, sux = (add(rows).astype(np.int64) for rows in (u, y, u * u, u * y))
        num, den = n * sux - su * sx, n * suu - su * su
        oldest = inside.argmax(axis=0)
        every = np.arange(len(now))
        first_t, first_x = times[oldest, every], values[oldest, every]
        passed = np.where(taken, now - np.nan_to_num(first_t), 0).astype(np.int64)
        long_enough = taken & (passed >= self.over // 2)
        known = long_enough & (n >= self.n_min) & (den > 0)
        num, den, passed = np.where(known, num, 0), np.where(known, den, 1), np.maximum(passed, 1)
        slope = np.where(known, num * (HOUR_MS // UNIT_MS) // den, UNKNOWN)
        rise = np.where(long_enough, x - np.nan_to_num(first_x), 0).astype(np.int64)
        rate = np.where(long_enough, rise * HOUR_MS // passed, UNKNOWN)
        left = self.target - x
        units = np.where(num > 0, -left * den // np.where(num > 0, num, 1) * UNIT_MS, WORSE_NEVER)
        to_go = np.where(left <= 0, 0, np.where(known, np.maximum(units, WORSE_NEVER), UNKNOWN))
        return slope, rate, to_go


class Rescan:
    """The whole station, a row at a time."""

    def __init__(self, plan: Plan, add: Adder) -> None:
        counters = np.array([series.counter for series in plan.series])
        self._add, self._tracks = add, len(plan.tracks)
        self._gauges = Sensors(plan, np.flatnonzero(counters), total=True)
        self._radars = Sensors(plan, np.flatnonzero(~counters), total=False)
        rules = {track.rule.name: track.rule for track in plan.tracks}
        judges = {name: Judge(rule, np.array([index for index, track in enumerate(plan.tracks)
                                              if track.rule.name == name]))
                  for name, rule in rules.items()}
        self._judges = list(judges.values())
        self._rain = Rain({rule.over_ms: judges[name] for name, rule in rules.items() if rule.feature is Feature.SUM},
                          len(self._gauges.columns))
        self._stage = Stage({rule.feature: rule for rule in rules.values()},
                            {rule.feature: judges[name] for name, rule in rules.items()}, len(self._radars.columns))

    def row(self, t: I64, raw: I64, quality: I64) -> I64:
        """The quality bits of the row: int64[series], as all three that are given."""
        bits = quality.copy()
        with np.errstate(invalid="ignore"):    # windows without any reading; what comes of them is not taken
            self._part(self._gauges, self._rain, (t, raw, bits))
            self._part(self._radars, self._stage, (t, raw, bits))
        return bits

    def _part(self, sensors: Sensors, features: "Rain | Stage", row: tuple[I64, I64, I64]) -> None:
        columns, bits = sensors.columns, row[2]
        t, raw, own = (part[columns] for part in row)
        taken, confirmed, held_t, held = sensors.sift(t, raw, own)
        if confirmed.any():
            features.take(sensors, (held_t, held, confirmed), self._add)
            sensors.note(held_t, held, confirmed)
        features.take(sensors, (t, raw, taken), self._add)
        sensors.note(t, raw, taken)
        bits[columns] = own | sensors.stuck_bits(t, taken)

    def levels(self) -> list[int]:
        """One a track."""
        found = np.zeros(self._tracks, np.int64)
        for judge in self._judges:
            found[judge.tracks] = judge.level
        return [int(level) for level in found]
