"""The taken readings of many series end to end, and what every setting asks of their times.

Features and levels change only at taken readings. Their times are the same for all settings, so what hangs on times
alone (which readings count, where a step is not steady, when a delay is over) is found once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from thresholds.tables import I64, Bools

APART_MS = 2**40    # between two series on the common axis: more than any delay or age limit


@dataclass(frozen=True, slots=True)
class Strand:
    """One series: its taken readings, and those that were held when they came.

    `t`: event times, rising. `told`: the time of the row that took the reading, later than `t` where the next reading
    had to confirm it. `held_t`, `held_raw`: readings that were held, in thousandths without a sign; `held_after`: how
    many readings had been taken before. `period`: the series' period in ms. `raw`: the taken readings, in thousandths;
    only a confirming slope asks for it.
    """

    t: I64
    told: I64
    period: int
    held_t: I64
    held_raw: I64
    held_after: I64
    raw: I64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Spread:
    """Of an M: the first counted reading of each reading, and where age cuts it short of M."""

    first: I64
    cut: I64


@dataclass(slots=True)
class Timeline:
    """All strands on one axis; an index counts through their taken readings. `unsteady` holds the first of each too."""

    t: I64                # on the common axis: strictly rising
    told: I64             # as it was
    strand: I64           # which strand
    period: I64           # a strand
    begins: I64           # first index of each strand, and the length behind the last
    steady: Bools
    unsteady: I64
    held_t: I64           # on the common axis
    held_told: I64
    held_raw: I64
    held_after: I64       # index of the last taken reading before; one less than the strand's first where there is none
    held_strand: I64
    _broken: I64          # `unsteady`, and the length behind the last
    _elapsed: I64 | None = None
    _spreads: dict[int, Spread] = field(default_factory=dict)
    _delays: dict[int, I64] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.t)

    def spread(self, m: int) -> Spread:
        """Which readings count for an M: at most M, none older than 2 M periods."""
        if m not in self._spreads:
            self._spreads[m] = self._spread(m)
        return self._spreads[m]

    def _spread(self, m: int) -> Spread:
        first = np.arange(1 - m, len(self) + 1 - m, dtype=np.int64)
        # steps that are all steady come to no more than the limit
        near = joined([self.unsteady + step for step in range(m - 1)])
        near = np.unique(near[near < len(self)])
        limit = self.oldest(self.strand[near], m)
        old = (first[near] < 0) | (self.t[near] - self.t[np.maximum(first[near], 0)] > limit)
        cut = near[old]
        first[cut] = np.maximum(first[cut], np.searchsorted(self.t, self.t[cut] - limit[old]))
        return Spread(first, cut)

    def elapsed(self) -> I64:
        """Running sum of steady steps."""
        if self._elapsed is None:
            self._elapsed = np.cumsum(np.where(self.steady, np.diff(self.t, prepend=self.t[:1]), 0))
        return self._elapsed

    def oldest(self, strand: I64, m: int) -> I64:
        """How old a counted reading may be, in ms."""
        return 2 * m * self.period[strand]

    def over(self, begin: I64, delay_ms: int) -> I64:
        """From a reading on, at which the delay is over if the condition keeps holding; the length where never.

        A step that is not steady begins the delay anew.
        """
        end = np.searchsorted(self.t, self.t[begin] + delay_ms)
        after = np.searchsorted(self.unsteady, begin, side="right")
        broken = self._broken[after]
        return np.where(end < broken, end, self._again(delay_ms)[after])

    def _again(self, delay_ms: int) -> I64:
        """The same for a delay that begins at each unsteady step."""
        if delay_ms not in self._delays:
            begin = self.unsteady
            end = np.searchsorted(self.t, self.t[begin] + delay_ms)
            broken = np.append(begin[1:], len(self))
            found = np.where(end < broken, end, len(self))
            found = np.append(np.minimum.accumulate(found[::-1])[::-1], len(self))
            self._delays[delay_ms] = found.astype(np.int64)
        return self._delays[delay_ms]


def timeline(strands: Sequence[Strand]) -> Timeline:
    """Puts the strands on one axis, far apart."""
    lengths = np.array([len(one.t) for one in strands], dtype=np.int64)
    begins = np.concatenate(([0], np.cumsum(lengths)))
    shifts = _shifts(strands)
    t, steady = np.empty(begins[-1], dtype=np.int64), np.zeros(begins[-1], dtype=np.bool_)
    for one, shift, begin, end in zip(strands, shifts, begins.tolist(), begins[1:].tolist(), strict=False):
        np.add(one.t, shift, out=t[begin:end])
        np.less_equal(one.t[1:] - one.t[:-1], 2 * one.period, out=steady[begin + 1:end])
    unsteady = np.flatnonzero(~steady)
    return Timeline(
        t=t, told=joined([one.told for one in strands]), strand=np.repeat(np.arange(len(strands)), lengths),
        period=np.array([one.period for one in strands], dtype=np.int64), begins=begins,
        steady=steady, unsteady=unsteady, _broken=np.append(unsteady, len(t)),
        held_t=joined([one.held_t + shift for one, shift in zip(strands, shifts, strict=True)]),
        held_told=joined([one.held_t for one in strands]),
        held_raw=joined([one.held_raw for one in strands]),
        held_after=joined([one.held_after + begin - 1 for one, begin in zip(strands, begins.tolist(), strict=False)]),
        held_strand=np.repeat(np.arange(len(strands), dtype=np.int64), [len(one.held_t) for one in strands]),
    )


def _shifts(strands: Sequence[Strand]) -> list[int]:
    shifts: list[int] = []
    end = 0
    for one in strands:
        times = np.concatenate((one.t, one.held_t))
        if not len(times):
            shifts.append(0)
            continue
        shifts.append(end + APART_MS - int(times.min()))
        end = int(times.max()) + shifts[-1]
    return shifts


def joined(parts: Sequence[I64]) -> I64:
    """One after the other."""
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype=np.int64), *parts])
