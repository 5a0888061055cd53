"""What works and what does not, per device: counted, and told once when it changes."""

from dataclasses import dataclass, field

from tocsin.faults import OpenFault
from tocsin.messages import DeviceHealth
from tocsin.readings import Reason

_NO_ANSWER = {Reason.SILENT, Reason.LINK}


@dataclass(slots=True)
class _Known:
    readings: int = 0
    refused: int = 0
    answered: int = 0
    last_t: int = 0
    held: int = 0
    confirmed: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    error: str = ""
    error_t: int = 0


class Health:
    """Counts of readings and refusals. A fault of a device has the key "", of one of its quantities that quantity.

    `open`, `power` and `next_s` are what the heartbeat says of the station itself; whoever looks after it sets them.
    """

    def __init__(self, devices: list[str]) -> None:
        self.open: list[OpenFault] = []
        self.power = ""
        self.next_s = 0.0
        self._known = {device: _Known() for device in devices}

    def all_good(self, device: str, count: int, t_ms: int) -> bool:
        """So many readings came of a device; False, and they are not counted, where they end a fault."""
        known = self._known[device]
        if known.faults:
            return False
        known.readings += count
        known.answered += count
        known.last_t = t_ms
        return True

    def good(self, device: str, quantity: str, t_ms: int) -> list[str]:
        """A reading came. Returns the faults that it ends, in words."""
        known = self._known[device]
        known.readings += 1
        known.answered += 1
        known.last_t = t_ms
        return [known.faults.pop(key) for key in ("", quantity) if key in known.faults]

    def held(self, device: str, *, confirmed: bool) -> None:
        """A reading that looked like a spike was judged by the next one."""
        known = self._known[device]
        known.held += 1
        known.confirmed += confirmed

    def refused(self, device: str, quantity: str, reason: Reason, detail: str, t_ms: int) -> bool:
        """A refusal at that time. True when it is news: another reason than before."""
        known = self._known[device]
        known.refused += 1
        known.answered += reason not in _NO_ANSWER
        before = known.faults.get(quantity, "")
        known.faults[quantity] = known.error = f"{reason}: {detail}"
        known.error_t = t_ms
        return before.partition(":")[0] != reason.value

    def counts(self, device: str) -> tuple[int, int]:
        """Good readings of a device, and answers of any kind, since the start."""
        known = self._known[device]
        return known.readings, known.answered

    def is_away(self, device: str) -> bool:
        """It gave no answer of any kind when it was asked last."""
        return self._known[device].faults.get("", "").partition(":")[0] in _NO_ANSWER

    def last_error(self, device: str) -> tuple[int, str]:
        """When (ms UTC, 0 for never since the start) something of a device was refused last."""
        known = self._known[device]
        return known.error_t, known.error

    def report(self) -> list[DeviceHealth]:
        """Of each device, for the heartbeat."""
        return [
            DeviceHealth(device, known.readings, known.refused, known.last_t, "; ".join(known.faults.values()),
                         known.held, known.confirmed)
            for device, known in self._known.items()
        ]
