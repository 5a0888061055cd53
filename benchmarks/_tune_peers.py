"""What one would write to try many settings on records: features once, then a scan of every reading per setting.

The same episodes as `thresholds.tune.evaluate` on the bench's workload. Left out is what does not show in it: coverage,
age of the readings that count, holes, delays, lone sums, what a held reading counts for. A record is (t, raw) of the
readings that are there, int64; a feature is one int64 a taken reading, UNKNOWN where it is not known.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import _numba_loop
from benchmarks._extra import peer
from thresholds.plan import Plan

I64 = npt.NDArray[np.int64]
Record = tuple[I64, I64]                 # times and values
Feature = tuple[I64, I64]                # times and values of the feature
Trial = tuple[int, int, int, int]        # on, off, n, m
Found = tuple[list[int], list[int]]      # when raised, when cleared
UNKNOWN, NONE = -(2**63), -(2**62)       # an unknown value; not cleared yet
MINUTE_MS, HOUR_MS = 60_000, 3_600_000


def taken(own: I64, t: I64, raw: I64, took: I64) -> int:
    """The readings that are neither out of order nor out of range nor held: their places go into `took`."""
    count = 0
    for row in range(t.shape[0]):
        bits, _ = _sift(own, t[row], raw[row])
        if bits == _numba_loop.HELD:
            own[_numba_loop.HELD_T], own[_numba_loop.HELD_X] = t[row], raw[row]
        first_two = own[_numba_loop.SEEN] == 0 and row == 0
        if bits == 0 or first_two:
            place = _numba_loop.PAST
            own[place + 2], own[place + 1], own[place] = own[place + 1], own[place], raw[row]
            own[_numba_loop.SEEN] = min(own[_numba_loop.SEEN] + 1, 3)
            own[_numba_loop.GOOD_T], own[_numba_loop.HELD_T] = t[row], -1
            took[count] = row
            count += 1
    return count


def sums(t: I64, raw: I64, over: int, found: I64) -> None:
    """What fell in each reading's window: of a running total."""
    head, total = 0, 0
    for row in range(t.shape[0]):
        if row > 0:
            total += raw[row] - raw[row - 1] if raw[row] >= raw[row - 1] else raw[row]
        begin = t[row] - over
        if over > HOUR_MS:
            begin -= begin % MINUTE_MS
        while t[head] <= begin:
            if head > 0:
                total -= raw[head] - raw[head - 1] if raw[head] >= raw[head - 1] else raw[head]
            head += 1
        found[row] = total


def rates(t: I64, raw: I64, over: int, found: I64) -> None:
    """Newest minus oldest of each reading's window, an hour."""
    head = 0
    for row in range(t.shape[0]):
        while t[head] <= t[row] - over:
            head += 1
        passed = t[row] - t[head]
        found[row] = (raw[row] - raw[head]) * HOUR_MS // passed if passed >= over // 2 else UNKNOWN


def scan(t: I64, value: I64, on: int, off: int, n: int, m: int, raised: I64, cleared: I64) -> int:
    """N of M with hysteresis over all readings; returns how many episodes there are."""
    ons, offs, on_bits, off_bits, active, count, last = 0, 0, 0, 0, False, 0, m - 1
    keep = (1 << m) - 1
    for row in range(t.shape[0]):
        one = value[row]
        qualifies, below = 1 if one >= on else 0, 1 if UNKNOWN < one < off else 0
        ons += qualifies - ((on_bits >> last) & 1)
        offs += below - ((off_bits >> last) & 1)
        on_bits, off_bits = (on_bits << 1 | qualifies) & keep, (off_bits << 1 | below) & keep
        if not active and ons >= n:
            active = True
            raised[count], cleared[count] = t[row], NONE
        elif active and ons < n and offs >= n and one != UNKNOWN:
            active = False
            cleared[count] = t[row]
            count += 1
    return count + 1 if active else count


_sift = _numba_loop.sift


