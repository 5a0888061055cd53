"""The rules file as it is written, and what holds where it says nothing. docs/rules.md explains every key."""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta

from thresholds.rule import LIMIT, MINUTE_MS, SCALE, Feature
from tocsin.config import Table
from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.quantities import QUANTITIES, SUMMED

LONGEST_MIN = 1440
FARTHEST_MIN = 10_080    # a week: no slope tells more
OFF_KEYS = ("off", "off_fraction", "off_below", "off_above")    # one of them says where a level falls

Fraction = Annotated[float, Meta(gt=0, le=1)]
Distance = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=16)]
DelayS = Annotated[float, Meta(ge=0, le=86400)]
DelayMin = Annotated[float, Meta(ge=0, le=1440)]
HoldS = Annotated[float, Meta(gt=0, le=86400)]
Share = Annotated[float, Meta(ge=0, le=1)]
Window = Annotated[float, Meta(gt=0, le=LONGEST_MIN)]
Readings = Annotated[int, Meta(ge=3, le=1000)]
Weight = Annotated[float, Meta(gt=0, le=1000)]
# stands in every message; with "coincidence/" before it, it is the name of a series
Name = Annotated[str, Meta(
    pattern=r"^(?! )[^\x00-\x1f\x7f\\]{0,99}[^\x00-\x1f\x7f\\ /]\Z",
    description='up to 100 characters, no backslash, no line breaks, no blank at either end and no "/" at its end',
)]
At = Literal["blue", "yellow", "orange", "red"]


class Direction(StrEnum):
    """Which way is worse."""

    HIGH = "high"
    LOW = "low"


class LevelTable(Table, frozen=True, kw_only=True):
    """A level that differs from the rest of its rule."""

    on: float
    off: float | None = None
    off_fraction: Fraction | None = None
    off_below: Distance | None = None
    off_above: Distance | None = None
    n: Count | None = None
    m: Count | None = None
    on_delay_s: DelayS | None = None
    off_delay_min: DelayMin | None = None
    min_valid: Share | None = None
    latch: bool | None = None
    hold_s: HoldS | None = None


class StageTable(Table, frozen=True, kw_only=True):
    """What people are asked to do, per level."""

    blue: Stage | None = None
    yellow: Stage | None = None
    orange: Stage | None = None
    red: Stage | None = None


class AuthorityTable(Table, frozen=True, kw_only=True):
    """Who may move people, per level."""

    blue: Authority | None = None
    yellow: Authority | None = None
    orange: Authority | None = None
    red: Authority | None = None


class RuleTable(Table, frozen=True, kw_only=True):
    """One `[[rule]]`."""

    name: Name
    quantity: str | None = None
    feature: Feature | None = None
    device: str | None = None
    datum: str | None = None
    over_min: Window | None = None
    direction: Direction | None = None
    blue: float | LevelTable | None = None
    yellow: float | LevelTable | None = None
    orange: float | LevelTable | None = None
    red: float | LevelTable | None = None
    off_fraction: Fraction | None = None
    off_below: Distance | None = None
    off_above: Distance | None = None
    n: Count | None = None
    m: Count | None = None
    on_delay_s: DelayS | None = None
    off_delay_min: DelayMin | None = None
    min_valid: Share | None = None
    latch: bool | None = None
    hold_s: HoldS | None = None
    n_min: Readings | None = None
    robust: bool | None = None
    target: float | None = None
    floor: float | None = None
    reference: float | None = None
    allowance: float | None = None
    of: Name | None = None
    at: At | None = None
    weights: dict[str, Weight] = {}
    stage: StageTable = StageTable()
    authority: AuthorityTable = AuthorityTable()


class CheckTable(Table, frozen=True, kw_only=True):
    """One `[[check]]`. The rate is bounded so that a day of it still counts in 64 bits."""

    quantity: str
    device: str | None = None
    max_rate_per_min: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    spike_floor: Distance | None = None
    stuck_after_h: Annotated[float, Meta(ge=0, le=8784)] | None = None
    blocked_mm: Annotated[float, Meta(ge=0, le=1e6)] | None = None
    stale_after_min: Annotated[float, Meta(gt=0, le=44_640)] | None = None


