"""An append-only log on disk: segments of checksummed records, and a cursor behind which all is delivered.

    segment-<first seq, 20 digits>.log
        8 bytes  "TOCSINLG"    4 bytes  version, 1    4 bytes  zero
        then records, little endian: length u32 | crc32 u32 of the rest | seq u64 | kind u8 | `length` bytes of payload
    cursor       "<seq> <hub id>": every record up to seq is on that hub's disk

A process that dies loses nothing that `append` was given; a power cut loses nothing from before the last `sync`. On
opening, a torn tail is cut off; a last segment that is damaged before its tail is set aside as `*.damaged`, its good
records are written anew. `tests/test_log.py` cuts a log at every byte.
"""

import itertools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"TOCSINLG" + struct.pack("<II", 1, 0)
_HEAD = struct.Struct("<IIQB")
_MAX_PAYLOAD = 1 << 24
_MAX_STEP = 1 << 32  # seq rises by one; a damaged stretch can hide some, never this many


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the log. `kind` is the first byte of a record's kind, so that a reader can skip."""

    seq: int
    kind: int
    payload: bytes


class Log:
    """For the one owner, who appends; not safe for several threads at once. Others look with `read_log`."""

    def __init__(self, folder: Path, segment_bytes: int = 4 << 20) -> None:
        """Opens or creates. `damage` then lists what was wrong with the files, in words."""
        self.folder = folder
        self.damage: list[str] = []
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.cursor, self.cursor_hub = self._read_cursor()
        self.next_seq = max(1, self.cursor + 1)
        for path in _segments(folder)[-1:]:
            self._mend(path)
        self._file = self._open_last()
        self._dirty = False

    def append(self, entries: Sequence[Entry]) -> None:
        """What it returned from survives a process crash. `seq` must go on from `next_seq`. Raises OSError."""
        for number, entry in enumerate(entries):
            if entry.seq != self.next_seq + number:
                raise ValueError(f"seq {entry.seq} does not follow {self.next_seq + number - 1}")
        data = b"".join(_pack(entry) for entry in entries)
        if self._file.tell() + len(data) > self._segment_bytes and self._file.tell() > len(_MAGIC):
            self._roll()
        start = self._file.tell()
        try:
            self._file.write(data)
        except OSError:  # a full disk: leave no half record for the next write to follow
            os.ftruncate(self._file.fileno(), start)
            self._file.seek(start)
            raise
        self.next_seq += len(entries)
        self._dirty = True

    def sync(self) -> None:
        """Returns when all that was appended is on the disk itself."""
        if self._dirty:
            os.fdatasync(self._file.fileno())
            self._dirty = False

    def read(self, after: int = 0) -> Iterator[Entry]:
        """Entries with seq > after, in order. Raises OSError, at any of them."""
        return read_log(self.folder, after)

    def move_cursor(self, seq: int, hub: str) -> None:
        """Everything up to `seq` is on the disk of that hub. Lost by a power cut, it only makes a harmless repeat."""
        self.cursor, self.cursor_hub = seq, hub
        replace_file(self.folder / "cursor", f"{seq} {hub}\n".encode(), sync=False)

    def drop(self, older_than_s: float, now_s: float) -> int:
        """Deletes whole segments behind the cursor last written more than `older_than_s` ago; returns how many."""
        paths = _segments(self.folder)
        dropped = 0
        for path, following in itertools.pairwise(paths):
            if _first_seq(following) - 1 > self.cursor or now_s - path.stat().st_mtime < older_than_s:
                break
            path.unlink()
            dropped += 1
        return dropped

    def close(self) -> None:
        self.sync()
        self._file.close()

    def _read_cursor(self) -> tuple[int, str]:
        try:
            seq, _, hub = (self.folder / "cursor").read_text().strip().partition(" ")
            return int(seq), hub
        except (OSError, ValueError):  # none yet, or torn: everything is offered again, which is harmless
            return 0, ""

    def _mend(self, path: Path) -> None:
        """Cuts a torn tail; sets a file aside that is damaged before its tail. Moves `next_seq` past what is there."""
        data, first = path.read_bytes(), _first_seq(path)
        found = list(_scan(data, first - 1))
        entries = [entry for _, _, entry in found]
        whole = _MAGIC + b"".join(data[start:end] for start, end, _ in found)
        if data != whole and data.startswith(whole):
            self.damage.append(f"{path.name}: {len(data) - len(whole)} bytes of a torn record cut off")
            _cut(path, len(whole))
        elif data != whole:
            aside = path.with_suffix(".damaged")
            replace_file(aside, data, sync=True)  # a copy first: at no moment is the segment gone
            replace_file(path, whole, sync=True)
            self.damage.append(f"{path.name}: damaged; {len(entries)} good records kept, set aside as {aside.name}")
        # a segment without a record is still named after what stands in the segments before it
        self.next_seq = max(self.next_seq, entries[-1].seq + 1 if entries else first)

    def _open_last(self) -> "_File":
        paths = _segments(self.folder)
        return _File(paths[-1]) if paths else self._new_segment()

    def _new_segment(self) -> "_File":
        path = self.folder / f"segment-{self.next_seq:020d}.log"
        replace_file(path, _MAGIC, sync=True)
        return _File(path)

    def _roll(self) -> None:
        self.sync()
        full, self._file = self._file, self._new_segment()  # on a full disk the old one stays open
        full.close()


