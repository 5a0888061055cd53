"""What the decider knows, kept beside the log: a start plays only the log's tail behind it. It is only a shortcut.

    checkpoint        each minute: a link to a file in memory (/dev/shm), which outlives the process and not a power cut
    checkpoint-kept   on the disk: a minute after the start, then each hour. Each minute would wear a card out

Both: the last record that it knows (u64) and the length of the next part (u32), little endian; the rules in force, as a
record of the log; what `Decider.save` gives.
"""

import logging
import os
import secrets
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from edge.decider import REFUSED, Decider
from edge.saved import Part
from tocsin import early
from tocsin.inputs import Config
from tocsin.log import Log
from tocsin.logfiles import replace_file, replace_with
from tocsin.messages import record_of

CHECKPOINT = "checkpoint"
KEPT = "checkpoint-kept"
_HEAD = struct.Struct("<QI")
_CHUNK_BYTES = 64 << 10

log = logging.getLogger(__name__)


class Checkpoints:
    """`prepare` on the loop, so that it is of one moment; `publish` once the log has its last record; then `keep`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._target: Path | None = None
        self._plain: bytes | None = None  # where there is no such memory

    def prepare(self, seq: int, config: bytes, memory: Sequence[Part], *, keep: bool) -> None:
        """What a decider knows after record `seq`: its rules, and the parts of what it remembers, none of them copied.

        `keep`: it will be kept, so that it must be there also where that memory is full.
        """
        parts = [_HEAD.pack(seq, len(config)), config, *memory]
        self._plain = None
        target = self._target or early.MEMORY / f"{_prefix(self._folder)}{secrets.token_hex(8)}"
        try:
            file = os.open(_new(target), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(file, "wb") as stream:
                stream.writelines(parts)
        except OSError:
            with suppress(OSError):
                _new(target).unlink()
            self._plain = b"".join(parts) if keep else None
        else:
            self._target = target

    def publish(self) -> None:
        """From now on a start begins with it. Raises OSError."""
        link = self._folder / CHECKPOINT
        if self._target is None or not _new(self._target).exists():
            return
        _new(self._target).replace(self._target)
        before = link.readlink() if link.is_symlink() else None
        if before == self._target:
            return
        with suppress(OSError):  # of an earlier run, where this folder has one
            if before is not None and _is_of(self._folder, before):
                before.unlink()
        fresh = _new(link)
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(self._target)
        fresh.replace(link)

    def keep(self) -> None:
        """On the disk too; the log must have its last record there. Raises OSError."""
        if self._plain is not None:
            replace_file(self._folder / KEPT, self._plain, sync=True)
            self._plain = None
        elif self._target is not None:
            with self._target.open("rb") as file:
                chunks: Iterator[bytes] = iter(partial(file.read, _CHUNK_BYTES), b"")
                replace_with(self._folder / KEPT, chunks, sync=True)


def checkpoint_of(folder: Path, storage: Log) -> tuple[int, Decider] | None:
    """The last record that a saved decider knows, and that decider: the newest that can be used."""
    for _, path in sorted(((_seq_of(path), path) for path in _paths(folder)), reverse=True):
        found = _read(path, storage)
        if found is not None:
            return found
    return None


def _paths(folder: Path) -> Iterator[Path]:
    link = folder / CHECKPOINT
    if not link.is_symlink() or _is_of(folder, link.readlink()):
        yield link
    else:
        log.warning("%s is another folder's: not used", link)
    yield folder / KEPT


def _seq_of(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return int(_HEAD.unpack(file.read(_HEAD.size))[0])
    except (OSError, struct.error):
        return -1


def _read(path: Path, storage: Log) -> tuple[int, Decider] | None:
    try:
        data = memoryview(path.read_bytes())
        seq, length = _HEAD.unpack_from(data)
        if seq < storage.next_seq:
            config = record_of(bytes(data[_HEAD.size:_HEAD.size + length]))
            if isinstance(config, Config):
                return seq, Decider(config, memory=data[_HEAD.size + length:])
            log.warning("%s not used: it names no rules", path.name)
            return None
        # it must not wait until other records have these numbers
        path.unlink()
        log.warning("%s after record %d, but the log ends at %d: not used", path.name, seq, storage.next_seq - 1)
    except FileNotFoundError:
        pass
    except (OSError, struct.error, *REFUSED) as err:
        log.warning("%s not used: %s", path.name, err)
    return None


def _new(path: Path) -> Path:
    return path.with_name(path.name + ".new")


def _prefix(folder: Path) -> str:
    """A copied folder is another one, and what this one's link leads to is not the copy's."""
    return f"tocsin-{folder.stat().st_ino:x}-"


def _is_of(folder: Path, target: Path) -> bool:
    return target.name.startswith(_prefix(folder))
