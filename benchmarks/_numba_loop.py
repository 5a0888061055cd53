"""The loop of `_loop.py` over arrays, for numba: the same work, the same marks and levels.

As plain Python these functions are slow; `compiled` makes them machine code. They call each other by name, so each is
replaced by its compiled self before the first call. State is a row of numbers a series and a track: what is passed
from function to function is few arrays, and there is no division but where the answer needs one.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks._extra import peer
from thresholds.plan import Plan
from thresholds.rule import Feature

I64 = npt.NDArray[np.int64]

MISSING, RANGE, HELD, STUCK, LATE = 1, 2, 4, 8, 16    # tocsin.readings.Quality, as numba likes it
UNKNOWN, WORSE_NEVER, NONE = -(2**63), -(2**62), -1
MINUTE_MS, HOUR_MS, DAY_MS, UNIT_MS = 60_000, 3_600_000, 86_400_000, 1_000
LEVELS, SUMS, MOST = 4, 5, 5
TREND_RING = 64      # more than the readings of half an hour
RAIN_RING = 1_512    # more than the readings of a day

# columns of a series: what it is, what it remembers, then those of a running total (OVER, HEAD, SUM: SUMS each), or
# of a stage
TOTAL, LOW, HIGH, RATE, FLOOR, STUCK_MS, FIRST = range(7)
LAST_T, GOOD_T, SAME_T, HELD_T, HELD_X, SEEN, PAST = range(7, 14)
COUNT, OVER = 16, 17
HEAD, SUM = OVER + SUMS, OVER + 2 * SUMS
WINDOW, N_MIN, TARGET, LESS, CAP, NEWEST, OLDEST, COUNTED, S_U, S_X, S_UU, S_UX, ZERO, CUSUM = range(16, 30)
COLUMNS = SUM + SUMS
# columns of a track; ONS, OFFS and REACHED have one a level, VALUES one a reading
N, M, PLACE, READINGS, QUIET, LEVEL, ONS = range(7)
OFFS, REACHED, VALUES = ONS + LEVELS, ONS + 2 * LEVELS, ONS + 3 * LEVELS


class Memory(NamedTuple):
    """int64 arrays: [series, COLUMNS], [series, RAIN_RING, 2] of times and rises, [series, TREND_RING, 3] of times,
    units and values, [tracks, VALUES + MOST], and changes: time, track, level; the first line counts them.
    """

    series: I64
    rain: I64
    trend: I64
    tracks: I64
    changes: I64


def memory_of(plan: Plan, changes: int = 1 << 16) -> Memory:
    """For a plan of `_workload`; the tracks stand in `track_order`."""
    order = track_order(plan)
    tracks = np.zeros((len(order), VALUES + MOST), np.int64)
    of_series: list[list[int]] = [[] for _ in plan.series]
    for place, index in enumerate(order):
        rule = plan.tracks[index].rule
        sign = -1 if rule.feature is Feature.TIME_TO else 1
        of_series[plan.tracks[index].series_index].append(place)
        tracks[place, [N, M, QUIET]] = rule.levels[0].n, rule.levels[0].m, rule.levels[0].m
        tracks[place, ONS:OFFS] = [sign * level.on for level in rule.levels]
        tracks[place, OFFS:REACHED] = [sign * level.off for level in rule.levels]
    series = np.zeros((len(plan.series), COLUMNS), np.int64)
    series[:, LAST_T:HELD_X] = NONE
    for index, (one, check) in enumerate(zip(plan.series, plan.checks, strict=True)):
        low, high = (round(bound * 1000) for bound in one.plausible)
        series[index, :FIRST] = one.counter, low, high, check.rate_per_min, check.floor, check.stuck_ms
        series[index, FIRST] = of_series[index][0]
        rules = {plan.tracks[order[place]].rule for place in of_series[index]}
        if one.counter:
            series[index, OVER:HEAD] = sorted(rule.over_ms for rule in rules)
        else:
            of = {rule.feature: rule for rule in rules}
            slope, cusum = of[Feature.SLOPE], of[Feature.CUSUM]
            series[index, WINDOW:NEWEST] = (
                slope.over_ms, slope.n_min, of[Feature.TIME_TO].target, (cusum.reference or 0) + cusum.allowance,
                2 * max(level.on for level in cusum.levels))
    return Memory(series, np.zeros((len(series), RAIN_RING, 2), np.int64),
                  np.zeros((len(series), TREND_RING, 3), np.int64), tracks, np.zeros((changes, 3), np.int64))


def track_order(plan: Plan) -> list[int]:
    """Tracks by series: rain by window; of a stage value, slope, rate, time to go, CUSUM."""
    place = {Feature.SLOPE: 1, Feature.RATE: 2, Feature.TIME_TO: 3, Feature.CUSUM: 4}
    return sorted(range(len(plan.tracks)), key=lambda index: (
        plan.tracks[index].series_index, place.get(plan.tracks[index].rule.feature, 0),
        plan.tracks[index].rule.over_ms))


def scan(memory: Memory, t: I64, raw: I64, quality: I64) -> None:
    """int64[rows, series] each; `quality` gets the bits found here."""
    states, rains, rings, tracks, changes = memory
    for s in range(t.shape[1]):
        own, rain_ring, trend_ring = states[s], rains[s], rings[s]
        for row in range(t.shape[0]):
            if quality[row, s] & MISSING == 0:
                bits, confirmed = sift(own, t[row, s], raw[row, s])
                if confirmed:
                    take(own, rain_ring, trend_ring, tracks, changes, own[HELD_T], own[HELD_X])
                if bits == 0:
                    take(own, rain_ring, trend_ring, tracks, changes, t[row, s], raw[row, s])
                    own[HELD_T] = NONE
                    if own[STUCK_MS] > 0 and t[row, s] - own[SAME_T] >= own[STUCK_MS]:
                        bits = STUCK
                elif bits == HELD:
                    own[HELD_T], own[HELD_X] = t[row, s], raw[row, s]
                quality[row, s] |= bits


def sift(own: I64, t: int, x: int) -> tuple[int, bool]:
    """The quality bits of a reading (0: it is taken), and whether it confirms the held one."""
    outside = x < own[LOW] or x > own[HIGH]
    if t <= own[LAST_T]:
        return LATE | RANGE if outside else LATE, False
    own[LAST_T] = t
    if outside:
        return RANGE, False
    before = base(own)
    is_near = own[SEEN] > 0 and near(own, before, t - own[GOOD_T], x)
    if own[HELD_T] != NONE and confirms(own, before, t, x, is_near):
        return 0, True
    return 0 if is_near else HELD, False


def base(own: I64) -> int:
    """What a reading is compared with."""
    a, b, c = own[PAST], own[PAST + 1], own[PAST + 2]
    middle: int = max(min(a, b), min(max(a, b), c))
    return a if own[TOTAL] == 1 or own[SEEN] < 3 else middle


def near(own: I64, before: int, passed: int, x: int) -> bool:
    """Not further from what came before than the limit; a running total not below it either."""
    step = abs(x - before)
    if own[TOTAL] == 1 and x < before:
        return False
    within: bool = step <= own[FLOOR] or step <= own[RATE] * min(passed, DAY_MS) // MINUTE_MS
    return within


def confirms(own: I64, before: int, t: int, x: int, is_near: bool) -> bool:
    """Whether this reading confirms the held one."""
    h = own[HELD_X]
    if own[SEEN] == 0:
        return near(own, h, t - own[HELD_T], x)
    same_side = (x > before and h > before) or (x < before and h < before)
    return same_side and (not is_near or 2 * abs(x - h) <= abs(h - before))


def take(own: I64, rain_ring: I64, trend_ring: I64, tracks: I64, changes: I64, t: int, x: int) -> None:
    """A reading that counts."""
    if own[SEEN] == 0 or own[PAST] != x:
        own[SAME_T] = t
    if own[TOTAL] == 1:
        rain(own, rain_ring, tracks, changes, t, x)
    else:
        stage(own, trend_ring, tracks, changes, t, x)
    own[PAST + 2], own[PAST + 1], own[PAST] = own[PAST + 1], own[PAST], x
    own[SEEN] = min(own[SEEN] + 1, 3)
    own[GOOD_T] = t


def rain(own: I64, ring: I64, tracks: I64, changes: I64, t: int, x: int) -> None:
    """The sums of a running total."""
    before = own[PAST] if own[SEEN] > 0 else x
    rise = x - before if x >= before else x
    if rise > 0:
        ring[own[COUNT], 0], ring[own[COUNT], 1] = t, rise
        own[COUNT] = own[COUNT] + 1 if own[COUNT] + 1 < RAIN_RING else 0
    minute = t - t % MINUTE_MS
    for k in range(SUMS):
        begin = (minute if own[OVER + k] > HOUR_MS else t) - own[OVER + k]
        head, total = own[HEAD + k], own[SUM + k] + rise
        while head != own[COUNT] and ring[head, 0] <= begin:
            total -= ring[head, 1]
            head = head + 1 if head + 1 < RAIN_RING else 0
        own[HEAD + k], own[SUM + k] = head, total
        judge(tracks, own[FIRST] + k, changes, t, total)


def stage(own: I64, ring: I64, tracks: I64, changes: I64, t: int, x: int) -> None:
    """The value, the trends and the CUSUM."""
    track = own[FIRST]
    judge(tracks, track, changes, t, x)
    if own[COUNTED] == 0:
        own[ZERO] = t // UNIT_MS
    u = t // UNIT_MS - own[ZERO]
    place = own[NEWEST] + 1 if own[NEWEST] + 1 < TREND_RING else 0
    ring[place, 0], ring[place, 1], ring[place, 2] = t, u, x
    own[NEWEST] = place
    add(own, u, x, 1)
    oldest = own[OLDEST] if own[COUNTED] > 1 else place
    while ring[oldest, 0] <= t - own[WINDOW]:
        add(own, ring[oldest, 1], ring[oldest, 2], -1)
        oldest = oldest + 1 if oldest + 1 < TREND_RING else 0
    own[OLDEST] = oldest
    trends(own, tracks, changes, t, x, t - ring[oldest, 0], x - ring[oldest, 2])
    own[CUSUM] = min(max(own[CUSUM] + x - own[LESS], 0), own[CAP])
    judge(tracks, track + 4, changes, t, own[CUSUM])


def add(own: I64, u: int, x: int, sign: int) -> None:
    """Into, or out of, the sums for a slope."""
    own[COUNTED] += sign
    own[S_U] += sign * u
    own[S_X] += sign * x
    own[S_UU] += sign * u * u
    own[S_UX] += sign * u * x


def trends(own: I64, tracks: I64, changes: I64, t: int, x: int, passed: int, rise: int) -> None:
    """Slope, rate and time to go; `passed` and `rise` since the oldest reading of the window."""
    slope, rate, left, n = UNKNOWN, UNKNOWN, own[TARGET] - x, own[COUNTED]
    to_go = 0 if left <= 0 else UNKNOWN
    if passed >= own[WINDOW] // 2:
        rate = rise * HOUR_MS // passed
        if n >= own[N_MIN]:
            num, den = n * own[S_UX] - own[S_U] * own[S_X], n * own[S_UU] - own[S_U] * own[S_U]
            slope = num * (HOUR_MS // UNIT_MS) // den
            if left > 0:
                to_go = max(-left * den // num * UNIT_MS, WORSE_NEVER) if num > 0 else WORSE_NEVER
    track = own[FIRST]
    judge(tracks, track + 1, changes, t, slope)
    judge(tracks, track + 2, changes, t, rate)
    judge(tracks, track + 3, changes, t, to_go)


def judge(tracks: I64, track: int, changes: I64, t: int, value: int) -> None:
    """N of M with hysteresis; nothing to do where nothing qualified lately and no level is set."""
    m, place, quiet = tracks[track, M], tracks[track, PLACE], tracks[track, QUIET]
    tracks[track, VALUES + place] = value
    tracks[track, PLACE] = place + 1 if place + 1 < m else 0
    tracks[track, READINGS] += 1
    if value >= tracks[track, ONS]:
        quiet = 0
    elif quiet < m:
        quiet += 1
    tracks[track, QUIET] = quiet
    if quiet < m or tracks[track, LEVEL] > 0:
        weigh(tracks, track, changes, t, value)


def weigh(tracks: I64, track: int, changes: I64, t: int, value: int) -> None:
    """Each level of the track."""
    n, readings, level = tracks[track, N], min(tracks[track, M], tracks[track, READINGS]), 0
    for k in range(LEVELS):
        on, off, ons, offs = tracks[track, ONS + k], tracks[track, OFFS + k], 0, 0
        for place in range(readings):
            one = tracks[track, VALUES + place]
            ons += one >= on
            offs += UNKNOWN < one < off
        if ons >= n:
            tracks[track, REACHED + k] = 1
        elif offs >= n and value != UNKNOWN:
            tracks[track, REACHED + k] = 0
        if tracks[track, REACHED + k] == 1:
            level = k + 1
    if level != tracks[track, LEVEL]:
        tracks[track, LEVEL] = level
        changes[0, 0] += 1
        place = min(changes[0, 0], changes.shape[0] - 1)
        changes[place, 0], changes[place, 1], changes[place, 2] = t, track, level


FUNCTIONS = ("weigh", "judge", "trends", "add", "stage", "rain", "take", "confirms", "near", "base", "sift", "scan")


def compiled() -> Any:
    """`scan` as machine code; kept on disk, so that only a machine's first run compiles. Raises MissingPeerError."""
    jit = peer("numba").njit(cache=True, error_model="numpy")
    for name in FUNCTIONS:
        if not hasattr(globals()[name], "py_func"):
            globals()[name] = jit(globals()[name])
    return globals()["scan"]
