"""The rules file as it is written, and what holds where it says nothing. docs/rules.md explains every key."""

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

from tocsin.config import Table
from tocsin.levels import Authority, Hazard, Stage
from tocsin.quantities import QUANTITIES

SCALE = 1000
LIMIT = 2**53
LONGEST_MIN = 1440

Fraction = Annotated[float, Meta(gt=0, le=1)]
Distance = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=16)]
DelayS = Annotated[float, Meta(ge=0, le=86400)]
DelayMin = Annotated[float, Meta(ge=0, le=1440)]
Share = Annotated[float, Meta(ge=0, le=1)]
Window = Annotated[float, Meta(gt=0, le=LONGEST_MIN)]


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

    name: Annotated[str, Meta(min_length=1)]
    quantity: str
    device: str | None = None
    datum: str = ""
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
    stage: StageTable = StageTable()
    authority: AuthorityTable = AuthorityTable()


class RulesTable(Table, frozen=True, kw_only=True):
    """The whole file."""

    rule: list[RuleTable]


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

SUMMED = frozenset(quantity.increments for quantity in QUANTITIES.values() if quantity.increments)

# Both ways are common, or the small value is the bad one: a silent "high" would be a rule that never warns.
EITHER_WAY = frozenset({"distance_m", "o2_pct_vol", "supply_v"})

STAGES = {"blue": Stage.WATCH, "yellow": Stage.WATCH, "orange": Stage.PREPARE, "red": Stage.MOVE}


def defaults_of(quantity: str) -> Defaults:
    """What holds for this quantity where a rule says nothing."""
    if quantity in SUMMED:
        return RAIN
    return {Hazard.GAS: GAS, Hazard.TANK: TANK}.get(QUANTITIES[quantity].hazard, LEVEL)


def default_stage(quantity: str, level: str) -> Stage:
    """Rain from a single gauge alone asks for no more than to prepare."""
    return Stage.PREPARE if quantity in SUMMED and level == "red" else STAGES[level]


def milli(value: float) -> int:
    """A threshold in thousandths of its unit, exactly. Raises ValueError that says what is allowed."""
    scaled = Decimal(repr(value)) * SCALE
    if not scaled.is_finite() or abs(scaled) >= LIMIT or scaled != scaled.to_integral_value():
        raise ValueError(f"{value} is not allowed; use a number with at most 3 decimals, within ±{LIMIT // SCALE}")
    return int(scaled)


def times(raw: int, fraction: float) -> int:
    """`raw` times `fraction`, rounded half to even."""
    return int((raw * Decimal(repr(fraction))).to_integral_value(ROUND_HALF_EVEN))
