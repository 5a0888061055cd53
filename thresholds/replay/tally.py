"""What the readings of a series were like: how many, which marks they got, where there were none."""

from dataclasses import dataclass, field

import numpy as np

from thresholds.block import MISSING
from thresholds.replay.history import Piece
from thresholds.series import Series
from thresholds.tables import I64, Bools
from thresholds.tell import Freshness
from tocsin.readings import Quality

MARKS = (Quality.RANGE, Quality.SPIKE_HELD, Quality.STUCK, Quality.LATE, Quality.CLOCK, Quality.SERVICE)
GAP_PERIODS = 2
MOST_GAPS = 2000     # longest are kept to be drawn; all are counted


@dataclass(slots=True)
class Tally:
    """Of one series. Times in ms. `missing` are the readings that its period leads one to expect in its gaps.

    A gap is a time of more than two periods without a reading; `gaps` has (begin, end) of the longest ones.
    """

    series: Series
    readings: int = 0
    missing: int = 0
    marked: dict[Quality, int] = field(default_factory=lambda: dict.fromkeys(MARKS, 0))
    stale: int = 0
    gap_count: int = 0
    longest_ms: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    first_ms: int | None = None
    last_ms: int | None = None

    def take(self, t_ms: I64, quality: I64) -> None:
        """Rows of the series in order: times and bits."""
        present = (quality & MISSING) == 0
        self.readings += int(np.count_nonzero(present))
        for mark in MARKS:
            self.marked[mark] += int(np.count_nonzero(present & ((quality & int(mark)) != 0)))
        times = t_ms[present & ((quality & int(Quality.LATE)) == 0)]
        if not len(times):
            return
        self.first_ms = int(times[0]) if self.first_ms is None else self.first_ms
        steps = np.diff(times, prepend=times[0] if self.last_ms is None else self.last_ms)
        period = self.series.period_ms
        self.missing += int((np.maximum((steps + period // 2) // period, 1) - 1).sum())
        self._note(times, steps, steps > GAP_PERIODS * period)
        self.last_ms = int(times[-1])

    def _note(self, times: I64, steps: I64, wide: Bools) -> None:
        if not wide.any():
            return
        self.gap_count += int(np.count_nonzero(wide))
        self.longest_ms = max(self.longest_ms, int(steps[wide].max()))
        self.gaps += zip((times - steps)[wide].tolist(), times[wide].tolist(), strict=True)
        if len(self.gaps) > MOST_GAPS:
            longest = sorted(self.gaps, key=lambda gap: gap[0] - gap[1])[:MOST_GAPS]
            self.gaps = sorted(longest)


def take(tallies: tuple[Tally, ...], piece: Piece, quality: I64, freshness: list[Freshness]) -> None:
    """One block of all series, with the quality that the kernel gave it."""
    t_ms, bits = piece.block.t_ms[piece.own], quality[piece.own]
    for number, tally in enumerate(tallies):
        tally.take(t_ms[:, number], bits[:, number])
        tally.stale += sum(one.stale and not one.unconfirmed for one in freshness if one.series == tally.series)
