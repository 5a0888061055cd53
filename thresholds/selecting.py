"""The tables of a selection, made once and kept for the rows to come."""

import numpy as np

from thresholds.rule import HOUR_MS, MINUTE_MS
from thresholds.selection import (
    AllSums,
    CusumPart,
    DerivedPart,
    Index,
    RingPart,
    Selection,
    SeriesPart,
    SumPart,
    TrackPart,
    ValuePart,
    WindowPart,
)
from thresholds.tables import (
    AMOUNT,
    BEYOND,
    I64,
    LONE_PERIODS,
    NEVER,
    SILENT_PERIODS,
    TOTAL,
    Rings,
    Tables,
)

KEPT = 1024   # series, in all selections that are kept together; each takes some 300 bytes
KEPT_OF = 4   # at a station with many series so many times as many: devices that are read one by one find theirs
FEW_OF = 4    # fewer than one in so many series are worth tables of their own


def whole(tables: Tables, width: int) -> Selection:
    """The first `width` series: all columns of a block."""
    found = tables.selections.get(b"")
    if found is None:
        found = tables.selections[b""] = _Maker(tables, np.arange(width), whole=True).make()
    return found


def few(tables: Tables, series: I64) -> Selection:
    """These series, in order."""
    key, kept = series.tobytes(), tables.selections
    found = kept.pop(key, None)
    if found is None:
        found = _Maker(tables, series, whole=False).make()
        spare = max(KEPT, KEPT_OF * tables.series.period.size) * series.itemsize - sum(map(len, kept))
        for old in [one for one in kept if one]:    # the one that was not asked for the longest goes first
            if spare >= len(key):
                break
            del kept[old]
            spare += len(old)
    kept[key] = found
    return found


def index(numbers: I64) -> Index:
    """The same numbers as a slice where they are evenly spaced."""
    if numbers.size == 0:
        return slice(0, 0)
    first, last = int(numbers[0]), int(numbers[-1])
    step = int(numbers[1]) - first if numbers.size > 1 else 1
    if step > 0 and last - first == step * (numbers.size - 1) and bool((numbers[1:] - numbers[:-1] == step).all()):
        return slice(first, last + 1, step)
    return numbers


