"""How the siren sounds: the rhythm of what sounds, and what the output should do at a moment.

A rhythm is seconds on, off, on, off, repeated. The usual ones (edge/siren_table.py) are those of the national air
defence signals: 36 s on and 24 s off for "prepare", 6 s and 6 s for "move now", as in the slow and the fast gong of
villages. They differ on a plain relay, and by ear without counting. No rhythm is a steady tone: in that practice it
says "all clear" (three minutes without a break). The last pause is the longest, so that words can be heard in it. A
round is 60 s. Counties differ, and some have "move" slow: the station file takes what people there have practised.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from edge.siren_table import Rhythm, SirenTable
from edge.sounding import Sound
from tocsin.levels import Hazard, Level, Stage

ANSWERED = "answered"
_STAGES = list(Stage)


@dataclass(frozen=True, slots=True)
class Program:
    """What the siren plays, and what is said with it. `level` is the highest that it sounds for, `spoken` that of
    the hazard which is said."""

    name: str
    rhythm: Rhythm
    level: Level
    stage: Stage
    hazard: Hazard
    spoken: Level


@dataclass(frozen=True, slots=True)
class Moment:
    """Whether the output is on, in which second (monotonic) that ends, and whether it is the pause for words."""

    on: bool
    until_s: float = math.inf
    words: bool = False


def program_of(sounds: Sequence[Sound], table: SirenTable) -> Program | None:
    """What to play; None for silence. What nobody has answered comes first, then what asks most of people."""
    heard = [sound for sound in sounds if sound.level >= table.level and not sound.quiet]
    if not heard:
        return None
    fresh = [sound for sound in heard if not sound.answered]
    lead = max(fresh or heard, key=lambda sound: (_STAGES.index(sound.stage), sound.level))
    name = lead.stage.value if fresh else ANSWERED
    rhythm: Rhythm = getattr(table, name)
    return Program(name, rhythm, max(sound.level for sound in heard), lead.stage, lead.hazard, lead.level)


def is_rise(before: Program, after: Program) -> bool:
    """Whether people must hear that it is worse than before. What somebody answered is none, whatever its stage."""
    stage, was = _STAGES.index(after.stage), _STAGES.index(before.stage)
    return after.name != ANSWERED and (
        after.level > before.level or stage > was or (stage == was and after.spoken > before.spoken))


def moment_of(rhythm: Rhythm, began_s: float, now_s: float) -> Moment:
    """Where the rhythm that began at `began_s` is. Counted in whole ms from its beginning: it never drifts."""
    steps = [round(step * 1000) for step in rhythm]
    began_ms = round(began_s * 1000)
    rounds, at = divmod(max(0, round(now_s * 1000) - began_ms), sum(steps))
    ends = list(accumulate(steps))
    number = bisect_right(ends, at)
    return Moment(number % 2 == 0, (began_ms + rounds * ends[-1] + ends[number]) / 1000, words=number == len(ends) - 1)
