"""Group rules as the hub runs them: whole numbers, times in ms, weights in thousandths. hub/groups_file.py reads them.

A group rule judges what stations have decided, never their readings. docs/groups.md tells what each kind does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tocsin.levels import Authority, Hazard, Level, Stage
from tocsin.quantities import QUANTITIES

GROUP = "group:"    # before a group's name, where it stands among stations: no station's id holds a colon
SCALE = 1000        # weights are whole numbers of thousandths


class GroupKind(StrEnum):
    """What a group rule looks for."""

    COINCIDENCE = "coincidence"    # several stations stand at a level at about the same time
    CHAIN = "chain"                # one sign after the other, in the time that water or a slope takes
    SILENCE = "silence"            # a station is not heard while its neighbours are in alarm


@dataclass(frozen=True, slots=True)
class Pick:
    """Which levels of which stations count: from `at` on, until they stand below `until`.

    `from_ms` to `to_ms`: in a chain the time from this step to what it threatens; elsewhere `to_ms` is the window in
    which a member that fell still counts. `level` is what a step of a chain gives. `keys` name the stations in a
    group's memory.
    """

    stations: tuple[str, ...]
    at: Level
    until: Level
    hazard: Hazard | None = None
    quantity: str = ""
    rule: str = ""
    from_ms: int = 0
    to_ms: int = 0
    level: Level = Level.CLEAR
    keys: tuple[str, ...] = ()

    def counts(self, series: str, rule: str, hazard: Hazard) -> bool:
        """Whether a rule of a member station, on that series, is meant."""
        if (self.rule and rule != self.rule) or self.hazard not in {None, hazard}:
            return False
        name = series.rpartition("/")[2]
        known = QUANTITIES.get(name)
        return not self.quantity or self.quantity in {name, known.increments if known else name}


@dataclass(frozen=True, slots=True)
class LevelRule:
    """One level of a group: it rises at `on` and falls below `off`, weights or in other kinds a level's number."""

    level: Level
    on: int
    off: int
    stage: Stage = Stage.WATCH
    authority: Authority = Authority.AUTO
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Group:
    """One group rule. `watched` are the stations whose silence is judged, and `quantity` what they must
    give; `hash` names the rule as it is written."""

    name: str
    kind: GroupKind
    hazard: Hazard
    area: str
    picks: tuple[Pick, ...]
    levels: tuple[LevelRule, ...]
    weights: Mapping[str, int]
    watched: tuple[str, ...] = ()
    silent_ms: int = 0
    quantity: str = ""
    alone: Level = Level.CLEAR
    on_delay_ms: int = 0
    off_delay_ms: int = 0
    shadow: bool = False
    place: str = ""
    place_zh: str = ""
    text_en: str = ""
    text_zh: str = ""
    hash: str = ""

    @property
    def technical(self) -> bool:
        """Whether it speaks to who is on duty, and to nobody else."""
        return self.kind is GroupKind.SILENCE

    def level_rule(self, level: int) -> LevelRule | None:
        return next((one for one in self.levels if one.level == level), None)
