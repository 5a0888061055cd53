"""Tells systemd that the station works: not that the process lives, but that it polls, decides, logs and can sound."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from edge.recorder import Recorder
from edge.sayings import say
from edge.watch import TICK_S
from tocsin.clock import Clock
from tocsin.notify import Notify
from tocsin.said import Said

_MARGIN_S = 60.0
_READY_WITHIN_S = 30.0
log = logging.getLogger(__name__)


class Watchdog:
    """`tried` hears of every poll, `ticked` of every tick; `beat` says that all is well, or nothing; `run` beats until
    cancelled."""

    def __init__(
        self, notify: Notify, clock: Clock, recorder: Recorder, pauses_s: Mapping[str, float],
        told: Callable[[Said], None], *, siren_idle_s: Callable[[], float],
        real_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`pauses_s`: for each device that is asked, the longest that may lie between two polls by plan.

        `siren_idle_s`: for how long the siren's part has not come round.
        """
        self._notify = notify
        self._clock = clock
        self._recorder = recorder
        self._pauses_s = pauses_s
        self._told = told
        self._siren_idle_s = siren_idle_s
        self._real_s = real_s
        self._began_s = clock.monotonic_s()
        self._tried_s: dict[str, float] = {}
        self._ticked_s = self._began_s
        self._wrote = (-1, real_s())
        self._ready = False
        self._stalled: Said | None = None

    def tried(self, device: str) -> None:
        """It was asked, whatever came of it."""
        self._tried_s[device] = self._clock.monotonic_s()

    def ticked(self) -> None:
        """The decider was told the time, and what follows from it was done."""
        self._ticked_s = self._clock.monotonic_s()

    @property
    def polls(self) -> bool:
        """Every device was asked."""
        return self._pauses_s.keys() <= self._tried_s.keys()

    def stalled(self) -> Said | None:
        """What does not go on, in words; None where everything does."""
        now_s = self._clock.monotonic_s()
        for device, pause_s in self._pauses_s.items():
            idle_s = now_s - self._tried_s.get(device, self._began_s)
            if idle_s > pause_s + _MARGIN_S:
                return say("device_stalled", device=device, seconds=idle_s)
        if now_s - self._ticked_s > TICK_S + _MARGIN_S:  # no silence, and no level whose time to sound comes
            return say("ticks_stalled", seconds=now_s - self._ticked_s)
        if self._siren_idle_s() > _MARGIN_S:
            return say("siren_stalled", seconds=self._siren_idle_s())
        status, real_s = self._recorder.status, self._real_s()
        if not status.pending or status.error or status.written_seq != self._wrote[0]:
            self._wrote = status.written_seq, real_s  # a disk that refuses is told elsewhere, and no restart helps
        elif real_s - self._wrote[1] > _MARGIN_S:
            return say("log_stalled", seconds=real_s - self._wrote[1])
        return None

    def beat(self) -> None:
        """READY once every device was asked, or 30 s are over; WATCHDOG while everything goes on."""
        stalled = self.stalled()
        if stalled and _what(stalled) != _what(self._stalled):
            log.error("watchdog: %s", stalled)
            self._told(stalled)
        self._stalled = stalled
        if not self._ready:
            waited_s = self._clock.monotonic_s() - self._began_s
            self._ready = self.polls or waited_s >= _READY_WITHIN_S
            if not self._ready:
                return
            self._notify.say("READY=1")
        if not stalled:
            self._notify.say("WATCHDOG=1", f"STATUS={len(self._pauses_s)} devices are polled")
        else:
            self._notify.say(f"STATUS={stalled}")

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self.beat()
            await asyncio.sleep(self._notify.every_s if self._ready else min(0.2, self._notify.every_s))


def _what(stalled: Said | None) -> str:
    """It, without how long."""
    return stalled.en.partition(" has not")[0] if stalled else ""
