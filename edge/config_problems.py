"""What is wrong with a station file as a whole, though each of its tables is good."""

from typing import TYPE_CHECKING

from edge.device import Device
from tocsin.config import twice
from tocsin.devices import OutputDriver

if TYPE_CHECKING:
    from edge.config import BusTable, StationFile


def siren_problems(file: "StationFile", devices: list[Device], place: str) -> list[str]:
    """A siren that is no output. Of a device that was refused itself nothing more is said."""
    outputs = [device.table.name for device in devices if isinstance(device.driver, OutputDriver)]
    refused = {table.name for table in file.device} - {device.table.name for device in devices}
    if file.siren is None or not file.siren.device or file.siren.device in {*outputs, *refused}:
        return []
    return [f'{place}: siren: device: "{file.siren.device}" is not an output of this file; '
            f"use {', '.join(outputs) or 'a device with an output driver such as relay_output'}"]


def bus_problems(file: "StationFile", buses: "dict[str, BusTable]", place: str) -> list[str]:
    """Names that stand twice, and ports that cannot be shared: a serial port has one owner, a listener its own line."""
    problems = twice(place, "bus", [bus.name for bus in file.bus])
    owner: dict[str, str] = {}
    for bus in file.bus:
        first = owner.setdefault(bus.port, bus.name)
        if first != bus.name and bus.address is None:
            problems.append(f'{place}: bus "{bus.name}": port: "{bus.port}" is that of bus "{first}"; '
                            "use one bus for one serial port")
    for bus in buses.values():
        on_it = [device.name for device in file.device if device.bus == bus.name]
        if bus.speaks == "lines" and len(on_it) > 1:
            problems.append(f'{place}: bus "{bus.name}": {", ".join(on_it)} are not allowed together; '
                            "a bus that speaks lines has one device")
    return problems
