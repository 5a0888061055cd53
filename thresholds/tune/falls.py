"""When a level may fall: stretches of readings over which the condition to fall holds without a break."""

from dataclasses import dataclass

import numpy as np

from thresholds.tables import I64
from thresholds.tune.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Falls:
    """Stretches in order, over which N of the counted are below: `begin` to `end`, both inside.

    `fall` is the first reading of a stretch at which the off delay is over, beyond `end` where it never is. `able` are
    the numbers of the stretches in which it comes.
    """

    begin: I64
    end: I64
    fall: I64
    able: I64

    def after(self, reading: I64, beyond: int) -> I64:
        """The first fall behind each reading, none of which lies in a stretch; `beyond` where there is none."""
        number = np.searchsorted(self.end[self.able], reading, side="right")
        return np.append(self.fall[self.able], beyond)[number]


def falls(line: Timeline, high: I64, unknown: I64, n: int, m: int, off_delay_ms: int) -> Falls:
    """`high`: readings that are not below off, unknown ones included; `unknown`: those that cannot be told."""
    begin, end = _not_held(line, high, unknown, n, m)
    first = np.concatenate(([0], end + 1))
    last = np.concatenate((begin - 1, [len(line) - 1]))
    there = first <= last
    first, last = first[there], last[there]
    fall = line.over(first, off_delay_ms)
    return Falls(first, last, fall, np.flatnonzero(fall <= last))


def _not_held(line: Timeline, high: I64, unknown: I64, n: int, m: int) -> tuple[I64, I64]:
    """Stretches of readings with fewer than N below among the counted, or that are unknown themselves.

    Where M - N + 1 high readings stand among M in a row, too few are below until the first of them is the M-th.
    Fewer than M count near the start and after gaps: there they are counted one by one.
    """
    begin = high[m - n:]
    end = high[:len(begin)] + (m - 1)
    if m > n:
        dense = begin <= end
        begin, end = begin[dense], end[dense]
    spread = line.spread(m)
    cut, first = spread.cut, spread.first[spread.cut]
    above = np.searchsorted(high, cut, side="right") - np.searchsorted(high, first)
    few = cut[cut - first + 1 - above < n]
    begin, end = _merged(begin, end)
    if m > 1 and few.size + unknown.size:    # a single counted reading is always there, and one that is unknown is high
        begin, end = np.concatenate((begin, few, unknown)), np.concatenate((end, few, unknown))
        order = np.argsort(begin, kind="stable")
        begin, end = _merged(begin[order], np.maximum.accumulate(end[order]))
    return begin, np.minimum(end, len(line) - 1)


def _merged(begin: I64, end: I64) -> tuple[I64, I64]:
    """Stretches in order, those that touch as one."""
    if not len(begin):
        return begin, end
    apart = np.flatnonzero(begin[1:] > end[:-1] + 1)
    return begin[np.concatenate(([0], apart + 1))], end[np.concatenate((apart, [len(end) - 1]))]
