"""What the kernel remembers between blocks: flat int64 arrays, saved and restored as they are."""

import hashlib
from dataclasses import dataclass, fields

import msgspec
import numpy as np

from thresholds.plan import Plan
from thresholds.tables import I64, NEVER, Tables, tables_of
from tocsin.levels import WARNING_LEVELS

VERSION = 1
MAGIC = b"TOCSINK\n"
DIGEST = 16


class StateError(Exception):
    """Saved state that cannot be used, and why. The caller starts afresh or stops; nothing is guessed."""


@dataclass(slots=True)
class Memory:
    """Lengths: S series, F sums, R rings, L ring entries, T tracks, H the longest M. NEVER is a time before all."""

    last_t: I64        # S: the last reading's time, whether it was good or not
    good_t: I64        # S: the last good reading's time
    good_raw: I64      # S
    first_tick: I64    # S: from where a series that was never seen counts its silence
    stale: I64         # S
    past_t: I64        # S x H: times of the last good readings, newest first
    total: I64         # S: running sum of increments, modulo 2**64
    covered: I64       # S: running covered time
    ring_count: I64    # R: entries ever written
    ring_t: I64        # L
    ring_total: I64    # L
    ring_covered: I64  # L
    head: I64          # F: number of the first entry inside the window
    apart_t: I64       # F x 2: the last two readings whose increment spans more than the window
    apart: I64         # F x 2: those increments
    value: I64         # S + F: what the tracks compared last
    valid: I64         # S + F: covered time of it
    span: I64          # S + F: time it is about
    on_bits: I64       # T x 4: which of the last good readings qualify, newest in bit 0
    off_bits: I64      # T x 4: which of them are below off
    run_since: I64     # T x 4: first qualifying reading of the present run
    run_for: I64       # T x 4: event time passed since, without gaps
    off_since: I64     # T x 4: since when the condition to fall holds
    latched: I64       # T x 4
    level: I64         # T
    since: I64         # T: first qualifying reading of the episode
    cleared_t: I64     # T: when the last episode ended
    revision: I64      # T


@dataclass(slots=True)
class State:
    """A plan at work. `memory` is all that changes."""

    plan: Plan
    station: str
    tables: Tables
    memory: Memory


def start(plan: Plan, station: str = "") -> State:
    """A state that has seen nothing. `station` goes into episode ids."""
    tables = tables_of(plan)
    series, sums, tracks = len(plan.series), len(tables.sums.window), len(plan.tracks)
    rings, length, longest = len(tables.sums.ring_slot), tables.sums.length, int(tables.tracks.m.max())
    features, levels = series + sums, len(WARNING_LEVELS)
    shapes: dict[str, tuple[int, ...]] = {
        "past_t": (series, longest), "ring_count": (rings,), "ring_t": (length,), "ring_total": (length,),
        "ring_covered": (length,), "head": (sums,), "apart_t": (sums, 2), "apart": (sums, 2),
        "value": (features,), "valid": (features,), "span": (features,),
        "on_bits": (tracks, levels), "off_bits": (tracks, levels), "run_since": (tracks, levels),
        "run_for": (tracks, levels), "off_since": (tracks, levels), "latched": (tracks, levels),
        "level": (tracks,), "since": (tracks,), "cleared_t": (tracks,), "revision": (tracks,),
    }
    times = {"last_t", "good_t", "first_tick", "past_t", "apart_t", "run_since", "off_since", "since", "cleared_t"}
    arrays = {
        one.name: np.full(shapes.get(one.name, (series,)), NEVER if one.name in times else 0, dtype=np.int64)
        for one in fields(Memory)
    }
    return State(plan, station, tables, Memory(**arrays))


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    plan: str
    station: str
    entries: int


def save(state: State) -> bytes:
    """The state in bytes: a header, the arrays in the order of Memory (little endian), a digest of both."""
    arrays = [getattr(state.memory, one.name) for one in fields(Memory)]
    header = msgspec.json.encode(_Header(VERSION, state.plan.hash, state.station, sum(array.size for array in arrays)))
    body = b"".join([MAGIC, len(header).to_bytes(4, "little"), header,
                     *(array.astype("<i8", copy=False).tobytes() for array in arrays)])
    return body + hashlib.blake2b(body, digest_size=DIGEST).digest()


def restore(plan: Plan, data: bytes) -> State:
    """The state that was saved. Raises StateError for damaged data, another version, or another plan."""
    body, digest = data[:-DIGEST], data[-DIGEST:]
    if not body.startswith(MAGIC) or hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise StateError(f"saved state of {len(data)} bytes is damaged or something else")
    begin = len(MAGIC) + 4
    end = begin + int.from_bytes(body[len(MAGIC):begin], "little")
    header = _header(body[begin:end])
    if header.plan != plan.hash:
        raise StateError(f"saved state belongs to plan {header.plan}; this one is {plan.hash}")
    state = start(plan, header.station)
    arrays = [getattr(state.memory, one.name) for one in fields(Memory)]
    flat = np.frombuffer(body[end:], dtype="<i8")
    if not flat.size == header.entries == sum(array.size for array in arrays):
        raise StateError(f"saved state has {flat.size} numbers; this plan needs {sum(a.size for a in arrays)}")
    at = 0
    for array in arrays:
        array.flat = flat[at:at + array.size]
        at += array.size
    return state


def _header(data: bytes) -> _Header:
    try:
        version = msgspec.json.decode(data, type=dict[str, object]).get("version")
        if version != VERSION:
            raise StateError(f"saved state is of version {version}; this kernel reads version {VERSION}")
        return msgspec.json.decode(data, type=_Header)
    except msgspec.MsgspecError as err:
        raise StateError(f"saved state has a header that cannot be read: {err}") from err
