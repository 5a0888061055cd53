"""[landing] of hub.toml: how long the hub keeps what has arrived, and the room that it leaves."""

from typing import Annotated

import msgspec

from tocsin.config import Table
from tocsin.times import DAY_MS


class LandingTable(Table, frozen=True):
    """[landing]"""

    keep_days: Annotated[float, msgspec.Meta(ge=1)] = 7.0
    max_gb: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    free_mb: Annotated[float, msgspec.Meta(ge=0)] = 500.0

    @property
    def keep_ms(self) -> int:
        return round(self.keep_days * DAY_MS)

    @property
    def most_bytes(self) -> int:
        return round(self.max_gb * 1e9)

    @property
    def free_bytes(self) -> int:
        return round(self.free_mb * 1e6)
