"""The specification of levels: docs/detection.md, 5, one reading after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.golden_features import PLAIN, Cusum, Found, sum_of
from tests.golden_source import DAY, MINUTE, Source
from thresholds.plan import Track
from thresholds.rule import Feature, LevelRule, Rule
from tocsin.levels import Level

Told = tuple[object, ...]


def signed(rule: Rule, threshold: int) -> int:
    """A threshold as the feature is compared with it: more is worse."""
    match rule.feature:
        case Feature.TIME_TO:
            return -threshold
        case Feature.CUSUM | Feature.SUM:
            return threshold
        case _:
            return rule.sign * threshold


def shown(rule: Rule, value: int) -> float:
    """What people read: the feature in its unit, or a time in minutes, at most a week."""
    if rule.feature is Feature.TIME_TO:
        return min(-value, 7 * DAY) / MINUTE
    return signed(rule, value) / 1000


@dataclass
class Latch:
    """One level of one track. `past`: time, whether it qualified, whether it was below; of the last M."""

    of: Rule
    rule: LevelRule
    past: list[tuple[int, bool, bool]] = field(default_factory=list)
    run_since: int | None = None
    run_for: int = 0
    off_since: int | None = None
    active: bool = False
    acknowledged: bool = False

    def take(self, source: Source, found: Found) -> None:
        rule, t = self.rule, source.taken[-1].t
        on, off = signed(self.of, rule.on), signed(self.of, rule.off)
        of_sum = self.of.feature is Feature.SUM
        known = of_sum or found.valid > 0
        enough = known and (not of_sum or found.valid * 1000 >= rule.min_valid * found.span)
        severe = rule.level >= Level.ORANGE
        qualifies = known and found.value >= on and not (severe and found.lone) and found.confirms(off)
        under = known and found.value < off
        self.past = [*self.past, (t, qualifies, under and enough)][-rule.m:]
        ons, belows = self._counted(source, t)
        self._run(source, qualifies, ons, belows)
        unknown = not known or (under and not enough)
        if belows < rule.n or unknown:
            self.off_since = None
        elif self.off_since is None or not source.steady:
            self.off_since = t
        fallen = self.off_since is not None and t - self.off_since >= rule.off_delay_ms
        if ons >= rule.n and self.run_for >= rule.on_delay_ms:
            self._set()
        elif fallen and (self.acknowledged or not rule.latch):
            self.active = False
        if not self.active:
            self.off_since = None

    def _counted(self, source: Source, t: int) -> tuple[int, int]:
        """How many of the counted readings qualify, and how many are below."""
        counted = [one for one in self.past if t - one[0] <= 2 * self.rule.m * source.series.period_ms]
        return sum(one[1] for one in counted), sum(one[2] for one in counted)

    def _run(self, source: Source, qualifies: bool, ons: int, belows: int) -> None:
        if ons == 0 or (belows >= self.rule.n and not qualifies):
            self.run_since, self.run_for = None, 0
        elif self.run_since is None:
            if qualifies:
                self.run_since, self.run_for = source.taken[-1].t, 0
        elif source.steady:
            self.run_for += source.taken[-1].since or 0

    def _set(self) -> None:
        self.acknowledged = self.acknowledged and self.active
        self.active = True

    def early(self, source: Source, t: int) -> None:
        """A reading that is held and would qualify."""
        if self.rule.n < 2:
            return
        counted = [one for one in self.past[-(self.rule.m - 1):]
                   if t - one[0] <= 2 * self.rule.m * source.series.period_ms]
        since = t - source.taken[-1].t if source.taken else None
        step = since if since is not None and since <= 2 * source.series.period_ms else 0
        run_for = self.run_for + step if self.run_since is not None else 0
        if sum(one[1] for one in counted) + 1 >= self.rule.n and run_for >= self.rule.on_delay_ms:
            self._set()

    def forget(self) -> None:
        """Its run and its history."""
        self.past, self.run_since, self.run_for, self.off_since = [], None, 0, None


@dataclass
class Judge:
    """One track. `told` is the level of the last change."""

    station: str
    track: Track
    latches: list[Latch]
    cusum: Cusum
    told: int = 0
    revision: int = 0
    since: int = 0
    episode: str = ""
    cleared: int | None = None
    shelved: int | None = None
    found: Found = field(default_factory=Found)
    at_once: int | None = None    # a held reading that counts in this row

    @property
    def level(self) -> int:
        return max((int(latch.rule.level) for latch in self.latches if latch.active), default=0)

    def take(self, source: Source, others: Sequence[Source]) -> None:
        rule = self.track.rule
        if rule.feature is Feature.SUM:
            self.found = sum_of(rule, source, others)
        elif rule.feature is Feature.CUSUM:
            self.found = self.cusum.take(source)
        else:
            self.found = PLAIN[rule.feature](rule, source)
        for latch in self.latches:
            latch.take(source, self.found)

    def early(self, source: Source, t: int, x: int) -> None:
        rule = self.track.rule
        value, before = rule.sign * x, self.level
        if rule.feature is Feature.VALUE and value >= max(signed(rule, latch.rule.on) for latch in self.latches):
            for latch in self.latches:
                latch.early(source, t)
        self.at_once = value if self.level > before else None

    def change(self, t: int) -> Told | None:
        """What is told after a row, if the level is not that before it."""
        level, previous = self.level, self.told
        at_once, self.at_once = self.at_once, None
        if level == previous:
            return None
        if previous == 0:
            runs = [latch.run_since for latch in self.latches if latch.run_since is not None]
            self.since = min((run for run in runs if self.cleared is None or run >= self.cleared), default=t)
            self.episode = self._episode()
        if level == 0:
            self.cleared = t
        self.told = level
        self.revision += 1
        rule = self.track.rule
        levels = {int(latch.rule.level): latch.rule for latch in self.latches}
        threshold = levels[level].on if level > previous else levels[previous].off
        stage, authority = (levels[level].stage.value, levels[level].authority.value) if level else ("watch", "auto")
        return (rule.name, self.track.series.key, t, level, previous, self.revision, self.episode, self.since,
                shown(rule, self.found.value if at_once is None else at_once),
                threshold / (MINUTE if rule.feature is Feature.TIME_TO else 1000),
                stage, authority, levels[level].hold_ms / 1000 if level else 0.0,
                self.shelved is not None and t < self.shelved)

    def _episode(self) -> str:
        name = [self.station.encode(), self.track.series.key.encode(), self.track.rule.canonical,
                str(self.since).encode()]
        return hashlib.blake2b(b"\0".join(name), digest_size=8).hexdigest()

    def pending(self) -> bool:
        return any(latch.run_since is not None and not latch.active for latch in self.latches)

    def acknowledge(self) -> None:
        for latch in self.latches:
            latch.acknowledged = latch.active and latch.rule.latch

    def clear(self, t: int) -> Told | None:
        if not self.level:
            return None
        for latch in self.latches:
            latch.active = False
            latch.forget()
        return self.change(t)

    def forget_times(self) -> None:
        """A new epoch."""
        self.cleared = self.shelved = None
        self.cusum.lowest = {}
        self.found = Found()
        for latch in self.latches:
            latch.forget()

    def feature(self) -> tuple[int, int, int]:
        return self.found.value, self.found.valid, self.found.span
