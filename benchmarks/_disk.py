"""How many bytes go to the disk, by two counters of the kernel.

charged   write_bytes of /proc/self/io: 4 KiB for every page of a file that this process makes dirty
device    sectors written of the block device under a folder, the file system's own journal among them. It counts
          what every process of the machine writes: `filesystem_of_our_own` keeps the others away
"""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks._rows import BenchError

_SECTOR_BYTES = 512  # of the kernel's statistics, whatever the device's own are (Documentation/block/stat.rst)
_SECTORS_WRITTEN = 6
_BLOCK_BYTES = 4096   # as on every card; by itself mkfs would take 1024 for a file system as small as ours
_IMAGE_BYTES = 256 << 20  # the journal of a file system of this size is 8 MiB, and is not filled by a bench


def charged_bytes() -> int:
    """Since this process began. Raises BenchError where the kernel does not count."""
    try:
        lines = Path("/proc/self/io").read_text().splitlines()
    except OSError as err:
        raise BenchError(f"/proc/self/io: {err}: the kernel does not count what a process writes") from err
    return int(dict(line.split(": ") for line in lines)["write_bytes"])


class Device:
    """The block device under a folder."""

    def __init__(self, folder: Path) -> None:
        number = folder.stat().st_dev
        self._statistics = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")

    def written_bytes(self) -> int:
        """Since the machine started; always 0 for a file system without a device of its own, as in a container."""
        if not self._statistics.exists():
            return 0
        return int(self._statistics.read_text().split()[_SECTORS_WRITTEN]) * _SECTOR_BYTES


@contextlib.contextmanager
def folder_on_disk() -> Iterator[Path]:
    """A temporary folder whose writes are counted. Raises BenchError where there is none: TMPDIR can name another."""
    for place in (tempfile.gettempdir(), "/var/tmp"):
        with tempfile.TemporaryDirectory(prefix="tocsin-bench-", dir=place) as folder:
            if _is_counted(Path(folder)):
                yield Path(folder)
                return
    raise BenchError("writes to the folder of temporary files are not counted: set TMPDIR to a folder on a disk")


@contextlib.contextmanager
def filesystem_of_our_own(options: str = "loop") -> Iterator[Path | None]:
    """An ext4 in a file, mounted for the time of the block, so that its device counts us alone; None without root."""
    with folder_on_disk() as folder:
        image, place = folder / "image", folder / "mounted"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(_IMAGE_BYTES)
        # nothing of it is left to be made after it is mounted: that would be counted
        made = _done("mkfs.ext4", "-q", "-b", str(_BLOCK_BYTES), "-E", "lazy_itable_init=0,lazy_journal_init=0",
                     str(image))
        if not (made and _done("mount", "-o", options, str(image), str(place))):
            yield None
            return
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)


def flush(paths: Iterator[Path]) -> None:
    """Returns when these files are on the device."""
    for path in paths:
        with path.open("rb") as file:
            os.fsync(file.fileno())


def sync_filesystem(folder: Path) -> None:
    """Returns when all that was written to the file system of a folder is on its device, the journal too."""
    subprocess.run(["sync", "--file-system", str(folder)], check=True)


def ahead(folder: Path) -> int:
    """Bytes of zeros that a log has written for records to come: those are charged for them when they come."""
    last = max(folder.glob("segment-*.log"), default=None)
    return len(data := last.read_bytes()) - len(data.rstrip(b"\0")) if last else 0


def _is_counted(folder: Path) -> bool:
    before = charged_bytes()
    (folder / "probe").write_bytes(b"probe")
    return charged_bytes() > before


def _done(*command: str) -> bool:
    try:
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False
