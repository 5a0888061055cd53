"""Rules bound to the series of a station: what a kernel runs."""

from dataclasses import dataclass

import msgspec

from thresholds.rule import Check, Rule, Rules, hash_of
from thresholds.series import Series

COINCIDENCE = "coincidence"


@dataclass(frozen=True, slots=True)
class Track:
    """One rule on one series: what has a level. `series_index` counts through `Plan.all_series`."""

    rule: Rule
    series_index: int
    series: Series


@dataclass(frozen=True, slots=True)
class Group:
    """A coincidence rule at a station: its members are tracks, and it is judged as a series of its own.

    `members` are (index into `Plan.tracks`, weight in thousandths).
    """

    rule: Rule
    series: Series
    members: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a kernel runs: the series of a station in the order of a block's columns, and the tracks on them.

    `checks` has one entry a series. A group is a series behind those of the block; its track stands behind the others.
    """

    rules: Rules
    series: tuple[Series, ...]
    checks: tuple[Check, ...]
    groups: tuple[Group, ...]
    tracks: tuple[Track, ...]

    @property
    def all_series(self) -> tuple[Series, ...]:
        """The series of the block, and the groups behind them."""
        return (*self.series, *(group.series for group in self.groups))

    @property
    def hash(self) -> str:
        """32 hex digits over rules and series: the same plan, the same state."""
        return hash_of((self.rules.hash.encode(), *(msgspec.json.encode(one, order="sorted") for one in self.series)))
