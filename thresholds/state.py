"""What the kernel remembers between blocks: flat arrays of whole numbers, saved and restored as they are."""

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from thresholds.plan import Plan
from thresholds.tables import I64, MINIMA, NEVER, Tables
from thresholds.tabling import tables_of
from tocsin.levels import WARNING_LEVELS

VERSION = 2
MAGIC = b"TOCSINK\n"
DIGEST = 16
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
TYPES: dict[str, type[np.integer[Any]]] = {    # all others are int64
    "minute_covered": np.uint32, "on_bits": np.uint16, "off_bits": np.uint16,
}


class StateError(Exception):
    """Saved state that cannot be used, and why. The caller starts afresh or stops; nothing is guessed."""


@dataclass(slots=True)
class Memory:
    """Lengths: S series and groups, T tracks, H the longest M, L entries of a kind of ring. NEVER is a time before all.

    A reading is *taken* when it is good: in range, new, not in service, and not held as a spike (or confirmed since).
    """

    last_t: I64         # S: the last reading's time, whether it was good or not
    good_t: I64         # S: the last taken reading's time
    first_tick: I64     # S: from where a series that was never seen counts its silence
    stale: I64          # S: 0 fresh, 1 stale, 2 stale for so long that an active level is unconfirmed
    seen: I64           # S: how many of past_raw there are
    past_raw: I64       # S x 3: the last taken readings, newest first
    held_t: I64         # S: a reading that waits for the next one to confirm it; NEVER: none
    held_raw: I64       # S
    dropped: I64        # S: 1 where, without a past value to compare with, a held reading was dropped for the next one
    same_t: I64         # S: since when the value has not changed
    wet_t: I64          # S x 2: the last two taken readings that brought rain
    rained: I64         # 1: rain of all series of the station since the start
    rained_at: I64      # S: `rained` when the series itself last brought rain
    past_t: I64         # S x H: times of the last taken readings, newest first
    total: I64          # S: running sum of increments, modulo 2**64
    covered: I64        # S: running covered time
    slot_count: I64     # R: entries ever written, for rings of slots
    slot_t: I64         # L
    slot_total: I64     # L
    slot_covered: I64   # L
    head: I64           # F: number of the first entry inside a short sum's window
    minute_total: I64   # L: total at the end of a minute; minutes are counted from the epoch, modulo the ring's size
    minute_covered: U32  # L: covered time at the end of a minute, modulo 2**32: only differences of a day are asked for
    apart_t: I64        # F x 2: the last two readings whose increment spans more than the sum's window
    apart: I64          # F x 2: those increments
    trend_count: I64    # R
    trend_t: I64        # L
    trend_x: I64        # L
    trend_st: I64       # L: running sums over the ring's entries, modulo 2**64: of time in units ...
    trend_sx: I64       # L: ... of the value ...
    trend_stt: I64      # L
    trend_stx: I64      # L
    trend_head: I64     # W: number of the first entry inside a trend's window
    trend_hole: I64     # W: number of the first entry after the last hole of more than half the window
    minima: I64         # L: lowest signed value of a minute; BEYOND where there was none
    reference: I64      # R: low quantile of them; NEVER where too few are known
    cusum: I64          # F
    value: I64          # F: what the tracks compare; carries the sign
    valid: I64          # F: covered time of it, or whether it is known
    span: I64           # F: time it is about, or 1
    lone: I64           # F: 1 where a sum of rain comes from one reading alone
    on_bits: U16        # T x 4: which of the last taken readings qualify, newest in bit 0
    off_bits: U16       # T x 4: which of them are below off
    run_since: I64      # T x 4: first qualifying reading of the present run
    run_for: I64        # T x 4: event time passed since, without gaps
    off_since: I64      # T x 4: since when the condition to fall holds, for a level that is set
    latched: I64        # T x 4
    acked: I64          # T x 4: a person acknowledged a level that latches
    level: I64          # T
    since: I64          # T: first qualifying reading of the episode
    cleared_t: I64      # T: when the last episode ended
    episode: I64        # T: id of the present or last episode
    revision: I64       # T
    shelved: I64        # T: until when a person has shelved the track; NEVER: not
    member_t: I64       # M: when a group's member last stood at the level that counts; members of all groups in order
    group_t: I64        # G: time of a group's last evaluation


TREND_SUMS = ("trend_st", "trend_sx", "trend_stt", "trend_stx")    # of u, x, uu and ux
TIMES = frozenset({
    "last_t", "good_t", "first_tick", "held_t", "same_t", "wet_t", "past_t", "apart_t", "run_since", "off_since",
    "since", "cleared_t", "shelved", "member_t", "group_t", "reference",
})


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
    shapes = _shapes(plan, tables)
    arrays = {
        one.name: np.full(shapes[one.name], NEVER if one.name in TIMES else 0, dtype=TYPES.get(one.name, np.int64))
        for one in fields(Memory)
    }
    arrays["minima"][:] = -NEVER
    arrays["span"][:] = 1
    return State(plan, station, tables, Memory(**arrays))


