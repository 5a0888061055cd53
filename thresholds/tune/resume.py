"""What a sweep has found so far, on disk: written as a whole after each chunk, so that it can stop at any time."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from thresholds.tables import I64
from thresholds.tune.score import I32, Tally

MAGIC = b"TOCSINT\n"
VERSION = 1
DIGEST = 16


class ResumeError(Exception):
    """A file of results that cannot be gone on with, and why."""


class _Stored(msgspec.Struct, frozen=True):
    """A tally as bytes, little endian."""

    lead: bytes
    reach: bytes
    cells: bytes     # alarms, false, episodes, in_events
    worst_hour: int


class _File(msgspec.Struct, frozen=True):
    version: int
    task: str
    done: dict[int, _Stored]


@dataclass(slots=True)
class Results:
    """Tallies by number of candidate. `task` tells one sweep from another; `path` None keeps them in memory alone."""

    task: str
    path: Path | None = None
    done: dict[int, _Stored] = field(default_factory=dict)

    def add(self, numbers: Sequence[int], tallies: Sequence[Tally]) -> None:
        """Remembers a chunk, on disk too. Raises OSError."""
        for number, one in zip(numbers, tallies, strict=True):
            cells = np.concatenate((one.alarms, one.false, one.episodes, one.in_events))
            self.done[number] = _Stored(_bytes(one.lead), _bytes(one.reach), _bytes(cells), one.worst_hour)
        if self.path is not None:
            self.save(self.path)

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all. Raises OSError."""
        body = MAGIC + msgspec.msgpack.encode(_File(VERSION, self.task, self.done))
        new = path.with_name(path.name + ".new")
        with new.open("wb") as file:
            file.write(body + hashlib.blake2b(body, digest_size=DIGEST).digest())
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)

    def tally(self, number: int, cells: int, floors: int) -> Tally:
        """That candidate's tally again."""
        one = self.done[number]
        alarms, false, episodes, in_events = _numbers(one.cells, "<i4").astype(np.int32).reshape(4, cells)
        return Tally(
            lead=_numbers(one.lead, "<i8").astype(np.int64),
            reach=_numbers(one.reach, "<i4").astype(np.int32).reshape(cells, floors),
            alarms=alarms, false=false, episodes=episodes, in_events=in_events, worst_hour=one.worst_hour)


def _bytes(array: I64 | I32) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _numbers(data: bytes, kind: str) -> "np.ndarray[tuple[int], np.dtype[Any]]":
    return np.frombuffer(data, dtype=kind)


def resume(path: Path, task: str) -> Results:
    """What that file holds of this task; nothing where there is no file yet. Raises ResumeError."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Results(task, path)
    except OSError as err:
        raise ResumeError(f"{path}: cannot be read: {err.strerror}") from err
    body, digest = data[:-DIGEST], data[-DIGEST:]
    if not body.startswith(MAGIC) or hashlib.blake2b(body, digest_size=DIGEST).digest() != digest:
        raise ResumeError(f"{path}: is damaged or no file of tocsin tune; name another file, or remove it")
    try:
        found = msgspec.msgpack.decode(body[len(MAGIC):], type=_File)
    except msgspec.MsgspecError as err:
        raise ResumeError(f"{path}: is of another version; name another file, or remove it") from err
    if found.version != VERSION:
        raise ResumeError(f"{path}: is of version {found.version}; this program reads {VERSION}: name another file")
    if found.task != task:
        raise ResumeError(f"{path}: holds another sweep (other rules, values, records, events or lead floor); "
                          "name another file, or remove it")
    return Results(task, path, dict(found.done))
