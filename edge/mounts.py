"""How the file system under the log is mounted."""

import os
from pathlib import Path

SELDOM_S = 60  # what a card takes then of the journal is little
_USUAL_S = 5   # of ext3 and ext4
_TABLE = Path("/proc/self/mountinfo")


def journal_s(folder: Path, table: Path = _TABLE) -> int:
    """Seconds from commit to commit of the journal; 0 where that is not known, or there is none. Raises OSError."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in table.read_text().splitlines():    # see proc(5)
        mount, _, system = line.partition(" - ")
        words, kind = mount.split(), system.split()
        if len(words) > 2 and words[2] == number and len(kind) > 2 and kind[0] in {"ext3", "ext4"}:
            options = dict(one.partition("=")[::2] for one in kind[2].split(","))
            seconds = options.get("commit", "")
            return int(seconds) if seconds.isdecimal() else _USUAL_S
    return 0
