"""What can be wrong with a station itself, as its heartbeat and its events say it."""

from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What can be wrong with a station itself, beside the single refusals of its devices."""

    SENSOR = "sensor"        # a device has given no good reading for too long
    BUS = "bus"              # no device on a bus answers
    DISK = "disk"            # little room, or the log cannot be written
    CLOCK = "clock"          # nothing disciplines the clock, or it is behind the log
    DRIFT = "drift"          # the clock differs from the hub's
    BATTERY = "battery"      # the voltage is low, or not known
    HEAT = "heat"            # the cabinet or the processor is too hot or too cold
    LINK = "link"            # the hub has answered nothing for too long
    CONFIG = "config"        # the station file does not hold: its copy is in force


class OpenFault(msgspec.Struct, frozen=True):
    """A fault that stands: its Fault, of which device, bus or place, in words, since when (ms UTC), and the words in
    Chinese ("" where an older station does not say them)."""

    fault: str
    what: str
    detail: str
    since: int
    zh: str = ""
