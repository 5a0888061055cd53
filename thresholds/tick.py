"""One row at a time: the live path. docs/detection.md, 1, has the order of things."""

from functools import partial

import numpy as np

from thresholds import groups, latches, tell
from thresholds.block import MISSING
from thresholds.detectors.window_sum import Others, others_of
from thresholds.features import accept
from thresholds.hold import sift
from thresholds.row import both, put, row_of, some
from thresholds.selecting import FEW_OF, few, whole
from thresholds.selection import Selection
from thresholds.state import State
from thresholds.tables import HOLD_MAX_MS, I64, NEVER, Bools
from tocsin.levels import Level
from tocsin.readings import EXCLUDED, Quality

RANGE = int(Quality.RANGE)
LATE = int(Quality.LATE)
SERVICE = int(Quality.SERVICE)
HELD = int(Quality.SPIKE_HELD)
STUCK = int(Quality.STUCK)


def tick(state: State, now_ms: int, outcome: tell.Outcome) -> None:
    """The clock passed `now_ms`."""
    memory = state.memory
    np.copyto(memory.first_tick, now_ms, where=memory.first_tick == NEVER)
    if not some(now_ms - memory.good_t > state.tables.series.soon):
        return
    silent = now_ms - np.where(memory.good_t == NEVER, memory.first_tick, memory.good_t)
    fresh = (memory.stale == 0) & (silent > state.tables.series.stale)
    holding = np.zeros_like(fresh)
    holding[state.tables.tracks.series[memory.level > 0]] = True
    unconfirmed = holding & (memory.stale == 1) & (silent > HOLD_MAX_MS)
    for series in (fresh | unconfirmed).nonzero()[0].tolist():
        _silent(state, series, now_ms, (int(silent[series]), bool(holding[series])), outcome)


def _silent(state: State, series: int, now_ms: int, how: tuple[int, bool], outcome: tell.Outcome) -> None:
    """`how`: for how long it has been silent, and whether a track of it is above clear."""
    memory, (silent_ms, holds) = state.memory, how
    say = partial(tell.Freshness, state.plan.series[series], now_ms, stale=True,
                  urgent=tell.active_elsewhere(state, series, memory.level))
    if memory.stale[series] == 0:
        memory.stale[series] = 1
        outcome.freshness.append(say())
    if silent_ms > HOLD_MAX_MS and holds:
        memory.stale[series] = 2
        outcome.freshness.append(say(unconfirmed=True))


def take(state: State, t: I64, raw: I64, quality: I64, outcome: tell.Outcome) -> None:
    """One row's readings, all of length of the block's columns. `quality` gets the bits found here."""
    present = (quality & MISSING) == 0
    count, width = np.count_nonzero(present), quality.size
    if not count:
        return
    row = _Row(state, t, outcome)
    if count * FEW_OF >= width:
        row.take(whole(state.tables, width), t, raw, quality, None if count == width else present)
    else:
        s = present.nonzero()[0]
        marks = quality[s]
        row.take(few(state.tables, s), t[s], raw[s], marks, None)
        quality[s] = marks


