"""The files of a log, for who only reads them; see tocsin.log."""

import itertools
import os
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tocsin.early import read_early
from tocsin.segment import Entry, read_file, scan


def read_log(
    folder: Path, after: int = 0, kinds: Container[int] | None = None,
    suspect: Callable[[Path], None] = lambda _path: None, *, strict: bool = True,
) -> Iterator[Entry]:  # fmt: skip
    """Entries with seq > after, of these kinds, of a log that its owner may be writing: looks, and mends nothing.

    `suspect` is told of segments that are damaged or cannot be read. Raises OSError, where `strict`.
    """
    early = read_early(folder)  # before the segment into which they may go just now
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
    last = after
    if early and paths:
        with suppress(OSError):
            last = max([after, *(entry.seq for entry in _read(paths[-1], after, None, lambda _path: None))])
    yield from (entry for entry in early if entry.seq > last and (kinds is None or entry.kind in kinds))


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


def replace_file(path: Path, *parts: bytes, sync: bool, private: bool = False) -> None:
    """Temporary file, sync, rename: readers see the old content or the new, never half of it. What is `private` only
    its owner may read."""
    replace_with(path, parts, sync=sync, private=private)


def replace_with(path: Path, parts: Iterable[bytes], *, sync: bool, private: bool = False) -> None:
    """As `replace_file`, with what comes one after the other."""
    temporary = path.with_name(path.name + ".new")
    try:
        mode = 0o600 if private else 0o666
        with open(temporary, "wb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            if private:  # one that was left behind
                os.fchmod(file.fileno(), mode)
            file.writelines(parts)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:  # a full disk must not be full of that
        with suppress(OSError):
            temporary.unlink()
        raise
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


def cut(path: Path, length: int) -> None:
    """In place: it must succeed on a full disk too."""
    with path.open("r+b") as file:
        file.truncate(length)
        os.fsync(file.fileno())