class RulesTable(Table, frozen=True, kw_only=True):
    """The whole file."""

    rule: list[RuleTable]
    check: list[CheckTable] = []


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for a kind of quantity where the file says nothing. `off_fraction` None: the file must say `off`."""

    n: int
    m: int
    off_delay_min: float
    off_fraction: float | None = None


# Rain and stage, and 3 of 5 for gas: the project's detection defaults. A level has no natural zero, so no fraction of
# it means anything: its `off` is left to the site. The off delays of gas and tank are ours: long enough that a plume
# that comes and goes at the sensor stays one episode.
RAIN = Defaults(n=1, m=1, off_delay_min=30, off_fraction=0.8)
LEVEL = Defaults(n=2, m=3, off_delay_min=15)
GAS = Defaults(n=3, m=5, off_delay_min=10, off_fraction=0.8)
TANK = Defaults(n=2, m=3, off_delay_min=5)
MIN_VALID = 0.8
N_MIN = 4
AT = "yellow"

# Ours. A speed has a natural zero: half of it is on the way to rest. A time to go is the calmer the longer it is.
TREND_OFF, TIME_TO_OFF, CUSUM_OFF, COINCIDENCE_OFF = 0.5, 1.5, 0.5, 1.0

# Both ways are common, or the small value is the bad one: a silent "high" would be a rule that never warns.
EITHER_WAY = frozenset({"distance_m", "o2_pct_vol", "supply_v", "phreatic_depth_m", "groundwater_m", "tilt_deg",
                        "pressure_kpa", "battery_v", "battery_pct", "battery_temp_c", "cabinet_temp_c"})

STAGES = {"blue": Stage.WATCH, "yellow": Stage.WATCH, "orange": Stage.PREPARE, "red": Stage.MOVE}

# 10 mm/min is more than any rain (the project's detection defaults): a bucket that is cleaned, or shaken
RAIN_PER_MIN = 10.0


def defaults_of(quantity: str, feature: Feature) -> Defaults:
    """What holds for this quantity and feature where a rule says nothing."""
    of_hazard = {Hazard.GAS: GAS, Hazard.TANK: TANK}.get(QUANTITIES[quantity].hazard, LEVEL)
    kind = RAIN if quantity in SUMMED else of_hazard
    match feature:
        case Feature.RATE | Feature.SLOPE:
            return replace(kind, off_fraction=TREND_OFF)
        case Feature.TIME_TO:
            return replace(kind, off_fraction=TIME_TO_OFF)
        case Feature.CUSUM:    # it has added up several readings by itself
            return replace(kind, n=1, m=1, off_fraction=CUSUM_OFF)
        case Feature.COINCIDENCE:
            return replace(kind, n=1, m=1, off_fraction=COINCIDENCE_OFF)
        case _:
            return kind


def default_stage(quantity: str, feature: Feature, level: str) -> Stage:
    """Rain from a single gauge alone asks for no more than to prepare."""
    alone = quantity in SUMMED and feature is Feature.SUM
    return Stage.PREPARE if alone and level == "red" else STAGES[level]


def default_latch(quantity: str, feature: Feature, level: Level) -> bool:
    """Gas at red stays until a person has looked."""
    gas = QUANTITIES[quantity].hazard is Hazard.GAS
    return gas and level is Level.RED and feature in {Feature.VALUE, Feature.CUSUM}


def milli(value: float) -> int:
    """A threshold in thousandths of its unit, exactly. Raises ValueError that says what is allowed."""
    scaled = Decimal(repr(value)) * SCALE
    if not scaled.is_finite() or abs(scaled) >= LIMIT or scaled != scaled.to_integral_value():
        raise ValueError(f"{value} is not allowed; use a number with at most 3 decimals, within ±{LIMIT // SCALE}")
    return int(scaled)


def times(raw: int, fraction: float) -> int:
    """`raw` times `fraction`, rounded half to even."""
    return int((raw * Decimal(repr(fraction))).to_integral_value(ROUND_HALF_EVEN))


def scale_of(feature: Feature) -> int:
    """How many of the whole numbers of a rule make one of the unit in which its levels are written."""
    return MINUTE_MS if feature is Feature.TIME_TO else SCALE