class _File:
    """An unbuffered file at its end: what write() was given survives the process."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR)
        self._at = os.lseek(self._fd, 0, os.SEEK_END)

    def fileno(self) -> int:
        return self._fd

    def tell(self) -> int:
        return self._at

    def seek(self, at: int) -> None:
        self._at = os.lseek(self._fd, at, os.SEEK_SET)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            done = os.write(self._fd, view)
            view = view[done:]
        self._at += len(data)

    def close(self) -> None:
        os.close(self._fd)


def read_log(folder: Path, after: int = 0) -> Iterator[Entry]:
    """Entries with seq > after of a log that its owner may be writing: looks, and mends nothing. Raises OSError."""
    paths = _segments(folder)
    firsts = [_first_seq(path) for path in paths]
    for path, following in zip(paths, [*firsts[1:], None], strict=True):
        if following is None or following - 1 > after:
            found = _scan(path.read_bytes(), _first_seq(path) - 1)
            yield from (entry for _, _, entry in found if entry.seq > after)


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


def check_size(entry: Entry) -> None:
    """Raises ValueError for a record that no log takes."""
    if len(entry.payload) > _MAX_PAYLOAD:
        raise ValueError(f"record {entry.seq}: {len(entry.payload)} bytes; at most {_MAX_PAYLOAD}")


def _pack(entry: Entry) -> bytes:
    check_size(entry)
    tail = struct.pack("<QB", entry.seq, entry.kind) + entry.payload
    return struct.pack("<II", len(entry.payload), zlib.crc32(tail)) + tail


def _scan(data: bytes, after: int = 0) -> Iterator[tuple[int, int, Entry]]:
    """(start, end, entry) of every good record; behind a damaged place the next good record is looked for."""
    at = len(_MAGIC) if data.startswith(_MAGIC) else 0
    while at + _HEAD.size <= len(data):
        length, crc, seq, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        plausible = end <= len(data) and after < seq <= after + _MAX_STEP
        if plausible and zlib.crc32(memoryview(data)[at + 8 : end]) == crc:
            yield at, end, Entry(seq, kind, data[at + _HEAD.size : end])
            at, after = end, seq
        else:
            at += 1


def _cut(path: Path, length: int) -> None:
    """In place: it must succeed on a full disk too."""
    with path.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())


def _segments(folder: Path) -> list[Path]:
    """Other files of nearly that name, such as somebody's copies, are not of the log."""
    return sorted(path for path in folder.glob("segment-*.log") if path.stem.removeprefix("segment-").isdigit())


def _first_seq(path: Path) -> int:
    return int(path.stem.removeprefix("segment-"))
