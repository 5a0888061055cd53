"""Charts as inline SVG: a few kB each, sharp at every width from 320 px up, readable without scripts and by ear.

Text and lines keep their size: the outer picture has no viewBox and places things by per cent; only the data lies in
an inner picture that is stretched. Colours come from style.css through classes, so that one chart suits day and night.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from hub.web.curves import Points, nice_ticks, pieces, time_marks
from hub.web.words import Words, number
from tocsin.levels import Level
from tocsin.times import DAY_MS, HOUR_MS, MINUTE_MS, utc

HEIGHT_PX = 180
WIDE = 1000  # units across of the inner, stretched picture
LABEL_PX = 13
X_STEPS_MS = (10 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS, 12 * HOUR_MS, DAY_MS, 7 * DAY_MS)
MOST_X_MARKS = 7


@dataclass(frozen=True, slots=True)
class Threshold:
    """One level of one rule. `low`: the danger lies below (oxygen)."""

    level: Level
    value: float
    low: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """What every chart has. `key` starts the ids inside it and is unique on its page; times are ms UTC."""

    key: str
    title: str
    unit: str
    start_ms: int
    end_ms: int
    zone: ZoneInfo
    say: Words
    thresholds: tuple[Threshold, ...] = ()


@dataclass(frozen=True, slots=True)
class _Axis:
    ticks: list[float]

    def y(self, value: float) -> float:
        """Pixels from the top."""
        low, high = self.ticks[0], self.ticks[-1]
        return round(min(1.0, max(0.0, (high - value) / (high - low))) * HEIGHT_PX, 1)

    def label(self, tick: float) -> str:
        step = self.ticks[1] - self.ticks[0]
        digits = next((digits for digits in range(9) if abs(round(step, digits) - step) < step * 1e-6), 9)
        return f"{tick:.{digits}f}"


def lines(chart: Chart, points: Points, gap_ms: int) -> Markup:
    """Values joined where neighbours are at most `gap_ms` apart, with the thresholds that are near."""
    values = [value for _, value in points]
    shown = _in_view(values, chart.thresholds)
    axis = _Axis(nice_ticks(min(values, default=0.0), max(values, default=1.0)))
    if shown:
        around = [*values, *(threshold.value for threshold in shown)]
        axis = _Axis(nice_ticks(min(around), max(around)))
    path = "".join(_strokes(chart, axis, piece) for piece in pieces(points, gap_ms))
    data = f'<path class="curve" vector-effect="non-scaling-stroke" d="{path}"/>' if path else ""
    dot = ""
    if points:
        dot = f'<circle class="newest" cx="{_x(chart, points[-1][0]):.2f}%" cy="{axis.y(values[-1])}" r="3.5"/>'
    inside = _bands(axis, shown) + _inner(data) + _limits(chart, axis, shown) + dot + _nothing(chart, values)
    return _picture(chart, axis, inside, points)


def bars(chart: Chart, edges: Sequence[int], amounts: Sequence[float | None]) -> Markup:
    """One bar per interval between neighbouring edges; an interval of None is marked as unknown, not drawn as zero."""
    known = [(end, amount) for end, amount in zip(edges[1:], amounts, strict=True) if amount is not None]
    axis = _Axis(nice_ticks(0.0, max((amount for _, amount in known), default=0.0) or 1.0))
    drawn = []
    for (start, end), amount in zip(pairwise(edges), amounts, strict=True):
        left, right = (_x(chart, edge) * WIDE / 100 for edge in (start, end))
        top = 0.0 if amount is None else axis.y(amount)
        hint = chart.say("no_data_bar") if amount is None else f"{number(amount, chart.unit)} {chart.unit}"
        drawn.append(
            f'<rect class="{"hole" if amount is None else "bar"}" x="{left + 1:.1f}" width="{right - left - 2:.1f}" '
            f'y="{top}" height="{HEIGHT_PX - top:.1f}"><title>{_hour(chart, start)}–{_hour(chart, end)}: '
            f"{escape(hint)}</title></rect>"
        )
    inside = _inner("".join(drawn)) + _nothing(chart, known)
    return _picture(chart, axis, inside, known)


def beyond(thresholds: Sequence[Threshold], points: Points) -> list[Threshold]:
    """The thresholds that `lines` leaves out because they are far above (or below) all values, mildest first."""
    shown = _in_view([value for _, value in points], thresholds)
    return sorted((limit for limit in thresholds if limit not in shown), key=lambda limit: limit.level)


def _in_view(values: Sequence[float], thresholds: Sequence[Threshold]) -> list[Threshold]:
    """Those that were passed, and the next one: how far it is to the next level is what people ask."""
    shown: list[Threshold] = []
    for low in (False, True):
        side = sorted((limit for limit in thresholds if limit.low == low), key=lambda limit: limit.level)
        extreme = (min(values) if low else max(values)) if values else None
        for limit in side:
            shown.append(limit)
            if extreme is None or (limit.value < extreme if low else limit.value > extreme):
                break
    return shown


def _x(chart: Chart, t: int) -> float:
    """Per cent from the left, kept inside the picture."""
    return min(100.0, max(0.0, (t - chart.start_ms) / (chart.end_ms - chart.start_ms) * 100))


def _strokes(chart: Chart, axis: _Axis, piece: Points) -> str:
    """Whole units across are finer than a phone's pixels; a lone point becomes a dot by its round cap."""
    steps = [f"{_x(chart, t) * WIDE / 100:.0f} {axis.y(value):g}" for t, value in piece]
    return f"M{'L'.join(steps)}" if len(steps) > 1 else f"M{steps[0]}h0"


