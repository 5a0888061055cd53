"""What one would write by hand in plain Python for one station: deques, running sums, and a short way for calm.

It comes to the same marks and levels as the kernel on the benches' workload, and leaves out what does not show there:
coverage, age of the last five, holes, delays, slots, lone sums, what a held reading counts for, episodes, staleness,
groups, saved state.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from thresholds.plan import Plan
from thresholds.rule import Check, Feature, Rule
from thresholds.series import Series
from tocsin.levels import WARNING_LEVELS
from tocsin.readings import Quality

MISSING, RANGE, LATE = int(Quality.MISSING), int(Quality.RANGE), int(Quality.LATE)
HELD, STUCK = int(Quality.SPIKE_HELD), int(Quality.STUCK)
UNKNOWN, WORSE_NEVER = -(2**63), -(2**62)    # an unknown value; a known one that is never reached
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
UNIT_MS = 1_000
Change = tuple[int, int, int]                # time, track, level


class Track:
    """One rule on one series: N of M with hysteresis, each level on its own."""

    __slots__ = ("changes", "index", "level", "lowest", "m", "n", "offs", "ons", "quiet", "reached", "values")

    def __init__(self, index: int, rule: Rule, changes: list[Change]) -> None:
        sign = -1 if rule.feature is Feature.TIME_TO else 1
        of = {int(level.level): level for level in rule.levels}
        self.ons = [sign * of[int(level)].on for level in WARNING_LEVELS]
        self.offs = [sign * of[int(level)].off for level in WARNING_LEVELS]
        self.n, self.m = rule.levels[0].n, rule.levels[0].m
        self.index, self.level, self.lowest, self.quiet = index, 0, self.ons[0], self.m
        self.reached = [False] * len(self.ons)
        self.values: deque[int] = deque(maxlen=self.m)
        self.changes = changes

    def take(self, t: int, value: int) -> None:
        self.values.append(value)
        if value >= self.lowest:
            self.quiet = 0
        elif self.quiet < self.m:
            self.quiet += 1
        if self.level or self.quiet < self.m:
            self._judge(t, value)

    def _judge(self, t: int, value: int) -> None:
        values, reached, level = self.values, self.reached, 0
        for k, on in enumerate(self.ons):
            if sum([one >= on for one in values]) >= self.n:
                reached[k] = True
            elif reached[k] and value != UNKNOWN:
                off = self.offs[k]
                if sum([UNKNOWN < one < off for one in values]) >= self.n:
                    reached[k] = False
            if reached[k]:
                level = k + 1
        if level != self.level:
            self.level = level
            self.changes.append((t, self.index, level))


@dataclass(slots=True)
class Window:
    """The sum of what fell in (begin, t]."""

    over_ms: int
    track: Track
    whole_minutes: bool
    entries: deque[tuple[int, int]] = field(default_factory=deque)
    total: int = 0

    def take(self, t: int, rise: int) -> None:
        entries = self.entries
        if rise:
            entries.append((t, rise))
            self.total += rise
        if entries:
            begin = t - self.over_ms
            if self.whole_minutes:
                begin -= begin % MINUTE_MS
            while entries and entries[0][0] <= begin:
                self.total -= entries.popleft()[1]
        self.track.take(t, self.total)


class Sensor:
    """One series: order, range, held spikes, stuck values."""

    def __init__(self, series: Series, check: Check) -> None:
        self.low, self.high = (round(bound * 1000) for bound in series.plausible)
        self.rate, self.floor, self.stuck = check.rate_per_min, check.floor, check.stuck_ms
        self.last_t = self.good_t = self.same_t = -1
        self.past: tuple[int, ...] = ()
        self.held: tuple[int, int] | None = None

    def reading(self, t: int, x: int) -> int:
        """Its quality bits."""
        if t <= self.last_t:
            return LATE | (0 if self.low <= x <= self.high else RANGE)
        self.last_t = t
        if not self.low <= x <= self.high:
            return RANGE
        if self.past and self.held is None and self._near(x, t):
            self._take(t, x)
            return self._stuck(t)
        return self._sift(t, x)

    def _sift(self, t: int, x: int) -> int:
        held, self.held = self.held, None
        if held is not None and self._confirms(held, t, x):
            self._take(*held)
        elif not (self.past and self._near(x, t)):
            self.held = (t, x)
            return HELD
        self._take(t, x)
        return self._stuck(t)

    def _limit(self, passed: int) -> int:
        return max(self.floor, self.rate * min(passed, DAY_MS) // MINUTE_MS)

    def _base(self) -> int:
        raise NotImplementedError

    def _near(self, x: int, t: int) -> bool:
        """Not further from what came before than the limit."""
        return abs(x - self._base()) <= self._limit(t - self.good_t)

    def _confirms(self, held: tuple[int, int], t: int, x: int) -> bool:
        t_held, h = held
        if not self.past:
            return abs(x - h) <= self._limit(t - t_held)
        base = self._base()
        same_side = x > base < h or x < base > h
        return same_side and (not self._near(x, t) or 2 * abs(x - h) <= abs(h - base))

    def _take(self, t: int, x: int) -> None:
        if not (self.past and self.past[0] == x):
            self.same_t = t
        self._feed(t, x)
        self.past = (x, *self.past[:2])
        self.good_t = t

    def _stuck(self, t: int) -> int:
        return STUCK if self.stuck and t - self.same_t >= self.stuck else 0

    def _feed(self, t: int, x: int) -> None:
        raise NotImplementedError


class Gauge(Sensor):
    """A running total of rain."""

    def __init__(self, series: Series, check: Check, tracks: Sequence[tuple[Rule, Track]]) -> None:
        super().__init__(series, check)
        self.windows = [Window(rule.over_ms, track, rule.over_ms > HOUR_MS) for rule, track in tracks]

    def _base(self) -> int:
        return self.past[0]

    def _near(self, x: int, t: int) -> bool:
        step = x - self.past[0]
        return 0 <= step <= self._limit(t - self.good_t)

    def _feed(self, t: int, x: int) -> None:
        before = self.past[0] if self.past else x
        rise = x - before if x >= before else x
        for window in self.windows:
            window.take(t, rise)


class Radar(Sensor):
    """A stage: its value, its trends over one window, and a CUSUM."""

    def __init__(self, series: Series, check: Check, tracks: Sequence[tuple[Rule, Track]]) -> None:
        super().__init__(series, check)
        self.of = {rule.feature: track for rule, track in tracks}
        rules = {rule.feature: rule for rule, _ in tracks}
        slope, cusum = rules[Feature.SLOPE], rules[Feature.CUSUM]
        self.over, self.n_min, self.target = slope.over_ms, slope.n_min, rules[Feature.TIME_TO].target
        self.least = (cusum.reference or 0) + cusum.allowance
        self.cap = 2 * max(level.on for level in cusum.levels)
        self.entries: deque[tuple[int, int, int]] = deque()
        self.sums = (0, 0, 0, 0)
        self.cusum = 0
        self.zero = 0

    def _base(self) -> int:
        past = self.past
        return sorted(past)[1] if len(past) == 3 else past[0]

    def _feed(self, t: int, x: int) -> None:
        of = self.of
        of[Feature.VALUE].take(t, x)
        slope, to_go, rate = self._trends(t, x)
        of[Feature.SLOPE].take(t, slope)
        of[Feature.RATE].take(t, rate)
        of[Feature.TIME_TO].take(t, to_go)
        self.cusum = min(max(self.cusum + x - self.least, 0), self.cap)
        of[Feature.CUSUM].take(t, self.cusum)

    def _trends(self, t: int, x: int) -> tuple[int, int, int]:
        """Slope, time to the target and rate."""
        self.zero = self.zero or t // UNIT_MS
        u, entries = t // UNIT_MS - self.zero, self.entries
        su, sx, suu, sux = self.sums
        entries.append((t, u, x))
        su, sx, suu, sux = su + u, sx + x, suu + u * u, sux + u * x
        begin = t - self.over
        while entries[0][0] <= begin:
            _, v, y = entries.popleft()
            su, sx, suu, sux = su - v, sx - y, suu - v * v, sux - v * y
        self.sums = su, sx, suu, sux
        first_t, _, first_x = entries[0]
        passed = t - first_t
        if passed < self.over // 2:
            return UNKNOWN, 0 if x >= self.target else UNKNOWN, UNKNOWN
        n = len(entries)
        num, den = n * sux - su * sx, n * suu - su * su
        rate = (x - first_x) * HOUR_MS // passed
        if n < self.n_min:
            return UNKNOWN, 0 if x >= self.target else UNKNOWN, rate
        return num * (HOUR_MS // UNIT_MS) // den, self._to_go(x, num, den), rate

    def _to_go(self, x: int, num: int, den: int) -> int:
        left = self.target - x
        if left <= 0:
            return 0
        return WORSE_NEVER if num <= 0 else max(-left * den // num * UNIT_MS, WORSE_NEVER)


class Loop:
    """The whole station, a row at a time."""

    def __init__(self, plan: Plan) -> None:
        self.changes: list[Change] = []
        self.tracks = [Track(index, track.rule, self.changes) for index, track in enumerate(plan.tracks)]
        own: list[list[tuple[Rule, Track]]] = [[] for _ in plan.series]
        for track, judge in zip(plan.tracks, self.tracks, strict=True):
            own[track.series_index].append((track.rule, judge))
        self.sensors = [(Gauge if series.counter else Radar)(series, check, tracks)
                        for series, check, tracks in zip(plan.series, plan.checks, own, strict=True)]

    def row(self, t: Sequence[int], raw: Sequence[int], quality: Sequence[int]) -> list[int]:
        """The quality bits of the row."""
        return [bits if bits & MISSING else bits | sensor.reading(at, x)
                for sensor, at, x, bits in zip(self.sensors, t, raw, quality, strict=True)]

    def levels(self) -> list[int]:
        """One a track."""
        return [track.level for track in self.tracks]
