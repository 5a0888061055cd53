"""[service] of station.toml: the button that takes the station into service."""

from collections.abc import Collection
from typing import Annotated

import msgspec

from tocsin.config import Table


class ServiceTable(Table, frozen=True):
    """[service]"""

    device: Annotated[str, msgspec.Meta(min_length=1)]
    button_input: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] = 0
    minutes: Annotated[float, msgspec.Meta(gt=0, le=60)] = 30.0


def service_problems(table: ServiceTable | None, on_modbus: Collection[str], place: str) -> list[str]:
    """`on_modbus`: devices that have discrete inputs, or may have."""
    if table is None or table.device in on_modbus:
        return []
    return [f'{place}: service: device: "{table.device}" is not a Modbus device of this file; '
            f"use {', '.join(on_modbus) or 'one whose input the button is wired to'}"]
