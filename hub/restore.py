"""Puts a backup back: into a new folder, every file checked, and with a new id for the hub."""

import hashlib
import os
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from hub.backup import CONFIG, DATA, FORMAT, MANIFEST, BackupError, Manifest, in_words
from hub.database import Database, DatabaseError
from hub.forward import READER
from hub.landing import move_cursor
from tocsin.config import ConfigError, read_toml

_LARGEST_MANIFEST = 64 << 20
_PIECE = 1 << 20
_USUAL = "hub-data"
_MOVING = ".data"


def restore(archive: Path, folder: Path) -> list[str]:
    """Makes `folder` with hub.toml and the data as `tocsin hub` wants them; returns what is left to do.

    A folder that holds anything is refused. The hub gets a new id, so that every station offers again what it still
    holds, and its forwarder begins again with the oldest landed record. Raises BackupError; nothing is there then.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupError(f"{folder} is not empty; use a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".restoring-") as made:
            there = Path(made) / "hub"
            there.mkdir(mode=0o700)
            unpack(archive, there)
            to_do = _place_data(there) + _missing(there)
            _renew(there / _data_name(there) / "hub.sqlite")
            _sync_all(there)
            if folder.exists():
                folder.rmdir()
            there.rename(folder)
    except (OSError, tarfile.TarError, zlib.error, EOFError, ConfigError, DatabaseError) as err:
        raise BackupError(in_words(archive, err)) from err
    return to_do


def verify(archive: Path) -> Manifest:
    """Reads all of it and writes nothing. Raises BackupError."""
    try:
        return unpack(archive, None)
    except (OSError, tarfile.TarError, zlib.error, EOFError) as err:
        raise BackupError(in_words(archive, err)) from err


def unpack(archive: Path, folder: Path | None) -> Manifest:
    """Every file that the manifest names and nothing else. Raises BackupError, OSError, TarError, EOFError."""
    with tarfile.open(archive, "r:gz") as source:
        manifest = _manifest_of(archive, source)
        missing = {entry.name: entry for entry in manifest.files}
        while (member := source.next()) is not None:
            entry = missing.pop(member.name, None)
            content = source.extractfile(member) if member.isreg() else None
            if entry is None or content is None or not _is_safe(member.name):
                raise BackupError(f"{archive}: {member.name} is not in its manifest, or no plain file")
            found = hashlib.sha256()
            with _target(folder, entry.name) as target:
                while piece := content.read(_PIECE):
                    found.update(piece)
                    target.write(piece)
            if (member.size, found.hexdigest()) != (entry.size, entry.sha256):
                raise BackupError(f"{archive}: {member.name} is damaged: its SHA-256 is not that of the manifest")
    if missing:
        raise BackupError(f"{archive}: {', '.join(missing)} missing: it was cut off")
    return manifest


def _manifest_of(archive: Path, source: tarfile.TarFile) -> Manifest:
    first = source.next()
    content = source.extractfile(first) if first is not None and first.name == MANIFEST and first.isreg() else None
    if first is None or content is None or first.size > _LARGEST_MANIFEST:
        raise BackupError(f"{archive} is not a backup of a hub: it does not begin with {MANIFEST}")
    try:
        manifest = msgspec.json.decode(content.read(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as err:
        raise BackupError(f"{archive}: {MANIFEST}: {err}") from err
    if manifest.format != FORMAT:
        raise BackupError(f"{archive}: its format is {manifest.format}; this program knows {FORMAT}")
    names = {entry.name for entry in manifest.files}
    for name in (CONFIG, f"{DATA}/hub.sqlite"):
        if name not in names:
            raise BackupError(f"{archive}: {name} is missing")
    return manifest


def _is_safe(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _target(folder: Path | None, name: str) -> BinaryIO:
    """A new file that its owner alone may read; without a folder nothing is kept."""
    if folder is None:
        return Path(os.devnull).open("wb")
    path = folder / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _data_name(folder: Path) -> str:
    """Where hub.toml wants its data, if that lies beside it; else the usual place."""
    name = str(read_toml(folder / CONFIG).get("hub", {}).get("data", _USUAL))
    return name if _is_safe(name) and PurePosixPath(name).parts else _USUAL


def _place_data(folder: Path) -> list[str]:
    hub = read_toml(folder / CONFIG).get("hub", {})
    wanted = str(hub.get("data", _USUAL))
    name = _data_name(folder)
    if name != DATA:
        (folder / DATA).rename(folder / _MOVING)  # it may have to go below a folder of its own name
        (folder / name).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / _MOVING).rename(folder / name)
    if name == wanted:
        return []
    return [f'hub.toml says data = "{wanted}": move {name} there, or change that line to data = "{name}"']


def _missing(folder: Path) -> list[str]:
    """What hub.toml names and neither the archive nor this machine has."""
    tables = read_toml(folder / CONFIG)
    named = [("hub", key) for key in ("ca", "cert", "cert_key")] + [("groups", "rules")]
    names = [(table, key, str(tables.get(table, {}).get(key, ""))) for table, key in named]
    return [f'hub.toml says [{table}] {key} = "{name}", which is not in the archive: put that file there'
            for table, key, name in names if name and not (folder / name).is_file()]


def _renew(path: Path) -> None:
    database = Database(path)
    try:
        database.renew_id()
        with database.transaction() as connection:
            move_cursor(connection, READER, 0)
    finally:
        database.close()


def _sync_all(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
