"""An append-only log on disk: segments of checksummed records, and a cursor behind which all is delivered.

    segment-<first seq, 20 digits>.log     see tocsin.segment
    cursor       "<seq> <hub id>": every record up to seq is on that hub's disk

A process that dies loses nothing that `append` was given; a power cut loses nothing from before the last `sync`. A torn
tail is cut off at the next opening; a file that is damaged before its tail is set aside as `*.damaged`, its good
records are written anew; what a disk does not give back is read as damage. `tests/test_log.py` cuts one at every byte.
"""

import itertools
import os
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tocsin.early import MOST_BYTES, NAME, Early, read_early
from tocsin.log_words import say
from tocsin.logfiles import cut, first_seq, read_log, read_segment, replace_file, segments_of
from tocsin.said import Said, said_of
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
    version_of,
)

__all__ = ["Entry", "Log", "Mended", "check_size", "first_seq", "read_log", "read_segment", "replace_file",
           "segments_of"]


@dataclass(frozen=True, slots=True)
class Mended:
    """What was wrong with a file, in words, and the stretches (first, last) of records that are not in the log."""

    words: Said
    holes: list[tuple[int, int]]


class Log:
    """For the one owner, who appends from one thread at a time; another may mend, rewrite and drop sealed segments.

    Others look with `read_log`.
    """

    def __init__(self, folder: Path, segment_bytes: int = 4 << 20, *, early: bool = False) -> None:
        """Opens or creates. `damage` then lists what was wrong with the files, in words.

        A full disk does not keep it from opening: `append` says so then. `early`: records wait in memory that outlives
        the process (tocsin.early) until the next `sync`.
        """
        self.folder = folder
        self.damage: list[Said] = []
        self.suspects: set[Path] = set()
        self._segment_bytes = segment_bytes
        self._file: Writer | None = None
        self._dirty = False
        folder.mkdir(parents=True, exist_ok=True)
        for unfinished in folder.glob("*.new"):  # a process died in the middle of replace_file
            with suppress(OSError):
                unfinished.unlink()
        self.cursor, self.cursor_hub = self._read_cursor()
        self.next_seq = max(1, self.cursor + 1)
        self._on_disk = 0
        for path in segments_of(folder)[-1:]:
            try:
                self._open(path)
            except OSError as err:
                self.next_seq = max(self.next_seq, first_seq(path)) + (1 << 16)  # its records keep their numbers
                self._on_disk = self.next_seq - 1
                self.damage.append(say("unopened", name=path.name, why=said_of(err), seq=self.next_seq))
        if self._file is None:
            with suppress(OSError):
                self._file = self._new_segment()
        left: list[Entry] = []
        self._opened_at = self.next_seq
        try:
            left = read_early(folder, strict=True)
        except OSError as err:  # of another user, for one
            self.damage.append(say("early_unread", why=said_of(err)))
        self._early = Early.of(folder) if early else None
        self._take_over(left)

    @property
    def sealed(self) -> list[Path]:
        """Segments that nothing is written to any more, the oldest first."""
        return segments_of(self.folder)[:-1]

    def append(self, entries: Sequence[Entry]) -> None:
        """What it returned from survives a process crash. `seq` must go on from `next_seq`. Raises OSError."""
        for number, entry in enumerate(entries):
            if entry.seq != self.next_seq + number:
                raise ValueError(f"seq {entry.seq} does not follow {self.next_seq + number - 1}")
        for entry in entries:
            check_size(entry)
        if not self._waits(list(entries)):
            self._flush()
            self._write(entries)
        if entries:
            self.next_seq = entries[-1].seq + 1
            self._dirty = True

    def _waits(self, entries: list[Entry]) -> bool:
        """Whether they were put into memory; where there is no room the disk takes them at once."""
        if self._early is None or self._early.size >= MOST_BYTES:
            return False
        try:
            self._early.add(entries)
        except OSError:
            return False
        return True

    def _flush(self) -> None:
        """What waits in memory goes into the file; it is cleared only by a sync."""
        if self._early is not None and self._early.held:
            self._write(self._early.held)
            self._early.clear()

    def _take_over(self, left: Sequence[Entry]) -> None:
        """What waited in memory when the last process died."""
        fresh = [entry for entry in left if entry.seq > self._on_disk]  # the cursor may be further than the disk
        if fresh:
            self.next_seq = max(self.next_seq, fresh[-1].seq + 1)
            self._dirty = True
        try:
            if self._early is not None:
                self._early.keep(fresh)
        except OSError:
            self._early = None
        if fresh and self._early is None:
            try:
                self._write(fresh)
                self.sync()
                os.truncate(self.folder / NAME, 0)
            except OSError as err:
                self.damage.append(say("early_unwritten", count=len(fresh), why=said_of(err)))

    def _write(self, entries: Sequence[Entry]) -> None:
        data = b"".join(pack(entry) for entry in entries)
        file = self._file
        if file is None:
            file = self._file = self._new_segment(entries[0].seq if entries else 0)
        elif file.at + len(data) > self._segment_bytes and file.at > HEADER_BYTES:
            file = self._roll(file, entries[0].seq)
        file.write(data)

    def skip(self, seq: int) -> None:
        """The next record is `seq`: those between were given up before they could be written."""
        self.next_seq = max(self.next_seq, seq)

    def sync(self) -> None:
        """Returns when all that was appended is on the disk itself."""
        if self._dirty:
            self._flush()
            if self._file is not None:
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
        """Deletes whole segments behind the cursor that are older than that; returns how many.

        Time went on at the latest with the last write of the segment that follows: the one written while a clock stood
        in 1970, or days behind, is no older than that.
        """
        paths = segments_of(self.folder)
        dropped = 0
        for path, following in itertools.pairwise(paths):
            if first_seq(following) - 1 > self.cursor or now_s - following.stat().st_mtime < older_than_s:
                break
            path.unlink()
            dropped += 1
        return dropped

    def clock_was_set(self, by_s: float, since_s: float, until_s: float) -> None:
        """What was written since this log was opened is as old as if the clock had always been so; what is dated
        between those two moments was written after the clock was set. Raises OSError."""
        paths = segments_of(self.folder)
        for path, following in itertools.zip_longest(paths, paths[1:]):
            if following is None or first_seq(following) > self._opened_at:
                times = path.stat()
                if not since_s <= times.st_mtime <= until_s:
                    os.utime(path, (times.st_atime, max(0.0, times.st_mtime + by_s)))

    def mend(self, path: Path) -> Mended | None:
        """Reads a sealed segment; sets it aside where it is damaged, its good records are written anew.

        None where nothing is wrong, or it was said before. Raises OSError, also where the disk gives back nothing.
        """
        following = [one for one in map(first_seq, segments_of(self.folder)) if one > first_seq(path)]
        try:
            data = read_file(path)
        except FileNotFoundError:  # dropped meanwhile
            return None
        last = following[0] - 1
        kept = found(data, first_seq(path) - 1)
        damaged = not kept.whole or kept.behind > 0
        short = not kept.thinned and (not kept.entries or kept.entries[-1].seq < last)
        if not damaged and not short:
            return None
        aside = _set_aside(path, data)
        self.rewrite(path, kept.entries, kept.thinned or HOLED)
        words = say("aside", name=path.name, count=len(kept.entries), aside=aside.name)
        return Mended(words, _holes(kept.entries, first_seq(path), last))

    def rewrite(self, path: Path, entries: Sequence[Entry], thinned: int) -> None:
        """The sealed segment has only these records from now on. Raises OSError, and all is as it was then."""
        times = path.stat()
        replace_file(path, header(thinned) + b"".join(map(pack, entries)), sync=True)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    def close(self) -> None:
        self.sync()
        if self._early is not None:
            self._early.close()
        if self._file is not None:
            self._file.close()

    def _read_cursor(self) -> tuple[int, str]:
        try:
            seq, _, hub = (self.folder / "cursor").read_text().strip().partition(" ")
            return max(0, int(seq)), hub
        except FileNotFoundError:  # none yet
            return 0, ""
        except (OSError, ValueError) as err:  # everything is offered again, which is harmless
            self.damage.append(say("cursor", why=said_of(err)))
            return 0, ""

    def _open(self, path: Path) -> None:
        """Cuts a torn tail; sets a file aside that is damaged before its tail. Moves `next_seq` past what is there."""
        data = read_file(path)
        kept = found(data, first_seq(path) - 1)
        # a segment without a record is still named after what stands in the segments before it
        self._on_disk = kept.entries[-1].seq if kept.entries else first_seq(path) - 1
        self.next_seq = max(self.next_seq, self._on_disk + 1)
        end = kept.end
        if not kept.whole:
            if not self._made_anew(path, data, kept.entries):
                self.next_seq = max(self.next_seq, first_seq(path) + 1)  # the new segment must not have its name
                return
            end = path.stat().st_size
        elif kept.behind:
            self.damage.append(say("torn", name=path.name, count=kept.behind))
            cut(path, end)
        if version_of(data) != 1 or not kept.whole:  # what an older version wrote stays as it is
            self._file = Writer(path, end, self._segment_bytes)

    def _made_anew(self, path: Path, data: bytes, entries: list[Entry]) -> bool:
        """A copy first: at no moment is the segment gone."""
        try:
            aside = _set_aside(path, data)
            self.rewrite(path, entries, 0)
        except OSError as err:
            self.damage.append(say("not_aside", name=path.name, count=len(entries), why=said_of(err)))
            return False
        self.damage.append(say("aside", name=path.name, count=len(entries), aside=aside.name))
        return True

    def _new_segment(self, seq: int = 0) -> Writer:
        path = self.folder / f"segment-{seq or self.next_seq:020d}.log"
        replace_file(path, header(), sync=True)
        return Writer(path, HEADER_BYTES, self._segment_bytes)

    def _roll(self, full: Writer, seq: int) -> Writer:
        full.sync()
        self._file = self._new_segment(seq)  # on a full disk the old one stays open
        full.finish()
        return self._file


def _set_aside(path: Path, data: bytes) -> Path:
    """What could be read of it, under another name."""
    aside = path.with_suffix(".damaged")
    replace_file(aside, data, sync=True)
    return aside


def _holes(entries: Sequence[Entry], first: int, last: int) -> list[tuple[int, int]]:
    """Stretches of first..last that have no entry."""
    ends = [first - 1, *(entry.seq for entry in entries), last + 1]
    return [(low + 1, high - 1) for low, high in itertools.pairwise(ends) if high - low > 1]