def _bands(axis: _Axis, shown: Sequence[Threshold]) -> str:
    """A faint tint beyond each threshold; tints of higher levels lie over those of lower ones."""
    drawn = []
    for limit in sorted(shown, key=lambda limit: limit.level):
        y = axis.y(limit.value)
        top, height = (y, HEIGHT_PX - y) if limit.low else (0.0, y)
        drawn.append(f'<rect class="band {limit.level.word}" width="100%" y="{top}" height="{height:.1f}"/>')
    return "".join(drawn)


def _limits(chart: Chart, axis: _Axis, shown: Sequence[Threshold]) -> str:
    """Coloured lines, each with its word and value; words that would overlap are moved apart."""
    downwards = sorted(shown, key=lambda limit: -limit.value)
    heights: list[float] = []
    for below, limit in enumerate(reversed(downwards)):
        heights.append(min(axis.y(limit.value) - 4, heights[-1] - LABEL_PX if below else HEIGHT_PX))
    heights.reverse()
    drawn = []
    for above, (limit, height) in enumerate(zip(downwards, heights, strict=True)):
        y = axis.y(limit.value)
        drawn.append(
            f'<line class="limit {limit.level.word}" x2="100%" y1="{y}" y2="{y}"/>'
            f'<text class="limit-label" x="4" y="{max(height, LABEL_PX * above + 9):.1f}">'
            f"{escape(_words(chart, limit))}</text>"
        )
    return "".join(drawn)


def _words(chart: Chart, limit: Threshold) -> str:
    return f"{chart.say.level(limit.level)} {limit.value:g}"


def _nothing(chart: Chart, values: Sequence[object]) -> str:
    if values:
        return ""
    return f'<text class="nothing" x="50%" y="{HEIGHT_PX // 2}">{escape(chart.say("no_data"))}</text>'


def _inner(data: str) -> str:
    return (
        f'<svg class="data" width="100%" height="{HEIGHT_PX}" viewBox="0 0 {WIDE} {HEIGHT_PX}" '
        f'preserveAspectRatio="none">{data}</svg>'
    )


def _hour(chart: Chart, t: int) -> str:
    return utc(t).astimezone(chart.zone).strftime("%H:%M")


def _time_axis(chart: Chart) -> str:
    span = chart.end_ms - chart.start_ms
    step = next((step for step in X_STEPS_MS if span <= step * MOST_X_MARKS), X_STEPS_MS[-1])
    drawn = []
    for t in time_marks(chart.start_ms, chart.end_ms, step, chart.zone):
        local = utc(t).astimezone(chart.zone)
        text = f"{local:%H:%M}" if step < DAY_MS and (local.hour, local.minute) != (0, 0) else f"{local:%m-%d}"
        x = f"{_x(chart, t):.2f}%"
        drawn.append(
            f'<line class="grid" x1="{x}" x2="{x}" y2="{HEIGHT_PX}"/>'
            f'<text class="x" x="{x}" y="{HEIGHT_PX + 16}">{text}</text>'
        )
    return "".join(drawn)


def _value_axis(axis: _Axis) -> str:
    drawn = []
    for tick in axis.ticks:
        y = axis.y(tick)
        drawn.append(
            f'<line class="grid" x2="100%" y1="{y}" y2="{y}"/>'
            f'<text class="y" x="-6" y="{y + 4:.1f}">{axis.label(tick)}</text>'
        )
    return "".join(drawn)


def _description(chart: Chart, points: Points) -> str:
    if not points:
        return chart.say("no_data")
    values = [value for _, value in points]
    low, high, last = (number(value, chart.unit) for value in (min(values), max(values), values[-1]))
    start, end = (f"{utc(t).astimezone(chart.zone):%Y-%m-%d %H:%M}" for t in (chart.start_ms, chart.end_ms))
    text = chart.say("desc", start=start, end=end, low=low, high=high, last=last, unit=chart.unit)
    limits = ", ".join(_words(chart, limit) for limit in chart.thresholds)
    return f"{text} {chart.say('desc_limits', limits=limits)}" if limits else text


def _picture(chart: Chart, axis: _Axis, inside: str, points: Points) -> Markup:
    title, words = escape(f"{chart.title} ({chart.unit})"), escape(_description(chart, points))
    return Markup(  # noqa: S704 - every text in it was escaped where it was put in
        f'<svg class="chart" role="img" aria-labelledby="{chart.key}-t {chart.key}-d" height="{HEIGHT_PX + 24}">'
        f'<title id="{chart.key}-t">{title}</title><desc id="{chart.key}-d">{words}</desc>'
        f"{_value_axis(axis)}{_time_axis(chart)}{inside}</svg>"
    )
