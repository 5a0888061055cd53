"""Rules in whole numbers: what the file says, ready to compare: thousandths of a unit, and milliseconds."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec

from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.quantities import QUANTITIES

SCALE = 1000         # readings and thresholds are whole thousandths of their unit
LIMIT = 2**53        # and below this: what a float holds exactly
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS


class Feature(StrEnum):
    """What a rule compares with its thresholds, and in which unit `on` and `off` are then whole numbers."""

    VALUE = "value"                # the reading: thousandths of the unit
    SUM = "sum"                    # of increments over a window: thousandths of the unit
    RATE = "rate"                  # newest minus oldest of a window: thousandths of the unit in an hour
    SLOPE = "slope"                # least squares over a window: thousandths of the unit in an hour
    TIME_TO = "time_to"            # until a target is reached at the present slope: milliseconds
    CUSUM = "cusum"                # one-sided cumulative sum above a reference: thousandths of the unit
    COINCIDENCE = "coincidence"    # weight of the members that stand at a level: thousandths


TRENDS = frozenset({Feature.RATE, Feature.SLOPE, Feature.TIME_TO})


@dataclass(frozen=True, slots=True)
class LevelRule:
    """One level of a rule. `on` and `off` in the feature's unit, delays in ms, `min_valid` in thousandths.

    `latch`: falls only after a person acknowledged. `hold_ms`: with authority `after`, how long a person may object.
    """

    level: Level
    on: int
    off: int
    n: int
    m: int
    on_delay_ms: int
    off_delay_ms: int
    min_valid: int
    stage: Stage
    authority: Authority
    latch: bool = False
    hold_ms: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `over_ms` is the window, 0 where the feature has none; `device` "" binds to every device.

    Of a trend: `n_min` readings at least, `robust` asks the slope of bin medians to agree. Of time to a threshold:
    `target` and, on the way to it, `floor` that must have been reached (None: none), thousandths. Of a CUSUM:
    `allowance` and `reference` (None: the low quantile of the last 24 h), thousandths. Of a coincidence: the rule `of`
    whose tracks are members, the level `at` that counts, and `weights` in thousandths by device (others weigh 1000).
    """

    name: str
    quantity: str
    feature: Feature
    over_ms: int
    low: bool
    device: str
    datum: str
    levels: tuple[LevelRule, ...]
    n_min: int = 0
    robust: bool = False
    target: int = 0
    floor: int | None = None
    allowance: int = 0
    reference: int | None = None
    of: str = ""
    at: Level = Level.CLEAR
    weights: tuple[tuple[str, int], ...] = ()

    @property
    def hazard(self) -> Hazard:
        return QUANTITIES[self.quantity].hazard

    @property
    def over_s(self) -> int:
        """The window in s."""
        return self.over_ms // 1000

    @property
    def sign(self) -> int:
        """What values are multiplied by, so that more is worse."""
        return -1 if self.low else 1

    @property
    def threshold_sign(self) -> int:
        """What `on` and `off` are multiplied by, so that more is worse.

        A time to a threshold is the worse the shorter it is, whichever side the target is on; those of a CUSUM are
        sizes, on either side.
        """
        return {Feature.TIME_TO: -1, Feature.CUSUM: 1}.get(self.feature, self.sign)

    @property
    def canonical(self) -> bytes:
        """The same bytes for the same rule, however it was written."""
        return msgspec.json.encode(self, order="sorted")

    @property
    def scale(self) -> int:
        """What `on` and `off` are divided by, as people read them: minutes to go, else thousandths."""
        return MINUTE_MS if self.feature is Feature.TIME_TO else SCALE

    def shown(self, feature: int) -> float:
        """A feature as people read it: the unit, the unit in an hour, minutes to go (at most a week), a weight."""
        if self.feature is Feature.TIME_TO:
            return min(-feature, WEEK_MS) / MINUTE_MS
        return (feature if self.feature is Feature.CUSUM else feature * self.sign) / SCALE

    def at_level(self, level: Level) -> LevelRule | None:
        """The rule's thresholds of that level, None where it has none."""
        return next((own for own in self.levels if own.level == level), None)


@dataclass(frozen=True, slots=True)
class Check:
    """How the readings of a quantity are checked before rules see them. `device` "" means every device.

    A reading further from what came before than max(`floor`, `rate_per_min` x time) is held as a spike (both in
    thousandths; both 0: not checked). The same value for `stuck_ms` is suspect (0: not checked). A gauge that stays dry
    while the others of the station have `blocked` thousandths is suspect (0: not checked). No good reading for
    `stale_ms` is stale (0: three periods).
    """

    quantity: str
    device: str = ""
    rate_per_min: int = 0
    floor: int = 0
    stuck_ms: int = 0
    blocked: int = 0
    stale_ms: int = 0

    @property
    def canonical(self) -> bytes:
        return msgspec.json.encode(self, order="sorted")


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules and checks of a file. `place` names it in problems; it is no part of what the rules are."""

    rules: tuple[Rule, ...]
    checks: tuple[Check, ...] = ()
    place: str = field(default="rules", compare=False)

    @property
    def hash(self) -> str:
        """32 hex digits over the canonical form."""
        return hash_of([*(rule.canonical for rule in self.rules), *(check.canonical for check in self.checks)])


def hash_of(parts: Iterable[bytes]) -> str:
    """32 hex digits of BLAKE2b over the parts and their lengths."""
    total = hashlib.blake2b(digest_size=16)
    for part in parts:
        total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()
