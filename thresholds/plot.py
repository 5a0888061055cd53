"""Plots as inline SVG for pages that stand alone: no script, no network, readable on a phone, by day and by night.

Text and lines keep their size at every width: the outer picture has no viewBox and places things by per cent; only
the data lies in an inner picture that is stretched. Colours come from `CSS` through classes: `blue`, `yellow`,
`orange`, `red` for levels, `curve`, `second`, `faint`, `mark` for the rest.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise

HEIGHT_PX = 200
WIDE = 1000          # units across of the inner, stretched picture
LABEL_PX = 13
LANE_PX = 27
EDGE = 93            # per cent from the left: words beyond it end at their mark
DAY_MS = 86_400_000
_MINUTES = (1, 2, 5, 10, 20, 30, 60, 120, 180, 240, 360, 720)
_STEPS_MS = (*(1000 * n for n in (1, 2, 5, 10, 20, 30)), *(60_000 * n for n in _MINUTES),
             *(DAY_MS * n for n in (1, 2, 5, 10, 15)))
_MONTHS = (1, 2, 3, 6, 12, 24, 60)

CSS = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2530;--soft:#5d6a78;--line:#d9dfe6;--panel:#f6f8fa;--curve:#1f5f99;
--second:#8a4fa3;--blue:#2f6fde;--yellow:#d9ad00;--orange:#ee7b06;--red:#d3263b;--hole:#8a96a3}
@media(prefers-color-scheme:dark){:root{--paper:#12171d;--ink:#e3e8ee;--soft:#98a5b3;--line:#2d3742;--panel:#1a2129;
--curve:#7db8ef;--second:#c79be0;--blue:#5b93f5;--yellow:#eccb3c;--orange:#ff9a3d;--red:#ff5a6b;--hole:#6d7a88}}
svg.plot{display:block;overflow:visible;width:calc(100% - 62px);margin:10px 8px 2px 54px}
svg.plot text{font-size:12px;fill:var(--soft)}
svg.plot text.y{text-anchor:end}svg.plot text.x{text-anchor:middle}svg.plot text.on{fill:var(--ink);paint-order:stroke;
stroke:var(--panel);stroke-width:3px;stroke-linejoin:round}svg.plot text.x.end{text-anchor:end}
svg.plot .grid{stroke:var(--line);stroke-width:1}
svg.plot .curve,svg.plot .second,svg.plot .faint{fill:none;stroke:var(--curve);stroke-width:1.5;stroke-linejoin:round;
stroke-linecap:round}
svg.plot .second{stroke:var(--second)}svg.plot .faint{stroke:var(--soft);stroke-width:1}
svg.plot .dots{fill:none;stroke:var(--curve);stroke-width:4;stroke-linecap:round}
svg.plot .area{fill:var(--curve);stroke:none}
svg.plot .hole{fill:var(--hole);opacity:.18}
svg.plot .limit{stroke-width:1.5;stroke-dasharray:6 3}svg.plot .limit.aim{stroke:var(--second)}
svg.plot .limit.off{stroke-dasharray:1 4;opacity:.8}
svg.plot .at{stroke-width:1.5}
svg.plot .mark{fill:none;stroke:var(--second);stroke-width:1.6}
svg.plot .point{fill:var(--curve);fill-opacity:.5}svg.plot .chosen{fill:var(--red)}
svg.plot .tint{opacity:.13}
svg.plot .bed{fill:var(--line);opacity:.45}
svg.plot .hole-lane{fill:var(--hole)}svg.plot .mark-lane{fill:var(--second)}
""" + "".join(f"svg.plot .{word}{{stroke:var(--{word})}}svg.plot rect.{word}{{fill:var(--{word});stroke:none}}\n"
              for word in ("blue", "yellow", "orange", "red"))


@dataclass(frozen=True, slots=True)
class Axis:
    """Values from the bottom to the top of a plot, with round ticks; the outer two are its ends."""

    ticks: tuple[float, ...]
    height_px: int = HEIGHT_PX

    @classmethod
    def around(cls, values: Iterable[float], height_px: int = HEIGHT_PX, most: int = 5) -> "Axis":
        """The axis that holds all of these finite values."""
        held = list(values)
        return cls(tuple(nice_ticks(min(held, default=0.0), max(held, default=1.0), most)), height_px)

    def y(self, value: float) -> float:
        """Pixels from the top, kept inside the plot."""
        low, high = self.ticks[0], self.ticks[-1]
        return round(min(1.0, max(0.0, (high - value) / (high - low))) * self.height_px, 1)

    def label(self, tick: float) -> str:
        step = self.ticks[1] - self.ticks[0]
        digits = next((digits for digits in range(9) if abs(round(step, digits) - step) < step * 1e-6), 9)
        return f"{tick:.{digits}f}"


