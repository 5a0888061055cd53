"""An append-only log on disk: segments of checksummed records, and a cursor behind which all is delivered.

    segment-<first seq, 20 digits>.log     see tocsin.segment
    cursor       "<seq> <hub id>": every record up to seq is on that hub's disk

A process that dies loses nothing that `append` was given; a power cut loses nothing from before the last `sync`. A torn
tail is cut off at the next opening; a file that is damaged before its tail is set aside as `*.damaged`, its good
records are written anew; what a disk does not give back is read as damage. `tests/test_log.py` cuts one at every byte.
"""

import itertools
import os
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tocsin.segment import (
    HEADER_BYTES,
    HOLED,
    Entry,
    Writer,
    check_size,
    found,
    header,
    pack,
    read_file,
    scan,
    version_of,
)

__all__ = ["Entry", "Log", "Mended", "check_size", "first_seq", "read_log", "read_segment", "replace_file",
           "segments_of"]


@dataclass(frozen=True, slots=True)
class Mended:
    """What was wrong with a file, in words, and the stretches (first, last) of records that are not in the log."""

    words: str
    holes: list[tuple[int, int]]


class Log:
    """For the one owner, who appends from one thread at a time; another may mend, rewrite and drop sealed segments.

    Others look with `read_log`.
    """

    def __init__(self, folder: Path, segment_bytes: int = 4 << 20) -> None:
        """Opens or creates. `damage` then lists what was wrong with the files, in words.

        A full disk does not keep it from opening: `append` says so then.
        """
        self.folder = folder
        self.damage: list[str] = []
        self.suspects: set[Path] = set()
        self._segment_bytes = segment_bytes
        self._file: Writer | None = None
        self._dirty = False
        folder.mkdir(parents=True, exist_ok=True)
        self.cursor, self.cursor_hub = self._read_cursor()
        self.next_seq = max(1, self.cursor + 1)
        for path in segments_of(folder)[-1:]:
            try:
                self._open(path)
            except OSError as err:
                self.next_seq = max(self.next_seq, first_seq(path)) + (1 << 16)  # its records keep their numbers
                self.damage.append(f"{path.name}: cannot be opened: {err}; record {self.next_seq} comes next")
        if self._file is None:
            with suppress(OSError):
                self._file = self._new_segment()

    @property
    def sealed(self) -> list[Path]:
        """Segments that nothing is written to any more, the oldest first."""
        return segments_of(self.folder)[:-1]

    def append(self, entries: Sequence[Entry]) -> None:
        """What it returned from survives a process crash. `seq` must go on from `next_seq`. Raises OSError."""
        for number, entry in enumerate(entries):
            if entry.seq != self.next_seq + number:
                raise ValueError(f"seq {entry.seq} does not follow {self.next_seq + number - 1}")
        data = b"".join(pack(entry) for entry in entries)
        file = self._file
        if file is None:
            file = self._file = self._new_segment()
        elif file.at + len(data) > self._segment_bytes and file.at > HEADER_BYTES:
            file = self._roll(file)
        file.write(data)
        self.next_seq += len(entries)
        self._dirty = True

    def skip(self, seq: int) -> None:
        """The next record is `seq`: those between were given up before they could be written."""
        self.next_seq = max(self.next_seq, seq)

    def sync(self) -> None:
        """Returns when all that was appended is on the disk itself."""
        if self._dirty and self._file is not None:
            self._file.sync()
            self._dirty = False

    def read(self, after: int = 0, kinds: Container[int] | None = None, *, strict: bool = True) -> Iterator[Entry]:
        """Entries with seq > after, in order. Damaged files become `suspects`; those that cannot be read too.

        Raises OSError, at any of them, where `strict`; else their entries are left out.
        """
        return read_log(self.folder, after, kinds, self.suspects.add, strict=strict)

    def move_cursor(self, seq: int, hub: str) -> None:
        """Everything up to `seq` is on the disk of that hub. Lost by a power cut, it only makes a harmless repeat."""
        self.cursor, self.cursor_hub = seq, hub
        replace_file(self.folder / "cursor", f"{seq} {hub}\n".encode(), sync=False)

    def drop(self, older_than_s: float, now_s: float) -> int:
        """Deletes whole segments behind the cursor last written more than `older_than_s` ago; returns how many."""
        paths = segments_of(self.folder)
        dropped = 0
        for path, following in itertools.pairwise(paths):
            if first_seq(following) - 1 > self.cursor or now_s - path.stat().st_mtime < older_than_s:
                break
            path.unlink()
            dropped += 1
        return dropped

    def mend(self, path: Path) -> Mended | None:
        """Reads a sealed segment; sets it aside where it is damaged, its good records are written anew.

        None where nothing is wrong, or it was said before. Raises OSError, also where the disk gives back nothing.
        """
        last = dict(itertools.pairwise(map(first_seq, segments_of(self.folder))))[first_seq(path)] - 1
        data = read_file(path)
        kept = found(data, first_seq(path) - 1)
        damaged = not kept.whole or kept.behind > 0
        short = not kept.thinned and (not kept.entries or kept.entries[-1].seq < last)
        if not damaged and not short:
            return None
        aside = _set_aside(path, data)
        self.rewrite(path, kept.entries, kept.thinned or HOLED)
        words = f"{path.name}: damaged; {len(kept.entries)} good records kept, set aside as {aside.name}"
        return Mended(words, _holes(kept.entries, first_seq(path), last))

    def rewrite(self, path: Path, entries: Sequence[Entry], thinned: int) -> None:
        """The sealed segment has only these records from now on. Raises OSError, and all is as it was then."""
        times = path.stat()
        replace_file(path, header(thinned) + b"".join(map(pack, entries)), sync=True)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def close(self) -> None:
        self.sync()
        if self._file is not None:
            self._file.close()

    def _read_cursor(self) -> tuple[int, str]:
        try:
            seq, _, hub = (self.folder / "cursor").read_text().strip().partition(" ")
            return max(0, int(seq)), hub
        except FileNotFoundError:  # none yet
            return 0, ""
        except (OSError, ValueError) as err:  # everything is offered again, which is harmless
            self.damage.append(f"cursor: cannot be read: {err}; the hub is offered everything again")
            return 0, ""

    def _open(self, path: Path) -> None:
        """Cuts a torn tail; sets a file aside that is damaged before its tail. Moves `next_seq` past what is there."""
        data = read_file(path)
        kept = found(data, first_seq(path) - 1)
        # a segment without a record is still named after what stands in the segments before it
        self.next_seq = max(self.next_seq, kept.entries[-1].seq + 1 if kept.entries else first_seq(path))
        end = kept.end
        if not kept.whole:
            if not self._made_anew(path, data, kept.entries):
                self.next_seq = max(self.next_seq, first_seq(path) + 1)  # the new segment must not have its name
                return
            end = path.stat().st_size
        elif kept.behind:
            self.damage.append(f"{path.name}: {kept.behind} bytes of a torn record cut off")
            _cut(path, end)
        if version_of(data) != 1 or not kept.whole:  # what an older version wrote stays as it is
            self._file = Writer(path, end, self._segment_bytes)

    def _made_anew(self, path: Path, data: bytes, entries: list[Entry]) -> bool:
        """A copy first: at no moment is the segment gone."""
        words = f"{path.name}: damaged; {len(entries)} good records kept"
        try:
            aside = _set_aside(path, data)
            self.rewrite(path, entries, 0)
        except OSError as err:
            self.damage.append(f"{words}; it cannot be set aside: {err}")
            return False
        self.damage.append(f"{words}, set aside as {aside.name}")
        return True

    def _new_segment(self) -> Writer:
        path = self.folder / f"segment-{self.next_seq:020d}.log"
        replace_file(path, header(), sync=True)
        return Writer(path, HEADER_BYTES, self._segment_bytes)

    def _roll(self, full: Writer) -> Writer:
        self.sync()
        self._file = self._new_segment()  # on a full disk the old one stays open
        full.finish()
        return self._file


