"""What programs are given. Every time is a number, ms since 1970 UTC, and null is never."""

import msgspec

from hub.groups_rules import GroupKind
from hub.model import Tier, WarningState
from tocsin.faults import OpenFault
from tocsin.levels import Authority, Hazard, Stage
from tocsin.messages import Bulletin, DeviceHealth, Heartbeat, StationCard


class SeriesOut(msgspec.Struct, frozen=True):
    """One series of a station and its newest value; null where there is none. `quality`: bits, 0 is good."""

    device: str
    quantity: str
    unit: str
    period_s: float
    freshness: str
    t: int | None = None
    value: float | None = None
    quality: int | None = None


class StationOut(msgspec.Struct, frozen=True):
    """One station. `heard_at` is null before its first word. `faults` are of its devices, `ills` of itself.

    `card` is what the station said of itself when it started, with its series and rules; null before that.
    """

    id: str
    name: str
    name_zh: str
    area: str
    latitude: float | None
    longitude: float | None
    freshness: str
    offline: bool
    heard_at: int | None
    faults: list[DeviceHealth]
    ills: list[OpenFault]
    power: str
    series: list[SeriesOut]
    card: StationCard | None


class StationsOut(msgspec.Struct, frozen=True):
    """By id. `next` goes into `after` for the page behind this one; null on the last. `tocsin dashboards --stations`
    takes such a file."""

    stations: list[StationOut]
    next: str | None


class StationWhole(msgspec.Struct, frozen=True):
    """`heartbeat` is the station's newest word about its health, as it came; null before the first."""

    station: StationOut
    heartbeat: Heartbeat | None


class QuantityOut(msgspec.Struct, frozen=True):
    """A kind of measurement. `plausible`: the widest range, in `unit`; `increments`: a running total of it."""

    name: str
    unit: str
    en: str
    zh: str
    hazard: Hazard
    plausible: tuple[float, float]
    increments: str | None


class QuantitiesOut(msgspec.Struct, frozen=True):
    """All that this hub knows."""

    quantities: list[QuantityOut]


class LatestPoint(msgspec.Struct, frozen=True):
    """The newest reading of one series, in `unit`. `quality`: bits, 0 is good."""

    station: str
    device: str
    quantity: str
    unit: str
    t: int
    value: float
    quality: int


class LatestOut(msgspec.Struct, frozen=True):
    """By station, device and quantity."""

    points: list[LatestPoint]
    next: str | None


class PointsOut(msgspec.Struct, frozen=True):
    """`points` are [time, value in `unit`] with start <= time < end, in order.

    They are all readings, or, of more than were asked for (`thinned`), the lowest and the highest of each of at most
    `most` / 2 equal stretches of the time, each at its own time: no peak is lost, and no value is made up.
    """

    station: str
    device: str
    quantity: str
    unit: str
    start: int
    end: int
    thinned: bool
    points: list[tuple[int, float]]


class ReadingsOut(msgspec.Struct, frozen=True):
    """`readings` are [time, value in `unit`, quality bits] with start <= time < end, in order, none left out."""

    station: str
    device: str
    quantity: str
    unit: str
    start: int
    end: int
    readings: list[tuple[int, float, int]]
    next: str | None


class MemberOut(msgspec.Struct, frozen=True):
    """What a rule over several stations looked at: a station, or another such rule as `group:` and its name; its level
    and since when. `step` of a chain, null elsewhere. `silent`: not heard since then."""

    station: str
    level: int
    since: int
    step: int | None
    silent: bool


class EpisodeOut(msgspec.Struct, frozen=True):
    """One rule's activation at a station, as last heard; levels are 0 clear, 1 blue, 2 yellow, 3 orange, 4 red.

    `since` is the reading it began with, `cleared_at` null while it lasts. `value` (of `feature`) was compared with
    `threshold`. A `historic` one was learned of too late, and called nobody. Of a rule over several stations `station`
    is `group:` and its name, and `members` are its evidence.
    """

    episode: str
    warning: str
    station: str
    series: str
    rule: str
    hazard: Hazard
    area: str
    level: int
    peak: int
    stage: Stage
    authority: Authority
    revision: int
    since: int
    changed_at: int
    cleared_at: int | None
    feature: str
    value: float
    threshold: float
    target: float | None
    over_s: int
    historic: bool
    members: list[MemberOut]


class EpisodesOut(msgspec.Struct, frozen=True):
    """Those that the hub heard of last stand first."""

    episodes: list[EpisodeOut]
    next: str | None


class DecisionOfGroup(msgspec.Struct, frozen=True):
    """The level of a rule over several stations changed at `t`. `value`, `threshold` and `target` are weights, steps of
    a chain, or minutes of silence. `shadow`: it calls nobody. `technical`: it calls those on duty alone. `rebuilt`:
    found afterwards from late history, and calls nobody."""

    t: int
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
    shadow: bool
    technical: bool
    rebuilt: bool
    members: list[MemberOut]


class GroupsOut(msgspec.Struct, frozen=True):
    """Those decided last stand first."""

    decisions: list[DecisionOfGroup]
    next: str | None


class CallOut(msgspec.Struct, frozen=True):
    """One person who must answer, and whether they have."""

    person: str
    role: str
    tier: Tier
    level: int
    first_at: int | None
    last_at: int | None
    times: int
    answered_at: int | None
    how: str
    note: str


class WarningOut(msgspec.Struct, frozen=True):
    """One or more episodes of one hazard in one area. `level` and `stage` are the highest now, `peak` the highest ever.

    `episodes` name the newest of each rule, `stations` every station behind them. Times are by the hub's clock.
    """

    id: str
    area: str
    hazard: Hazard
    status: WarningState
    level: int
    peak: int
    stage: Stage
    opened_at: int
    changed_at: int
    closed_at: int | None
    historic: bool
    confirmed_at: int | None
    confirmed_by: str
    held_at: int | None
    held_by: str
    episodes: list[str]
    stations: list[str]
    calls: list[CallOut]
    bulletins: list[str]


class WarningsOut(msgspec.Struct, frozen=True):
    """Those opened last stand first."""

    warnings: list[WarningOut]
    next: str | None


class DecisionOut(msgspec.Struct, frozen=True):
    """Something that was decided, and why, written down before it was done; what happened, in English and Chinese."""

    t: int
    why: str
    why_zh: str
    detail: str
    detail_zh: str


class WarningWhole(msgspec.Struct, frozen=True):
    """`journal` and `said` (the bulletins) are oldest first."""

    warning: WarningOut
    journal: list[DecisionOut]
    said: list[Bulletin]


class HealthNow(msgspec.Struct, frozen=True):
    """`status` is "ok", "not ready" (as /readyz; `reasons` say why the hub cannot do its work) or "store away".
    `troubles`: it can do it, but somebody should look. `waiting`: landed records that desk or store have not worked
    through; null like `open_warnings` where the hub's database does not answer. `counts` since the hub's start."""

    status: str
    hub: str
    version: str
    now: int
    ready: bool
    reasons: list[str]
    troubles: list[str]
    store: bool
    waiting: int | None
    stations: int
    open_warnings: int | None
    counts: dict[str, int]
