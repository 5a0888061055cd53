"""Technical events of a station: what they are. docs/events.md says what to do."""

from enum import StrEnum


class EventKind(StrEnum):
    """Technical events of a station."""

    REFUSED = "refused"          # a device's answer was refused; the reason stands in the detail
    BACK = "back"                # a device that was refused gives readings again
    STALE = "stale"              # a series has had no good reading for too long
    FRESH = "fresh"              # a stale series is fresh again
    LATE = "late"                # a reading whose time is not after the last one's; stored, not evaluated
    CLOCK = "clock"              # the clock stepped
    SIREN = "siren"              # the siren could not be commanded, or can be again
    DISK = "disk"                # the log was damaged or could not be written
    FAULT = "fault"              # a part of the agent failed and begins again, or a record is too large for the broker
    STUCK = "stuck"              # a series may be stuck or blocked: its value does not move, or moves again
    SERVICE = "service"          # somebody works on a device: begun or ended
    CALIBRATION = "calibration"  # an offset, a datum or a size of tip is another one
    COMMISSION = "commission"    # a technician has proved the station; the sheet
    OPERATOR = "operator"        # a person at the station acknowledged, cleared, shelved or silenced
    RULES = "rules"              # other rules are in force, or were refused
    THINNED = "thinned"          # the log came near its limit: by a documented step, readings went
    COMMAND = "command"          # something from the hub was refused, or the hub has another key
    PROOF = "proof"              # the siren's line check or audible test: its result, or that it is overdue
    BUDGET = "budget"            # the data budget thins what goes up more, or less
    HEALTH = "health"            # something of the station itself is wrong; the reason is a Fault
    CURED = "cured"              # it is right again
    POWER = "power"              # the battery makes the station save, or no longer
    OVERLOAD = "overload"        # a bus cannot keep its devices' periods, or can again
