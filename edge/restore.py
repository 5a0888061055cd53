"""What an agent knows again after a restart: the checkpoint, and the tail of the log decided once more."""

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from edge.backward import recent, remembered
from edge.checkpoint import checkpoint_of
from edge.config import Station
from edge.decider import REFUSED, Decider
from edge.entries import record_in
from edge.findings import detection
from edge.own_log import Replay
from edge.recorder import KINDS, URGENT_KINDS
from edge.ruling import config_of
from thresholds.kernel import Change
from thresholds.parts import named
from tocsin.inputs import Config
from tocsin.log import Entry, Log
from tocsin.log_words import say
from tocsin.messages import Detection

SUCCESSION = "succession"   # what the hub knew of the station before this one: `tocsin enrol --replace` writes it

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """`unlogged` are detections that were decided but not written when the process ended; `uncommitted` those behind
    `checkpoint` that the hub has not confirmed. edge.tidy looks for older ones.

    `checkpoint` is the record behind which the log was played. `exact`: the log alone gives the same again; where it
    does not, what is remembered must be written into it.
    """

    decider: Decider
    unlogged: list[Detection]
    uncommitted: list[Entry]
    checkpoint: int
    exact: bool


def restored(station: Station, storage: Log) -> Restored:
    """Nothing is cleared by a restart: levels come back as they were, under the rules that were in force.

    A level that was told and that the log no longer explains - readings dropped by age, another version of the kernel -
    stays until fresh readings are below. What of the log cannot be read is left out and named in `storage.damage`.
    """
    found = checkpoint_of(station.folder, storage) or _remembered(storage)
    seq, decider = found or (0, None)
    held = False
    if decider is None and not any(entry.kind == KINDS[Config] for entry in storage.read(strict=False)):
        # the log of an agent that wrote down no rules: those of now are the best guess, and what was told holds
        decider = Decider(config_of(station.plan, station.candidate, station.file.station.id, 0))
        for told_before in _before(station.folder):
            held = _hold(decider, told_before) or held
    replay = Replay(partial(recent, storage.folder, strict=False), decider, after=seq)
    exact = (found is not None or storage.next_seq == 1 or decider is None) and not storage.damage
    decided: list[Change] = []
    told: dict[tuple[str, str], int] = {}
    uncommitted: list[Entry] = []
    for entry in storage.read(after=seq, strict=False):
        if entry.seq > storage.cursor and entry.kind in URGENT_KINDS:
            uncommitted.append(entry)
        outcome = replay.take(entry)
        decided += outcome.changes if outcome else []
        if entry.kind == KINDS[Detection] and (known := _detection(entry)) is not None:
            told[known.rule, known.series] = known.revision
            held = (replay.decider is not None and _hold(replay.decider, known)) or held
    storage.damage += [say("unread_or_damaged", name=path.name) for path in storage.suspects]
    if replay.damage:
        storage.damage.append(say("left_out", count=len(replay.damage), first=replay.damage[0]))
    decider = replay.decider or Decider(config_of(station.plan, station.candidate, station.file.station.id, 0))
    unlogged = [detection(change) for change in decided if change.revision > told.get(named(change.track), 0)]
    exact = exact and replay.exact and not held and not storage.suspects
    return Restored(decider, unlogged, uncommitted, seq, exact)


def _remembered(storage: Log) -> tuple[int, Decider] | None:
    """The newest place of the log where all is written down that was remembered: what lies before need not be read."""
    for config in remembered(storage.folder):
        try:
            return config.seq, Decider.of(config)
        except REFUSED as err:
            log.warning("what was remembered in record %d is not used: %s", config.seq, err)
    return None


def _before(folder: Path) -> list[Detection]:
    """The newest word of each rule of the station before this one, as the hub had it: it stands until now."""
    try:
        return msgspec.json.decode((folder / SUCCESSION).read_bytes(), type=list[Detection])
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as err:
        log.error("%s: what the station before this one had told is not known: %s", folder / SUCCESSION, err)
        return []


def _detection(entry: Entry) -> Detection | None:
    record = record_in(entry)
    return record if isinstance(record, Detection) else None


def _hold(decider: Decider, told: Detection) -> bool:
    """What was told at this place of the log and the state does not know: not below that, and counting on from it.

    Whether there was any such thing.
    """
    state = decider.live
    memory = state.memory
    for index, track in enumerate(state.plan.tracks):
        known, level = int(memory.revision[index]), int(memory.level[index])
        if named(track) != (told.rule, told.series) or (known, level) >= (told.revision, told.level):
            continue
        memory.revision[index] = told.revision
        own = [int(one.level) for one in track.rule.levels]
        held = max((one for one in own if one <= told.level), default=min(own)) if told.level else 0
        if held > level:
            if not level:
                memory.since[index] = told.since
                memory.episode[index] = _episode(told.episode)
            memory.level[index] = held
            memory.latched[index, held - 1] = 1
            decider.sounding.settle(state, told.t)
        return True
    return False


def _episode(text: str) -> int:
    """16 hex digits as the kernel keeps them: 64 bits with a sign."""
    try:
        return (int(text, 16) + (1 << 63)) % (1 << 64) - (1 << 63)
    except ValueError:
        return 0
