"""Which episodes are drawn by themselves, from when to when, and what their rules compared meanwhile."""

from dataclasses import dataclass, replace

import numpy as np

from thresholds.replay.episodes import Episode
from thresholds.replay.look import Seen, Span, Window, look, rows_of, tracks_of
from thresholds.replay.run import Replay
from thresholds.rule import Feature
from thresholds.series import Series
from thresholds.tables import I64

MOST = 40               # episodes of a station drawn by themselves
STRETCHES = 700
RAIN_STRETCHES = 250


@dataclass(frozen=True, slots=True)
class Close:
    """One episode and what lies around it.

    `number` counts the station's episodes from 1; `curve` is (time, what the rule compared), but for the value itself.
    """

    number: int
    episode: Episode
    start_ms: int
    end_ms: int
    rows: Window
    curve: list[tuple[float, float]]

    def stretches(self, series: Series) -> int:
        """Into how many its picture is cut."""
        if not series.summed:
            return STRETCHES
        return max(1, round((self.end_ms - self.start_ms) / self.width_ms(series)))

    def width_ms(self, series: Series) -> int:
        """How long an amount of rain is summed: the series' period, or whole multiples of it."""
        periods = (self.end_ms - self.start_ms) / series.period_ms
        return series.period_ms * max(1, -int(-periods // RAIN_STRETCHES))


def closer(found: Replay) -> list[Close]:
    """The worst episodes, in order of their raise."""
    last_ms = int(found.history.t_ms.max())
    numbered = list(enumerate(found.episodes, 1))
    worst = sorted(numbered, key=lambda one: (-one[1].level, one[0]))[:MOST]
    return _with_curves(found, [_around(found, number, one, last_ms) for number, one in sorted(worst)])


def _around(found: Replay, number: int, one: Episode, last_ms: int) -> Close:
    period = one.track.series.period_ms if one.track else 60_000
    until = last_ms if one.cleared_ms is None else one.cleared_ms
    margin = max(one.over_s * 1000, 24 * period, (until - one.since_ms) // 4)
    start_ms, end_ms = one.since_ms - margin, until + margin // 2
    if one.track is not None and one.track.series.summed:
        start_ms = (start_ms - 1) // period * period + 1
        end_ms = start_ms + -(-(end_ms - start_ms) // period) * period
    return Close(number, one, start_ms, end_ms, rows_of(found.history, start_ms, end_ms), [])


def _with_curves(found: Replay, looks: list[Close]) -> list[Close]:
    """What rules compared that do not judge the value itself."""
    wanted = [one for one in looks if one.episode.feature is not Feature.VALUE]
    tracks = tracks_of(found.plan, (one.episode for one in wanted))
    curves: dict[int, list[tuple[float, float]]] = {one.number: [] for one in wanted}
    spans = [Span(tracks[one.episode.id], one.start_ms, one.end_ms) for one in wanted]
    for number, seen in look(found.history, found.plan, spans):
        one, rule = wanted[number], found.plan.tracks[spans[number].track].rule
        kept = _thinned(seen, one)
        curves[one.number] += [(t, rule.shown(value)) for t, value in zip(
            seen.t_ms[kept].tolist(), seen.value[kept].tolist(), strict=True)]
    return [replace(one, curve=curves.get(one.number, [])) for one in looks]


def _thinned(seen: Seen, one: Close) -> I64:
    """Which of many points are drawn: of each narrow stretch the lowest and the highest."""
    if len(seen.t_ms) <= 2 * STRETCHES:
        return np.arange(len(seen.t_ms))
    stretch = (seen.t_ms - one.start_ms) * STRETCHES // (one.end_ms - one.start_ms)
    order = np.lexsort((seen.value, stretch))
    cuts = np.flatnonzero(np.diff(stretch[order], prepend=-1))
    kept: I64 = np.unique(np.concatenate([order[cuts], order[np.append(cuts[1:], len(order)) - 1]]))
    return kept
