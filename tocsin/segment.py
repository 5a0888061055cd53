"""One file of a log: checksummed records behind a header, and what can be read of it whatever happened to it.

    8 bytes  "TOCSINLG"    u32  version, 1 or 2    u32  how far it was thinned (edge.thinning), 0 for a whole one
    then records, little endian: length u32 | crc32 u32 of the rest | seq u64 | kind u8 | `length` bytes of payload
    version 2: zeros may follow, to the end of a page of 4096 bytes, so that a group of records touches fewer pages, and
    to the end of the file, written beforehand, so that a sync need not write the file's size

No record begins with 17 zero bytes: the crc of such a one is not zero.
"""

import errno
import os
import struct
import weakref
import zlib
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_NAME = b"TOCSINLG"
HEADER_BYTES = 16
PAGE_BYTES = 4096  # what a disk writes at least
HOLED = 255    # beyond every step of thinning: records are missing that were lost
_HEAD = struct.Struct("<IIQB")
_VERSION = 2
_MAX_PAYLOAD = 1 << 24
_MAX_STEP = 1 << 32        # seq rises by one; a damaged or thinned stretch can hide some, never this many
_AHEAD_BYTES = 256 << 10   # zeros written at a time: a hundred times a day, and a start does not wait for them


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of the log. `kind` is the first byte of a record's kind, so that a reader can skip."""

    seq: int
    kind: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What is in a file: good records, where the last one ends, how many bytes behind it are no zeros.

    `whole`: nothing but records and zeros, up to that end.
    """

    entries: list[Entry]
    end: int
    behind: int
    whole: bool
    thinned: int


def header(thinned: int = 0) -> bytes:
    """What a new file begins with."""
    return _NAME + struct.pack("<II", _VERSION, thinned)


def check_size(entry: Entry) -> None:
    """Raises ValueError for a record that no log takes."""
    if len(entry.payload) > _MAX_PAYLOAD:
        raise ValueError(f"record {entry.seq}: {len(entry.payload)} bytes; at most {_MAX_PAYLOAD}")


def pack(entry: Entry) -> bytes:
    """Its bytes in the file. Raises ValueError for a record that no log takes."""
    check_size(entry)
    tail = struct.pack("<QB", entry.seq, entry.kind) + entry.payload
    return struct.pack("<II", len(entry.payload), zlib.crc32(tail)) + tail


def version_of(data: bytes) -> int:
    """0 where the header is damaged."""
    return int.from_bytes(data[8:12], "little") if data.startswith(_NAME) and len(data) >= HEADER_BYTES else 0


def thinned_of(data: bytes) -> int:
    """How far a file was thinned; of its first bytes."""
    return int.from_bytes(data[12:16], "little") if version_of(data) > 1 else 0


def scan(
    data: bytes, after: int = 0, kinds: Container[int] | None = None, damaged: Callable[[int], None] = lambda _at: None
) -> Iterator[tuple[int, Entry]]:  # fmt: skip
    """Every good record, of these kinds, and where it ends; behind a damaged place the next good one is looked for.

    `damaged` is told at the end where the first place is that is neither record nor zeros where they may be.
    """
    used = used_bytes(data)
    at, first = (HEADER_BYTES, -1) if version_of(data) else (0, 0)
    while at < used and at + _HEAD.size <= len(data):
        length, crc, seq, kind = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        plausible = end <= len(data) and after < seq <= after + _MAX_STEP
        if plausible and zlib.crc32(memoryview(data)[at + 8:end]) == crc:
            if kinds is None or kind in kinds:
                yield end, Entry(seq, kind, data[at + _HEAD.size:end])
            at, after = end, seq
        elif at % PAGE_BYTES and not any(data[at:page_after(at)]):
            at = page_after(at)
        else:
            at, first = at + 1, at if first < 0 else first
    if first < 0 and at < used:
        first = at
    if first >= 0:
        damaged(first)


def found(data: bytes, after: int) -> Found:
    """All that is in a file whose records follow record `after`."""
    damaged: list[int] = []
    read = list(scan(data, after, damaged=damaged.append))
    entries, end = [entry for _, entry in read], read[-1][0] if read else HEADER_BYTES
    whole = version_of(data) > 0 and (not damaged or damaged[0] >= end)
    return Found(entries, end, max(0, used_bytes(data) - end), whole, thinned_of(data))


def page_after(at: int) -> int:
    """Where the next page begins; `at` itself where it is the beginning of one."""
    return -(-at // PAGE_BYTES) * PAGE_BYTES


def used_bytes(data: bytes) -> int:
    """Where the zeros at the end begin; in version 1 there are none that mean anything."""
    return len(data.rstrip(b"\0")) if version_of(data) != 1 else len(data)


def read_file(path: Path) -> bytes:
    """All of it; zeros stand for blocks that the disk does not give back. Raises OSError where it gives back none."""
    try:
        return path.read_bytes()
    except OSError as err:
        if err.errno != errno.EIO:
            raise
        lost = err
    file = os.open(path, os.O_RDONLY)
    try:
        blocks = [_block(file, at) for at in range(0, os.fstat(file).st_size, PAGE_BYTES)]
    finally:
        os.close(file)
    if not any(blocks):
        raise lost
    return b"".join(block or bytes(PAGE_BYTES) for block in blocks)


def _block(file: int, at: int) -> bytes:
    with suppress(OSError):
        return os.pread(file, PAGE_BYTES, at)
    return b""


class Writer:
    """A file at the end of its records, unbuffered: what write() was given survives the process.

    It is closed by `close`, or when it is dropped.
    """

    def __init__(self, path: Path, at: int, most: int) -> None:
        """Zeros are written ahead up to `most` bytes, the size at which a file is full."""
        self._fd = os.open(path, os.O_RDWR)
        self.close = weakref.finalize(self, os.close, self._fd)
        self._most = most
        self._ready = os.fstat(self._fd).st_size
        self.at = self._synced = at
        self._refused = False

    def write(self, data: bytes) -> None:
        """Whole or not at all. Raises OSError."""
        self._zeros(self.at + len(data))
        view, at = memoryview(data), self.at
        try:
            while view:
                done = os.pwrite(self._fd, view, at)
                view, at = view[done:], at + done
        except OSError:  # a full disk: leave no half record for the next write to follow
            os.ftruncate(self._fd, self.at)
            self._ready = self.at
            raise
        self.at += len(data)

    def _zeros(self, end: int) -> None:
        """A disk without room for them has perhaps room for the records."""
        if end > self._ready:
            ready = min(self._ready + _AHEAD_BYTES, self._most)
            with suppress(OSError):
                while self._ready < ready:  # page by page: of what is written in one go the kernel dirties all at once
                    upto = min(page_after(self._ready + 1), ready)
                    self._ready += os.pwrite(self._fd, bytes(upto - self._ready), self._ready)
            self._ready = max(self._ready, end)

    def sync(self) -> None:
        """Returns when it is on the disk itself. The next group begins on a new page where one like this would not fit
        what is left of this one, but a page. Raises OSError."""
        if self._refused:
            self._again()
        self._refused = True
        os.fdatasync(self._fd)
        self._refused = False
        group, page = self.at - self._synced, page_after(self.at)
        if page - self.at < group <= PAGE_BYTES:
            self.at = page
        self._synced = self.at

    def _again(self) -> None:
        """After a sync that failed the kernel takes its pages for written (fsync(2)), and the next sync would say that
        all is well: what was not synced is written once more from what the kernel still has."""
        begin = self._synced // PAGE_BYTES * PAGE_BYTES
        data = os.pread(self._fd, self.at - begin, begin)
        if len(data) < self.at - begin or os.pwrite(self._fd, data, begin) < len(data):
            raise OSError(errno.EIO, "what a sync did not bring to the disk cannot be written again")

    def finish(self) -> None:
        """Nothing follows: the zeros go, and it is closed."""
        try:
            os.ftruncate(self._fd, self.at)
        finally:
            self.close()
