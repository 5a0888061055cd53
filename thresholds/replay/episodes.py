"""Episodes: what one rule said of one series, from the raise to the clear, however it became known."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from thresholds.plan import Track
from thresholds.rule import Feature
from thresholds.tell import Change
from tocsin.levels import Authority, Level, Stage
from tocsin.messages import Detection
from tocsin.quantities import QUANTITIES

AN_HOUR = frozenset({Feature.RATE, Feature.SLOPE})


@dataclass(frozen=True, slots=True)
class Told:
    """One change of level, as it was told. `value` decided, against `threshold`, both in the unit of the feature."""

    t_ms: int
    level: Level
    previous: Level
    revision: int
    value: float
    threshold: float
    stage: Stage
    authority: Authority
    hold_s: float = 0.0
    shelved: bool = False


@dataclass(frozen=True, slots=True)
class Peak:
    """The worst that the feature became, in its unit, and when."""

    value: float
    t_ms: int


@dataclass(frozen=True, slots=True)
class Episode:
    """`id` is the same at the station, at the hub and in a replay; `since_ms` the first qualifying reading.

    `track` is None where only detections are known.
    """

    station: str
    id: str
    rule: str
    series: str
    quantity: str
    feature: Feature
    over_s: int
    since_ms: int
    told: tuple[Told, ...]
    track: Track | None = None
    peak: Peak | None = None

    @property
    def raised_ms(self) -> int:
        return self.told[0].t_ms

    @property
    def cleared_ms(self) -> int | None:
        """None while it lasts."""
        return self.told[-1].t_ms if self.told[-1].level is Level.CLEAR else None

    @property
    def level(self) -> Level:
        """The highest that was reached."""
        return max(one.level for one in self.told)

    @property
    def evidence(self) -> Told:
        """The change that first reached that level."""
        return next(one for one in self.told if one.level is self.level)

    @property
    def unit(self) -> str:
        return unit_of(self.feature, self.quantity)


def unit_of(feature: Feature, quantity: str) -> str:
    """The unit of what a rule compares, "" for the weight of a coincidence."""
    if feature in {Feature.TIME_TO, Feature.COINCIDENCE}:
        return "min" if feature is Feature.TIME_TO else ""
    unit = QUANTITIES[quantity].unit if quantity in QUANTITIES else ""
    return f"{unit}/h" if feature in AN_HOUR else unit


def episodes_of(station: str, changes: Iterable[Change]) -> list[Episode]:
    """The episodes of a station's changes, in order of their raise."""
    found: dict[str, Episode] = {}
    for change in changes:
        rule = change.track.rule
        _add(found, change.episode, _told(change), Episode(
            station, change.episode, rule.name, change.track.series.key, rule.quantity, rule.feature, rule.over_s,
            change.since_ms, (), change.track))
    return sorted(found.values(), key=lambda one: one.raised_ms)


def episodes_told(
    station: str, detections: Iterable[Detection], quantities: Mapping[str, str] | None = None
) -> list[Episode]:
    """The episodes that an agent's own log tells of, in order of their raise; `quantities`: of rules, by their name."""
    found: dict[str, Episode] = {}
    for one in detections:
        told = Told(one.t, Level(one.level), Level(one.previous), one.revision, one.value, one.threshold, one.stage,
                    one.authority, one.hold_s, one.shelved)
        quantity = (quantities or {}).get(one.rule) or one.series.rpartition("/")[2]
        _add(found, one.episode, told, Episode(
            station, one.episode, one.rule, one.series, quantity, Feature(one.feature), one.over_s, one.since, ()))
    return sorted(found.values(), key=lambda one: one.raised_ms)


def _told(change: Change) -> Told:
    return Told(change.t_ms, change.level, change.previous, change.revision, change.value, change.threshold,
                change.stage, change.authority, change.hold_s, change.shelved)


def _add(found: dict[str, Episode], key: str, told: Told, new: Episode) -> None:
    known = found.get(key, new)
    found[key] = replace(known, told=(*known.told, told))
