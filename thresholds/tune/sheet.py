"""One feature at every taken reading of a timeline, and a setting to be tried on it."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.timeline import Timeline

UNKNOWN = NEVER - 1     # below every value, also below a time to a threshold that never comes


def none() -> I64:
    """No reading."""
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, order=True)
class Setting:
    """One level as the kernel compares it: `on`, `off` and `top` carry the rule's sign, so that more is worse.

    Needs off <= on <= top and m / 2 < n <= m, which the rules loader demands too. `min_valid` in thousandths; of what
    is not a sum it is 1000. `top` is the `on` of the rule's highest level: from there on a held reading counts at once.
    """

    on: int
    off: int
    n: int
    m: int
    on_delay_ms: int
    off_delay_ms: int
    min_valid: int
    top: int

    def __post_init__(self) -> None:
        if not self.off <= self.on <= self.top or not self.m < 2 * self.n <= 2 * self.m:
            raise ValueError(f"setting on {self.on} off {self.off} top {self.top}, {self.n} of {self.m}: "
                             "use off <= on <= top, and more than half of M")


@dataclass(frozen=True, slots=True)
class Episodes:
    """Of one setting, in order of strands and times: when raised, when cleared (NEVER: still active), which strand."""

    raised: I64
    cleared: I64
    strand: I64

    def __len__(self) -> int:
        return len(self.raised)


class Compared(Protocol):
    """A feature at the readings of a timeline; all arrays of readings are in order."""

    def reaching(self, least: int) -> tuple[I64, I64]:
        """The readings at which it is known and at least so high, and its values there."""

    def unsure(self, min_valid: int) -> I64:
        """The readings at which it is not known, or a sum covered for less than that part (thousandths)."""

    def lone(self, readings: I64) -> Bools:
        """At which of these readings a sum may come from one reading alone."""


@dataclass(slots=True)
class Sheet:
    """A feature that settings are tried on; what was worked out for one is kept for the others.

    `severe`: nothing qualifies at a lone reading of rain, whatever the value. `agrees`: the confirming slope's value at
    every reading, which must reach `off` too (None: not asked). `early`: the sign of the value, for features where a
    held reading counts at once; 0 elsewhere.
    """

    timeline: Timeline
    feature: Compared
    severe: bool = False
    agrees: I64 | None = None
    early: int = 0
    _least: int | None = None
    _high: tuple[I64, I64] = field(default_factory=lambda: (none(), none()))
    _unsure: dict[int, I64] = field(default_factory=dict)

    def reaching(self, least: int) -> tuple[I64, I64]:
        """Readings that are at least so high, and their values."""
        if self._least is None or least < self._least:
            self._least, self._high = least, self.feature.reaching(least)
        reading, value = self._high
        if least == self._least:
            return reading, value
        above = np.flatnonzero(value >= least)
        return reading[above], value[above]

    def unsure(self, min_valid: int) -> I64:
        """Readings whose feature is not known well enough to count as below."""
        if min_valid not in self._unsure:
            self._unsure[min_valid] = self.feature.unsure(min_valid)
        return self._unsure[min_valid]
