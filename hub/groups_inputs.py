"""What group rules take in: landed records, and the inputs that the hub logs beside them."""

from dataclasses import dataclass
from typing import Any

import msgspec

from hub.groups_state import Track
from tocsin.messages import Detection, Event

TOO_OLD_MS = 30 * 60_000       # on arrival: from then on a raise is history


@dataclass(frozen=True, slots=True)
class Run:
    """A start record of that run of a station, with its number."""

    boot: str
    seq: int


@dataclass(frozen=True, slots=True)
class Landed:
    """One landed record of a station; what it says, where group rules ask for it. `at`: when it arrived, ms UTC."""

    station: str
    at: int
    record: Detection | Event | Run | None = None
    id: int = 0


class Ticked(msgspec.Struct, frozen=True, tag="tick", tag_field="what"):
    """The hub looked at the clock, and something was due."""

    at: int


class Heard(msgspec.Struct, frozen=True, tag="heard", tag_field="what"):
    """A heartbeat, which does not land, of a station that would soon count as silent. `until`: when it came, or until
    when its link said that it sleeps, ms UTC."""

    station: str
    until: int


class Started(msgspec.Struct, frozen=True, tag="start", tag_field="what"):
    """The hub's own start: while it was away it heard nobody, and that is no station's silence."""

    at: int


class Ruled(msgspec.Struct, frozen=True, tag="rules", tag_field="what"):
    """These rules are in force from now on: the file's tables, and the age from which a raise is history.
    `tracks`: what stood already when group rules ran for the first time, and `runs`, as in State."""

    at: int
    tables: dict[str, Any]
    too_old_ms: int = TOO_OLD_MS
    tracks: dict[str, dict[str, Track]] = {}
    runs: dict[str, dict[str, int]] = {}


Input = Landed | Ticked | Heard | Started | Ruled
