"""Records that the process must not lose, before they are written to the disk in one go: a file in memory.

A log that is written record by record costs a card twice its bytes: the kernel writes a page that is not yet full, and
then once more. So in calm the records of 10 s wait in `/dev/shm`, which outlives the process and not a power cut, just
as the kernel's own cache would; `early` in the log's folder is a link to that file.
"""

import contextlib
import errno
import os
import secrets
import weakref
from pathlib import Path

from tocsin.segment import Entry, header, pack, scan

MEMORY = Path("/dev/shm")  # noqa: S108 - made with a random name, for its owner alone
NAME = "early"
MOST_BYTES = 256 << 10


class Early:
    """What was appended since the last `clear`."""

    def __init__(self, folder: Path, file: int, target: Path) -> None:
        self._link = folder / NAME
        self._target = target
        self._take(file)
        self.held: list[Entry] = []
        self.size = 0

    @classmethod
    def of(cls, folder: Path) -> "Early | None":
        """None where there is no such memory or no room for the link. What the last process left stays in the file."""
        link = folder / NAME
        try:
            target = link.readlink() if link.is_symlink() else MEMORY / f"tocsin-{secrets.token_hex(8)}"
            file = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            if not link.is_symlink():
                link.unlink(missing_ok=True)
                link.symlink_to(target)
        except OSError:
            return None
        return cls(folder, file, target)

    def keep(self, entries: list[Entry]) -> None:
        """Only these wait; they stood in the file already."""
        data = b"".join([header(), *map(pack, entries)]) if entries else b""
        if os.pwrite(self._file, data, 0) < len(data):
            raise self._no_room()
        os.ftruncate(self._file, len(data))
        self.held, self.size = list(entries), len(data)

    def add(self, entries: list[Entry]) -> None:
        """What it returned from survives a process crash. Raises OSError, and nothing was added then."""
        if not os.fstat(self._file).st_nlink:
            self._made_anew()
        data = b"".join([b"" if self.size else header(), *map(pack, entries)])
        done = os.pwrite(self._file, data, self.size)
        if done < len(data):
            os.ftruncate(self._file, self.size)
            raise self._no_room()
        self.size += done
        self.held += entries

    def _made_anew(self) -> None:
        """logind deletes what a user has in /dev/shm when that user's last session ends (RemoveIPC)."""
        file = os.open(self._target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        self._close()
        self._take(file)
        self.keep(self.held)

    def _take(self, file: int) -> None:
        self._file = file
        self._close = weakref.finalize(self, os.close, file)

    def _no_room(self) -> OSError:
        return OSError(errno.ENOSPC, f"{self._target}: no room in memory for records that wait for the disk")

    def clear(self) -> None:
        """All of it is in the log now."""
        os.ftruncate(self._file, 0)
        self.size = 0
        self.held = []

    def close(self) -> None:
        """Nothing is left in memory."""
        self._close()
        with contextlib.suppress(OSError):
            self._target.unlink()
            self._link.unlink()


def read_early(folder: Path, *, strict: bool = False) -> list[Entry]:
    """What waits for the disk, or waited when a process died. Raises OSError, where `strict`."""
    try:
        return [entry for _, entry in scan((folder / NAME).read_bytes())]
    except FileNotFoundError:  # none waits, or there was a power cut
        return []
    except OSError:
        if strict:
            raise
        return []