def read_log(
    folder: Path, after: int = 0, kinds: Container[int] | None = None,
    suspect: Callable[[Path], None] = lambda _path: None, *, strict: bool = True,
) -> Iterator[Entry]:  # fmt: skip
    """Entries with seq > after, of these kinds, of a log that its owner may be writing: looks, and mends nothing.

    `suspect` is told of segments that are damaged or cannot be read. Raises OSError, where `strict`.
    """
    paths = segments_of(folder)
    for path, following in itertools.zip_longest(paths, paths[1:]):
        if following is not None and first_seq(following) - 1 <= after:
            continue
        try:
            yield from _read(path, after, kinds, suspect if following is not None else lambda _path: None)
        except FileNotFoundError:  # dropped meanwhile
            continue
        except OSError:
            suspect(path)
            if strict:
                raise


def read_segment(path: Path, kinds: Container[int] | None = None) -> Iterator[Entry]:
    """Entries of one segment, of these kinds. Raises OSError."""
    return _read(path, 0, kinds, lambda _path: None)


def _read(
    path: Path, after: int, kinds: Container[int] | None, suspect: Callable[[Path], None]
) -> Iterator[Entry]:  # fmt: skip
    damaged: list[int] = []
    for _, entry in scan(read_file(path), first_seq(path) - 1, kinds, damaged.append):
        if entry.seq > after:
            yield entry
    if damaged:
        suspect(path)


def replace_file(path: Path, data: bytes, *, sync: bool) -> None:
    """Temporary file, sync, rename: readers see the old content or the new, never half of it."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    temporary.replace(path)
    if sync:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def segments_of(folder: Path) -> list[Path]:
    """The oldest first. Other files of nearly that name, such as somebody's copies, are not of the log."""
    return sorted(path for path in folder.glob("segment-*.log") if path.stem.removeprefix("segment-").isdigit())


def first_seq(path: Path) -> int:
    """The number of the first record that a segment was made for."""
    return int(path.stem.removeprefix("segment-"))


def _set_aside(path: Path, data: bytes) -> Path:
    """What could be read of it, under another name."""
    aside = path.with_suffix(".damaged")
    replace_file(aside, data, sync=True)
    return aside


def _holes(entries: Sequence[Entry], first: int, last: int) -> list[tuple[int, int]]:
    """Stretches of first..last that have no entry."""
    ends = [first - 1, *(entry.seq for entry in entries), last + 1]
    return [(low + 1, high - 1) for low, high in itertools.pairwise(ends) if high - low > 1]


def _cut(path: Path, length: int) -> None:
    """In place: it must succeed on a full disk too."""
    with path.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())
