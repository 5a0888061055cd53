"""One process at a time on a station's data folder: the agent, or `tocsin siren-off`."""

import fcntl
import os
from pathlib import Path


def locked(folder: Path) -> int:
    """A descriptor: held until it is closed or the process is gone.

    Raises BlockingIOError where another process holds it, other OSErrors where there is no such folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:  # a disk that became read-only: the station must warn, and be silenced, all the same
        lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise
    return lock
