"""What of a full log goes, and in which order. Detections, answers, events and what people did stay at every step.

    1  delivered for more than a day     readings go
    2  delivered                         readings go
    3  not delivered, all clear          of each series one reading in 5 minutes stays
    4  not delivered, all clear          one an hour
    5  not delivered, above clear        one in 5 minutes
    6  not delivered                     readings go

The oldest segment goes first, and the next step begins where the last one has done all it could. A segment that was
thinned is written anew; a record of kind `thinned` stands in it for the first one gone, so that who decides the log
again (edge.own_log) knows that something is missing.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise
from pathlib import Path

from edge.entries import record_in
from edge.recorder import KINDS, Ranges, ranges_of
from tocsin.inputs import Shadow, Thinned, Tick
from tocsin.log import Entry, Log, first_seq, read_segment, segments_of
from tocsin.messages import Detection, Readings, encode
from tocsin.segment import HEADER_BYTES, HOLED, found, read_file, thinned_of

MB = 1_000_000
_DAY_S = 86_400.0
_MINUTES_5_MS, _HOUR_MS = 300_000, 3_600_000
_SPARE = 0.1              # of the limit: so much more goes, so that it is not done every minute
_LEAST_BYTES = 64 * MB    # a log of that size is not thinned for other people's files
_DISK_SHARE = 4
_FREE_SHARE, _FREE_MOST = 20, 500 * MB
_GOES = {KINDS[Readings], KINDS[Tick], KINDS[Shadow], KINDS[Thinned]}


class Step(IntEnum):
    """How far a segment is thinned."""

    DELIVERED_OLD = 1
    DELIVERED = 2
    CALM_5_MIN = 3
    CALM_HOUR = 4
    ACTIVE_5_MIN = 5
    READINGS = 6


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes that the log may take, and that stay free on its disk for others."""

    most: int
    keep_free: int

    @classmethod
    def of(cls, folder: Path, most_mb: int, keep_free_mb: int) -> "Limits":
        """0 stands for what suits the disk: a quarter of it, and a twentieth, 500 MB at most. Raises OSError."""
        total = shutil.disk_usage(folder).total
        return cls(most_mb * MB or total // _DISK_SHARE, keep_free_mb * MB or min(total // _FREE_SHARE, _FREE_MOST))

    def excess(self, used: int, free: int) -> int:
        """Bytes that must go."""
        for_others = min(self.keep_free - free, used - min(_LEAST_BYTES, self.most))
        return max(used - self.most, for_others, 0)


@dataclass(slots=True)
class Levels:
    """Which rules are above clear at a place of the log."""

    above: set[tuple[str, str]] = field(default_factory=set)

    def take(self, entry: Entry) -> None:
        """What cannot be read changes nothing."""
        record = record_in(entry)
        if isinstance(record, Detection):
            self.above.discard((record.rule, record.series))
            if record.level:
                self.above.add((record.rule, record.series))


@dataclass(frozen=True, slots=True)
class Freed:
    """What one step did to one segment."""

    step: Step
    path: Path
    removed: Ranges
    bytes: int


def used_bytes(folder: Path) -> int:
    """On the disk, with all that lies in the folder of a log."""
    used = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # dropped meanwhile
            used += path.lstat().st_blocks * 512  # what lies in memory (tocsin.early) takes nothing of the disk
    return used


def thin(storage: Log, limits: Limits, now_s: float) -> Iterator[Freed]:
    """Makes room until a tenth of the limit is free again, or nothing may go any more.

    A file that cannot be read or written anew is left to the others: the first such OSError is raised at the end. One
    that is damaged is a suspect of the log from now on, and is left until it was mended.
    """
    used, free = used_bytes(storage.folder), shutil.disk_usage(storage.folder).free
    excess = limits.excess(used, free)
    if not excess:
        return
    spare = excess + int(limits.most * _SPARE)
    refused: OSError | None = None
    for aside in sorted(storage.folder.glob("segment-*.damaged")):
        try:
            spare -= aside.stat().st_size
            aside.unlink()
        except OSError as err:
            refused = refused or err
    for step in Step:
        levels = Levels()
        for path in _within(storage, step, now_s):
            if spare <= 0:
                break
            try:
                freed = _thinned(storage, path, step, levels)
            except OSError as err:
                refused = refused or err
                continue
            if freed is not None and freed.removed:
                spare -= freed.bytes
                yield freed
    if refused is not None:
        raise refused


def _within(storage: Log, step: Step, now_s: float) -> list[Path]:
    """The segments that a step is for."""
    pairs = list(pairwise(segments_of(storage.folder)))
    ends = {path: first_seq(following) - 1 for path, following in pairs}
    match step:
        case Step.DELIVERED_OLD:  # a segment that a clock behind has dated is no older than what follows it
            return [path for path, following in pairs if ends[path] <= storage.cursor
                    and now_s - max(path.stat().st_mtime, following.stat().st_mtime) > _DAY_S]
        case Step.DELIVERED:
            return [path for path, end in ends.items() if end <= storage.cursor]
        case _:
            return list(ends)


def _thinned(storage: Log, path: Path, step: Step, levels: Levels) -> Freed | None:
    """None where it is thinned so far already; its detections are taken all the same."""
    with path.open("rb") as file:
        before = thinned_of(file.read(HEADER_BYTES))
    if step <= before < HOLED:
        if step > Step.DELIVERED:
            for entry in read_segment(path, {KINDS[Detection]}):
                levels.take(entry)
        return None
    read = found(read_file(path), first_seq(path) - 1)
    if not read.whole or read.behind:
        storage.suspects.add(path)
        return None
    entries = read.entries
    kept = list(_kept(entries, step, levels))
    stay = {entry.seq for entry in kept}
    gone = [entry for entry in entries if entry.seq not in stay]
    if gone:
        kept = sorted([*kept, _mark(gone, step)], key=lambda entry: entry.seq)
    size = path.stat().st_size
    storage.rewrite(path, kept, step)
    removed = ranges_of([entry.seq for entry in gone])
    return Freed(step, path, removed, size - path.stat().st_size)


def _kept(entries: Iterable[Entry], step: Step, levels: Levels) -> Iterator[Entry]:
    last: dict[str, int] = {}
    for entry in entries:
        if entry.kind == KINDS[Detection]:
            levels.take(entry)
        if entry.kind not in _GOES or (entry.kind == KINDS[Readings] and _stays(entry, step, levels, last)):
            yield entry


def _stays(entry: Entry, step: Step, levels: Levels, last: dict[str, int]) -> bool:
    active = bool(levels.above)
    every_ms = {Step.CALM_5_MIN: 0 if active else _MINUTES_5_MS, Step.CALM_HOUR: 0 if active else _HOUR_MS,
                Step.ACTIVE_5_MIN: _MINUTES_5_MS if active else _HOUR_MS}.get(step)
    if every_ms is None:
        return False
    record = record_in(entry)
    if not every_ms or not isinstance(record, Readings) or not record.t:
        return True
    slot = record.t[0] // every_ms
    news = [key for key in record.series if last.get(key) != slot]
    last.update(dict.fromkeys(news, slot))
    return bool(news)


def _mark(gone: list[Entry], step: Step) -> Entry:
    """In the place of the first one gone."""
    marks = [record for entry in gone if isinstance(record := record_in(entry), Thinned)]
    removed = sum(entry.kind != KINDS[Thinned] for entry in gone) + sum(mark.removed for mark in marks)
    last = max([gone[-1].seq, *(mark.last for mark in marks)])
    first = record_in(gone[0])
    boot = first.boot if first else ""
    t_ms = first.t[0] if isinstance(first, Readings) else first.t if isinstance(first, Tick | Shadow | Thinned) else 0
    mark = Thinned(boot, gone[0].seq, t_ms, last, removed, int(step))
    return Entry(gone[0].seq, KINDS[Thinned], encode(mark))
