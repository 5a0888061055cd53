"""What else somebody should look at: sentences for `Examiner.also`, made of what the parts count and know."""

import time
from collections.abc import Callable, Mapping

from hub.intake import Intake

LATELY_S = 300.0
_BAD = ("restarts", "failed", "damaged", "set aside")
_TRIED_AGAIN = frozenset({"forwarder", "courier", "backup", "downsampler", "intake"})  # and told by what they hold up

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


def of_landing(intake: Intake) -> str:
    """Why nothing lands, or why readings wait at their stations; "" where all land."""
    room = intake.room
    if intake.trouble:
        return f"nothing can be landed: {intake.trouble}"
    if room.short:
        return f"readings wait at their stations: {room.free >> 20} MB are free, landing wants {room.least >> 20} MB"
    return ""
