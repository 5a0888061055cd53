"""The pictures of a replay: readings with thresholds, what a rule compared, and lanes of levels and marks below."""

from collections.abc import Iterable, Sequence
from datetime import tzinfo
from itertools import pairwise

import numpy as np

from thresholds import plot
from thresholds.plan import Track
from thresholds.plot import Axis, Plot
from thresholds.replay.episodes import Episode, unit_of
from thresholds.replay.overview import Overview
from thresholds.replay.words import MARK_WORDS, amount, level_words, moment, number, series_words
from thresholds.rule import SCALE, Feature
from thresholds.series import Series
from tocsin.levels import Level
from tocsin.quantities import QUANTITIES
from tocsin.readings import Quality

Span = tuple[float, float, str, str]
Stretch = tuple[int, int]    # begin and end in ms
Lane = tuple[str, list[Span]]
MANY_DOTS = 150
MANY_SPANS = 400    # bars of a lane
ROOM = 0.09     # of the height: a line of words


def readings_figure(seen: Overview, series: Series, tracks: Sequence[Track], zone: tzinfo) -> str:
    """The readings of a series with the thresholds of the rules that judge the value itself."""
    limits = _limits([track for track in tracks if track.rule.feature is Feature.VALUE], seen.values)
    limits += _targets(tracks)
    held = seen.held if not series.counter else []    # of a running total no amount is known yet
    axis = _axis(seen.values, limits)
    if series.summed:
        axis = Axis.around([0.0, *(one[2] for one in seen.amounts), *(value for _, value in held)])
    plane = plot.over_time(seen.start_ms, seen.end_ms, axis, zone)
    drawn = _holes(plane, seen.gaps)
    if series.summed:
        drawn += plot.inner(plane, plot.bars(plane, seen.amounts) + plot.dots(plane, held, "dots held"))
    else:
        few = sum(map(len, seen.pieces)) <= MANY_DOTS
        data = plot.curve(plane, seen.pieces)
        data += plot.dots(plane, (point for piece in seen.pieces for point in piece)) if few else ""
        drawn += plot.inner(plane, data + plot.dots(plane, held, "dots held"))
    return plot.picture(plane, drawn + plot.limits(plane, limits), _title(series), _heard(seen, series, zone))


def feature_figure(track: Track, points: Sequence[tuple[float, float]], start_ms: int, end_ms: int, gap_ms: int,
                   zone: tzinfo) -> str:
    """What a rule compared, with its thresholds: full where a level is reached, dotted where it falls."""
    rule = track.rule
    farthest = 2.0 * max(own.off / rule.scale for own in rule.levels) if rule.feature is Feature.TIME_TO else None
    shown = [(t, value if farthest is None else min(value, farthest)) for t, value in points]
    limits = _limits([track], [value for _, value in shown], every=True, off=True)
    axis = _axis([value for _, value in shown], limits)
    plane = plot.over_time(start_ms, end_ms, axis, zone)
    data = plot.inner(plane, plot.curve(plane, plot.cut_at_gaps(shown, gap_ms), "second"))
    unit = unit_of(rule.feature, rule.quantity)
    return plot.picture(plane, data + plot.limits(plane, limits), f"{rule.name} ({unit})")


def lanes_figure(start_ms: int, end_ms: int, lanes: Sequence[Lane]) -> str:
    """Bars below a picture, on the same times."""
    return plot.lanes(plot.over_time(start_ms, end_ms, Axis((0.0, 1.0))), lanes) if lanes else ""


def level_lane(name: str, episodes: Iterable[Episode], within: Stretch, zone: tzinfo) -> Lane:
    """Which level a rule had, and when."""
    parts: list[tuple[int, int, Level, str]] = []
    for one in episodes:
        if one.raised_ms > within[1] or (one.cleared_ms or within[1]) < within[0]:
            continue
        ends = [*(told.t_ms for told in one.told[1:]), within[1]]
        parts += [(told.t_ms, end, told.level, amount(told.value, one.unit))
                  for told, end in zip(one.told, ends, strict=False) if told.level is not Level.CLEAR]
    if len(parts) > MANY_SPANS:
        few = _compact([(begin, end, int(level)) for begin, end, level, _ in parts], within)
        return name, [(begin, end, Level(level).word, "") for begin, end, level in few]
    # the worst on top: of a short episode nothing else would be seen
    parts.sort(key=lambda part: part[2])
    return name, [
        (begin, end, level.word, f"{level_words(level)}, {moment(begin, zone)} – {moment(end, zone)}: {value}")
        for begin, end, level, value in parts]


