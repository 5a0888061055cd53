"""A backup of the hub: one archive, made while it runs, that says by itself whether it is whole.

`tocsin-hub-<UTC>.tar.gz` holds manifest.json (first), hub.toml, the files that it names for TLS and group rules, and
under `data/` hub.sqlite, the embedded store and the CAP files. hub.sqlite is copied before the store: a store that is
newer than its forwarder's cursor gets points again, which changes nothing; an older one would miss some.
"""

import fcntl
import gzip
import hashlib
import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path, PurePosixPath

import msgspec

from hub.broadcast import cap
from hub.config import HubConfig
from tocsin import __version__
from tocsin.messages import encode
from tocsin.times import utc

FORMAT = 1
MANIFEST = "manifest.json"
CONFIG = "hub.toml"
DATA = "data"
PREFIX, SUFFIX = "tocsin-hub-", ".tar.gz"
_MAKING = ".making-"
_GZIP_LEVEL = 3  # the copy of a running hub must not take its processor away
_SPARE = 64 << 20


class BackupError(Exception):
    """No backup was made, or none restored; says why."""


class Entry(msgspec.Struct, frozen=True):
    """A file of the archive: its name there, its length in bytes, its SHA-256 in hex."""

    name: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """`made`: ms UTC; `hub`: the id of the hub; `version`: of the program that made it."""

    format: int
    made: int
    hub: str
    name: str
    version: str
    files: list[Entry]


def make(config: HubConfig, file: Path, folder: Path, now_ms: int) -> Path:
    """Writes an archive into `folder` and returns its path. Blocks; the hub may run. Raises BackupError.

    `file` is the hub.toml that `config` was read from. The archive holds private keys: its owner alone may read it.
    """
    path = folder / f"{PREFIX}{utc(now_ms).strftime('%Y%m%dT%H%M%SZ')}{SUFFIX}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone(folder):
            if path.exists():
                raise BackupError(f"{path} is there already")
            _refuse_small_disk(config, folder)
            with tempfile.TemporaryDirectory(dir=folder, prefix=_MAKING) as made:
                copies = _copies(config, file, Path(made))
                part = Path(made) / path.name
                _pack(part, copies, _manifest(config, copies, now_ms))
                part.rename(path)
        _sync(folder)
    except (OSError, sqlite3.Error, tarfile.TarError) as err:
        raise BackupError(in_words(path, err)) from err
    return path


def in_words(path: Path, err: Exception) -> str:
    """What happened to that file or, where it was another one, which."""
    if not isinstance(err, OSError) or not err.strerror:
        return f"{path}: {err}"
    other = f" ({err.filename})" if err.filename and str(err.filename) != str(path) else ""
    return f"{path}: {err.strerror}{other}"


def archives(folder: Path) -> list[Path]:
    """Whole archives, the oldest first."""
    with suppress(FileNotFoundError):
        return sorted(path for path in folder.iterdir() if path.name.startswith(PREFIX) and path.name.endswith(SUFFIX))
    return []


def thin(folder: Path, keep: int) -> list[Path]:
    """Deletes all but the newest; returns what went. Raises OSError."""
    gone = archives(folder)[:-keep]
    for path in gone:
        path.unlink()
    return gone


def digest_of(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time makes archives there; what a killed one left half made is as large as the hub, and goes."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system of another machine may know no locks: then nothing is cleaned up
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as err:
                raise BackupError(f"{folder}: another backup is being made there") from err
            for left in folder.glob(f"{_MAKING}*"):
                shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _copies(config: HubConfig, file: Path, made: Path) -> dict[str, Path]:
    """Every file of the archive, by its name there. Copies, since a file may change while it is packed."""
    data = Path(config.hub.data)
    copies = {f"{DATA}/hub.sqlite": _snapshot(data / "hub.sqlite", made)}
    if config.store.kind == "embedded" and config.backup.store and (data / "store.sqlite").exists():
        copies[f"{DATA}/store.sqlite"] = _snapshot(data / "store.sqlite", made)
    plain = {CONFIG: file}
    plain |= {str(PurePosixPath(path.relative_to(file.parent))): path for path in _beside(config, file)}
    plain |= {f"{DATA}/{path.relative_to(data)}": path for path in sorted(cap.folder_of(config).glob("*.xml"))}
    for number, (name, path) in enumerate(plain.items()):
        copies[name] = made / f"copy-{number}"
        shutil.copyfile(path, copies[name])
    return copies


def _beside(config: HubConfig, file: Path) -> Iterator[Path]:
    """What hub.toml names: files for TLS, group rules. What does not lie beside it is the machine's own business."""
    for name in (config.hub.ca, config.hub.cert, config.hub.cert_key, config.groups.rules):
        path = Path(name)
        if name and path.is_relative_to(file.parent) and ".." not in path.parts and path.is_file():
            yield path


def _snapshot(path: Path, made: Path) -> Path:
    """A copy as of one moment, checked. Writers go on meanwhile."""
    if not path.exists():
        raise BackupError(f"{path} is not there: this hub has never run here")
    copy = made / path.name
    uri = f"{path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=30.0)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
        # no file beside the copy may be needed to read it
        target.execute("PRAGMA journal_mode = DELETE")
        (said,) = target.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        raise BackupError(f"{path} is damaged: {said}")
    return copy


def _manifest(config: HubConfig, copies: dict[str, Path], now_ms: int) -> Manifest:
    with closing(sqlite3.connect(copies[f"{DATA}/hub.sqlite"])) as connection:
        (hub,) = connection.execute("SELECT value FROM meta WHERE key = 'hub'").fetchone()
    files = [Entry(name, path.stat().st_size, digest_of(path)) for name, path in copies.items()]
    return Manifest(FORMAT, now_ms, hub, config.hub.name, __version__, files)


def _pack(part: Path, copies: dict[str, Path], manifest: Manifest) -> None:
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as raw:
        # the stream's own name and time would make two archives of the same files differ
        with (gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=manifest.made / 1000) as packed,
              tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive):
            body = msgspec.json.format(encode(manifest))
            archive.addfile(_member(MANIFEST, len(body), manifest.made), io.BytesIO(body))
            for entry in manifest.files:
                with copies[entry.name].open("rb") as source:
                    archive.addfile(_member(entry.name, entry.size, manifest.made), source)
        raw.flush()
        os.fsync(raw.fileno())


def _member(name: str, size: int, now_ms: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, 0o600, now_ms // 1000
    return member


def _refuse_small_disk(config: HubConfig, folder: Path) -> None:
    """The copies and, at worst, an archive as large as they lie there for a while."""
    data = Path(config.hub.data)
    names = ["hub.sqlite", "hub.sqlite-wal", *(["store.sqlite", "store.sqlite-wal"] if config.backup.store else [])]
    wanted = _SPARE + 2 * sum((data / name).stat().st_size for name in names if (data / name).exists())
    at = os.statvfs(folder)
    free = at.f_bavail * at.f_frsize
    if free < wanted:
        raise BackupError(f"{folder}: {free >> 20} MB are free; a backup wants {wanted >> 20} MB")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
