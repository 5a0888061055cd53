"""When a level rises: N of the counted readings qualify, and the run has lasted for the on delay."""

from dataclasses import dataclass

import numpy as np

from thresholds.tables import I64, Bools
from thresholds.tune.sheet import Setting
from thresholds.tune.timeline import Timeline


def raises(line: Timeline, good: I64, high: I64, setting: Setting) -> I64:
    """Readings at which the level is raised, of neighbours only the first. `good` are those that qualify."""
    n, m = setting.n, setting.m
    if setting.on_delay_ms:
        runs = runs_of(line, good, high, n, m)
        found = runs.reading[runs.enough & (runs.lasted >= setting.on_delay_ms)]
    else:
        newest = good[n - 1:]
        found = newest[good[:len(newest)] >= line.spread(m).first[newest]] if n > 1 else newest
    if not len(found):
        return found
    fresh = np.append(True, np.diff(found) != 1) | ~line.steady[found]
    return found[fresh]


@dataclass(frozen=True, slots=True)
class Runs:
    """Readings that may have a run. `lasted`: for how long, -1 without one; `enough`: N of the counted qualify."""

    reading: I64
    lasted: I64
    enough: Bools


def runs_of(line: Timeline, good: I64, high: I64, n: int, m: int) -> Runs:
    """Runs over the readings among whose last M one qualifies."""
    near = _near(line, good, m)
    first = line.spread(m).first[near]
    behind = np.searchsorted(good, near, side="right")
    ons = behind - np.searchsorted(good, first)
    offs = near - first + 1 - np.searchsorted(high, near, side="right") + np.searchsorted(high, first)
    qualifies = np.append(-1, good)[behind] == near
    over = (ons == 0) | ((offs >= n) & ~qualifies)
    # no run reaches over readings that are not near, nor from one strand into the next
    jump = np.append(True, np.diff(near) != 1)[:len(near)]
    ended = np.where(over, near, np.where(jump, near - 1, -1))
    ended = np.maximum(np.maximum.accumulate(ended), line.begins[line.strand[near]] - 1)
    begun = np.append(good, len(line))[np.searchsorted(good, ended, side="right")]
    alive = begun <= near
    elapsed = line.elapsed()
    lasted = np.where(alive, elapsed[near] - elapsed[np.where(alive, begun, 0)], -1)
    return Runs(near, lasted, (ons >= n) & alive)


def _near(line: Timeline, good: I64, m: int) -> I64:
    """All readings at most M - 1 behind one that qualifies."""
    return np.unique((good[:, None] + np.arange(m)).ravel().clip(max=len(line) - 1)) if len(good) else good


@dataclass(frozen=True, slots=True)
class Early:
    """Held readings that raise the level at once: numbers of held readings, and the last taken reading before each."""

    held: I64
    after: I64


def early(line: Timeline, sign: int, good: I64, high: I64, setting: Setting) -> Early:
    """A held reading counts as if it had been taken, for levels with N of 2 and more."""
    n, m = setting.n, setting.m
    none = np.empty(0, dtype=np.int64)
    if not sign or n < 2 or not len(line.held_t):
        return Early(none, none)
    held = np.flatnonzero(sign * line.held_raw >= setting.top)
    after, t = line.held_after[held], line.held_t[held]
    oldest = np.searchsorted(line.t, t - line.oldest(line.held_strand[held], m))
    first = np.maximum(after - (m - 2), oldest)
    ons = 1 + np.searchsorted(good, after, side="right") - np.searchsorted(good, np.minimum(first, after + 1))
    found = ons >= n
    held, after, t = held[found], after[found], t[found]
    if setting.on_delay_ms and len(held):
        runs = runs_of(line, good, high, n, m)
        at = np.searchsorted(runs.reading, after).clip(max=len(runs.reading) - 1)
        lasted = np.where(runs.reading[at] == after, runs.lasted[at], -1)
        step = t - line.t[after]
        steady = step <= 2 * line.period[line.held_strand[held]]
        lasted = np.where(lasted < 0, 0, lasted + np.where(steady, step, 0))
        found = lasted >= setting.on_delay_ms
        held, after = held[found], after[found]
    return Early(held, after)
