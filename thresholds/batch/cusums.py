"""Cumulative sums above a reference, for a whole block. docs/detection.md, 4; the memory is that of cusum."""

from dataclasses import dataclass

import numpy as np

from thresholds.batch.stream import Stream
from thresholds.bounds import LEAST_MINUTES
from thresholds.detectors.cusum import HOUR_MINUTES, TENTH
from thresholds.rule import MINUTE_MS
from thresholds.state import State
from thresholds.tables import BEYOND, I64, MINIMA, NEVER, SILENT_PERIODS, Bools

# So many readings are summed at once; where the cap is met, they go on one by one until the sum is 0.
STRETCH = 4096
SHORT = 16           # fewer are summed one by one in any case
MOST_HALVED = 62     # nothing is left of a sum that was halved so often


def references(state: State, stream: Stream, ring: int) -> I64:
    """int64[n]: the reference at each reading; keeps the lowest value of each minute, and the last reference."""
    memory, place = state.memory, slice(MINIMA * ring, MINIMA * (ring + 1))
    minute = (stream.t - 1) // MINUTE_MS
    first = np.flatnonzero(np.append(True, minute[1:] != minute[:-1]))
    y = stream.x * state.tables.cusums.minima_sign[ring]
    minutes, lows = _known(memory.minima[place], stream.good_t)
    lowest = np.minimum.reduceat(y, first)
    if minutes.size and minutes[-1] == minute[0]:
        lowest[0] = min(int(lows[-1]), int(lowest[0]))
        minutes, lows = minutes[:-1], lows[:-1]
    minutes, lows = np.concatenate([minutes, minute[first]]), np.concatenate([lows, lowest])
    before = (stream.good_t - 1) // MINUTE_MS
    hour = minute[first] // HOUR_MINUTES
    turns = np.flatnonzero(hour != np.append(before // HOUR_MINUTES, hour[:-1]))
    found = [int(memory.reference[ring])]
    for turn in (hour[turns] * HOUR_MINUTES).tolist():
        begin, end = np.searchsorted(minutes, (turn - MINIMA, turn)).tolist()
        found.append(_tenth(lows[begin:end], found[-1]))
    memory.reference[ring] = found[-1]
    _keep(memory.minima[place], minutes, lows)
    return np.repeat(np.array(found, dtype=np.int64), np.diff(first[turns], prepend=0, append=minute.size))


def _known(minima: I64, good_t: int) -> tuple[I64, I64]:
    """The minutes of a ring up to the last reading's, and their lowest values."""
    last = (good_t - 1) // MINUTE_MS
    minutes = np.arange(last - MINIMA + 1, last + 1) if good_t != NEVER else np.zeros(0, dtype=np.int64)
    lows = minima[minutes % MINIMA]
    return minutes[lows < BEYOND], lows[lows < BEYOND]


def _tenth(lows: I64, before: int) -> int:
    if lows.size < LEAST_MINUTES:
        return before
    rank = (lows.size - 1) // TENTH
    return int(np.partition(lows, rank)[rank])


def _keep(minima: I64, minutes: I64, lows: I64) -> None:
    kept = minutes > minutes[-1] - MINIMA
    minima[:] = BEYOND
    minima[minutes[kept] % MINIMA] = lows[kept]


@dataclass(slots=True)
class Cusum:
    """One cumulative sum over the block: int64[n], NEVER where it is unknown. `known` is None where all are."""

    value: I64
    known: Bools | None


def cusum(state: State, stream: Stream, number: int, reference: I64 | None) -> Cusum:
    """Sum `number` of the table; `reference` where it is not fixed. The sum is remembered."""
    memory, cusums = state.memory, state.tables.cusums
    allowance, cap, before = int(cusums.allowance[number]), int(cusums.cap[number]), int(memory.cusum[number])
    fixed, y = int(cusums.fixed[number]), stream.x if cusums.sign[number] == 1 else -stream.x
    halved = stream.broken[stream.since[stream.broken] > SILENT_PERIODS * stream.period]
    known: Bools | None = None
    if reference is None:
        more = y - (fixed + allowance)
    else:
        known = reference != NEVER
        unknown = int(known.argmax()) if known.any() else known.size
        before >>= min(int(np.searchsorted(halved, unknown)), MOST_HALVED)
        more = y - np.where(known, reference, 0) - allowance
        if unknown:
            return _partly(state, number, Run(before, more[unknown:], halved[halved >= unknown] - unknown, cap), known)
        known = None
    value = summed(Run(before, more, halved, cap))
    memory.cusum[number] = value[-1]
    return Cusum(value, known)


@dataclass(frozen=True, slots=True)
class Run:
    """A sum before its first reading, what each reading adds, before which of them it is halved, and the cap."""

    before: int
    more: I64
    halved: I64
    cap: int


def _partly(state: State, number: int, run: Run, known: Bools) -> Cusum:
    """Once a reference is known it stays so: the first readings have none."""
    value = np.full(known.size, NEVER, dtype=np.int64)
    found = summed(run)
    value[known.size - found.size:] = found
    state.memory.cusum[number] = found[-1] if found.size else run.before
    return Cusum(value, known)


def summed(run: Run) -> I64:
    """int64[n]: the sum after each reading."""
    value = np.empty_like(run.more)
    ends = np.append(run.halved, run.more.size).tolist()
    now, begin = run.before, 0
    for end in ends:
        while begin < end:
            now, begin = _stretch(run, value, now, begin, min(end, begin + STRETCH))
        now >>= 1
    return value


def _stretch(run: Run, value: I64, now: int, begin: int, end: int) -> tuple[int, int]:
    """Goes on from `begin`, at most to `end`; returns the sum, and to where it came.

    A sum with the floor 0 is the plain sum less the lowest that it has been below 0.
    """
    if end - begin < SHORT:
        return _one_by_one(run, value, now, begin, end, until_zero=False)
    if now == 0 and int(run.more[begin:end].max()) <= 0:
        value[begin:end] = 0
        return 0, end
    plain = np.cumsum(run.more[begin:end])
    plain += now
    floor = np.minimum.accumulate(np.minimum(plain, 0))
    plain -= floor
    if int(plain.max()) <= run.cap:
        value[begin:end] = plain
        return int(plain[-1]), end
    over = int((plain > run.cap).argmax())
    value[begin:begin + over] = plain[:over]
    now = int(plain[over - 1]) if over else now
    return _one_by_one(run, value, now, begin + over, end, until_zero=True)


def _one_by_one(run: Run, value: I64, now: int, begin: int, end: int, *, until_zero: bool) -> tuple[int, int]:
    found: list[int] = []
    for more in run.more[begin:end].tolist():
        now = min(max(now + more, 0), run.cap)
        found.append(now)
        if until_zero and now == 0:
            break
    value[begin:begin + len(found)] = found
    return now, begin + len(found)
