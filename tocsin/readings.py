"""Readings as a driver gives them, and refusals with their reason."""

from dataclasses import dataclass
from enum import IntFlag, StrEnum


class Reason(StrEnum):
    """Why something that came over a wire is not a reading. A refusal is data: counted, logged, shown."""

    SILENT = "silent"            # no answer inside the deadline
    EXCEPTION = "exception"      # the device answered with an exception
    CHECKSUM = "checksum"        # a frame came whole, its check did not fit
    FOREIGN = "foreign"          # an answer of another device or to another question
    FORMAT = "format"            # length or structure is not what the device's table says
    STATUS = "status"            # the device itself says that the value is not good
    RANGE = "range"              # outside the instrument's span
    IMPLAUSIBLE = "implausible"  # outside what the site allows
    LINK = "link"                # the port or connection is not there


class Quality(IntFlag):
    """Bits beside a stored value; docs/detection.md says what follows from each. GOOD is no bit."""

    GOOD = 0
    MISSING = 1      # no reading at all
    RANGE = 2        # outside `plausible`
    SPIKE_HELD = 4   # beyond the rate; not counted unless the next reading confirms it
    STUCK = 8        # the same value for too long
    LATE = 16        # its time is not after the last one's
    STALE = 32       # nobody sets it: that a series is stale is an event
    CLOCK = 64       # read while the station's clock was in doubt
    SERVICE = 128    # read while somebody worked on the device


GIVEN = int(Quality.CLOCK | Quality.SERVICE)  # what a reading brings along; all other bits are found where it is judged
# no rule sees a reading with one of these; the others are told and count all the same
EXCLUDED = int(Quality.MISSING | Quality.RANGE | Quality.SPIKE_HELD | Quality.LATE | Quality.SERVICE)


@dataclass(frozen=True, slots=True)
class Reading:
    """One value of one quantity, as the device said it."""

    quantity: str
    value: float


@dataclass(frozen=True, slots=True)
class Rejection:
    """One refused value (`quantity` set) or frame (`quantity` empty)."""

    reason: Reason
    detail: str
    quantity: str = ""


class RejectedError(Exception):
    """A whole frame is refused; carries its reason."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
