"""For which levels the siren sounds: those that may by themselves, and those that nobody objected to in time.

A level on authority `after` sounds here once its `hold_s` have passed by the agent's own time, unless the level fell
or was acknowledged before. A level that a person must confirm never sounds by itself, nor does a shelved rule.
"""

from collections.abc import Sequence

import msgspec

from thresholds.kernel import State
from thresholds.parts import named
from thresholds.rule import LevelRule
from tocsin.levels import Authority, Level


class Wait(msgspec.Struct):
    """A level on authority `after` that stands since `t`; `stopped` by an acknowledgement before its time came."""

    rule: str
    series: str
    level: int
    t: int
    stopped: bool = False


class Sounding:
    """What waits for its time. `waits` can be saved and given again."""

    def __init__(self, waits: Sequence[Wait] = ()) -> None:
        self._waits = {(wait.rule, wait.series, wait.level): wait for wait in waits}

    @property
    def waits(self) -> list[Wait]:
        return list(self._waits.values())

    def settle(self, state: State, t_ms: int) -> None:
        """After levels or rules changed at `t_ms`: begins to wait for what stands now, forgets what fell."""
        stand = {(*named(track), int(own.level))
                 for track, level in zip(state.plan.tracks, state.memory.level.tolist(), strict=True)
                 for own in track.rule.levels if own.authority is Authority.AFTER and own.level <= level}
        self._waits = {key: wait for key, wait in self._waits.items() if key in stand}
        for key in sorted(stand - self._waits.keys()):
            self._waits[key] = Wait(*key, t=t_ms)

    def acknowledged(self, state: State, track: int, t_ms: int) -> None:
        """What of the track has not sounded yet stays silent until it has fallen."""
        rule, series = named(state.plan.tracks[track])
        for own in state.plan.tracks[track].rule.levels:
            wait = self._waits.get((rule, series, int(own.level)))
            if wait is not None and t_ms < wait.t + own.hold_ms:
                wait.stopped = True

    def set_back(self, t_ms: int) -> None:
        """The clock was set back: nothing began after now."""
        for wait in self._waits.values():
            wait.t = min(wait.t, t_ms)

    def level(self, state: State, t_ms: int) -> Level:
        """The highest that may sound now."""
        found = Level.CLEAR
        for k, (track, level) in enumerate(zip(state.plan.tracks, state.memory.level.tolist(), strict=True)):
            if level and t_ms >= int(state.memory.shelved[k]):
                found = max([found, *(own.level for own in track.rule.levels
                                      if own.level <= level and self._may(named(track), own, t_ms))])
        return found

    def _may(self, track: tuple[str, str], own: LevelRule, t_ms: int) -> bool:
        if own.authority is not Authority.AFTER:
            return own.authority is Authority.AUTO
        wait = self._waits.get((*track, int(own.level)))
        return wait is not None and not wait.stopped and t_ms >= wait.t + own.hold_ms