class _Maker:
    """Finds what belongs to some series."""

    def __init__(self, tables: Tables, series: I64, *, whole: bool) -> None:
        self.tables, self.series, self.whole = tables, series, whole
        self.place = np.full(tables.series.period.size, -1, dtype=np.int64)
        self.place[series] = np.arange(series.size)

    def make(self) -> Selection:
        tables = self.tables
        sums, trends = tables.sums, tables.trends
        windows = self._windows()
        short, slots = self._sums(0, sums.short, sums.slots)
        long, minutes = self._sums(sums.short, sums.series.size, sums.minutes)
        kinds = (0, trends.rates, trends.rates + trends.slopes, trends.of.size)
        rates, slopes, times = (self._derived(windows, kinds[kind], kinds[kind + 1]) for kind in range(3))
        return Selection(
            series=index(self.series), ids=self.series, count=self.series.size, whole=self.whole, own=self._own(),
            gauges=self.place[tables.rain[self._of(tables.rain)]],
            slots=slots, minutes=minutes, short=short, long=long, sums=self._all_sums(),
            windows=windows, rates=rates, slopes=slopes, times=times,
            cusums=self._cusums(), values=self._values(), tracks=self._tracks(),
        )

    def _of(self, series: I64) -> I64:
        """Which entries of a table belong to the selection, by the series of each."""
        return (self.place[series] >= 0).nonzero()[0]

    def _own(self) -> SeriesPart:
        table, s = self.tables.series, self.series
        slot = np.zeros_like(self.place)
        for rings in (self.tables.sums.slots, self.tables.trends.rings):
            slot[rings.series] = rings.slot
        kind, checked, stuck, own_slot = table.kind[s], table.floor[s] < BEYOND, table.stuck[s], slot[s]
        return SeriesPart(
            low=table.low[s], high=table.high[s], period=table.period[s], doubled=2 * table.period[s],
            silent=SILENT_PERIODS * table.period[s], slot=own_slot, floor=table.floor[s], rate=table.rate[s],
            stuck=stuck, blocked=table.blocked[s], total=kind == TOTAL, amount=kind == AMOUNT, checked=checked,
            has_slots=bool(own_slot.any()), has_stuck=bool((stuck < BEYOND).any()),
            has_totals=bool((kind == TOTAL).any()), has_amounts=bool((kind == AMOUNT).any()),
            has_checks=bool(checked.any()), all_checked=bool(checked.all()),
        )

    def _rings(self, rings: Rings) -> tuple[RingPart, I64]:
        """And the place of each ring of the table among them."""
        r = self._of(rings.series)
        place = np.full(rings.series.size, -1, dtype=np.int64)
        place[r] = np.arange(r.size)
        at = self.place[rings.series[r]]
        return RingPart(index(r), index(at), at, rings.at[r], rings.size[r]), place

    def _sums(self, begin: int, end: int, rings: Rings) -> tuple[SumPart | None, RingPart | None]:
        sums = self.tables.sums
        f = begin + self._of(sums.series[begin:end])
        if not f.size:
            return None, None
        part, place = self._rings(rings)
        ring, series, window = sums.ring[f], sums.series[f], sums.window[f]
        total = self.tables.series.kind[series] == TOTAL
        return SumPart(
            numbers=index(f), out=index(sums.first + f), at=index(self.place[series]), ring=index(place[ring]),
            begin=rings.at[ring], size=rings.size[ring], window=window, slot=rings.slot[ring],
            total=total,
        ), part

    def _all_sums(self) -> AllSums | None:
        sums = self.tables.sums
        f = self._of(sums.series)
        if not f.size:
            return None
        series, window = sums.series[f], sums.window[f]
        table = self.tables.series
        slot = np.full(f.size, MINUTE_MS, dtype=np.int64)
        slot[f < sums.short] = sums.slots.slot[sums.ring[f[f < sums.short]]]
        return AllSums(
            numbers=index(f), out=index(sums.first + f), at=index(self.place[series]), window=window,
            least=np.maximum(window, LONE_PERIODS * table.period[series]), reach=np.maximum(window, slot) + MINUTE_MS,
            has_totals=bool((table.kind[series] == TOTAL).any()),
        )

    def _windows(self) -> WindowPart | None:
        trends = self.tables.trends
        w = self._of(trends.series)
        if not w.size:
            return None
        rings, place = self._rings(trends.rings)
        ring, window = trends.ring[w], trends.window[w]
        return WindowPart(
            rings=rings, unit=trends.unit[rings.numbers], numbers=index(w), at=index(self.place[trends.series[w]]),
            ring=index(place[ring]), begin=trends.rings.at[ring], size=trends.rings.size[ring], window=window,
            half=window // 2,
        )

    def _derived(self, windows: WindowPart | None, begin: int, end: int) -> DerivedPart | None:
        trends = self.tables.trends
        d = begin + self._of(trends.series[trends.of[begin:end]])
        if windows is None or not d.size:
            return None
        place = np.full(trends.window.size, -1, dtype=np.int64)
        own = self._of(trends.series)
        place[own] = np.arange(own.size)
        w = trends.of[d]
        unit = trends.unit[trends.ring[w]]
        return DerivedPart(
            out=index(trends.first + d), at=index(self.place[trends.series[w]]), of=index(place[w]),
            sign=trends.sign[d], n_min=trends.n_min[d], target=trends.target[d], floor=trends.floor[d], unit=unit,
            per_hour=HOUR_MS // unit,
        )

    def _cusums(self) -> CusumPart | None:
        cusums = self.tables.cusums
        f = self._of(cusums.series)
        if not f.size:
            return None
        minima = self._of(cusums.minima_series)
        return CusumPart(
            numbers=index(f), out=index(cusums.first + f), at=index(self.place[cusums.series[f]]),
            sign=cusums.sign[f], allowance=cusums.allowance[f], cap=cusums.cap[f], fixed=cusums.fixed[f],
            minima_of=cusums.minima[f], minima=minima, minima_at=self.place[cusums.minima_series[minima]],
        )

    def _values(self) -> ValuePart | None:
        values = self.tables.values
        f = self._of(values.series)
        if not f.size:
            return None
        return ValuePart(index(values.first + f), index(self.place[values.series[f]]), values.sign[f])

    def _tracks(self) -> TrackPart | None:
        tracks = self.tables.tracks
        k = self._of(tracks.series)
        if not k.size:
            return None
        there = tracks.off[k] != NEVER
        most = np.where(there, tracks.min_valid[k], -1).max(axis=1)
        even = (most[:, None] == tracks.min_valid[k]) | ~there
        calm = np.minimum(np.where(there, tracks.off[k], BEYOND).min(axis=1), tracks.lowest[k])
        full = np.where(there, 0xFFFF, 0).astype(np.uint16).view(np.uint64)[:, 0]
        return TrackPart(
            numbers=k, place=index(k), at=index(self.place[tracks.series[k]]), feature=index(tracks.feature[k]),
            calm=np.where(even.all(axis=1), calm, 2 * NEVER), least=most, full=full,
            even=bool(even.all()),
            early=k[tracks.early[k].any(axis=1)],
        )