class _Row:
    """What is gathered while a row is taken. `t` are the times of all columns."""

    def __init__(self, state: State, t: I64, outcome: tell.Outcome) -> None:
        self._state, self._t, self._outcome = state, t, outcome
        self._others: Others | None = None
        self._wet: list[I64] = []
        self._moves: latches.Moves = {}
        self._decided: dict[int, int] = {}    # values that are in no feature: of held readings that count at once
        self._group_t: dict[int, int] = {}

    def take(self, of: Selection, t: I64, raw: I64, quality: I64, good: Bools | None) -> None:
        """The readings of a selection; those that are not `good` are missing (None: none)."""
        candidate = _mark(self._state, of, t, raw, quality, good)
        if candidate is not None and not some(candidate):
            return
        if of.sums is not None:
            self._others = others_of(self._state)
        sifted = sift(self._state, of, t, raw, candidate)
        if sifted.confirmed is not None:
            self._accept(of, sifted.t, sifted.raw, sifted.confirmed)
        if sifted.taken is None or some(sifted.taken):
            self._accept(of, t, raw, sifted.taken)
        if sifted.held is not None:
            quality |= sifted.held * HELD
            row = row_of(self._state, *_narrowed(self._state, of, t, raw, sifted.held))
            self._decided = latches.early(self._state, row, self._moves)
        self._suspect(of, t, quality, sifted.taken)
        self._hear(of, t, sifted.taken)
        if self._state.plan.groups:
            self._group(of, sifted.taken)
        if self._moves:
            self._tell()

    def _accept(self, of: Selection, t: I64, raw: I64, good: Bools | None) -> None:
        state = self._state
        if good is not None:
            of, t, raw, good = _narrowed(state, of, t, raw, good)
        row = row_of(state, of, t, raw, good)
        accept(state, row, self._others)
        if of.gauges.size:
            self._wet.append(of.ids[of.gauges[row.rises[of.gauges] > 0]])
        latches.judge(state, row, self._moves)

    def _suspect(self, of: Selection, t: I64, quality: I64, taken: Bools | None) -> None:
        """Values that do not move, and gauges that stay dry while the others have rain."""
        memory, own, rain = self._state.memory, of.own, self._state.tables.rain
        if own.has_stuck:
            stuck = both(t - memory.same_t[of.series] >= own.stuck, taken)
            if stuck is not None and some(stuck):
                quality |= stuck * STUCK
        for wet in self._wet:
            memory.rained_at[wet] = memory.rained[0]
        if of.gauges.size and rain.size > 1 and some(own.blocked):
            gauges = of.gauges if taken is None else of.gauges[taken[of.gauges]]
            blocked, since = own.blocked[gauges], memory.rained[0] - memory.rained_at[of.ids[gauges]]
            quality[gauges[(since >= blocked * (rain.size - 1)) & (blocked > 0)]] |= STUCK

    def _hear(self, of: Selection, t: I64, taken: Bools | None) -> None:
        """Series that were stale."""
        stale = both(self._state.memory.stale[of.series] != 0, taken)
        if stale is not None and some(stale):
            for place in stale.nonzero()[0].tolist():
                self._outcome.freshness.append(tell.heard(self._state, int(of.ids[place]), int(t[place])))

    def _group(self, of: Selection, taken: Bools | None) -> None:
        """Judges the groups that have a member in this row."""
        state = self._state
        heard = np.zeros(state.memory.good_t.size, dtype=np.bool_)
        heard[of.series] = True if taken is None else taken
        row = groups.gather(state, heard)
        if row is not None:
            accept(state, row, None)
            latches.judge(state, row, self._moves)
            self._group_t = dict(zip(row.of.ids.tolist(), row.t.tolist(), strict=True))

    def _tell(self) -> None:
        memory, tracks = self._state.memory, self._state.tables.tracks
        for index, before in sorted(self._moves.items()):
            level, series = int(memory.level[index]), int(tracks.series[index])
            if level != before:
                value = self._decided.get(index, int(memory.value[tracks.feature[index]]))
                t_ms = self._group_t[series] if series in self._group_t else int(self._t[series])
                self._outcome.changes.append(tell.change(
                    self._state, index, t_ms, Level(before), Level(level), memory.run_since[index], value))


def _narrowed(state: State, of: Selection, t: I64, raw: I64, good: Bools) -> tuple[Selection, I64, I64, Bools | None]:
    """The same readings in a smaller selection, where they are few."""
    if of.whole and np.count_nonzero(good) * FEW_OF >= of.count:
        return of, t, raw, good
    places = good.nonzero()[0]
    return few(state.tables, of.ids[places]), t[places], raw[places], None


def _mark(state: State, of: Selection, t: I64, raw: I64, quality: I64, good: Bools | None) -> Bools | None:
    """Range, order and service; returns the readings that are not excluded (None: all)."""
    memory, own = state.memory, of.own
    wide, late = (raw < own.low) | (raw > own.high), t <= memory.last_t[of.series]
    if good is not None:
        wide &= good
        late &= good
    if some(wide):
        quality |= wide * RANGE
    if some(late):
        quality |= late * LATE
        put(memory.last_t, of.series, t, both(good, ~late))
    else:
        put(memory.last_t, of.series, t, good)
    excluded = (quality & EXCLUDED) != 0
    count = np.count_nonzero(excluded)
    if not count:
        return None
    if good is not None and count == of.count - np.count_nonzero(good):
        return good
    served = both((quality & SERVICE) != 0, good)
    if served is not None and some(served):
        begin_anew(state, of.ids[served])
    candidate: Bools = ~excluded
    return candidate


def begin_anew(state: State, series: I64) -> None:
    """Forgets what the next reading of these series is compared with."""
    memory = state.memory
    memory.seen[series] = 0
    memory.held_t[series] = NEVER
    memory.held_raw[series] = 0
    memory.dropped[series] = 0
