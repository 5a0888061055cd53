"""The specification of other rules at work: docs/detection.md, 8, where every reading since the start is at hand."""

from dataclasses import replace

from tests.golden_kernel import Golden, Meeting
from tests.golden_tracks import Judge
from thresholds.kernel import Block
from thresholds.parts import named
from thresholds.plan import Plan
from thresholds.rule import Rule
from thresholds.series import Series


def reloaded(old: Golden, plan: Plan, history: Block, station: str) -> Golden:
    """A loop of `plan` that goes on from `old`. What is the same is kept; what is new has taken the history."""
    new = Golden(plan, station)
    for row in range(len(history.now_ms)):
        new.row(history.t_ms[row].tolist(), history.raw[row].tolist(), history.quality[row].tolist(),
                int(history.now_ms[row]))
    _sources(old, new)
    meetings = {meeting.group.series: meeting for meeting in old.meetings}
    same = {meeting.group.series for meeting in new.meetings if _same(meeting, meetings.get(meeting.group.series))}
    new.meetings = [_kept(old, new, meeting, meetings[meeting.group.series]) if meeting.group.series in same
                    else meeting for meeting in new.meetings]
    judges = {named(judge.track): judge for judge in old.judges}
    for k, judge in enumerate(new.judges):
        before = judges.get(named(judge.track))
        if before is not None and _whole(before.track.rule) == _whole(judge.track.rule) and _stays(old, new, k, same):
            before.track = judge.track
            new.judges[k] = before
        else:
            _carry(before, judge)
    for meeting in new.meetings:
        meeting.judge = next(one for one in new.judges if one.track.series_index == meeting.judge.track.series_index)
    new.changes, new.freshness = old.changes, old.freshness
    return new


def _sources(old: Golden, new: Golden) -> None:
    there = {source.series.key: source for source in old.sources}
    ended, new.rained = new.rained, old.rained
    for i, source in enumerate(new.sources):
        before = there.get(source.series.key)
        if before is not None and (before.series, before.check) == (source.series, source.check):
            new.sources[i] = before
            if source.series.key in new.rained_at:
                new.rained_at[source.series.key] = old.rained_at[source.series.key]
            continue
        if source.series.key in new.rained_at:
            new.rained_at[source.series.key] += new.rained - ended
        if before is not None:
            times = [one for one in (source.last_t, before.last_t) if one is not None]
            source.last_t, source.stale = max(times, default=None), before.stale
            source.unconfirmed = before.unconfirmed
    new.gauges = [source for source in new.sources if source.series.summed]


def _same(meeting: Meeting, before: Meeting | None) -> bool:
    return before is not None and before.group.rule == meeting.group.rule


def _kept(old: Golden, new: Golden, meeting: Meeting, before: Meeting) -> Meeting:
    """Members are known by name: they stand at other places under other rules."""
    noted = {named(old.judges[member].track): t for member, t in before.noted.items()}
    was = {named(old.judges[member].track) for member, _ in before.group.members}
    here = {member: named(new.judges[member].track) for member, _ in meeting.group.members}
    kept = {member: noted[name] for member, name in here.items() if name in noted}
    fresh = {member: t for member, t in meeting.noted.items() if here[member] not in was}
    return replace(meeting, source=before.source, noted=fresh | kept)


def _stays(old: Golden, new: Golden, k: int, same: set[Series]) -> bool:
    series = new.judges[k].track.series
    return series in same or any(source is before for source in new.sources for before in old.sources
                                 if source.series == series)


def _whole(rule: Rule) -> Rule:
    """For one device or for all: on its series it is the same rule."""
    return replace(rule, device="")


def _carry(before: Judge | None, judge: Judge) -> None:
    """A new rule raises nothing; one of a name that was active stays active."""
    judge.told = judge.revision = judge.since = 0
    judge.cleared = judge.shelved = None
    for latch in judge.latches:
        latch.active = latch.acknowledged = False
    if before is None:
        return
    judge.since, judge.cleared, judge.shelved = before.since, before.cleared, before.shelved
    levels = [int(latch.rule.level) for latch in judge.latches]
    for was in sorted((latch for latch in before.latches if latch.active), key=lambda latch: latch.rule.level):
        stays = max((one for one in levels if one <= was.rule.level), default=min(levels))
        latch = next(one for one in judge.latches if one.rule.level == stays)
        latch.active = True
        if stays == was.rule.level:
            latch.acknowledged = was.acknowledged
    judge.told = judge.level
    judge.revision = before.revision + int(judge.level != before.level)
    judge.episode = before.episode
