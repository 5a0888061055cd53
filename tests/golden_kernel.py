"""The specification of the kernel: docs/detection.md once more, as a plain loop with every past reading at hand.

It shares only the plan's words with thresholds/: no arrays, no rings, no running totals. Whatever the kernel says,
this must say too. All values are whole thousandths, all times whole milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.golden_features import Cusum
from tests.golden_source import HOUR, Source
from tests.golden_tracks import Judge, Latch, Told
from thresholds.plan import Group, Plan
from thresholds.rule import Check
from tocsin.readings import Quality

EXCLUDED = Quality.MISSING | Quality.RANGE | Quality.SPIKE_HELD | Quality.LATE | Quality.SERVICE


@dataclass
class Meeting:
    """A group: when each of its members was last noted. Its `source` takes a reading at each evaluation."""

    group: Group
    source: Source
    judge: Judge
    noted: dict[int, int] = field(default_factory=dict)


class Golden:
    """The whole station. `changes` and `freshness` (key, t, stale, urgent, unconfirmed) grow from row to row."""

    def __init__(self, plan: Plan, station: str = "") -> None:
        self.sources = [Source(series, check) for series, check in zip(plan.series, plan.checks, strict=True)]
        self.judges = [Judge(station, track, [Latch(track.rule, rule) for rule in track.rule.levels], Cusum(track.rule))
                       for track in plan.tracks]
        by_rule = {judge.track.series_index: judge for judge in self.judges}
        self.meetings = [Meeting(group, Source(group.series, Check(group.rule.quantity)), by_rule[index])
                         for index, group in enumerate(plan.groups, len(plan.series))]
        self.gauges = [source for source in self.sources if source.series.summed]
        self.rained = 0
        self.rained_at = dict.fromkeys((source.series.key for source in self.gauges), 0)
        self.changes: list[Told] = []
        self.freshness: list[tuple[str, int, bool, bool, bool]] = []

    def row(self, t: Sequence[int], raw: Sequence[int], quality: Sequence[int], now: int) -> list[int]:
        """One reading a series at most, after a tick where `now` is not 0; returns the quality of each."""
        if now:
            self._tick(now)
        for source in self.sources:
            source.wet_before = source.wet
        marked = [source.mark(*cell) for source, cell in
                  zip(self.sources, zip(t, raw, quality, strict=True), strict=True)]
        taken = [source.decide(t[index], raw[index]) if not marked[index] & EXCLUDED else None
                 for index, source in enumerate(self.sources)]
        confirmed = {index: both[0] for index, both in enumerate(taken) if both and len(both) == 2}
        own = {index: readings[-1] for index, readings in enumerate(taken) if readings}
        wet = {*self._take(confirmed), *self._take(own)}
        for index, readings in enumerate(taken):
            if readings == []:
                marked[index] |= Quality.SPIKE_HELD
                for judge in self._judges_of(index):
                    judge.early(self.sources[index], t[index], raw[index])
        for key in wet:
            self.rained_at[key] = self.rained
        times = dict(enumerate(t)) | self._meet(own)
        for index in own:
            marked[index] |= self._suspect(self.sources[index])
            self._fresh(self.sources[index], t[index])
        told = [judge.change(times.get(judge.track.series_index, 0)) for judge in self.judges]
        self.changes += [change for change in told if change is not None]
        return [int(bits) for bits in marked]

    def _judges_of(self, index: int) -> list[Judge]:
        return [judge for judge in self.judges if judge.track.series_index == index]

    def _take(self, readings: dict[int, tuple[int, int]]) -> list[str]:
        """One pass. Returns the gauges that brought rain."""
        wet = []
        for index, (t, x) in readings.items():
            source = self.sources[index]
            rise = source.take(t, x)
            self.rained += rise
            if rise > 0:
                wet.append(source.series.key)
            others = [gauge for gauge in self.gauges if gauge is not source]
            for judge in self._judges_of(index):
                judge.take(source, others)
        return wet

    def _meet(self, own: dict[int, tuple[int, int]]) -> dict[int, int]:
        """Evaluates the groups of series that took a reading. Returns their times, by series index."""
        times = {}
        for meeting in self.meetings:
            here = {member: own[self.judges[member].track.series_index][0] for member, _ in meeting.group.members
                    if self.judges[member].track.series_index in own}
            if not here:
                continue
            rule = meeting.group.rule
            meeting.noted |= {member: t for member, t in here.items() if self.judges[member].level >= rule.at}
            t = max(here.values())
            if meeting.source.taken:
                t = max(t, meeting.source.taken[-1].t + 1)
            weight = sum(weight for member, weight in meeting.group.members
                         if t - rule.over_ms < meeting.noted.get(member, -rule.over_ms) <= t)
            meeting.source.take(t, weight)
            meeting.judge.take(meeting.source, [])
            times[meeting.judge.track.series_index] = t
        return times

    def _suspect(self, source: Source) -> Quality:
        check = source.check
        same = check.stuck_ms > 0 and source.same_for() >= check.stuck_ms
        blocked = False
        if source.series.summed and check.blocked > 0 and len(self.gauges) > 1:
            missed = self.rained - self.rained_at[source.series.key]
            blocked = missed >= check.blocked * (len(self.gauges) - 1)
        return Quality.STUCK if same or blocked else Quality.GOOD

    def _fresh(self, source: Source, t: int) -> None:
        if source.stale:
            source.stale = source.unconfirmed = False
            self.freshness.append((source.series.key, t, False, False, False))

    def _tick(self, now: int) -> None:
        for index, source in enumerate(self.sources):
            if source.first_tick is None:
                source.first_tick = now
            if not source.stale and source.silence(now) > (source.check.stale_ms or 3 * source.series.period_ms):
                source.stale = True
                self._stale(index, now)
            active = any(judge.level for judge in self._judges_of(index))
            if source.stale and not source.unconfirmed and active and source.silence(now) > 6 * HOUR:
                source.unconfirmed = True
                self._stale(index, now)

    def _stale(self, index: int, now: int) -> None:
        source = self.sources[index]
        urgent = any(judge.level for judge in self.judges if judge.track.series_index != index)
        self.freshness.append((source.series.key, now, True, urgent, source.unconfirmed))

    def acknowledge(self, track: int) -> None:
        self.judges[track].acknowledge()

    def clear(self, track: int, t: int) -> Told | None:
        """What an operator's clearing tells; it is not among `changes`."""
        return self.judges[track].clear(t)

    def shelve(self, track: int, until: int) -> None:
        self.judges[track].shelved = until

    def new_epoch(self) -> None:
        for source in [*self.sources, *(meeting.source for meeting in self.meetings)]:
            source.forget_times()
        for judge in self.judges:
            judge.forget_times()
        for meeting in self.meetings:
            meeting.noted = {}

    def levels(self) -> list[int]:
        return [judge.level for judge in self.judges]

    def pending(self) -> list[bool]:
        return [judge.pending() for judge in self.judges]

    def stale(self) -> list[bool]:
        return [source.stale for source in self.sources]

    def features(self) -> list[tuple[int, int, int]]:
        """Of each track: a sum, its covered time and its span; of others the value, and whether it is known."""
        return [judge.feature() for judge in self.judges]
