"""What an agent knows again after a restart: the checkpoint, and the tail of the log played through the kernel."""

import logging
import struct
from dataclasses import dataclass
from pathlib import Path

from edge.config import Station
from edge.pipeline import detection, fill
from edge.recorder import KINDS, URGENT_KINDS
from thresholds.kernel import Block, Change, State, StateError, last_t, restore, start, step
from tocsin.log import Entry, Log, replace_file
from tocsin.messages import Detection, Readings, Record, Tick, record_of
from tocsin.readings import Quality

CHECKPOINT = "checkpoint"
_HEAD = struct.Struct("<Q")
_REPLAYED = {KINDS[Readings], KINDS[Tick], KINDS[Detection]}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """`unlogged` are detections that were decided but not written when the process ended; `last_ms` the newest time."""

    state: State
    unlogged: list[Detection]
    uncommitted: list[Entry]
    last_ms: int


def write_checkpoint(folder: Path, seq: int, state: bytes) -> None:
    """`state` is the kernel's, saved after record `seq`, which must be in the log. Raises OSError."""
    replace_file(folder / CHECKPOINT, _HEAD.pack(seq) + state, sync=False)


def restored(station: Station, storage: Log) -> Restored:
    """Nothing is cleared by a restart: levels come back as they were, or from the whole log where the rules changed."""
    seq, state = _checkpoint(station, storage)
    columns = {series.key: number for number, series in enumerate(station.series)}
    decided: list[Change] = []
    logged: dict[tuple[str, str], int] = {}
    uncommitted: list[Entry] = []
    for entry in storage.read(after=min(seq, storage.cursor)):
        if entry.seq > storage.cursor and entry.kind in URGENT_KINDS:
            uncommitted.append(entry)
        if entry.seq > seq and entry.kind in _REPLAYED:
            record = record_of(entry.payload)
            if isinstance(record, Detection):
                logged[record.series, record.rule] = record.revision
            else:
                decided += _replay(state, record, columns)
    unlogged = [detection(change) for change in decided
                if change.revision > logged.get((change.track.series.key, change.track.rule.name), 0)]
    return Restored(state, unlogged, uncommitted, max(0, int(last_t(state).max(initial=0))))


def _checkpoint(station: Station, storage: Log) -> tuple[int, State]:
    """The last record that the saved state knows, and that state; a fresh one with 0 where none can be used."""
    try:
        data = (station.folder / CHECKPOINT).read_bytes()
        seq = _HEAD.unpack_from(data)[0]
        if seq < storage.next_seq:
            return seq, restore(station.plan, data[_HEAD.size:])
        log.warning("checkpoint after record %d, but the log ends at %d: not used", seq, storage.next_seq - 1)
    except FileNotFoundError:
        pass
    except (OSError, struct.error, StateError) as err:
        log.warning("checkpoint not used, the log is played instead: %s", err)
    return 0, start(station.plan, station.file.station.id)


def _replay(state: State, record: Record, columns: dict[str, int]) -> list[Change]:
    block = Block.blank(1, len(columns))
    if isinstance(record, Tick):
        block.now_ms[0] = record.t
    elif isinstance(record, Readings):
        known = [i for i, key in enumerate(record.series) if key in columns]  # a series may be gone from the file
        if not known:
            return []
        at = [columns[record.series[i]] for i in known]
        fill(block, 0, at, record.t[0], [record.value[i] for i in known], Quality(record.quality[0]) & Quality.CLOCK)
    return step(state, block).changes
