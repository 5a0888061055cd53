"""When each device is read: on a grid that does not drift, each by itself; a silent one is asked less and less."""

import time
from collections.abc import Callable, Sequence

from edge.bus import Bus
from edge.config import Device
from tocsin.clock import Clock
from tocsin.devices import PolledDriver
from tocsin.readings import Reading, Reason, RejectedError, Rejection

Heard = Callable[[Device, Sequence[Reading | Rejection], float], bool]

_PATIENCE = 3        # silent polls before a device is asked less often
_LONGEST_PAUSE_S = 60.0


async def poll_for_ever(device: Device, driver: PolledDriver, bus: Bus, clock: Clock, heard: Heard) -> None:
    """Reads one device every `every_s` of the clock, on a grid from the start; missed ones are left out.

    Where `heard` says that a reading is held as a possible spike, it is read once more at once.
    """
    every_s = device.table.every_s
    due_s = clock.monotonic_s()
    silent = 0
    while True:
        await clock.sleep_until(due_s)
        items = await _poll(device, driver, bus)
        if heard(device, items, time.monotonic()):
            heard(device, await _poll(device, driver, bus), time.monotonic())
        silent = silent + 1 if _is_silent(items) else 0
        steps = _steps(silent, every_s)
        due_s += every_s * max(steps, int((clock.monotonic_s() - due_s) // every_s) + 1)


def _steps(silent: int, every_s: float) -> int:
    """How many periods on the next poll is: one, or for a silent device twice as many each time up to a minute."""
    if silent < _PATIENCE:
        return 1
    longest = max(1, int(_LONGEST_PAUSE_S // every_s))
    return min(1 << min(silent - _PATIENCE + 1, 16), longest)


async def _poll(device: Device, driver: PolledDriver, bus: Bus) -> Sequence[Reading | Rejection]:
    try:
        answers = [
            await bus.exchange(device.table.unit, request, device.table.deadline_s) for request in driver.requests
        ]
        return driver.decode(answers)
    except RejectedError as err:
        return [Rejection(err.reason, err.detail)]


def _is_silent(items: Sequence[Reading | Rejection]) -> bool:
    return bool(items) and all(isinstance(item, Rejection) and item.reason is Reason.SILENT for item in items)
