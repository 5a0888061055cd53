"""A serial line without hardware: the pseudo terminal pair."""

import os
import tty
from pathlib import Path


class Pty:
    """A pty pair. The slave side is raw and stays open here, so that readers come and go without hang-ups."""

    def __init__(self, link: Path | None) -> None:
        self._link = link
        self.path = ""
        self.dropped = 0
        self._master = self._slave = -1

    def open(self) -> int:
        """The master's file descriptor. Raises OSError; FileExistsError where `link` is a file of another kind."""
        if self._link is not None and self._link.exists() and not self._link.is_symlink():
            raise FileExistsError(f"{self._link} is there and is no symlink; choose another link")
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        if self._link is not None:
            self._link.unlink(missing_ok=True)
            self._link.symlink_to(self.path)
        return self._master

    def close(self) -> None:
        if self._master < 0:
            return
        if self._link is not None and self._link.is_symlink() and str(self._link.readlink()) == self.path:
            self._link.unlink()
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def read(self) -> bytes:
        try:
            return os.read(self._master, 4096)
        except BlockingIOError:
            return b""

    def write(self, data: bytes) -> bool:
        """False where nobody reads and the line's buffer is full: the rest is lost, as on a real wire."""
        if self._master < 0:
            return False
        try:
            written = os.write(self._master, data)
        except BlockingIOError:
            written = 0
        self.dropped += len(data) - written
        return written == len(data)
