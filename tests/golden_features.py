"""The specification of the features: docs/detection.md, 4, with every past reading at hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.golden_source import HOUR, MINUTE, Source
from thresholds.rule import Feature, Rule

UNKNOWN = -(2**62)    # also "never", of a time to a threshold


@dataclass(slots=True)
class Found:
    """A feature at a reading. `confirms` says whether the robust slope reaches a level's `off`."""

    value: int = 0
    valid: int = 0
    span: int = 1
    lone: bool = False
    confirms: Callable[[int], bool] = lambda _: True


def sum_of(rule: Rule, source: Source, others: Sequence[Source]) -> Found:
    """The sum over the rule's window. `others` are the other gauges of the station."""
    t, over = source.taken[-1].t, rule.over_ms
    begin = t - over
    if over > HOUR:
        begin = begin // MINUTE * MINUTE
        inside = list(source.after(begin))
        covered = sum(min(one.covers, one.t - begin) for one in inside)
    else:
        slots = source.slots(begin)
        inside = [one for slot in slots for one in slot]
        first, *more = [sum(one.covers for one in slot) for slot in slots]
        covered = min(first, slots[0][-1].t - begin) + sum(more)
    unknown_time = [one for one in inside if source.series.counter and (one.since is None or one.since > over)]
    total = sum(one.rise for one in inside) - sum(one.rise for one in unknown_time)
    moment = t - max(over, 3 * source.series.period_ms)
    second = len(source.wet) > 1 and source.wet[-2] > moment
    neighbour = any(other.wet_before and other.wet_before[-1] > moment for other in others)
    return Found(total, covered, t - begin, lone=not second and not neighbour)


@dataclass
class Line:
    """What a trend looks at: one reading a slot, after the last hole; `t`, `x` and `u`, the time in units of `unit`."""

    t: list[int]
    x: list[int]
    unit: int
    sign: int
    over: int

    @classmethod
    def of(cls, rule: Rule, source: Source) -> "Line":
        begin = source.taken[-1].t - rule.over_ms
        for one in source.after(begin):
            if one.since is None or one.since > rule.over_ms // 2:
                begin = one.t - 1
                break
        last = [slot[-1] for slot in source.slots(begin)]
        unit = 100 if rule.over_ms <= 10 * MINUTE else 1000
        return cls([one.t for one in last], [one.x for one in last], unit, rule.sign, rule.over_ms)

    @property
    def u(self) -> list[int]:
        return [t // self.unit for t in self.t]

    @property
    def hour(self) -> int:
        return HOUR // self.unit

    def known(self) -> bool:
        return self.t[-1] - self.t[0] >= self.over // 2

    def fit(self, n_min: int) -> tuple[int, int] | None:
        """`num` with its sign, and `den`, of the least squares; None: unknown."""
        n, u, x = len(self.t), self.u, self.x
        num = n * sum(a * b for a, b in zip(u, x, strict=True)) - sum(u) * sum(x)
        den = n * sum(a * a for a in u) - sum(u) ** 2
        return (self.sign * num, den) if self.known() and n >= n_min and den > 0 else None

    def robust(self) -> int | None:
        """The slope of bin medians in thousandths an hour; None: unknown."""
        bins: dict[int, list[tuple[int, int]]] = {}
        for t, x, u in zip(self.t, self.x, self.u, strict=True):
            bins.setdefault((t - (self.t[-1] - self.over) - 1) * 10 // self.over, []).append((x, u))
        middle = [(lower_median([x for x, _ in one]), lower_median([u for _, u in one])) for one in bins.values()]
        slopes = [self.sign * (x_j - x_i) * self.hour // (u_j - u_i)
                  for j, (x_j, u_j) in enumerate(middle) for x_i, u_i in middle[:j] if u_j != u_i]
        return lower_median(slopes) if len(middle) >= 3 and slopes else None


def lower_median(values: list[int]) -> int:
    return sorted(values)[(len(values) - 1) // 2]


def rate_of(rule: Rule, source: Source) -> Found:
    line = Line.of(rule, source)
    if not line.known():
        return Found(UNKNOWN)
    return Found(rule.sign * (line.x[-1] - line.x[0]) * HOUR // (line.t[-1] - line.t[0]), 1)


def slope_of(rule: Rule, source: Source) -> Found:
    line = Line.of(rule, source)
    fit = line.fit(rule.n_min)
    if fit is None:
        return Found(UNKNOWN)
    found = Found(fit[0] * line.hour // fit[1], 1)
    if rule.robust:
        robust = line.robust()
        found.confirms = lambda off: robust is not None and robust >= off
    return found


def time_to_of(rule: Rule, source: Source) -> Found:
    """Minus the milliseconds to go."""
    line = Line.of(rule, source)
    x = source.taken[-1].x
    left = rule.sign * (rule.target - x)
    fit = line.fit(rule.n_min)
    if left <= 0:
        return Found(0, 1)
    if fit is None:
        return Found(UNKNOWN)
    num, den = fit
    if num <= 0 or (rule.floor is not None and rule.sign * x < rule.sign * rule.floor):
        return Found(UNKNOWN, 1)
    found = Found(max(-(up(left * den, num) * line.unit), UNKNOWN), 1)
    if rule.robust:
        robust = line.robust()
        found.confirms = lambda off: (
            robust is not None and robust > 0 and -(up(left * line.hour, robust) * line.unit) >= off)
    return found


def up(whole: int, part: int) -> int:
    """The quotient, rounded up."""
    return -(-whole // part)


@dataclass
class Cusum:
    """The one feature that remembers: its sum, its reference, and the lowest value of each minute."""

    rule: Rule
    total: int = 0
    reference: int | None = None
    lowest: dict[int, int] = field(default_factory=dict)

    def take(self, source: Source) -> Found:
        rule, one = self.rule, source.taken[-1]
        x = rule.sign * one.x
        if rule.reference is not None:
            self.reference = rule.sign * rule.reference
        else:
            self._learn(source, one.t, x)
        if one.since is None or one.since > 10 * source.series.period_ms:
            self.total //= 2
        if self.reference is None:
            return Found(UNKNOWN)
        cap = 2 * max(level.on for level in rule.levels)
        self.total = min(max(self.total + x - self.reference - rule.allowance, 0), cap)
        return Found(self.total, 1)

    def _learn(self, source: Source, t: int, x: int) -> None:
        hour = (t - 1) // HOUR
        if len(source.taken) < 2 or (source.taken[-2].t - 1) // HOUR != hour:
            self.lowest = {minute: low for minute, low in self.lowest.items() if 60 * (hour - 24) <= minute < 60 * hour}
            if len(self.lowest) >= 60:
                self.reference = sorted(self.lowest.values())[(len(self.lowest) - 1) // 10]
        minute = (t - 1) // MINUTE
        self.lowest[minute] = min(x, self.lowest.get(minute, x))


def value_of(rule: Rule, source: Source) -> Found:
    return Found(rule.sign * source.taken[-1].x, 1)


PLAIN: dict[Feature, Callable[[Rule, Source], Found]] = {
    Feature.VALUE: value_of, Feature.COINCIDENCE: value_of, Feature.RATE: rate_of, Feature.SLOPE: slope_of,
    Feature.TIME_TO: time_to_of,
}
