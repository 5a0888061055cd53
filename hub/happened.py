"""What can happen to a warning: the events that hub.warnings steps it with. They stand in the journal as JSON."""

import msgspec

from hub.model import Gathered
from tocsin.messages import Detection


class EpisodeChanged(msgspec.Struct, frozen=True, tag="episode", tag_field="what", omit_defaults=True):
    """A station's detection, or that of a group rule, which stands for one. `settled`: its clear is already here too.
    Place and position are the station's own. `outlived`: the run that told it ended before that of the episode as it is
    known began."""

    station: str
    area: str
    detection: Detection
    arrived_at: int
    settled: bool = False
    place: str = ""
    place_zh: str = ""
    latitude: float | None = None
    longitude: float | None = None
    technical: bool = False
    group: Gathered | None = None
    outlived: bool = False


class Answered(msgspec.Struct, frozen=True, tag="answered", tag_field="what", omit_defaults=True):
    """A person answered at `at` (ms UTC), by whatever way."""

    person: str
    how: str
    note: str
    at: int


class Confirmed(msgspec.Struct, frozen=True, tag="confirmed", tag_field="what"):
    """A person at the hub takes it on them: people may be moved, and a historic warning is a real one."""

    by: str
    at: int


class Held(msgspec.Struct, frozen=True, tag="held", tag_field="what"):
    """A person at the hub objects: what rules would do by themselves after a time waits for one who confirms."""

    by: str
    at: int


class Tick(msgspec.Struct, frozen=True, tag="tick", tag_field="what"):
    """Time went by."""

    at: int


Event = EpisodeChanged | Answered | Confirmed | Held | Tick
