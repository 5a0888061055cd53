"""What the hub knows about a warning and its people. Plain data: it is stored as JSON in the journal."""

from enum import StrEnum

import msgspec

from hub.groups_rules import GroupKind
from hub.groups_state import Member
from tocsin.levels import Authority, Hazard, Level, Stage


class Why(StrEnum):
    """The named reason of every decision."""

    FIRST = "first detection"
    HIGHER = "level rose"
    LOWER = "level fell"
    JOINED = "another rule or station joined"
    CLEARED = "every episode is clear"
    REPEAT = "no answer yet"
    ESCALATED = "no answer after the last call; one tier up"
    ANSWERED = "answered"
    CONFIRMED = "a person confirmed"
    HELD = "a person holds it; it waits for one who confirms"
    UNHELD = "nobody held it in time"
    RENEWED = "still in force; said again"
    FAILED = "a channel refused it for good"
    HISTORIC = "raised too long ago on arrival; recorded, not called"
    SHELVED = "shelved at the station; shown, not called"
    UNCHANGED = "nothing that people must know"


class Tier(StrEnum):
    """The chain of responsible people, lowest first."""

    HOUSEHOLD = "household"
    VILLAGE = "village"
    TOWN = "town"
    COUNTY = "county"


class Consent(StrEnum):
    """Where the move of a rule with authority `after` stands."""

    NONE = "none"      # it asks for none
    OPEN = "open"      # a person may hold it until `asked_at` + `hold_s`
    HELD = "held"      # a person has; it waits for one who confirms
    GIVEN = "given"    # nobody has


class WarningState(StrEnum):
    OPEN = "open"
    CLOSED = "closed"


class Gathered(msgspec.Struct, frozen=True):
    """What a group rule of the hub found: its members as evidence, and the rule's own words."""

    kind: GroupKind
    members: list[Member] = []
    text_en: str = ""
    text_zh: str = ""


class Episode(msgspec.Struct, frozen=True):
    """One rule's activation at a station, as last heard. Times are event times in ms UTC.

    `stage` is what the rule asks for; with authority `confirm` a person must agree before it is said to be more than
    `prepare`, with `after` nobody may object for `hold_s` from `asked_at` on (ms UTC of the hub's clock). A historic
    episode was learned of too late: it counts for nothing until it changes live. `place` and the position (degrees,
    WGS 84) are the station's own words; `feature`, `value`, `threshold` and `target` as in the detection. `boot` is the
    run of the station that told it. A shelved one is shown; of it counts only what was said before, `stands` and
    `stands_stage`. `group`: it is not a station's, but of one of the hub's group rules.
    """

    id: str
    station: str
    series: str
    rule: str
    level: int
    revision: int
    stage: Stage
    since: int
    changed_at: int
    value: float
    threshold: float
    over_s: int = 0
    authority: Authority = Authority.AUTO
    historic: bool = False
    place: str = ""
    place_zh: str = ""
    latitude: float | None = None
    longitude: float | None = None
    feature: str = "value"
    target: float | None = None
    hold_s: float = 0.0
    asked_at: int = 0
    consent: Consent = Consent.NONE
    boot: str = ""
    shelved: bool = False
    group: Gathered | None = None
    stands: int = 0
    stands_stage: Stage = Stage.WATCH

    @property
    def counts(self) -> bool:
        """Whether people are called for it."""
        return self.level > 0 and not self.historic and not self.shelved

    @property
    def counted(self) -> int:
        """The level that people have been told of, or must be; 0 where it counts for nothing."""
        if self.historic:
            return 0
        return self.stands if self.shelved else self.level


class Call(msgspec.Struct, frozen=True):
    """One responsible person in one warning. Times in ms UTC; 0 is never."""

    person: str
    role: str
    tier: Tier
    level: int
    first_at: int
    last_at: int
    times: int
    answered_at: int = 0
    how: str = ""
    note: str = ""


class Warning(msgspec.Struct, frozen=True):  # noqa: A001 - the field's word
    """One or more episodes of one hazard in one area, run until answered and closed.

    `level` and `stage` are the highest of the episodes now, `peak` the highest ever. `episodes` and `earlier` are by
    station/series/rule; `earlier` are those that were clear before this warning, kept so that a late repeat of them
    raises nothing. `rose_at` is the event time of the last rise: an answer from before it answers something lower.
    `held_by` is who last held a move with authority `after`, `confirmed_by` who moved people. `said[i]` is when
    `bulletins[i]` was said. A technical one calls those on duty alone, and says nothing. Times in ms UTC; 0 is never.
    """

    id: str
    area: str
    hazard: Hazard
    state: WarningState
    level: int
    peak: int
    stage: Stage
    opened_at: int
    changed_at: int
    closed_at: int = 0
    historic: bool = False
    episodes: dict[str, Episode] = {}
    calls: dict[str, Call] = {}
    bulletins: list[str] = []
    said: list[int] = []
    earlier: dict[str, Episode] = {}
    rose_at: int = 0
    confirmed_at: int = 0
    confirmed_by: str = ""
    held_at: int = 0
    held_by: str = ""
    technical: bool = False

    @property
    def colour(self) -> Level:
        return Level(self.level)
