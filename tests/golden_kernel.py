"""The specification of the kernel: a plain loop over readings, with every past reading at hand.

It shares only the plan's words with thresholds/: no arrays, no rings, no running totals. Whatever the kernel says,
this must say too. All values are whole thousandths, all times whole milliseconds.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from thresholds.plan import LevelRule, Plan, Rule, Track
from thresholds.series import Series
from tocsin.readings import Quality

EXCLUDED = Quality.MISSING | Quality.RANGE | Quality.SPIKE_HELD | Quality.LATE | Quality.SERVICE
MINUTE = 60_000


@dataclass
class Past:
    """One good reading: its time, value, what it adds to a total, the time it covers, and the time before it."""

    t: int
    x: int
    rise: int
    covers: int
    since: int | None


@dataclass
class Source:
    """One series."""

    series: Series
    last_t: int | None = None
    first_tick: int | None = None
    stale: bool = False
    past: list[Past] = field(default_factory=list)

    def mark(self, t: int, raw: int, quality: int) -> int:
        """The quality of a reading; remembers its time."""
        if quality & Quality.MISSING:
            return quality
        low, high = (round(bound * 1000) for bound in self.series.plausible)
        if self.series.quantity in {"rain_mm", "rain_total_mm"}:
            low = max(low, 0)
        if not low <= raw <= high:
            quality |= Quality.RANGE
        if self.last_t is not None and t <= self.last_t:
            return int(quality | Quality.LATE)
        self.last_t = t
        return int(quality)

    def take(self, t: int, raw: int) -> None:
        before = self.past[-1] if self.past else None
        since = t - before.t if before else None
        covers = since if since is not None and since <= 2 * self.series.period_ms else self.series.period_ms
        rise = raw
        if self.series.quantity == "rain_total_mm":
            rise = 0 if before is None else raw - before.x if raw >= before.x else raw
        self.past.append(Past(t, raw, rise, covers, since))

    def silent(self, now: int) -> bool:
        heard = self.past[-1].t if self.past else self.first_tick
        return heard is not None and now - heard > 3 * self.series.period_ms

    def steady(self) -> bool:
        since = self.past[-1].since
        return since is not None and since <= 2 * self.series.period_ms

    def window(self, over: int) -> tuple[int, int, int]:
        """The sum over a window up to the last reading, the time covered in it, and its length."""
        t = self.past[-1].t
        begin = t - over
        if over > 60 * MINUTE:
            begin = begin // MINUTE * MINUTE
        groups = self._groups(MINUTE if over > 60 * MINUTE else max(self.series.period_ms // 2, 500), begin)
        total = covered = 0
        for number, group in enumerate(groups):
            held = sum(one.covers for one in group)
            covered += min(held, group[-1].t - begin) if number == 0 else held
            total += sum(one.rise for one in group if not self._unknown_when(one, over))
        return total, covered, t - begin

    def _unknown_when(self, one: Past, over: int) -> bool:
        return self.series.quantity == "rain_total_mm" and one.since is not None and one.since > over

    def _groups(self, slot: int, begin: int) -> list[list[Past]]:
        """Readings by slot, oldest first, of the slots whose last reading lies after `begin`."""
        groups: list[list[Past]] = []
        for one in reversed(self.past):
            if groups and (one.t - 1) // slot == (groups[-1][0].t - 1) // slot:
                groups[-1].insert(0, one)
            elif one.t > begin:
                groups.append([one])
            else:
                break
        return groups[::-1]


@dataclass
class Latch:
    """One level of one track: whether each good reading of the series qualified, and was below off."""

    rule: LevelRule
    qualified: list[bool] = field(default_factory=list)
    below: list[bool] = field(default_factory=list)
    run_since: int | None = None
    run_for: int = 0
    off_since: int | None = None
    active: bool = False

    def take(self, source: Source, low: bool, value: int, enough: bool) -> None:
        rule, t = self.rule, source.past[-1].t
        qualifies = value <= rule.on if low else value >= rule.on
        under = value > rule.off if low else value < rule.off
        self.qualified.append(qualifies)
        self.below.append(under and enough)
        counted = [index for index in range(max(0, len(source.past) - rule.m), len(source.past))
                   if t - source.past[index].t <= 2 * rule.m * source.series.period_ms]
        ons = sum(self.qualified[index] for index in counted)
        may_fall = sum(self.below[index] for index in counted) >= rule.n
        self._run(source, qualifies, ons, may_fall)
        raised = ons >= rule.n and self.run_for >= rule.on_delay_ms
        if may_fall and (enough or not under):
            if self.off_since is None or not source.steady():
                self.off_since = t
        else:
            self.off_since = None
        fallen = self.off_since is not None and t - self.off_since >= rule.off_delay_ms
        self.active = raised or (self.active and not fallen)

    def _run(self, source: Source, qualifies: bool, ons: int, may_fall: bool) -> None:
        if ons == 0 or (may_fall and not qualifies):
            self.run_since, self.run_for = None, 0
        elif self.run_since is None:
            if qualifies:
                self.run_since, self.run_for = source.past[-1].t, 0
        elif source.steady():
            self.run_for += source.past[-1].since or 0


@dataclass
class Judge:
    """One track."""

    station: str
    track: Track
    latches: list[Latch]
    level: int = 0
    revision: int = 0
    since: int = 0
    cleared: int = -1
    sum: tuple[int, int, int] = (0, 0, 0)

    def take(self, source: Source) -> tuple[object, ...] | None:
        rule = self.track.rule
        self.sum = source.window(rule.over_ms) if rule.over_ms else (source.past[-1].x, 0, 0)
        value, covered, length = self.sum
        for latch in self.latches:
            latch.take(source, rule.low, value, covered * 1000 >= latch.rule.min_valid * length)
        level = max((int(latch.rule.level) for latch in self.latches if latch.active), default=0)
        return self._change(rule, source.past[-1].t, level, value) if level != self.level else None

    def _change(self, rule: Rule, t: int, level: int, value: int) -> tuple[object, ...]:
        previous, self.level = self.level, level
        if previous == 0:
            runs = [latch.run_since for latch in self.latches if latch.run_since is not None]
            self.since = min((run for run in runs if run >= self.cleared), default=t)
        if level == 0:
            self.cleared = t
        self.revision += 1
        compared = {int(latch.rule.level): latch.rule for latch in self.latches}
        threshold = compared[level].on if level > previous else compared[previous].off
        name = [self.station.encode(), self.track.series.key.encode(), rule.canonical, str(self.since).encode()]
        episode = hashlib.blake2b(b"\0".join(name), digest_size=8).hexdigest()
        stage = compared[level].stage.value if level else "watch"
        authority = compared[level].authority.value if level else "auto"
        return (rule.name, self.track.series.key, t, level, previous, self.revision, episode, self.since,
                value / 1000, threshold / 1000, stage, authority)

    def pending(self) -> bool:
        return any(latch.run_since is not None and not latch.active for latch in self.latches)


class Golden:
    """The whole station. `changes` and `freshness` grow from row to row."""

    def __init__(self, plan: Plan, station: str = "") -> None:
        self.sources = [Source(series) for series in plan.series]
        self.judges = [Judge(station, track, [Latch(rule) for rule in track.rule.levels]) for track in plan.tracks]
        self.changes: list[tuple[object, ...]] = []
        self.freshness: list[tuple[str, int, bool]] = []

    def row(self, t: Sequence[int], raw: Sequence[int], quality: Sequence[int], now: int) -> list[int]:
        """One row of a block; returns its quality bits."""
        if now:
            self._tick(now)
        marked = [source.mark(*cell) for source, cell in
                  zip(self.sources, zip(t, raw, quality, strict=True), strict=True)]
        good = [index for index, bits in enumerate(marked) if not bits & EXCLUDED]
        for index in good:
            source = self.sources[index]
            if source.stale:
                source.stale = False
                self.freshness.append((source.series.key, t[index], False))
            source.take(t[index], raw[index])
        self.changes.extend(self._judged(good))
        return marked

    def _judged(self, good: list[int]) -> Iterator[tuple[object, ...]]:
        for judge in self.judges:
            if judge.track.series_index in good:
                change = judge.take(self.sources[judge.track.series_index])
                if change is not None:
                    yield change

    def _tick(self, now: int) -> None:
        for source in self.sources:
            if source.first_tick is None:
                source.first_tick = now
            if not source.stale and source.silent(now):
                source.stale = True
                self.freshness.append((source.series.key, now, True))

    def levels(self) -> list[int]:
        return [judge.level for judge in self.judges]
