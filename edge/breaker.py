"""When a device that fails is asked: not for every poll's worth of line, but with a short probe at growing pauses.

Silence and garbage cost the line a deadline each time; an exception comes as fast as an answer, so such a device is
asked as ever (but for those of a gateway that waited for it in vain). After the first costly answer it is asked once
more in the same turn; after PATIENCE in a row it is asked only after 2, 4, 8... of its periods, and no rarer than that
takes a fiftieth of the line: with a probe and, in turn, with the poll itself, for some devices say nothing to a read
that is shorter than what they are made for. The first good answer ends that.
"""

from edge.modbus import BIT_FUNCTIONS, DeviceRefusedError
from tocsin.devices import Request
from tocsin.readings import Reason, RejectedError

PATIENCE = 3
_SHARE = 0.02
LONGEST_PAUSE_S = 60.0
_COSTLY = {Reason.SILENT, Reason.CHECKSUM, Reason.FOREIGN, Reason.FORMAT}


class Breaker:
    """Of one device that is polled every `every_s`."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._failures = 0

    @property
    def doubtful(self) -> bool:
        """Whether the last poll got no answer."""
        return self._failures > 0

    @property
    def in_earnest(self) -> bool:
        """Whether the next may be the poll itself, with no probe before it."""
        return not self.doubtful or (self.open and (self._failures - PATIENCE) % 2 == 1)

    @property
    def stumbled(self) -> bool:
        """Whether this was the first to get no answer, after good ones or at the start."""
        return self._failures == 1

    @property
    def open(self) -> bool:
        """Whether it is only asked at growing pauses."""
        return self._failures >= PATIENCE

    def good(self) -> None:
        """It answered, whatever it said."""
        self._failures = 0

    def failed(self, why: RejectedError) -> None:
        """An exchange of a poll, or its probe, was refused."""
        if is_costly(why):
            self._failures += 1
        elif why.reason is not Reason.LINK:     # of a port that is not there the device says nothing
            self._failures = 0

    def periods(self, deadline_s: float) -> int:
        """How many of its periods on it is asked next, if a probe may take `deadline_s`."""
        if not self.open:
            return 1
        longest_s = min(LONGEST_PAUSE_S, deadline_s / _SHARE)
        longest = max(1, int(longest_s // self._every_s))
        return min(1 << min(self._failures - PATIENCE + 1, 16), longest)


def is_costly(why: RejectedError) -> bool:
    """Whether it took the line longer than an answer would have."""
    return why.reason in _COSTLY or (isinstance(why, DeviceRefusedError) and why.by_gateway)


def probe_of(request: Request) -> Request:
    """The shortest read at a request's first address whose answer has another length than the request's own.

    So a late answer to the request is never taken for the probe's.
    """
    alone, other = (8, 9) if request.function in BIT_FUNCTIONS else (1, 2)
    count = 1 if request.count > alone else other
    return Request(request.function, min(request.address, 0x1_0000 - count), count)