def _shapes(plan: Plan, tables: Tables) -> dict[str, tuple[int, ...]]:
    series, tracks, levels = len(plan.all_series), len(plan.tracks), len(WARNING_LEVELS)
    sums, trends, cusums = tables.sums, tables.trends, tables.cusums
    of_series = ("last_t", "good_t", "first_tick", "stale", "seen", "held_t", "held_raw", "dropped", "same_t",
                 "rained_at", "total", "covered")
    of_track = ("level", "since", "cleared_t", "episode", "revision", "shelved")
    of_levels = ("on_bits", "off_bits", "run_since", "run_for", "off_since", "latched", "acked")
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(of_series, (series,))
    shapes |= dict.fromkeys(of_track, (tracks,)) | dict.fromkeys(of_levels, (tracks, levels))
    shapes |= dict.fromkeys(("slot_t", "slot_total", "slot_covered"), (sums.slots.length,))
    shapes |= dict.fromkeys(("minute_total", "minute_covered"), (sums.minutes.length,))
    shapes |= dict.fromkeys(("trend_t", "trend_x", *TREND_SUMS), (trends.rings.length,))
    shapes |= dict.fromkeys(("trend_head", "trend_hole"), (len(trends.window),))
    shapes |= dict.fromkeys(("apart_t", "apart"), (len(sums.window), 2))
    shapes |= dict.fromkeys(("value", "valid", "span", "lone"), (tables.features,))
    return shapes | {
        "past_raw": (series, 3), "wet_t": (series, 2), "rained": (1,), "past_t": (series, int(tables.tracks.m.max())),
        "slot_count": (len(sums.slots.series),), "head": (sums.short,),
        "trend_count": (len(trends.rings.series),),
        "minima": (MINIMA * len(cusums.minima_series),), "reference": (len(cusums.minima_series),),
        "cusum": (len(cusums.series),),
        "member_t": (sum(len(group.members) for group in plan.groups),), "group_t": (len(plan.groups),),
    }


class _Header(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    plan: str
    station: str
    entries: int


def save(state: State) -> bytes:
    """The state in bytes: a header, the arrays in the order of Memory (little endian), a digest of both."""
    return b"".join(parts_of(state))


def parts_of(state: State) -> list[bytes | memoryview]:
    """As `save`, the arrays as they are: to be written down before the next block."""
    arrays = [getattr(state.memory, one.name) for one in fields(Memory)]
    header = msgspec.json.encode(_Header(VERSION, state.plan.hash, state.station, sum(array.size for array in arrays)))
    parts: list[bytes | memoryview] = [MAGIC, len(header).to_bytes(4, "little"), header, *map(_bytes_of, arrays)]
    digest = hashlib.blake2b(digest_size=DIGEST)
    for part in parts:
        digest.update(part)
    return [*parts, digest.digest()]


def _bytes_of(array: np.ndarray[Any, Any]) -> memoryview:
    """Not copied: what an hour of a rain gauge that is read each second leaves behind is large."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return little.reshape(-1).view(np.uint8).data


def restore(plan: Plan, data: bytes | memoryview) -> State:
    """The state that was saved. Raises StateError for damaged data, another version, or another plan."""
    body, digest = memoryview(data)[:-DIGEST], data[-DIGEST:]
    if body[:len(MAGIC)] != MAGIC or hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise StateError(f"saved state of {len(data)} bytes is damaged or something else")
    begin = len(MAGIC) + 4
    end = begin + int.from_bytes(body[len(MAGIC):begin], "little")
    header = _header(body[begin:end])
    if header.plan != plan.hash:
        raise StateError(f"saved state belongs to plan {header.plan}; this one is {plan.hash}")
    state = start(plan, header.station)
    arrays = [getattr(state.memory, one.name) for one in fields(Memory)]
    entries = sum(array.size for array in arrays)
    if not (header.entries == entries and len(body) - end == sum(array.nbytes for array in arrays)):
        raise StateError(f"saved state has {header.entries} numbers; this plan needs {entries}")
    for array in arrays:
        array.flat = np.frombuffer(body, array.dtype.newbyteorder("<"), array.size, end)
        end += array.nbytes
    return state


def _header(data: memoryview) -> _Header:
    try:
        version = msgspec.json.decode(data, type=dict[str, object]).get("version")
        if version != VERSION:
            raise StateError(f"saved state is of version {version}; this kernel reads version {VERSION}")
        return msgspec.json.decode(data, type=_Header)
    except msgspec.MsgspecError as err:
        raise StateError(f"saved state has a header that cannot be read: {err}") from err
