"""The tables of hub.toml that keep the hub itself running: [backup] and [watchdog]."""

import re
from typing import Annotated

import msgspec

from tocsin.config import FileName, Table

ARCHIVE = "{archive}"
_AT = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


class BackupTable(Table, frozen=True):
    """[backup]: `at` is local time, "" for no nightly backup; `send` is a command that takes the archive elsewhere."""

    at: str = ""
    folder: FileName = "hub-backups"
    keep: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 7
    store: bool = True
    send: list[str] = []
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] = 3600.0

    def __post_init__(self) -> None:
        if self.at and not _AT.fullmatch(self.at):
            raise ValueError(f'at: "{self.at}" is not allowed; use a time of day like 02:30, or ""')
        if self.send and not any(ARCHIVE in word for word in self.send):
            raise ValueError(f"send: no word has {ARCHIVE}; use a command like "
                             f'["rsync", "{ARCHIVE}", "backup@other:/srv/tocsin/"]')


class WatchdogTable(Table, frozen=True):
    """[watchdog]: how the hub looks at itself and how often it says that it lives."""

    every_s: Annotated[float, msgspec.Meta(ge=0.1, le=60)] = 10.0
    stalled_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    behind_s: Annotated[float, msgspec.Meta(ge=1, le=604_800)] = 900.0
    disk_free_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 1000
