"""Which charts a station has, from its card: one per series, for rain also one per window that its rules look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from markupsafe import Markup

from hub.errors import TransientError
from hub.store import Point, Store
from hub.web import chart, curves
from hub.web.chart import Chart, Threshold
from hub.web.curves import Points
from hub.web.freshness import FRESH_PERIODS
from hub.web.rain import RAIN, is_rain
from hub.web.words import Words, unit_of
from tocsin.levels import Level
from tocsin.messages import RuleCard, SeriesCard, StationCard
from tocsin.quantities import QUANTITIES
from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS

MOST_POINTS = 600
_IN_A_ROW = 6
MOST_AMOUNTS = 250_000    # of rain as it fell: thinned out it cannot be summed; a week of a reading every 3 s


@dataclass(frozen=True, slots=True)
class Range:
    """A choice of the station page: how far back, and how long one rain bar is."""

    span_ms: int
    bar_ms: int


RANGES = {
    "1h": Range(HOUR_MS, 5 * MINUTE_MS),
    "6h": Range(6 * HOUR_MS, 15 * MINUTE_MS),
    "24h": Range(DAY_MS, HOUR_MS),
    "7d": Range(7 * DAY_MS, 6 * HOUR_MS),
}


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart and what stands around it. `svg` is empty while the store cannot be reached."""

    title: str
    unit: str
    device: str
    svg: Markup
    beyond: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What all charts of one page share. `summary_s`: with a data budget, how often values come in calm at least;
    `latest`: the newest reading of each series, which a curve that was thinned out need not have."""

    station: str
    start_ms: int
    end_ms: int
    bar_ms: int
    zone: ZoneInfo
    say: Words
    summary_s: float = 0.0
    latest: Sequence[Point] = ()


async def panels(store: Store, card: StationCard, frame: Frame) -> list[Panel]:
    """In the card's order."""
    found: list[Panel] = []
    for number, series in enumerate(card.series):
        device, _, quantity = series.key.rpartition("/")
        rules = _rules_of(card, series)
        # a rain sum at the left edge needs what fell before it
        before = max([frame.bar_ms, *(rule.over_s * 1000 for rule in rules)]) if is_rain(quantity) else 0
        start = frame.start_ms - before
        most = MOST_AMOUNTS if quantity == RAIN else MOST_POINTS
        try:
            points = await store.series(frame.station, device, quantity, start, frame.end_ms + 1, most)
        except TransientError:
            found.append(Panel(frame.say.quantity(quantity), unit_of(quantity), device, Markup("")))
            continue
        points += [(one.t_ms, one.value) for one in frame.latest if (one.device, one.quantity) == (device, quantity)
                   and points and points[-1][0] < one.t_ms <= frame.end_ms]
        curve = _Curve(f"c{number}", device, quantity, points, _gap_ms(series, frame, points, start, most))
        found += _rain(curve, rules, frame) if is_rain(quantity) else [_line(curve, rules, frame)]
    return found


@dataclass(frozen=True, slots=True)
class _Curve:
    """One series' points; `key` starts the ids of its charts."""

    key: str
    device: str
    quantity: str
    points: Points
    gap_ms: int


def _rules_of(card: StationCard, series: SeriesCard) -> list[RuleCard]:
    """The rules on a series' values and sums; one on the rain that a running total tells of names either of the two.

    The thresholds of other features (a rate, a time) are in units that the chart does not have.
    """
    device, _, quantity = series.key.rpartition("/")
    keys = {series.key}
    if quantity in QUANTITIES and QUANTITIES[quantity].increments:
        keys.add(f"{device}/{QUANTITIES[quantity].increments}")
    return [rule for rule in card.rules if rule.series in keys and rule.feature in {"value", "sum"}]


def _gap_ms(series: SeriesCard, frame: Frame, points: Points, start_ms: int, most: int) -> int:
    """Longer than this between two points is a gap; where the store thinned them, its buckets are the measure.

    It keeps two points of a bucket, and the newest reading is added: six in a row are as long as a bucket at least.
    Their number tells nothing: a station that came up today has few on a chart of a week.
    """
    bucket_ms = 2 * (frame.end_ms - start_ms) // most
    expected = round(max(series.period_s, frame.summary_s) * 1000 * FRESH_PERIODS)
    thinned = all(late[0] - early[0] >= bucket_ms for early, late in zip(points, points[_IN_A_ROW - 1:], strict=False))
    return max(expected, 2 * bucket_ms + 1) if thinned else expected


def _thresholds(rules: Sequence[RuleCard], over_s: int) -> tuple[Threshold, ...]:
    """Of several rules on one quantity and window, each level's most careful value."""
    strictest: dict[tuple[Level, bool], float] = {}
    for rule in rules:
        if rule.over_s == over_s:
            for word, value in rule.levels.items():
                key = (Level.of(word), rule.low)
                strictest[key] = (max if rule.low else min)(value, strictest.get(key, value))
    return tuple(Threshold(level, value, low) for (level, low), value in sorted(strictest.items()))


def _rain(curve: _Curve, rules: Sequence[RuleCard], frame: Frame) -> list[Panel]:
    """What fell per interval as bars, then the running sum of each window that a rule looks at, as a line."""
    say, unit = frame.say, unit_of(RAIN)
    sums = curves.summed(curve.points) if curve.quantity == RAIN else curves.fallen(curve.points)
    marks = curves.time_marks(frame.start_ms, frame.end_ms, frame.bar_ms, frame.zone, curves.RAIN_DAY_STARTS_H)
    edges = sorted({frame.start_ms, *marks, frame.end_ms})
    title = say("per_interval", quantity=say.quantity(RAIN), interval=say.interval(frame.bar_ms))
    bars = chart.bars(_chart(curve.key, title, unit, (), frame), edges, curves.per_interval(sums, edges))
    found = [Panel(title, unit, curve.device, bars)]
    for over_s in sorted({rule.over_s for rule in rules if rule.over_s}):
        inside = [point for point in curves.over_window(sums, over_s * 1000) if point[0] >= frame.start_ms]
        title = say("over", quantity=say.quantity(RAIN), interval=say.interval(over_s * 1000))
        window = _Curve(f"{curve.key}-{over_s}", curve.device, RAIN, inside, curve.gap_ms)
        found.append(_line(window, rules, frame, over_s, title))
    return found


def _line(curve: _Curve, rules: Sequence[RuleCard], frame: Frame, over_s: int = 0, title: str = "") -> Panel:
    limits, unit = _thresholds(rules, over_s), unit_of(curve.quantity)
    title = title or frame.say.quantity(curve.quantity)
    svg = chart.lines(_chart(curve.key, title, unit, limits, frame), curve.points, curve.gap_ms)
    beyond = chart.beyond(limits, curve.points)
    far = ", ".join(f"{frame.say.level(limit.level)} {limit.value:g} {unit}" for limit in beyond)
    return Panel(title, unit, curve.device, svg, far)


def _chart(key: str, title: str, unit: str, limits: tuple[Threshold, ...], frame: Frame) -> Chart:
    return Chart(key, title, unit, frame.start_ms, frame.end_ms, frame.zone, frame.say, limits)
