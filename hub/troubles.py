"""What else somebody should look at: sentences for `Examiner.also`, made of what the parts count and know."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from hub.groups_rules import GROUP, Group
from hub.groups_run import Groups
from hub.intake import Intake

LATELY_S = 300.0
_NAMED = 5
_BAD = ("restarts", "failed", "damaged", "set aside", "dropped", "a defect")
_TRIED_AGAIN = frozenset({"forwarder", "courier", "backup", "downsampler"})  # and told by what they hold up

Counts = Mapping[str, Mapping[str, int]]


class Failures:
    """Parts that fail and go on: told for five minutes after each time."""

    def __init__(self, counts: Callable[[], Counts], real_s: Callable[[], float] = time.monotonic) -> None:
        self._counts = counts
        self._real_s = real_s
        self._known: dict[str, int] = {}
        self._rose_s: dict[str, float] = {}

    def trouble(self) -> str:
        """Such as "failed lately: groups (restarts 3)"; "" where nothing did."""
        now_s = self._real_s()
        for part, events in self._counts().items():
            for event, count in events.items():
                bad = part == "restarts" or (part not in _TRIED_AGAIN and event.endswith(_BAD))
                name = f"{event} (restarts" if part == "restarts" else f"{part} ({event}"
                if bad and count > self._known.get(name, 0):
                    self._known[name], self._rose_s[name] = count, now_s
        lately = [f"{name} {self._known[name]})" for name, at_s in self._rose_s.items() if now_s - at_s < LATELY_S]
        return f"failed lately: {', '.join(sorted(lately))}" if lately else ""


class OfGroups:
    """A file of group rules that is refused, and members that no station of this hub is: they can only be silent."""

    def __init__(self, groups: Groups, stations: Collection[str]) -> None:
        self._groups = groups
        self._stations = stations
        self._rules: Sequence[Group] = ()
        self._members: frozenset[str] = frozenset()

    def trouble(self) -> str:
        """"" where there is none."""
        if self._groups.refused:
            return f"the group rules in force stay: {self._groups.refused}"
        if self._rules is not (rules := self._groups.rules):
            named = {name for group in rules for pick in group.picks for name in pick.stations}
            named |= {name for group in rules for name in group.watched}
            self._rules, self._members = rules, frozenset(name for name in named if not name.startswith(GROUP))
        unknown = sorted(name for name in self._members if name not in self._stations)
        if not unknown:
            return ""
        more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
        return f"group rules name what is not a station of this hub: {', '.join(unknown[:_NAMED])}{more}"


def of_landing(intake: Intake) -> str:
    """Why nothing lands, why readings wait at their stations, or what is set aside; "" where all land."""
    room = intake.room
    if intake.trouble:
        return f"nothing can be landed: {intake.trouble}"
    if room.short:
        return f"readings wait at their stations: {room.free >> 20} MB are free, landing wants {room.least >> 20} MB"
    if intake.aside:
        return f"set aside by a defect of the hub: {intake.aside} records; each start tries them again"
    return ""