class Loops:
    """Loops over every reading: compiled, or as they stand (slow, but there without numba). Raises MissingPeerError."""

    def __init__(self, plan: Plan, *, compiled: bool) -> None:
        self.plan = plan
        functions: list[Any] = [taken, sums, rates, scan]
        if compiled:
            _numba_loop.compiled()
            globals()["_sift"] = _numba_loop.sift
            functions = [*map(peer("numba").njit(cache=True, error_model="numpy"), functions)]
        self._taken, self._sums, self._rates, self._scan = functions

    def features(self, gauge: Record, radar: Record, overs: Sequence[int], rate_over: int) -> list[Feature]:
        """The sums, the value and the rate."""
        found: list[Feature] = []
        own = _numba_loop.memory_of(self.plan).series
        for record, index in ((gauge, 1), (radar, 0)):
            took = np.empty(len(record[0]), np.int64)
            took = took[:self._taken(own[index], *record, took)]
            t, raw = record[0][took], record[1][took]
            value = np.empty_like(t)
            if index == 0:
                self._rates(t, raw, rate_over, value)
                found += [(t, raw), (t, value)]
                continue
            for over in overs:
                value = np.empty_like(t)
                self._sums(t, raw, over, value)
                found.append((t, value))
        return found

    def episodes(self, feature: Feature, trial: Trial) -> Found:
        """Of one setting on one record."""
        raised, cleared = np.empty((2, len(feature[0]) // 2 + 1), np.int64)
        count = self._scan(*feature, *trial, raised, cleared)
        return raised[:count].tolist(), cleared[:count].tolist()


class Pandas:
    """Rolling windows. Raises MissingPeerError."""

    def __init__(self, plan: Plan) -> None:
        self.pd, self.plan = peer("pandas"), plan

    def features(self, gauge: Record, radar: Record, overs: Sequence[int], rate_over: int) -> list[Feature]:
        """The sums, the value and the rate."""
        rain, stage = self._taken(gauge, 1), self._taken(radar, 0)
        rise = rain["x"].diff()
        rise = rise.where(rise >= 0, rain["x"]).fillna(0)
        rise.iloc[0] = 0
        minutes = rise.set_axis(self.pd.to_datetime(rain["t"] // MINUTE_MS * MINUTE_MS, unit="ms"))
        exact = rise.set_axis(self.pd.to_datetime(rain["t"], unit="ms"))
        t = rain["t"].to_numpy()
        found = []
        for over in overs:    # a window over an hour begins at a whole minute
            long = over > HOUR_MS
            rolled = (minutes if long else exact).rolling(self.pd.Timedelta(milliseconds=over + long * MINUTE_MS)).sum()
            found.append((t, np.rint(rolled.to_numpy()).astype(np.int64)))
        return [*found, (stage["t"].to_numpy(), stage["x"].to_numpy()), self._rate(stage, rate_over)]

    def _taken(self, record: Record, index: int) -> Any:
        series, check = self.plan.series[index], self.plan.checks[index]
        frame = self.pd.DataFrame({"t": record[0], "x": record[1]})
        low, high = (round(bound * 1000) for bound in series.plausible)
        frame = frame[frame["x"].between(low, high) & (frame["t"] > frame["t"].cummax().shift(fill_value=0))]
        before = frame["x"].shift() if series.counter else frame["x"].rolling(3).median().shift()
        step, passed = frame["x"] - before, frame["t"].diff()
        far = step.abs() > np.maximum(check.floor, check.rate_per_min * passed // MINUTE_MS)
        if series.counter:    # a lone one goes back to what was before it
            back = frame["x"] - frame["x"].shift(2)
            far = (far | (step < 0)) & (back.shift(-1) >= 0)
        return frame[~far].reset_index(drop=True)

    def _rate(self, stage: Any, over: int) -> Feature:
        t, x = stage["t"].to_numpy(), stage["x"].to_numpy()
        times = self.pd.to_datetime(stage["t"], unit="ms")
        count = stage["x"].set_axis(times).rolling(self.pd.Timedelta(milliseconds=over)).count().to_numpy()
        first = np.arange(len(t)) - count.astype(np.int64) + 1
        passed = t - t[first]
        return t, np.where(passed >= over // 2, (x - x[first]) * HOUR_MS // np.maximum(passed, 1), UNKNOWN)

    def episodes(self, feature: Feature, trial: Trial) -> Found:
        """Of one setting on one record."""
        t, value = feature
        on, off, n, m = trial
        known = value != UNKNOWN
        ons = self.pd.Series(value >= on).rolling(m, min_periods=1).sum() >= n
        offs = (self.pd.Series(known & (value < off)).rolling(m, min_periods=1).sum() >= n) & known
        state = self.pd.Series(np.nan, index=ons.index)
        state[offs] = 0.0
        state[ons] = 1.0
        turns = np.diff(state.ffill().fillna(0.0).to_numpy(), prepend=0.0)
        raised, cleared = t[turns > 0].tolist(), t[turns < 0].tolist()
        return raised, cleared + [NONE] * (len(raised) - len(cleared))
