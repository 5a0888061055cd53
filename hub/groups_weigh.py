"""What each kind of group finds in its members now, and when time alone may change that. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from hub.groups_rules import SCALE, Group, GroupKind, Pick
from hub.groups_state import Member, Memory, Seen, Track
from tocsin.levels import Level

Tracks = Mapping[str, Mapping[str, Track]]
Heard = Mapping[str, int]
Stale = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Reach:
    """`value` is compared with the levels; `said` of `most` is what people are told."""

    value: int
    said: float = 0.0
    most: float = 0.0
    members: list[Member] = field(default_factory=list)


def observed(group: Group, memory: Memory, tracks: Tracks, now: int) -> Memory:
    """With what its members' tracks say now. Event times, but none after now."""
    seen = dict(memory.seen)
    for number, pick in enumerate(group.picks):
        for station in pick.stations:
            key = f"{number}/{station}"
            after = _seen(pick, seen.get(key), tracks.get(station, {}), now)
            if after is not None:
                seen[key] = after
    return msgspec.structs.replace(memory, seen=seen) if seen != memory.seen else memory


def _seen(pick: Pick, before: Seen | None, tracks: Mapping[str, Track], now: int) -> Seen | None:
    mine = [one for one in tracks.values() if not one.late and pick.counts(one.series, one.rule, one.hazard)]
    level = max((one.counted for one in mine), default=0)
    standing = level >= (pick.until if before is not None and before.standing else pick.at)
    if standing and before is not None and before.standing:
        return before if before.level == level else msgspec.structs.replace(before, level=level)
    if standing:
        when = min(now, max(one.t for one in mine if one.counted >= pick.at))
        again = before is not None and when - before.last < pick.to_ms    # the same event, not another one
        return Seen(before.began if again and before else when, when, level, standing=True)
    if before is None or not before.standing:
        return before
    return Seen(before.began, min(now, max((one.t for one in mine), default=now)), before.level, standing=False)


def reach_of(group: Group, memory: Memory, heard: Heard, stale: Stale, now: int) -> Reach:
    match group.kind:
        case GroupKind.COINCIDENCE:
            return _coincidence(group, memory, now)
        case GroupKind.CHAIN:
            return _chain(group, memory, now)
        case GroupKind.SILENCE:
            return _silence(group, memory, heard, stale, now)


def due_of(group: Group, memory: Memory, heard: Heard, stale: Stale) -> Iterator[int]:
    """Moments at which time alone may change something, past ones among them."""
    yield from (t + group.on_delay_ms for t in memory.on.values())
    yield from (t + group.off_delay_ms for t in memory.off.values())
    for key, seen in memory.seen.items():
        pick = group.picks[int(key.partition("/")[0])]
        if not seen.standing:
            yield seen.last + pick.to_ms
        if pick.from_ms:
            yield seen.began + pick.from_ms
    for station in group.watched:
        yield from (t + group.silent_ms for t in _signs(group, station, heard, stale))


def _coincidence(group: Group, memory: Memory, now: int) -> Reach:
    active = _active(group.picks[0], 0, memory, now)
    weight = sum(group.weights[station] for station in active)
    members = [Member(station, seen.level, seen.began) for station, seen in active.items()]
    return Reach(weight, weight / SCALE, sum(group.weights.values()) / SCALE, members)


def _chain(group: Group, memory: Memory, now: int) -> Reach:
    """How far the chain has come: each step must be met in the time that the one before it takes to arrive."""
    level, members = Level.CLEAR, list[Member]()
    before: dict[str, Seen] = {}
    done = 0
    for number, pick in enumerate(group.picks):
        active = _active(pick, number, memory, now)
        if number:
            cause = group.picks[number - 1]
            active = {station: seen for station, seen in active.items()
                      if any(_follows(earlier, seen, cause, now) for earlier in before.values())}
        if not active:
            break
        level, done = pick.level, number + 1
        members += [Member(station, seen.level, seen.began, step=done) for station, seen in active.items()]
        before = active
    return Reach(int(level), float(done), float(len(group.picks)), members)


def _follows(earlier: Seen, seen: Seen, cause: Pick, now: int) -> bool:
    """Whether it stood at a time at which what the earlier one sent was arriving."""
    until = now if seen.standing else seen.last
    sent_until = now if earlier.standing else earlier.last
    return until >= earlier.began + cause.from_ms and seen.began <= sent_until + cause.to_ms


def _silence(group: Group, memory: Memory, heard: Heard, stale: Stale, now: int) -> Reach:
    """The alarm has the level of the highest neighbour, and is a step above what silence alone is."""
    alarmed = {station: seen for station, seen in _active(group.picks[0], 0, memory, now).items() if seen.standing}
    level, minutes = 0, 0.0
    members, near = list[Member](), set[str]()
    for station in group.watched:
        since = [t for t in _signs(group, station, heard, stale) if now - t >= group.silent_ms]
        if not since:
            continue
        neighbours = {name: seen for name, seen in alarmed.items() if name != station}
        highest = max((seen.level for seen in neighbours.values()), default=0)
        own = min(max(highest, group.alone + 1), Level.RED) if highest else int(group.alone)
        if own:
            members.append(Member(station, own, min(since), silent=True))
            near |= neighbours.keys()
            level, minutes = max(level, own), max(minutes, (now - min(since)) / 60_000)
    members += [Member(name, seen.level, seen.began) for name, seen in alarmed.items() if name in near]
    return Reach(level, round(minutes, 1), float(len(group.watched)), members)


def _signs(group: Group, station: str, heard: Heard, stale: Stale) -> Iterator[int]:
    """Since when the station is not heard, and its series that the rule names, or any, are stale."""
    if station in heard:
        yield heard[station]
    for series, t in stale.get(station, {}).items():
        if not group.quantity or series.rpartition("/")[2] == group.quantity:
            yield t


def _active(pick: Pick, number: int, memory: Memory, now: int) -> dict[str, Seen]:
    found = {}
    for station in pick.stations:
        seen = memory.seen.get(f"{number}/{station}")
        if seen is not None and (seen.standing or now - seen.last < pick.to_ms):
            found[station] = seen
    return found
