"""What each kind of group finds in its members now, and when time alone may change that. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from hub.groups_rules import SCALE, Group, GroupKind, Pick
from hub.groups_state import Member, Memory, Seen, Track
from tocsin.levels import Level

Tracks = Mapping[str, Mapping[str, Track]]
Heard = Mapping[str, int]
Stale = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What people are told: `said` of `most`, and who."""

    said: float = 0.0
    most: float = 0.0
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reach:
    """`value` is compared with the levels. `evidence` is asked for only where that decides something: a group may have
    thousands of members."""

    value: int
    evidence: Callable[[], Evidence]


def observed(group: Group, memory: Memory, places: Iterable[tuple[int, str]], tracks: Tracks, now: int) -> Memory:
    """With what the tracks of these members say now: pick and station. Event times, but none after now."""
    new = {}
    for number, station in places:
        pick, key = group.picks[number], f"{number}/{station}"
        before = memory.seen.get(key)
        after = _seen(pick, before, tracks.get(station, {}), now)
        if after is not None and after is not before:
            new[key] = after
    return msgspec.structs.replace(memory, seen=memory.seen | new) if new else memory


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
    travels = any(pick.from_ms for pick in group.picks)
    for key, seen in memory.seen.items():
        if travels or not seen.standing:
            pick = group.picks[int(key.partition("/")[0])]
            yield seen.began + pick.from_ms
            if not seen.standing:
                yield seen.last + pick.to_ms
    if group.watched:
        yield from [heard[station] + group.silent_ms for station in group.watched if station in heard]
        yield from (t + group.silent_ms for station in _stale_of(group, stale) for t in _stale(group, stale[station]))


def _coincidence(group: Group, memory: Memory, now: int) -> Reach:
    pick = group.picks[0]
    weight = sum([group.weights[key.partition("/")[2]] for key, seen in memory.seen.items()
                  if seen.standing or now - seen.last < pick.to_ms])

    def evidence() -> Evidence:
        members = [Member(station, seen.level, seen.began)
                   for station, seen in _active(pick, memory, now).items()]
        return Evidence(weight / SCALE, sum(group.weights.values()) / SCALE, members)

    return Reach(weight, evidence)


def _chain(group: Group, memory: Memory, now: int) -> Reach:
    """How far the chain has come: each step must be met in the time that the one before it takes to arrive."""
    level, steps = Level.CLEAR, list[dict[str, Seen]]()
    for number, pick in enumerate(group.picks):
        active = _active(pick, memory, now)
        if number:
            cause, before = group.picks[number - 1], steps[-1]
            active = {station: seen for station, seen in active.items()
                      if any(_follows(earlier, seen, cause, now) for earlier in before.values())}
        if not active:
            break
        level = pick.level
        steps.append(active)

    def evidence() -> Evidence:
        members = [Member(station, seen.level, seen.began, step=done)
                   for done, active in enumerate(steps, 1) for station, seen in active.items()]
        return Evidence(float(len(steps)), float(len(group.picks)), members)

    return Reach(int(level), evidence)


def _follows(earlier: Seen, seen: Seen, cause: Pick, now: int) -> bool:
    """Whether it stood at a time at which what the earlier one sent was arriving."""
    until = now if seen.standing else seen.last
    sent_until = now if earlier.standing else earlier.last
    return until >= earlier.began + cause.from_ms and seen.began <= sent_until + cause.to_ms


def _silence(group: Group, memory: Memory, heard: Heard, stale: Stale, now: int) -> Reach:
    """The alarm has the level of the highest neighbour, and is a step above what silence alone is."""
    least = now - group.silent_ms
    stuck = _stale_of(group, stale)
    silent = [station for station in group.watched if heard.get(station, now) <= least or station in stuck]
    since = {station: min(found) for station in silent
             if (found := [t for t in _signs(group, station, heard, stale) if t <= least])}
    if not since:
        return Reach(0, Evidence)
    alarmed = {station: seen for station, seen in _active(group.picks[0], memory, now).items() if seen.standing}
    order = sorted(alarmed, key=lambda name: -alarmed[name].level)[:2]    # a station is not its own neighbour
    levels = {}
    for station in since:
        highest = next((alarmed[name].level for name in order if name != station), 0)
        own = min(max(highest, group.alone + 1), Level.RED) if highest else int(group.alone)
        if own:
            levels[station] = own

    def evidence() -> Evidence:
        members = [Member(station, own, since[station], silent=True) for station, own in levels.items()]
        near = alarmed if len(levels) > 1 else {name: seen for name, seen in alarmed.items() if name not in levels}
        members += [Member(name, seen.level, seen.began) for name, seen in near.items() if levels]
        minutes = max(((now - since[station]) / 60_000 for station in levels), default=0.0)
        return Evidence(round(minutes, 1), float(len(group.watched)), members)

    return Reach(max(levels.values(), default=0), evidence)


def _signs(group: Group, station: str, heard: Heard, stale: Stale) -> Iterator[int]:
    """Since when the station is not heard, and its series that the rule names, or any, are stale."""
    if station in heard:
        yield heard[station]
    yield from _stale(group, stale.get(station, {}))


def _stale(group: Group, found: Mapping[str, int]) -> Iterator[int]:
    for series, t in found.items():
        if not group.quantity or series.rpartition("/")[2] == group.quantity:
            yield t


def _stale_of(group: Group, stale: Stale) -> set[str]:
    """Watched stations with anything stale: mostly none."""
    found = {station for station, series in stale.items() if series}
    return found.intersection(group.watched) if found else found


def _active(pick: Pick, memory: Memory, now: int) -> dict[str, Seen]:
    found = {}
    for station, key in zip(pick.stations, pick.keys, strict=True):
        seen = memory.seen.get(key)
        if seen is not None and (seen.standing or now - seen.last < pick.to_ms):
            found[station] = seen
    return found
