"""The log from its newer end: what a start or a change of rules needs of a log that may hold a year."""

from collections.abc import Iterator
from pathlib import Path

from edge.entries import record_in
from edge.recorder import KINDS
from edge.rows import HISTORY_MS
from tocsin.inputs import ClockStep, Config
from tocsin.log import Entry, first_seq, read_log, read_segment, segments_of
from tocsin.messages import Readings

_RECENT = {KINDS[Readings], KINDS[ClockStep], KINDS[Config]}


def remembered(folder: Path) -> Iterator[Config]:
    """Records of all that the agent remembered, the newest first. What cannot be read is left out."""
    for path in reversed(segments_of(folder)):
        for entry in reversed(_all_of(path, KINDS[Config])):
            record = record_in(entry)
            if isinstance(record, Config) and record.memory:
                yield record


def recent(folder: Path, t_ms: int, before: int | None = None, *, strict: bool = True) -> Iterator[Entry]:
    """What edge.rows.Recent needs of the records before record `before`, at `t_ms`. Raises OSError where `strict`."""
    for entry in read_log(folder, _begin(folder, t_ms, before), _RECENT, strict=strict):
        if before is not None and entry.seq >= before:
            return
        yield entry


def _begin(folder: Path, t_ms: int, before: int | None) -> int:
    """The record behind which all readings of the 25 h before `t_ms` stand, and one that says how they are scaled."""
    enough = False
    for path in reversed(segments_of(folder)):
        if before is not None and first_seq(path) >= before:
            continue
        if enough and _all_of(path, KINDS[Config]):
            return first_seq(path) - 1
        enough = enough or _begins_by(path, t_ms - HISTORY_MS)
    return 0


def _begins_by(path: Path, t_ms: int) -> bool:
    """Whether its first reading is not later than that: what stands before it is older still, or of another epoch."""
    try:
        for entry in read_segment(path, {KINDS[Readings]}):
            record = record_in(entry)
            return isinstance(record, Readings) and bool(record.t) and record.t[0] <= t_ms
    except OSError:
        pass
    return False


def _all_of(path: Path, kind: int) -> list[Entry]:
    try:
        return list(read_segment(path, {kind}))
    except OSError:
        return []
