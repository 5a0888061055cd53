"""Group rules for the tests of the hub: rules from text, rows of a log by the clock, and a plain loop that is slow."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from hub.groups import Rebuild, run
from hub.groups_file import groups_of
from hub.groups_inputs import Input, Landed, Ruled
from hub.groups_rules import Group, GroupKind, Pick
from hub.groups_state import Decision, State
from tests.village import BOOT, at, detection
from tocsin.events import EventKind
from tocsin.levels import Hazard, Level
from tocsin.messages import Detection, Event

AREA = "330112100201"
TOO_OLD_MS = 30 * 60_000
STEP_MS = 10_000    # of the plain loop: every time in its worlds is a whole number of them

COINCIDENCE = f"""
[[group]]
name = "rain net"
kind = "coincidence"
hazard = "flood"
area = "{AREA}"
stations = ["a", "b", "c"]
at = "yellow"
over_min = 30
yellow = 2
red = 3
off_delay_min = 10
"""
CHAIN = f"""
[[group]]
name = "down the valley"
kind = "chain"
hazard = "slope"
area = "{AREA}"
off_delay_min = 5
[[group.step]]
stations = ["a", "b"]
quantity = "rain_mm"
at = "orange"
level = "blue"
travel_min = [10, 60]
[[group.step]]
stations = ["c"]
at = "yellow"
level = "orange"
travel_min = [0, 20]
"""
SILENCE = f"""
[[group]]
name = "who is silent"
kind = "silence"
hazard = "flood"
area = "{AREA}"
stations = ["a", "b", "c"]
silent_min = 10
off_delay_min = 1
"""


def groups(text: str) -> tuple[Group, ...]:
    return groups_of(tomllib.loads(text), "groups.toml")


def row(
    station: str, level: Level, when: str, revision: int, *, arrived: str = "", series: str = "gauge/rain_mm",
    rule: str = "rain 1 h", episode: str = "e1", hazard: Hazard = Hazard.FLOOD, shelved: bool = False, boot: str = BOOT,
) -> Landed:  # fmt: skip
    found = detection(level, when, revision, rule=rule, episode=episode, hazard=hazard, series=series, boot=boot)
    return Landed(station, at(arrived or when), msgspec.structs.replace(found, shelved=shelved))


def stale(station: str, when: str, *, fresh: bool = False, series: str = "gauge/rain_mm") -> Landed:
    what = EventKind.FRESH if fresh else EventKind.STALE
    return Landed(station, at(when), Event("b", 1, at(when), what, "", series=series))


@dataclass
class Net:
    """Runs rules on rows as they come, and keeps what was decided."""

    rules: tuple[Group, ...]
    state: State = field(default_factory=State)
    decided: list[Decision] = field(default_factory=list)
    asked: list[Rebuild] = field(default_factory=list)

    @classmethod
    def of(cls, text: str, start: str = "14:00") -> "Net":
        net = cls(groups(text))
        net.takes(Ruled(at(start), {}))
        return net

    def takes(self, *inputs: Input) -> list[Decision]:
        """What these inputs made it decide."""
        before = len(self.decided)
        self.state, actions = run(self.state, inputs, self.rules, TOO_OLD_MS)
        for action in actions:
            if isinstance(action, Decision):
                self.decided.append(action)
            else:
                self.asked.append(action)
        return self.decided[before:]

    def levels(self) -> list[tuple[str, int, int]]:
        return [(one.group, one.at, one.level) for one in self.decided]


# --- the plain loop -------------------------------------------------------------------------------------------------


@dataclass
class Plain:
    """One group, looked at each time anew over the whole log: nothing is remembered but which levels hold."""

    group: Group
    rows: list[tuple[int, Landed]] = field(default_factory=list)
    held: set[int] = field(default_factory=set)
    on: dict[int, int] = field(default_factory=dict)
    off: dict[int, int] = field(default_factory=dict)
    begun: int = 0

    def spans(self, pick: Pick, station: str, now: int) -> list[tuple[int, int, int, bool]]:
        """(began, last, level, standing): each time it stood at the level, what lies close together as one."""
        found: list[tuple[int, int, int, bool]] = []
        tracks: dict[str, Detection] = {}
        standing, began = False, 0
        for arrived, landed in self.rows:
            one = landed.record
            if landed.station != station or not isinstance(one, Detection):
                continue
            tracks[one.rule] = one
            mine = [t for t in tracks.values() if pick.counts(t.series, t.rule, t.hazard)]
            level = max((t.level for t in mine), default=0)
            stands = level >= (pick.until if standing else pick.at)
            if stands and not standing:
                when = min(arrived, max(t.t for t in mine if t.level >= pick.at))
                began = found.pop()[0] if found and when - found[-1][1] < pick.to_ms else when
            if standing and not stands:
                found.append((began, min(arrived, max(t.t for t in mine)), 0, False))
            standing = stands
            top = level
        if standing:
            found.append((began, now, top, True))
        return found

    def active(self, pick: Pick, now: int) -> list[tuple[str, int, int, int, bool]]:
        newest = [(station, *spans[-1]) for station in pick.stations if (spans := self.spans(pick, station, now))]
        return [one for one in newest if one[4] or now - one[2] < pick.to_ms]

    def value(self, now: int) -> int:
        match self.group.kind:
            case GroupKind.COINCIDENCE:
                return sum(self.group.weights[one[0]] for one in self.active(self.group.picks[0], now))
            case GroupKind.CHAIN:
                return self.chain(now)
            case GroupKind.SILENCE:
                return self.silence(now)

    def chain(self, now: int) -> int:
        value, before = 0, list[tuple[str, int, int, int, bool]]()
        for number, pick in enumerate(self.group.picks):
            here = self.active(pick, now)
            if number:
                cause = self.group.picks[number - 1]
                here = [b for b in here
                        if any(b[2] >= a[1] + cause.from_ms and b[1] <= a[2] + cause.to_ms for a in before)]
            if not here:
                break
            value, before = int(pick.level), here
        return value

    def silence(self, now: int) -> int:
        value = 0
        for station in self.group.watched:
            heard = max([self.begun, *(arrived for arrived, landed in self.rows if landed.station == station)])
            if now - heard < self.group.silent_ms:
                continue
            near = [one[3] for one in self.active(self.group.picks[0], now) if one[4] and one[0] != station]
            value = max(value, min(4, max(max(near), self.group.alone + 1)) if near else int(self.group.alone))
        return value

    def level(self, now: int) -> int:
        value = self.value(now)
        for own in self.group.levels:
            level = int(own.level)
            if value >= own.on:
                self.on.setdefault(level, now)
                if now - self.on[level] >= self.group.on_delay_ms:
                    self.held.add(level)
            else:
                self.on.pop(level, None)
            if level in self.held and value < own.off:
                self.off.setdefault(level, now)
                if now - self.off[level] >= self.group.off_delay_ms:
                    self.held.discard(level)
                    del self.off[level]
            else:
                self.off.pop(level, None)
        return max(self.held, default=0)


def plain_loop(group: Group, rows: Sequence[Landed], begin: int, end: int) -> list[tuple[int, int]]:
    """(time, level) of each change, from looking at every step of time and after each row."""
    by_time: dict[int, list[Landed]] = {}
    for one in rows:
        by_time.setdefault(one.at, []).append(one)
    loop, level, found = Plain(group, begun=begin), 0, list[tuple[int, int]]()
    for now in range(begin, end + 1, STEP_MS):
        for landed in [None, *by_time.get(now, [])]:
            if landed is not None:
                loop.rows.append((now, landed))
            if (new := loop.level(now)) != level:
                level = new
                found.append((now, level))
    return found
