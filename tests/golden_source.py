"""The specification of marks, holding and rises: docs/detection.md, 2 and 3, with every past reading at hand."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from thresholds.rule import Check
from thresholds.series import Series
from tocsin.readings import Quality

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(slots=True)
class Taken:
    """A taken reading: what it adds to a total, the time it covers, and the time since the one before (None: none)."""

    t: int
    x: int
    rise: int
    covers: int
    since: int | None


@dataclass
class Source:
    """One series."""

    series: Series
    check: Check
    last_t: int | None = None
    first_tick: int | None = None
    stale: bool = False
    unconfirmed: bool = False
    taken: list[Taken] = field(default_factory=list)
    recent: list[int] = field(default_factory=list)     # past values for holding; the last is a running total's base
    held: tuple[int, int] | None = None
    dropped: bool = False    # without a base, a held reading was dropped for the next one
    same_since: int | None = None
    wet: list[int] = field(default_factory=list)        # times of readings that brought rain
    wet_before: list[int] = field(default_factory=list)    # the same as it was before this row

    def mark(self, t: int, raw: int, quality: int) -> int:
        """The quality of a reading; remembers its time."""
        if quality & Quality.MISSING:
            return quality
        low, high = (round(bound * 1000) for bound in self.series.plausible)
        if self.series.summed:
            low = max(low, 0)
        if not low <= raw <= high:
            quality |= Quality.RANGE
        if self.last_t is not None and t <= self.last_t:
            quality |= Quality.LATE
        else:
            self.last_t = t
        if quality & Quality.SERVICE:
            self.recent, self.held, self.dropped, self.same_since = [], None, False, None
        return int(quality)

    def decide(self, t: int, x: int) -> list[tuple[int, int]]:
        """The readings taken now: none (this one is held), this one, or the one that was held and this one."""
        if not self.check.rate_per_min and not self.check.floor:
            return [(t, x)]
        held, self.held = self.held, None
        base = self._base()
        if held is not None and self._confirms(held, base, t, x):
            self.dropped = False
            return [(held[0], self._borne_out(base, held[1], x)), (t, x)]
        third = base is None and held is not None and self.dropped
        self.dropped = base is None and held is not None and not third
        if not third and (base is None or self._far(base, t, x)):
            self.held = t, x
            return []
        return [(t, x)]

    def _base(self) -> int | None:
        if self.series.summed and not self.series.counter:
            return 0
        if not self.recent:
            return None
        return sorted(self.recent[-3:])[1] if not self.series.counter and len(self.recent) >= 3 else self.recent[-1]

    def _limit(self, passed: int) -> int:
        return max(self.check.floor, self.check.rate_per_min * min(passed, DAY) // MINUTE)

    def _far(self, base: int, t: int, x: int) -> bool:
        limit = self._limit(t - self.taken[-1].t if self.taken else DAY)
        return abs(x - base) > limit or (self.series.counter and x < base)

    def _confirms(self, held: tuple[int, int], base: int | None, t: int, x: int) -> bool:
        held_t, h = held
        if base is None:
            return abs(x - h) <= self._limit(t - held_t) and not (self.series.counter and x < h)
        same_side = (x - base) * (h - base) > 0
        return same_side and (self._far(base, t, x) or 2 * abs(x - h) <= abs(h - base))

    def _borne_out(self, base: int | None, h: int, x: int) -> int:
        if base is None or self.series.summed:
            return h
        return min(h, x) if h > base else max(h, x)

    def take(self, t: int, x: int) -> int:
        """A reading is taken. Returns its rise."""
        since = t - self.taken[-1].t if self.taken else None
        covers = since if since is not None and since <= 2 * self.series.period_ms else self.series.period_ms
        rise = 0
        if self.series.counter and self.recent:
            rise = x - self.recent[-1] if x >= self.recent[-1] else x
        elif self.series.summed and not self.series.counter:
            rise = x
        if self.same_since is None or not self.recent or x != self.recent[-1]:
            self.same_since = t
        if rise > 0:
            self.wet = [*self.wet[-1:], t]
        self.recent = [*self.recent[-2:], x]
        self.taken.append(Taken(t, x, rise, covers, since))
        return rise

    @property
    def steady(self) -> bool:
        since = self.taken[-1].since
        return since is not None and since <= 2 * self.series.period_ms

    def same_for(self) -> int:
        """How long the value has been the same."""
        return 0 if self.same_since is None else self.taken[-1].t - self.same_since

    def silence(self, now: int) -> int:
        heard = self.taken[-1].t if self.taken else self.first_tick
        return 0 if heard is None else now - heard

    def after(self, begin: int) -> Iterator[Taken]:
        """Taken readings after a time, newest first."""
        for one in reversed(self.taken):
            if one.t <= begin:
                return
            yield one

    def slots(self, begin: int) -> list[list[Taken]]:
        """Taken readings by slot, oldest first, of the slots whose last reading lies after `begin`."""
        slot = max(self.series.period_ms // 2, 500)
        found: list[list[Taken]] = []
        for one in reversed(self.taken):
            if found and (one.t - 1) // slot == (found[-1][0].t - 1) // slot:
                found[-1].insert(0, one)
            elif one.t > begin:
                found.append([one])
            else:
                break
        return found[::-1]

    def forget_times(self) -> None:
        """A new epoch."""
        self.last_t = self.first_tick = self.held = self.same_since = None
        self.dropped = False
        self.taken, self.wet = [], []
