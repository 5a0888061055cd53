"""What an agent knows again after a restart: the checkpoint, and the tail of the log played through the kernel."""

import logging
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from edge.config import Station
from edge.pipeline import detection, fill
from edge.recorder import KINDS, URGENT_KINDS
from thresholds.kernel import Block, Change, State, StateError, last_t, restore, start, step
from thresholds.rules import Track
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
    """Nothing is cleared by a restart: levels come back as they were, or from the whole log where the rules changed.

    A level that was told and that the log no longer explains - other rules now, or readings dropped by age - stays
    until fresh readings are below. What of the log cannot be read is left out and named in `storage.damage`.
    """
    seq, state = _checkpoint(station, storage)
    columns = {series.key: number for number, series in enumerate(station.series)}
    decided: list[Change] = []
    told: dict[tuple[str, str], Detection] = {}
    uncommitted: list[Entry] = []
    left_out: list[str] = []
    for entry in storage.read(after=min(seq, storage.cursor)):
        if entry.seq > storage.cursor and entry.kind in URGENT_KINDS:
            uncommitted.append(entry)
        if entry.seq > seq and entry.kind in _REPLAYED:
            try:
                record = record_of(entry.payload)
                changes = _replay(state, record, columns)
            except ValueError as err:  # of another version, or a time that cannot be
                left_out.append(f"record {entry.seq}: {err}")
                continue
            decided += changes
            if isinstance(record, Detection):
                told[record.series, record.rule] = record
                _hold(state, record)
    if left_out:
        storage.damage.append(f"{len(left_out)} records that cannot be read are left out; {left_out[0]}")
    return Restored(state, _untold(state, decided, told), uncommitted, max(0, int(last_t(state).max(initial=0))))


def _checkpoint(station: Station, storage: Log) -> tuple[int, State]:
    """The last record that the saved state knows, and that state; a fresh one with 0 where none can be used."""
    try:
        data = (station.folder / CHECKPOINT).read_bytes()
        seq = _HEAD.unpack_from(data)[0]
        if seq < storage.next_seq:
            return seq, restore(station.plan, data[_HEAD.size:])
        # it must not wait until other records have these numbers
        (station.folder / CHECKPOINT).unlink()
        log.warning("checkpoint after record %d, but the log ends at %d: not used", seq, storage.next_seq - 1)
    except FileNotFoundError:
        pass
    except (OSError, struct.error, StateError) as err:
        log.warning("checkpoint not used, the log is played instead: %s", err)
    return 0, start(station.plan, station.file.station.id)


def _untold(state: State, decided: list[Change], told: dict[tuple[str, str], Detection]) -> list[Detection]:
    """What was decided and not logged; where other rules find another level than was told, that level."""
    last = {_key(change.track): change for change in decided}
    found = [detection(change) for change in decided
             if (known := told.get(_key(change.track))) is None or change.revision > known.revision]
    for index, track in enumerate(state.plan.tracks):
        known, change = told.get(_key(track)), last.get(_key(track))
        if known is None or change is None or not known.level != change.level == state.memory.level[index]:
            continue
        if state.memory.revision[index] <= known.revision:
            state.memory.revision[index] = known.revision + 1
            found.append(detection(replace(change, revision=known.revision + 1)))
    return found


def _key(track: Track) -> tuple[str, str]:
    return track.series.key, track.rule.name


def _hold(state: State, told: Detection) -> None:
    """What was told at this place of the log and the state does not know: not below that, and counting on from it."""
    memory = state.memory
    for index, track in enumerate(state.plan.tracks):
        if _key(track) != (told.series, told.rule) or told.revision <= memory.revision[index]:
            continue
        memory.revision[index] = told.revision
        level = max((int(own.level) for own in track.rule.levels if own.level <= told.level), default=0)
        if level > memory.level[index]:
            if not memory.level[index]:
                memory.since[index] = told.since
            memory.level[index] = level
            memory.latched[index, level - 1] = 1


def _replay(state: State, record: Record, columns: dict[str, int]) -> list[Change]:
    block = Block.blank(1, len(columns))
    if isinstance(record, Tick):
        block.now_ms[0] = record.t
    elif isinstance(record, Readings) and record.t:
        known = [i for i, key in enumerate(record.series) if key in columns]  # a series may be gone from the file
        if not known:
            return []
        at = [columns[record.series[i]] for i in known]
        fill(block, 0, at, record.t[0], [record.value[i] for i in known], Quality(record.quality[0]) & Quality.CLOCK)
    return step(state, block).changes
