"""Tells systemd that the station works: not that the process lives, but that it polls, decides and logs.

The protocol is that of sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names. Without one nothing is said.
"""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from edge.recorder import Recorder
from edge.watch import TICK_S
from tocsin.clock import Clock

_MARGIN_S = 60.0
_READY_WITHIN_S = 30.0
_BEATS = 3.0           # in the time after which systemd loses patience
_EVERY_S = 10.0        # where systemd asks for no watchdog
log = logging.getLogger(__name__)


class Notify:
    """One word to the service manager; a manager that is not there, or does not listen, changes nothing."""

    def __init__(self, path: str, watchdog_s: float = 0.0) -> None:
        """`watchdog_s`: within which it wants to hear that all is well, 0 where it does not."""
        self.path = path
        self.every_s = watchdog_s / _BEATS or _EVERY_S

    @classmethod
    def of_environment(cls) -> "Notify":
        """As systemd has set NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = os.environ.get("WATCHDOG_USEC", "0")
        return cls(os.environ.get("NOTIFY_SOCKET", ""), int(usec) / 1e6 if for_us and usec.isdecimal() else 0.0)

    def say(self, *words: str) -> None:
        """Such as READY=1, WATCHDOG=1, STATUS=text."""
        if not self.path:
            return
        address = "\0" + self.path[1:] if self.path.startswith("@") else self.path
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as line:
            line.sendto("\n".join(words).encode(), address)

    async def keep_alive(self) -> None:
        """Until cancelled; for times in which there is nothing to prove."""
        while True:
            self.say("WATCHDOG=1")
            await asyncio.sleep(self.every_s)


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
