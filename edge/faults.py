"""What is wrong with the station itself: told when it begins and when it ends, once each. Pure.

A fault begins when it was seen for as long as its rule says without a break, and ends when it was not seen for CURE_S.
What cannot be seen now stays as it is.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated

import msgspec

from tocsin.config import Table
from tocsin.faults import Fault, OpenFault
from tocsin.said import Said

CURE_S = 60.0  # what comes and goes within it is one fault

Minutes = Annotated[float, msgspec.Meta(gt=0, le=10_080)]
Count = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class HealthTable(Table, frozen=True):
    """[health]: when something is a fault. All are on; those in `unasked` are not.

    `cpu_c`: a Raspberry Pi slows down from 80 C on, and at 85 C in full. `cabinet_c`: what industrial parts stand.
    """

    sensor_min: Minutes = 10.0
    sensor_periods: Count = 5.0
    bus_min: Minutes = 2.0
    disk_free_mb: Count = 100.0
    clock_min: Minutes = 60.0
    drift_s: Count = 5.0
    battery_min: Minutes = 15.0
    link_min: Minutes = 15.0
    cpu_c: Count = 80.0
    cabinet_c: tuple[float, float] = (-25.0, 65.0)
    unasked: list[Fault] = []

    def __post_init__(self) -> None:
        low, high = self.cabinet_c
        if not -100.0 <= low < high <= 150.0:
            raise ValueError(f"cabinet_c: [{low}, {high}] is not allowed; use [low, high], from -100 to 150, "
                             "low below high")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one thing: what is `wrong` with it in words, None where nothing is; told after `after_s`."""

    fault: Fault
    what: str
    wrong: Said | None
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A fault begins, or has ended."""

    fault: OpenFault
    begins: bool


@dataclass(slots=True)
class _Seen:
    wrong_s: float | None = None  # since when
    well_s: float | None = None
    open: OpenFault | None = None


class Faults:
    """`open` are those that stand, in the order of Fault. Those in `unasked` are never told."""

    def __init__(self, unasked: Collection[Fault] = ()) -> None:
        self._unasked = frozenset(unasked)
        self._seen: dict[tuple[Fault, str], _Seen] = {}

    @property
    def open(self) -> list[OpenFault]:
        """Those that stand."""
        order = list(Fault)
        standing = [(order.index(fault), what, seen.open) for (fault, what), seen in self._seen.items() if seen.open]
        return [one for *_, one in sorted(standing, key=lambda item: item[:2])]

    def judge(self, looks: Iterable[Look], now_s: float, now_ms: int) -> list[Change]:
        """What begins and ends with these looks, at that monotonic second."""
        changes: list[Change] = []
        for look in looks:
            if look.fault in self._unasked:
                continue
            seen = self._seen.setdefault((look.fault, look.what), _Seen())
            wrong = look.wrong
            change = _wrong(seen, look, wrong, now_s, now_ms) if wrong is not None else _well(seen, now_s)
            changes += [change] if change else []
        return changes


def _wrong(seen: _Seen, look: Look, wrong: Said, now_s: float, now_ms: int) -> Change | None:
    seen.well_s = None
    if seen.wrong_s is None:
        seen.wrong_s = now_s
    if seen.open is not None:  # told once; who looks sees how it is now
        seen.open = msgspec.structs.replace(seen.open, detail=wrong.en, zh=wrong.zh)
        return None
    if now_s - seen.wrong_s < look.after_s:
        return None
    seen.open = OpenFault(look.fault, look.what, wrong.en, now_ms, wrong.zh)
    return Change(seen.open, begins=True)


def _well(seen: _Seen, now_s: float) -> Change | None:
    seen.wrong_s = None
    if seen.open is None:
        return None
    if seen.well_s is None:
        seen.well_s = now_s
    if now_s - seen.well_s < CURE_S:
        return None
    ended, seen.open = seen.open, None
    return Change(ended, begins=False)
