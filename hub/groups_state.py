"""What group rules remember, and what they decide. Plain data: it is stored as JSON. Times in ms UTC; 0 is never."""

import msgspec

from hub.groups_rules import GroupKind
from tocsin.levels import Authority, Hazard, Stage


class Track(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule at a station, as last heard; `t` is its event time. What is `late` counts for nothing; of a `shelved`
    level that which counted before, `stands`, until its station speaks of it again unshelved or clear. `boot` is the
    run of the station that told it."""

    series: str
    rule: str
    hazard: Hazard
    level: int
    revision: int
    episode: str
    t: int
    late: bool = False
    shelved: bool = False
    stands: int = 0
    boot: str = ""

    @property
    def counted(self) -> int:
        """The level that counts for group rules."""
        if self.late:
            return 0
        return self.stands if self.shelved else self.level


class Seen(msgspec.Struct, frozen=True):
    """A member of a group at its level: `began` and, where it has fallen, `last` are event times."""

    began: int
    last: int
    level: int
    standing: bool


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a group decided: a station (or `group:` and a name), at which level, since when, as which step of a chain.

    In a rule on silence `silent` members are those not heard since `began`, the others their neighbours in alarm.
    `place` is the station's own name.
    """

    station: str
    level: int
    began: int
    step: int = 0
    silent: bool = False
    place: str = ""
    place_zh: str = ""


class Decision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group's level changed, at the time `at` of the hub's log. `value`, `threshold` and `target` are weights, steps
    of a chain, or minutes of silence. `shadow`: it calls nobody. `rebuilt`: found afterwards, from late history."""

    at: int
    group: str
    kind: GroupKind
    hazard: Hazard
    area: str
    level: int
    previous: int
    revision: int
    episode: str
    since: int
    stage: Stage
    authority: Authority
    value: float
    threshold: float
    target: float
    members: list[Member] = []
    hold_s: float = 0.0
    shadow: bool = False
    technical: bool = False
    rebuilt: bool = False
    place: str = ""
    place_zh: str = ""
    text_en: str = ""
    text_zh: str = ""


class Memory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One group. `seen` by pick and station; `on` and `off`: since when a level is reached, or no longer; `latched` are
    the levels that hold. `told` is its last decision; `gone_at`: since when the file has no such rule."""

    seen: dict[str, Seen] = {}
    on: dict[int, int] = {}
    off: dict[int, int] = {}
    latched: list[int] = []
    level: int = 0
    revision: int = 0
    since: int = 0
    episode: str = ""
    hash: str = ""
    told: Decision | None = None
    gone_at: int = 0


class Late(msgspec.Struct, frozen=True):
    """Detections from `first` to `last` were learned of too late, the newest of them at `at`."""

    first: int
    last: int
    at: int


class State(msgspec.Struct, frozen=True):
    """Everything that the next decision depends on. `id` is the last landed record; `tracks` and `stale` by station;
    `heard` of watched stations; `runs` of each station: its newest, in the order in which their starts landed, with the
    lowest number of those."""

    t: int = 0
    id: int = 0
    tracks: dict[str, dict[str, Track]] = {}
    heard: dict[str, int] = {}
    stale: dict[str, dict[str, int]] = {}
    groups: dict[str, Memory] = {}
    late: Late | None = None
    runs: dict[str, dict[str, int]] = {}
