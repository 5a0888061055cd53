"""A bus of the station file."""

from typing import Annotated, Literal

import msgspec

from tocsin.config import Table

Name = Annotated[
    str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z", description="small letters, digits, - and _")
]


class BusTable(Table, frozen=True):
    """[[bus]]: one port or connection, and what is spoken on it."""

    name: Name
    speaks: Literal["modbus-tcp", "modbus-rtu", "lines"]
    port: Annotated[str, msgspec.Meta(min_length=1)]
    baud: Literal[300, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1

    @property
    def address(self) -> tuple[str, int] | None:
        """(host, TCP port) of `tcp://host:port`, or None for a serial device's path."""
        if not self.port.startswith("tcp://"):
            return None
        host, _, port = self.port.removeprefix("tcp://").rpartition(":")
        return host, int(port)

    def __post_init__(self) -> None:
        host, _, port = self.port.removeprefix("tcp://").rpartition(":")
        is_tcp = self.port.startswith("tcp://")
        if is_tcp and not (host and port.isdecimal() and 0 < int(port) < 65536):
            raise ValueError(f'port: "{self.port}" is not allowed; use tcp://host:port')
        if not is_tcp and (self.speaks == "modbus-tcp" or not self.port.startswith("/")):
            use = "tcp://host:port" if self.speaks == "modbus-tcp" else "a device path like /dev/ttyUSB0, or tcp://host:port"
            raise ValueError(f'port: "{self.port}" is not allowed for {self.speaks}; use {use}')
