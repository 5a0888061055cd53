"""For which levels the siren sounds: those that may by themselves, and those that nobody objected to in time.

A level on authority `after` sounds here once its `hold_s` have passed by the agent's own time, unless the level fell
or was acknowledged before. A level that a person must confirm never sounds by itself, nor does a shelved rule.

What a person acknowledged sounds on, as answered; what a person silenced is quiet for a while. Both hold for a track
at that level: one that rises above it, or falls and comes back, or another one, sounds as if nobody had heard.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from thresholds.kernel import State
from thresholds.parts import named
from thresholds.rule import LevelRule
from tocsin.levels import Authority, Hazard, Level, Stage

LONGEST_SILENCE_MS = 3_600_000


class Wait(msgspec.Struct):
    """A level on authority `after` that stands since `t`; `stopped` by an acknowledgement before its time came."""

    rule: str
    series: str
    level: int
    t: int
    stopped: bool = False


class Heard(msgspec.Struct):
    """A person has heard a rule on a series at `level`. `until` (ms UTC): how long it is quiet; 0 where it is not."""

    rule: str
    series: str
    level: int
    until: int = 0


@dataclass(frozen=True, slots=True)
class Sound:
    """What one rule on one series asks of the siren."""

    rule: str
    series: str
    level: Level
    stage: Stage
    hazard: Hazard
    answered: bool = False
    quiet: bool = False


class Sounding:
    """What waits for its time, and what people have heard. All of it can be saved and given again."""

    def __init__(self, waits: Sequence[Wait] = (), answered: Sequence[Heard] = (), quiet: Sequence[Heard] = ()) -> None:
        self._waits = {(wait.rule, wait.series, wait.level): wait for wait in waits}
        self._answered = {(heard.rule, heard.series): heard for heard in answered}
        self._quiet = {(heard.rule, heard.series): heard for heard in quiet}

    @property
    def waits(self) -> list[Wait]:
        return list(self._waits.values())

    @property
    def answered(self) -> list[Heard]:
        return list(self._answered.values())

    @property
    def quiet(self) -> list[Heard]:
        return list(self._quiet.values())

    def settle(self, state: State, t_ms: int) -> None:
        """After levels or rules changed at `t_ms`: begins to wait for what stands now, forgets what fell."""
        levels = dict(zip(map(named, state.plan.tracks), state.memory.level.tolist(), strict=True))
        stand = {(*named(track), int(own.level))
                 for track, level in zip(state.plan.tracks, state.memory.level.tolist(), strict=True)
                 for own in track.rule.levels if own.authority is Authority.AFTER and own.level <= level}
        self._waits = {key: wait for key, wait in self._waits.items() if key in stand}
        for key in sorted(stand - self._waits.keys()):
            self._waits[key] = Wait(*key, t=t_ms)
        self._answered, self._quiet = _still(self._answered, levels), _still(self._quiet, levels)

    def acknowledged(self, state: State, track: int, t_ms: int) -> None:
        """What of the track has not sounded yet stays silent until it has fallen; what sounds is answered."""
        rule, series = named(state.plan.tracks[track])
        for own in state.plan.tracks[track].rule.levels:
            wait = self._waits.get((rule, series, int(own.level)))
            if wait is not None and t_ms < wait.t + own.hold_ms:
                wait.stopped = True
        self._answered[rule, series] = Heard(rule, series, int(state.memory.level[track]))

    def silence(self, state: State, t_ms: int, until: int) -> None:
        """What sounds now is quiet until then; a time that has passed ends every silence."""
        self._quiet = {(one.rule, one.series): Heard(one.rule, one.series, int(one.level), until)
                       for one in self.sounds(state, t_ms) if until > t_ms}

    def set_back(self, t_ms: int) -> None:
        """The clock was set back: nothing began after now, and no silence is longer than it may be."""
        for wait in self._waits.values():
            wait.t = min(wait.t, t_ms)
        for heard in self._quiet.values():
            heard.until = min(heard.until, t_ms + LONGEST_SILENCE_MS)

    def sounds(self, state: State, t_ms: int) -> list[Sound]:
        """What may sound now, in the order of the rules."""
        found = []
        for k, (track, level) in enumerate(zip(state.plan.tracks, state.memory.level.tolist(), strict=True)):
            if level and t_ms >= int(state.memory.shelved[k]):
                may = [own for own in track.rule.levels if own.level <= level and self._may(named(track), own, t_ms)]
                if may:
                    own = max(may, key=lambda own: own.level)
                    found.append(self._sound(named(track), own, track.rule.hazard, t_ms))
        return found

    def _sound(self, track: tuple[str, str], own: LevelRule, hazard: Hazard, t_ms: int) -> Sound:
        answered, quiet = self._answered.get(track), self._quiet.get(track)
        return Sound(*track, own.level, own.stage, hazard, answered is not None and own.level <= answered.level,
                     quiet is not None and own.level <= quiet.level and t_ms < quiet.until)

    def _may(self, track: tuple[str, str], own: LevelRule, t_ms: int) -> bool:
        if own.authority is not Authority.AFTER:
            return own.authority is Authority.AUTO
        wait = self._waits.get((*track, int(own.level)))
        return wait is not None and not wait.stopped and t_ms >= wait.t + own.hold_ms


def _still(heard: dict[tuple[str, str], Heard], levels: dict[tuple[str, str], int]) -> dict[tuple[str, str], Heard]:
    """What was heard of tracks that have not fallen since; never above the level they stand at."""
    return {key: Heard(*key, min(one.level, levels[key]), one.until) for key, one in heard.items() if levels.get(key)}
