"""One feature at every taken reading of a timeline, and a setting to be tried on it."""

from dataclasses import dataclass, field

import numpy as np

from thresholds.rule import SCALE
from thresholds.tables import I64, NEVER, Bools
from thresholds.tune.timeline import Timeline

UNKNOWN = NEVER - 1     # below every value, also below a time to a threshold that never comes


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


@dataclass(slots=True)
class Sheet:
    """A feature: `value` a reading, UNKNOWN where it is not known. All arrays are as long as the timeline.

    `valid` and `span`: covered and whole time of a sum, else known or not, and 1 (None: always known). `barred`:
    where nothing qualifies whatever the value (a lone reading of rain, for levels that need a second one). `agrees`:
    the confirming slope's value, which must reach `off` too (None: not asked). `early`: the sign of the value, for
    features where a held reading counts at once; 0 elsewhere.
    """

    timeline: Timeline
    value: I64
    valid: I64 | None = None
    span: I64 | None = None
    barred: Bools | None = None
    agrees: I64 | None = None
    early: int = 0
    _unsure: dict[int, I64] = field(default_factory=dict)

    def unsure(self, min_valid: int) -> I64:
        """Readings whose feature is not known well enough to count as below."""
        if min_valid not in self._unsure:
            if self.valid is None or self.span is None:
                self._unsure[min_valid] = np.empty(0, dtype=np.int64)
            else:
                self._unsure[min_valid] = np.flatnonzero(self.valid * SCALE < min_valid * self.span)
        return self._unsure[min_valid]
