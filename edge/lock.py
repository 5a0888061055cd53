"""One process at a time on a station's data folder: the agent, or `tocsin siren-off`; and one walk through it."""

import fcntl
import os
import weakref
from pathlib import Path

AGENT, WALK = "lock", "commission.lock"


class Lock:
    """Held until it is closed or dropped, or the process is gone."""

    def __init__(self, folder: Path, name: str = AGENT) -> None:
        """Raises BlockingIOError where another process holds it, other OSErrors where there is no such folder.

        WALK cannot be had where its file cannot be made, as on a disk that became read-only: OSError too.
        """
        if name == AGENT:  # a folder that a technician made would not be the agent's
            folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:  # a disk that became read-only: the station must warn, and be silenced, all the same
            file = os.open(folder if name == AGENT else folder / name, os.O_RDONLY)
        self.close = weakref.finalize(self, os.close, file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            raise
