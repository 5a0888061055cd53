"""Room on the hub's disk: readings stop landing before there is none, so that warnings and answers still find some.

Beside that a file of a fixed size, `reserve`, is kept in the folder. If others fill the disk all the same, it is
given up, so that warnings land; it is made again when there is room.
"""

import errno
import os
import shutil
from pathlib import Path

from tocsin.clock import Clock

RESERVE_BYTES = 16 << 20
LOOK_EVERY_S = 1.0
_ENOUGH = 1.2  # of what must be free, before readings land again: not in and out with every megabyte


class Room:
    """`short`: readings must wait. `free` is in bytes, as last seen."""

    def __init__(self, folder: Path, least_bytes: int, clock: Clock) -> None:
        self.short = False
        self.free = 0
        self.least = least_bytes
        self._folder = folder
        self._reserve = folder / "reserve"
        self._clock = clock
        self._look_at_s = 0.0

    def look(self, *, now: bool = False) -> bool:
        """Whether it is short; looks at most once a second, unless `now`. Where it cannot be seen nothing waits."""
        if now or self._clock.monotonic_s() >= self._look_at_s:
            self._look_at_s = self._clock.monotonic_s() + LOOK_EVERY_S
            try:
                self.free = shutil.disk_usage(self._folder).free
            except OSError:
                return self.short
            self.short = self.free < self.least * (_ENOUGH if self.short else 1.0)
        return self.short

    def keep_reserve(self) -> bool:
        """Makes the reserve where it is missing and there is room for it; whether it is there."""
        if self._reserve.exists():
            return True
        if not self.least or self.look(now=True) or self.free < self.least + RESERVE_BYTES:
            return False
        try:
            with self._reserve.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, RESERVE_BYTES)
        except OSError as err:
            self._reserve.unlink(missing_ok=True)
            return err.errno == errno.EOPNOTSUPP
        return True

    def give_reserve(self) -> bool:
        """Lets go of it; whether there was one."""
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True