@dataclass(frozen=True, slots=True)
class Plot:
    """A plane to draw on: from `left` to `right` (times in ms, or any number), marks below it, and the value axis.

    The words of a mark may have two lines.
    """

    left: float
    right: float
    axis: Axis
    marks: tuple[tuple[float, str], ...] = ()

    def percent(self, x: float) -> float:
        """Per cent from the left, kept inside the plot."""
        return min(100.0, max(0.0, (x - self.left) / (self.right - self.left) * 100))

    def unit(self, x: float) -> float:
        """Units of the stretched picture from its left."""
        return self.percent(x) * WIDE / 100


def over_time(start_ms: int, end_ms: int, axis: Axis, zone: tzinfo = UTC, most: int = 7) -> Plot:
    """A plot whose x is time; its marks stand at round moments of that zone."""
    return Plot(start_ms, max(end_ms, start_ms + 1), axis, tuple(time_marks(start_ms, end_ms, zone, most)))


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart), at most `most` + 1, the outer ones around low..high."""
    if high - low <= max(abs(low), abs(high), 1e-3) * 1e-6:
        low, high = low - max(abs(low), 1e-3) * 0.05, high + max(abs(high), 1e-3) * 0.05
    rough = (high - low) / (most - 1)
    power = math.floor(math.log10(rough))
    factor = next(factor for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough * (1 - 1e-9))
    step = factor * 10.0**power
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(n * step, max(0, -power)) for n in range(first, last + 1)]


def time_marks(start_ms: int, end_ms: int, zone: tzinfo, most: int = 7) -> list[tuple[float, str]]:
    """Round moments of that zone with their words: at most `most`, from seconds to years apart."""
    step = next((step for step in _STEPS_MS if (end_ms - start_ms) <= step * most), 0)
    begin = _local(start_ms, zone)
    if not step:
        return _months(begin, start_ms, end_ms, most)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    if step >= DAY_MS:
        days = [midnight + timedelta(days=n) for n in range(0, (end_ms - start_ms) // DAY_MS + 3, step // DAY_MS)]
        return [(_ms(day), f"{day:%m-%d}") for day in days if start_ms <= _ms(day) <= end_ms]
    first = start_ms + (-(start_ms - _ms(midnight))) % step
    words = [_time_words(_local(t, zone), step) for t in range(first, end_ms + 1, step)]
    if words and ":" in words[0]:
        words[0] += f"\n{_local(first, zone):%m-%d}"
    return list(zip(range(first, end_ms + 1, step), words, strict=True))


def _months(begin: datetime, start_ms: int, end_ms: int, most: int) -> list[tuple[float, str]]:
    months = (end_ms - start_ms) / (30.44 * DAY_MS)
    step = next((step for step in _MONTHS if months <= step * most), _MONTHS[-1])
    number = (begin.year * 12 + begin.month - 1) // step * step
    found: list[tuple[float, str]] = []
    while True:
        at = begin.replace(year=number // 12, month=number % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
        if _ms(at) > end_ms:
            return found
        if _ms(at) >= start_ms:
            found.append((_ms(at), f"{at:%Y}" if step >= 12 else f"{at:%Y-%m}"))
        number += step


def _time_words(at: datetime, step: int) -> str:
    if (at.hour, at.minute, at.second) == (0, 0, 0):
        return f"{at:%m-%d}"
    return f"{at:%H:%M:%S}" if step < 60_000 else f"{at:%H:%M}"


def _local(t_ms: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def curve(plot: Plot, pieces: Iterable[Sequence[tuple[float, float]]], classes: str = "curve") -> str:
    """Each piece as a line; a lone point is a dot."""
    path = "".join(_stroke(plot, piece) for piece in pieces if piece)
    return f'<path class="{classes}" vector-effect="non-scaling-stroke" d="{path}"/>' if path else ""


def dots(plot: Plot, points: Iterable[tuple[float, float]], classes: str = "dots") -> str:
    path = "".join(f"M{plot.unit(x):.1f} {plot.axis.y(value):g}h0" for x, value in points)
    return f'<path class="{classes}" vector-effect="non-scaling-stroke" d="{path}"/>' if path else ""


def bars(plot: Plot, amounts: Iterable[tuple[float, float, float]], classes: str = "area") -> str:
    """(left, right, value) each, from zero up; none is narrower than a pixel of a phone."""
    zero = plot.axis.y(0.0)
    path = "".join(
        f"M{plot.unit(left):.1f} {zero:g}V{plot.axis.y(value):g}h{max(2.0, plot.unit(right) - plot.unit(left)):.1f}"
        f"V{zero:g}z" for left, right, value in amounts if value)
    return f'<path class="{classes}" d="{path}"/>' if path else ""


def _stroke(plot: Plot, piece: Sequence[tuple[float, float]]) -> str:
    steps = [f"{plot.unit(x):.1f} {plot.axis.y(value):g}" for x, value in piece]
    return f"M{'L'.join(steps)}" if len(steps) > 1 else f"M{steps[0]}h0"


def inner(plot: Plot, data: str) -> str:
    """The stretched picture around curves and bars."""
    return (f'<svg width="100%" height="{plot.axis.height_px}" viewBox="0 0 {WIDE} {plot.axis.height_px}" '
            f'preserveAspectRatio="none">{data}</svg>')


def spans(plot: Plot, parts: Iterable[tuple[float, float, str, str]], top: float, height: float) -> str:
    """(left, right, classes, words on hovering) each as a filled bar, where it is in the plot; a short one is seen."""
    drawn = []
    for left, right, classes, words in parts:
        if right < plot.left or left > plot.right:
            continue
        x = plot.percent(left)
        told = f"<title>{escape(words)}</title>" if words else ""
        drawn.append(f'<rect class="{classes}" x="{x:.3f}%" y="{top:g}" height="{height:g}" '
                     f'width="{max(0.15, plot.percent(right) - x):.3f}%">{told}</rect>')
    return "".join(drawn)


def limits(plot: Plot, lines: Iterable[tuple[float, str, str]]) -> str:
    """(value, classes, label) each as a level line; labels that would overlap are moved apart."""
    drawn: list[str] = []
    floor = plot.axis.height_px - 3.0
    for value, classes, label in sorted(lines, key=lambda one: (one[0], one[1])):
        y = plot.axis.y(value)
        drawn.append(f'<line class="limit {classes}" x2="100%" y1="{y}" y2="{y}"/>')
        if label:
            floor = min(y - 4, floor)
            drawn.append(f'<text class="on" x="4" y="{max(floor, 9):.1f}">{escape(label)}</text>')
            floor -= LABEL_PX
    return "".join(drawn)


def moments(plot: Plot, times: Iterable[tuple[float, str, str]]) -> str:
    """(x, classes, words on hovering) each as an upright line."""
    return "".join(
        f'<line class="at {classes}" x1="{plot.percent(x):.3f}%" x2="{plot.percent(x):.3f}%" '
        f'y2="{plot.axis.height_px}"><title>{escape(words)}</title></line>' for x, classes, words in times)


def points(plot: Plot, at: Iterable[tuple[float, float, str, str]], radius: float = 4.0) -> str:
    """(x, value, classes, words on hovering) each as a round point, for plots of one number against another."""
    return "".join(
        f'<circle class="{classes}" cx="{plot.percent(x):.2f}%" cy="{plot.axis.y(value):g}" r="{radius:g}">'
        f"<title>{escape(words)}</title></circle>" for x, value, classes, words in at)


def lanes(plot: Plot, named: Sequence[tuple[str, Sequence[tuple[float, float, str, str]]]]) -> str:
    """Bars under a plot, a lane a name: which level a rule had, which mark the readings."""
    drawn = []
    for number, (name, parts) in enumerate(named):
        top = number * LANE_PX
        drawn.append(f'<text x="0" y="{top + 11}">{escape(name)}</text>'
                     f'<rect class="bed" width="100%" y="{top + 15}" height="8"/>' + spans(plot, parts, top + 15, 8))
    return f'<svg class="plot" height="{len(named) * LANE_PX}" aria-hidden="true">{"".join(drawn)}</svg>'


def picture(plot: Plot, drawn: str, title: str, words: str = "") -> str:
    """The whole plot with both axes; `title` and `words` are for those who hear the page."""
    height = plot.axis.height_px
    grid = [f'<line class="grid" x2="100%" y1="{y}" y2="{y}"/><text class="y" x="-6" y="{y + 4:.1f}">'
            f"{plot.axis.label(tick)}</text>" for tick in plot.axis.ticks for y in (plot.axis.y(tick),)]
    grid += [f'<line class="grid" x1="{plot.percent(x):.2f}%" x2="{plot.percent(x):.2f}%" y2="{height}"/>'
             + "".join(f'<text class="x{" end" if plot.percent(x) > EDGE else ""}" x="{plot.percent(x):.2f}%" '
                       f'y="{height + 16 + LABEL_PX * line}">{escape(words)}</text>'
                       for line, words in enumerate(text.split("\n"))) for x, text in plot.marks]
    lines = max((text.count("\n") + 1 for _, text in plot.marks), default=0)
    return (f'<svg class="plot" role="img" height="{height + 9 + LABEL_PX * lines}"><title>{escape(title)}</title>'
            f"<desc>{escape(words)}</desc>{''.join(grid)}{drawn}</svg>")


def cut_at_gaps(points_in: Sequence[tuple[float, float]], gap: float) -> list[list[tuple[float, float]]]:
    """The points in order, cut wherever two neighbours are more than `gap` apart."""
    found: list[list[tuple[float, float]]] = [[*points_in[:1]]]
    for before, now in pairwise(points_in):
        if now[0] - before[0] > gap:
            found.append([])
        found[-1].append(now)
    return found
