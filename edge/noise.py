"""What this computer itself has for a siren: pin and button (gpiozero, extra `gpio`), and the sound card."""

import asyncio
import math
import os
import signal
import struct
import sys
from array import array
from contextlib import suppress
from typing import Any

from edge.aside import Aside
from edge.outputs import HOLD_S
from tocsin.levels import Stage
from tocsin.readings import Reason, RejectedError

RATE = 8000
# two tones that differ by ear: one that stays, and a high one that changes; 300 to 3000 Hz, pulsing (ISO 7731)
TONES_HZ = {Stage.WATCH: (500,), Stage.PREPARE: (500,), Stage.MOVE: (800, 1000)}
_CHANGE_S = 0.25
_LOUD = 28_000
_ENDLESS = 0x7FFF_0000  # what the header of a WAV says that is played as it comes
_STOP_S = 1.0
_BEGINS_WITHIN_S = 5.0
_SETTLE_S = 0.3  # a player that finds no sound card ends within that
_LOOK_S = 1.0    # one that ended meanwhile is begun again


class Pin:
    """A pin, by the number of its line (BCM). `factory`: gpiozero's own choice unless given."""

    def __init__(self, name: str, number: int, *, high: bool, factory: Any = None) -> None:
        self.name = name
        self.hold_s = HOLD_S
        self.tells = False
        self._number = number
        self._high = high
        self._factory = factory
        self._device: Any = None

    async def switch(self, *, on: bool, stage: Stage) -> None:  # noqa: ARG002 - a pin has one tone
        device = self._open()
        try:
            device.on() if on else device.off()
        except _raised() as err:
            self.close()  # the next try begins anew: what is gone does not come back by itself
            raise _rejected(self._number, err) from err

    async def guard(self) -> None:
        """A pin has no watchdog: `tocsin siren-off` after a crash."""

    async def is_on(self) -> bool | None:
        """A pin says only what it was told."""

    async def is_whole(self) -> bool | None:
        """Nobody watches the line."""

    def close(self) -> None:
        """Off, and given back."""
        if self._device is not None:
            device, self._device = self._device, None
            for part in (device.off, device.close):
                with suppress(*_raised()):  # the log must still be closed
                    part()

    def _open(self) -> Any:
        """Late, and again: a pin that cannot be had must not keep the agent from measuring."""
        if self._device is None:
            gpiozero = gpio()
            try:
                self._device = gpiozero.DigitalOutputDevice(
                    self._number, active_high=self._high, initial_value=False, pin_factory=self._factory
                )
            except _raised() as err:
                raise _rejected(self._number, err) from err
        return self._device


class Button:
    """A button between a pin and ground."""

    def __init__(self, number: int, factory: Any = None) -> None:
        self._number = number
        self._factory = factory
        self._device: Any = None

    async def closed(self) -> bool:
        """Raises RejectedError."""
        gpiozero = gpio()
        try:
            if self._device is None:
                self._device = gpiozero.DigitalInputDevice(self._number, pull_up=True, pin_factory=self._factory)
            return bool(self._device.value)
        except _raised() as err:
            device, self._device = self._device, None
            if device is not None:
                with suppress(*_raised()):
                    device.close()
            raise _rejected(self._number, err) from err


def gpio() -> Any:
    """The library. Raises RejectedError where it is not installed."""
    try:
        import gpiozero
    except ImportError as err:
        why = "gpiozero is not installed: pip install '.[edge,gpio]' in tocsin's folder"
        raise RejectedError(Reason.LINK, why) from err
    return gpiozero


def _raised() -> tuple[type[Exception], ...]:
    """What gpiozero raises, and what it lets through of the board's library, whose class (lgpio.error) is its own."""
    own = [sys.modules[name].error for name in ("lgpio", "pigpio") if name in sys.modules]
    return (gpio().GPIOZeroError, OSError, RuntimeError, ImportError, *own)


def _rejected(number: int, err: Exception) -> RejectedError:
    return RejectedError(Reason.LINK, f"pin {number}: {err}")


class Tones:
    """The sound card by a player that takes a WAV on its input; the tone tells the stage."""

    def __init__(self, player: tuple[str, ...]) -> None:
        self.name = "sound-card"
        self.hold_s = _LOOK_S
        self.tells = False  # that no tone is played says nothing of the loudspeaker
        self._player = player
        self._aside = Aside("tones")
        self._stage = Stage.WATCH
        self._process: asyncio.subprocess.Process | None = None
        self._begun_s = 0.0
        self._feeding: asyncio.Task[None] | None = None

    async def switch(self, *, on: bool, stage: Stage) -> None:
        try:
            await self._aside.do(self._switch(on=on, stage=stage), _BEGINS_WITHIN_S)
        except TimeoutError as err:
            raise RejectedError(Reason.SILENT, f"{self._player[0]} hangs") from err

    async def _switch(self, *, on: bool, stage: Stage) -> None:
        if on and self._is_alive() and stage is self._stage:
            return
        await self._stop()
        self._stage = stage
        if on:
            quiet = asyncio.subprocess.DEVNULL
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._player, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
                )
            except OSError as err:
                raise RejectedError(Reason.LINK, f"{self._player[0]} cannot be run: {err.strerror}") from err
            self._begun_s = asyncio.get_running_loop().time()
            self._feeding = asyncio.create_task(_feed(self._process, stage), name="tones")

    async def guard(self) -> None:
        """The tone ends with this process: nobody feeds it any more."""

    async def is_on(self) -> bool | None:
        """Whether the player runs, and goes on: one that has no sound card ends soon."""
        if self._is_alive():
            with suppress(TimeoutError):
                await self._aside.do(self._settled(), _BEGINS_WITHIN_S)
        return self._is_alive()

    async def _settled(self) -> None:
        if self._process is not None:
            async with asyncio.timeout_at(self._begun_s + _SETTLE_S):
                await self._process.wait()

    async def is_whole(self) -> bool | None:
        """Nobody hears a loudspeaker that is silent."""

    def close(self) -> None:
        """Who feeds the player ends with it."""
        if self._process is not None and self._is_alive():
            kill_all(self._process)

    def _is_alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def _stop(self) -> None:
        self.close()
        if self._process is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
        self._process = self._feeding = None


def kill_all(process: asyncio.subprocess.Process) -> None:
    """A process that was begun as a session of its own, with all that it began."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


async def _feed(process: asyncio.subprocess.Process, stage: Stage) -> None:
    """Sound without end, as fast as it is played."""
    assert process.stdin is not None  # noqa: S101
    second = tone(stage, 1.0)
    with suppress(OSError):  # the player ended: `is_on` says so
        process.stdin.write(header())
        while True:
            process.stdin.write(second)
            await process.stdin.drain()


def header() -> bytes:
    """Of a WAV with one channel of 16 bits, as long as it is fed."""
    return struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", _ENDLESS + 36, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16,
                       b"data", _ENDLESS)


def tone(stage: Stage, seconds: float) -> bytes:
    """Samples of the stage's tone; whole periods in each quarter of a second, so that pieces join without a click."""
    tones = TONES_HZ[stage]
    step = round(RATE * _CHANGE_S)
    samples = array("h", (
        round(_LOUD * math.sin(2 * math.pi * tones[i // step % len(tones)] * (i % step) / RATE))
        for i in range(round(RATE * seconds))
    ))  # fmt: skip
    return samples.tobytes()
