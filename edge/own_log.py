"""A station's own log, decided once more: the same inputs in the same order give the same decisions.

    decisions_of(folder)   what follows from the log of that station-data folder, as detections without boot and seq
    replayed(folder)       that, beside what the agent itself had logged, and where the two part: an OwnLog
    Replay                 record by record, for who wants more (edge.restore goes this way at every start)

The log holds every input of a decision (tocsin.inputs, and the readings). A replay begins at the first Config: the true
beginning of the log, or, where old segments have been dropped, a Config with `memory`, of which the agent writes one a
day, and one at each start that had to go on from something else than its log. From there on every decision comes out
as it was made. What was read before is skipped, and counted.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from edge.backward import recent
from edge.decider import REFUSED, Decided, Decider
from edge.entries import record_in
from edge.findings import detection
from edge.recorder import KINDS
from edge.rows import Recent
from tocsin.inputs import Acknowledge, ClockStep, Config, OperatorClear, Service, Shelve, Silence, Thinned, Tick
from tocsin.log import Entry, read_log
from tocsin.messages import Detection, Readings, record_of

_INPUTS = {KINDS[kind]
           for kind in (Readings, Tick, Config, ClockStep, Acknowledge, OperatorClear, Shelve, Service, Silence)}
Read = Callable[[int, int], Iterable[Entry]]


@dataclass(slots=True)
class OwnLog:
    """`decided` and `told` are without boot and seq, so that they can be compared as they are.

    `thinned`: records that went to make room; nothing is decided from there to the next place where a replay can begin.
    `skipped`: readings from before the first place where a replay can begin. `damage`: records that could not be read
    or taken. `parted`: places where the agent went on from another memory than the log gives.
    """

    decided: list[Detection] = field(default_factory=list)
    told: list[Detection] = field(default_factory=list)
    skipped: int = 0
    thinned: int = 0
    damage: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)


class Replay:
    """Takes the entries of a log in order. `decider` is None until rules are known.

    `exact` says that no record was missing: the decider is what the agent's was. `read` gives what a change of
    rules needs of the log: what stands before a record, at a time.
    """

    def __init__(self, read: Read, decider: Decider | None = None, after: int = 0) -> None:
        """Goes on from `decider` behind record `after`."""
        self.decider = decider
        self.exact = True
        self.skipped = 0
        self.damage: list[str] = []
        self.parted: list[str] = []
        self._read = read
        self._last = after

    def take(self, entry: Entry) -> Decided | None:
        """What follows from it; None where nothing can, because it is no input, or cannot be read or taken."""
        self.exact = self.exact and entry.seq == self._last + 1
        self._last = entry.seq
        if entry.kind not in _INPUTS:
            self.exact = self.exact and entry.kind != KINDS[Thinned]
            return None
        try:
            return self._take(entry)
        except REFUSED as err:  # of another version, or a time that cannot be
            self.damage.append(f"record {entry.seq}: {err}")
            self.exact = False
            return None

    def _take(self, entry: Entry) -> Decided | None:
        record = record_of(entry.payload)
        if isinstance(record, Config):
            return self._config(record)
        if self.decider is None:
            self.skipped += isinstance(record, Readings)
            return None
        assert isinstance(record, Readings | Tick | ClockStep | Acknowledge | OperatorClear | Shelve | Service  # noqa: S101
                          | Silence)
        return self.decider.take(record)

    def _config(self, record: Config) -> Decided:
        if record.memory:
            adopted = Decider.of(record)
            if self.decider is not None and not adopted.same_as(self.decider):
                self.parted.append(f"record {record.seq}: the agent went on from another memory than the log gives")
            self.decider, self.exact = adopted, True
            return Decided(noted=True)
        if self.decider is None:
            self.decider = Decider(record)
            self.exact = self.exact and not self.skipped
            return Decided(noted=True)
        return self.decider.take(record, Recent.later(lambda: self._read(record.t, record.seq)))


def replayed(folder: Path) -> OwnLog:
    """The log in `folder` (a station's data folder), read while its agent may be writing it. Raises OSError."""
    found = OwnLog()
    replay = Replay(partial(recent, folder / "log"))
    last = thinned = 0
    for entry in read_log(folder / "log"):
        lost, last = entry.seq - last - 1, entry.seq
        if entry.kind == KINDS[Thinned]:
            thinned = max(thinned, _thinned(entry, found))
            replay.decider = None
        if thinned and replay.decider is None and not _remembers(entry, thinned):
            replay.skipped += entry.kind == KINDS[Readings]
            continue
        if lost and replay.decider is not None:
            replay.damage.append(f"{lost} record{'s are' if lost > 1 else ' is'} missing before record {entry.seq}")
        decided = replay.take(entry)
        if decided is not None:
            found.decided += map(detection, decided.changes)
        if entry.kind == KINDS[Detection]:
            found.told += _told(entry, replay)
    found.skipped, found.damage, found.parted = replay.skipped, replay.damage, replay.parted
    return found


def _thinned(entry: Entry, found: OwnLog) -> int:
    """The last record of a stretch of which only a part is there."""
    record = record_in(entry)
    if not isinstance(record, Thinned):
        return entry.seq
    found.thinned += record.removed
    return record.last


def _remembers(entry: Entry, after: int) -> bool:
    """Whether a replay can begin here again, behind a stretch of which records are missing."""
    if entry.kind != KINDS[Config] or entry.seq <= after:
        return False
    record = record_in(entry)
    return isinstance(record, Config) and bool(record.memory)


def decisions_of(folder: Path) -> list[Detection]:
    """What follows from the log of a station's data folder, in order. Raises OSError."""
    return replayed(folder).decided


def _told(entry: Entry, replay: Replay) -> Iterator[Detection]:
    """Told after the place where the replay began."""
    if replay.decider is None:
        return
    try:
        record = record_of(entry.payload)
    except msgspec.DecodeError as err:
        replay.damage.append(f"record {entry.seq}: {err}")
        return
    if isinstance(record, Detection):
        yield msgspec.structs.replace(record, boot="", seq=0)