def mark_lanes(marked: dict[Quality, list[Stretch]], gaps: Sequence[Stretch], stale: Sequence[Stretch],
               within: Stretch, zone: tzinfo) -> list[Lane]:
    """A lane for each mark that any reading has, and for gaps and silence."""
    def lane(words: tuple[str, str], css: str, spans: Sequence[Stretch]) -> Lane:
        few = ([(begin, end) for begin, end, _ in _compact([(begin, end, 1) for begin, end in spans], within)]
               if len(spans) > MANY_SPANS else spans)
        return " ".join(words), [(begin, end, css, f"{' '.join(words)}: {moment(begin, zone)} – {moment(end, zone)}")
                                 for begin, end in few]

    found = [lane(MARK_WORDS[mark], "mark-lane", spans) for mark, spans in marked.items()]
    found += [lane(("gaps", "缺测"), "hole-lane", gaps)] if gaps else []
    return found + ([lane(("stale", "数据中断"), "hole-lane", stale)] if stale else [])


def _compact(spans: Iterable[tuple[int, int, int]], within: Stretch) -> list[tuple[int, int, int]]:
    """Very many spans (begin, end, weight) as few: of each narrow stretch the highest weight."""
    start_ms, width = within[0], max(1.0, (within[1] - within[0]) / MANY_SPANS)
    weights = np.zeros(MANY_SPANS + 1, np.int64)
    for begin, end, weight in spans:
        part = slice(max(0, int((begin - start_ms) / width)), max(0, int((end - start_ms) / width) + 1))
        weights[part] = np.maximum(weights[part], weight)
    edges = np.flatnonzero(np.diff(weights[:-1], prepend=-1, append=-1)).tolist()
    return [(round(start_ms + begin * width), round(start_ms + end * width), int(weights[begin]))
            for begin, end in pairwise(edges) if weights[begin]]


def _axis(values: Sequence[float], limits: Sequence[tuple[float, str, str]]) -> Axis:
    """Values and thresholds, with room for the words above the highest threshold."""
    lines = [value for value, _, _ in limits]
    low, high = min([*values, *lines], default=0.0), max([*values, *lines], default=1.0)
    return Axis.around([low, high, *(top + ROOM * (high - low) for top in lines)])


def _holes(plane: Plot, gaps: Iterable[Stretch]) -> str:
    return plot.spans(plane, ((begin, end, "hole", "") for begin, end in gaps), 0, plane.axis.height_px)


def _limits(tracks: Sequence[Track], values: Sequence[float], *, every: bool = False,
            off: bool = False) -> list[tuple[float, str, str]]:
    """Thresholds as lines with words; those far beyond all values are left out, but for the next one."""
    found: list[tuple[float, str, str]] = []
    for track in tracks:
        rule = track.rule
        for own in rule.levels:
            on = own.on / rule.scale
            found.append((on, own.level.word, f"{number(on)} {level_words(own.level)}"))
            if off:
                found.append((own.off / rule.scale, f"{own.level.word} off", ""))
            past = not values or (on < min(values) if rule.low else on > max(values))
            if past and not every:
                break
    return found


def _targets(tracks: Sequence[Track]) -> list[tuple[float, str, str]]:
    aims = {track.rule.target / SCALE for track in tracks if track.rule.feature is Feature.TIME_TO}
    return [(aim, "aim", f"{number(aim)} target 目标") for aim in sorted(aims)]


def _title(series: Series) -> str:
    return f"{' '.join(series_words(series.key))} ({QUANTITIES[series.quantity].unit})"


def _heard(seen: Overview, series: Series, zone: tzinfo) -> str:
    values = seen.values
    if not values:
        return "no reading 无读数"
    unit = QUANTITIES[series.quantity].unit
    return (f"{moment(seen.start_ms, zone)} – {moment(seen.end_ms, zone)}: "
            f"{amount(min(values), unit)} – {amount(max(values), unit)}")
