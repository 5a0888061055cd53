"""What a station says of its own health, once a minute and as its last will."""

import msgspec

from tocsin.faults import OpenFault


class DeviceHealth(msgspec.Struct, frozen=True):
    """One device since the agent's start. Of `held` readings that looked like spikes, `confirmed` were real."""

    device: str
    readings: int
    refused: int
    last_t: int
    fault: str = ""
    held: int = 0
    confirmed: int = 0


class SirenHealth(msgspec.Struct, frozen=True):
    """When the siren was last known to work (ms UTC, 0: never), and how: `line` (a silent check), `test`, `sounded`.

    `tested`: when it was last heard, in a test or in earnest. `overdue` and `fault`: in words, "" where all is well;
    with `_zh` in Chinese.
    """

    proven: int = 0
    how: str = ""
    tested: int = 0
    overdue: str = ""
    fault: str = ""
    overdue_zh: str = ""
    fault_zh: str = ""


class LogHealth(msgspec.Struct, frozen=True):
    """A station's log: megabytes that it takes and may take, the step by which it is thinned (0: none), records that
    wait for the disk, records that there was no room for since the start, and why it cannot be written."""

    mb: float
    most_mb: float
    thinned: int = 0
    pending: int = 0
    given_up: int = 0
    fault: str = ""


class Heartbeat(msgspec.Struct, frozen=True):
    """A station's health. `online` is false in the last will, and after a clean stop; `siren` is the level it sounds
    for, 0 while it is silent; `backlog` counts records that the hub has not committed. It comes every `every_s`. With
    `summary_s`, in calm the newest values come that often. `today_bytes` and `month_bytes` (UTC) are what the network
    counts for the link, of `budget_bytes` a month (0: no budget), which thins what goes up by `thinning` steps.
    `power`: the state of the battery, "" where the station measures none; `next_s`: the link sleeps so long before the
    next heartbeat, 0: it does not.
    `mark`: tocsin.signing.mark_of its key. Where the broker takes no larger message, `more_devices` are not among
    `devices`, of which `more_ill` have a fault, and `more_faults` not among `faults`."""

    v: int
    station: str
    t: int
    online: bool
    boot: str = ""
    backlog: int = 0
    siren: int = 0
    devices: list[DeviceHealth] = []
    siren_health: SirenHealth | None = None
    every_s: float = 60.0
    summary_s: float = 0.0
    today_bytes: int = 0
    month_bytes: int = 0
    budget_bytes: int = 0
    thinning: int = 0
    log: LogHealth | None = None
    faults: list[OpenFault] = []
    power: str = ""
    next_s: float = 0.0
    mark: str = ""
    more_devices: int = 0
    more_ill: int = 0
    more_faults: int = 0
