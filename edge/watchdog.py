"""Tells systemd that the station works: not that the process lives, but that it polls, decides and logs."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from edge.recorder import Recorder
from edge.watch import TICK_S
from tocsin.clock import Clock
from tocsin.notify import Notify

_MARGIN_S = 60.0
_READY_WITHIN_S = 30.0
log = logging.getLogger(__name__)


class Watchdog:
    """`tried` hears of every poll, `ticked` of every tick; `beat` says that all is well, or nothing; `run` beats until
    cancelled."""

    def __init__(
        self, notify: Notify, clock: Clock, recorder: Recorder, pauses_s: Mapping[str, float],
        told: Callable[[str], None], real_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`pauses_s`: for each device that is asked, the longest that may lie between two polls by plan."""
        self._notify = notify
        self._clock = clock
        self._recorder = recorder
        self._pauses_s = pauses_s
        self._told = told
        self._real_s = real_s
        self._began_s = clock.monotonic_s()
        self._tried_s: dict[str, float] = {}
        self._ticked_s = self._began_s
        self._wrote = (-1, real_s())
        self._ready = False
        self._stalled = ""

    def tried(self, device: str) -> None:
        """It was asked, whatever came of it."""
        self._tried_s[device] = self._clock.monotonic_s()

    def ticked(self) -> None:
        """The decider was told the time, and what follows from it was done."""
        self._ticked_s = self._clock.monotonic_s()

    def stalled(self) -> str:
        """What does not go on, in words; "" where everything does."""
        now_s = self._clock.monotonic_s()
        for device, pause_s in self._pauses_s.items():
            idle_s = now_s - self._tried_s.get(device, self._began_s)
            if idle_s > pause_s + _MARGIN_S:
                return f"device {device} has not been asked for {idle_s:.0f} s"
        if now_s - self._ticked_s > TICK_S + _MARGIN_S:  # no silence, and no level whose time to sound comes
            return f"the decider has not been told the time for {now_s - self._ticked_s:.0f} s"
        status, real_s = self._recorder.status, self._real_s()
        if not status.pending or status.error or status.written_seq != self._wrote[0]:
            self._wrote = status.written_seq, real_s  # a disk that refuses is told elsewhere, and no restart helps
        elif real_s - self._wrote[1] > _MARGIN_S:
            return f"the log's writer has not moved for {real_s - self._wrote[1]:.0f} s"
        return ""

    def beat(self) -> None:
        """READY once every device was asked, or 30 s are over; WATCHDOG while everything goes on."""
        stalled = self.stalled()
        if stalled and stalled.partition(" has not")[0] != self._stalled.partition(" has not")[0]:
            log.error("watchdog: %s", stalled)
            self._told(stalled)
        self._stalled = stalled
        if not self._ready:
            waited_s = self._clock.monotonic_s() - self._began_s
            self._ready = self._pauses_s.keys() <= self._tried_s.keys() or waited_s >= _READY_WITHIN_S
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
