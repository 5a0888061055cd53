"""Restoring a hub's files: what is damaged is refused, nothing overwritten, nothing lost."""

import io
import json
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from hub import warnings_kept
from hub.backup import BackupError, make
from hub.config import HubConfig, load_hub
from hub.database import VERSION, Database
from hub.forward import READER
from hub.landing import cursor_of
from hub.migrations import version_of
from hub.restore import restore, verify
from tests.hub_backups import NAME, NOW, config, file
from tests.test_hub_migrations import HUBS, old_file

__all__ = ["config", "file"]


def test_what_is_restored_is_what_was_there_but_for_the_id_and_the_forwarder_s_place(
    file: Path, config: HubConfig, tmp_path: Path
) -> None:
    archive = make(config, file, tmp_path / "backups", NOW)
    assert archive.name == NAME
    assert (archive.stat().st_mode & 0o777, archive.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert list(archive.parent.iterdir()) == [archive], "nothing half made is left"
    assert restore(archive, tmp_path / "new") == []
    assert (tmp_path / "new" / "hub.toml").read_bytes() == file.read_bytes()
    there = load_hub(tmp_path / "new" / "hub.toml")
    old, new = (Database(Path(one.hub.data) / "hub.sqlite") for one in (config, there))
    try:
        for table in ("journal", "enrolled"):
            rows = [one.connection.execute(f"SELECT * FROM {table}").fetchall() for one in (old, new)]
            assert rows[0] == rows[1] != []
        assert old.hub_id != new.hub_id
        assert (cursor_of(old.connection, READER), cursor_of(new.connection, READER)) == (41, 0)
    finally:
        old.close()
        new.close()
    store = sqlite3.connect(Path(there.hub.data) / "store.sqlite")
    assert store.execute("SELECT count(*), sum(value) FROM readings").fetchone() == (1000, sum(range(1000)) / 2)
    store.close()
    assert (Path(there.hub.data) / "cap" / "one.xml").read_text() == "<alert/>"
    modes = {path.stat().st_mode & 0o077 for path in (tmp_path / "new").rglob("*.toml")}
    assert modes == {0}, "it holds keys"


def test_every_table_of_a_hub_comes_back(file: Path, config: HubConfig, tmp_path: Path) -> None:
    """Also those of parts that came after this one: each gets a row, whatever its columns are."""
    database = Database(Path(config.hub.data) / "hub.sqlite")
    kinds = {"INTEGER": 7, "TEXT": "waits", "BLOB": b"x"}
    only: dict[tuple[str, str], object] = {
        ("group_state", "one"): 1, ("outbox", "state"): "pending", ("warnings", "state"): "{}",
        ("warning_parts", "part"): "earlier"}
    tables = [row[0] for row in database.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
              if not row[0].startswith("sqlite_")]
    for table in tables:
        columns = database.connection.execute(f"PRAGMA table_info({table})").fetchall()
        values = [only.get((table, name), kinds[kind]) for _, name, kind, *_ in columns]
        database.connection.execute(
            f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * len(values))})", values)
    rows = {table: database.connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    database.close()
    assert all(rows.values())
    assert {"episodes", "group_log", "group_inputs", "group_state", "windows", "answers_zh", "strangers"} <= set(rows)
    restore(make(config, file, tmp_path / "backups", NOW), tmp_path / "new")
    again = sqlite3.connect(tmp_path / "new" / "hub-data" / "hub.sqlite")
    found = {table: again.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    again.close()
    changed = {table for table in tables if found[table] != rows[table]}
    assert changed == {"meta", "cursors"}, "the new id, and the forwarder's cursor"


@pytest.mark.parametrize("name", HUBS)
def test_a_backup_of_an_older_program_comes_back_with_its_warnings(
    file: Path, config: HubConfig, tmp_path: Path, name: str
) -> None:
    path = Path(config.hub.data) / "hub.sqlite"
    path.unlink()
    with closing(sqlite3.connect(old_file(name, path))) as connection:
        was = version_of(connection)
        states = [json.loads(row[0]) for row in connection.execute("SELECT state FROM warnings ORDER BY id")]
    archive = make(config, file, tmp_path / "backups", NOW)
    with closing(sqlite3.connect(path)) as connection:
        assert version_of(connection) == was < VERSION, "a backup leaves it as it is"
    assert restore(archive, tmp_path / "new") == []
    database = Database(tmp_path / "new" / "hub-data" / "hub.sqlite")
    found = sorted(warnings_kept.everything(database.connection), key=lambda one: one.id)
    database.close()
    assert [(one.id, list(one.episodes), list(one.earlier)) for one in found] == [
        (one["id"], list(one["episodes"]), list(one.get("earlier", {}))) for one in states]
    assert bool(found) == (name == "hub-2.sql")


@pytest.mark.parametrize("data", ["data", "data/hub", "var/data"])
def test_data_may_lie_at_any_place_beside_the_file(file: Path, tmp_path: Path, data: str) -> None:
    (file.parent / "hub-data").rename(file.parent / ".was")
    (file.parent / data).parent.mkdir(exist_ok=True)
    (file.parent / ".was").rename(file.parent / data)
    file.write_text(file.read_text().replace("[hub]", f'[hub]\ndata = "{data}"'))
    assert restore(make(load_hub(file), file, tmp_path / "backups", NOW), tmp_path / "new") == []
    assert (tmp_path / "new" / data / "hub.sqlite").exists()


def test_a_folder_of_the_machine_s_own_is_told_and_not_touched(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "var-lib"
    (file.parent / "hub-data").rename(elsewhere)
    file.write_text(file.read_text().replace("[hub]", f'[hub]\ndata = "{elsewhere}"'))
    archive = make(load_hub(file), file, tmp_path / "backups", NOW)
    assert restore(archive, tmp_path / "new") == [
        f'hub.toml says data = "{elsewhere}": move hub-data there, or change that line to data = "hub-data"'
    ]
    assert (tmp_path / "new" / "hub-data" / "hub.sqlite").exists()


def test_nothing_is_overwritten(file: Path, config: HubConfig, tmp_path: Path) -> None:
    archive = make(config, file, tmp_path / "backups", NOW)
    with pytest.raises(BackupError, match="is there already"):
        make(config, file, tmp_path / "backups", NOW)
    with pytest.raises(BackupError, match="is not empty; use a new folder"):
        restore(archive, file.parent)
    (tmp_path / "empty").mkdir()
    restore(archive, tmp_path / "empty")


@pytest.mark.parametrize("place", [0.02, 0.3, 0.5, 0.8])
def test_an_archive_that_is_cut_off_is_refused_and_leaves_nothing(
    file: Path, config: HubConfig, tmp_path: Path, place: float
) -> None:
    archive = make(config, file, tmp_path / "backups", NOW)
    body = archive.read_bytes()
    archive.write_bytes(body[: int(len(body) * place)])
    with pytest.raises(BackupError):
        restore(archive, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".restoring-*"))


def repacked(archive: Path, change: dict[str, bytes], more: dict[str, bytes] | None = None) -> None:
    """The same archive with other contents of some members, and more members."""
    with tarfile.open(archive, "r:gz") as source:
        members = {one.name: source.extractfile(one) for one in source}
        contents = {name: found.read() for name, found in members.items() if found is not None}
    with tarfile.open(archive, "w:gz") as target:
        for name, content in (contents | change | (more or {})).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


def test_an_archive_that_was_changed_is_refused(file: Path, config: HubConfig, tmp_path: Path) -> None:
    archive = make(config, file, tmp_path / "backups", NOW)
    whole = archive.read_bytes()
    repacked(archive, {"hub.toml": b"[hub]"})
    with pytest.raises(BackupError, match=r"hub\.toml is damaged"):
        restore(archive, tmp_path / "new")
    archive.write_bytes(whole)
    repacked(archive, {}, {"../evil": b"x"})
    with pytest.raises(BackupError, match="is not in its manifest"):
        restore(archive, tmp_path / "new")
    archive.write_bytes(whole)
    with tarfile.open(archive, "r:gz") as source:
        first = source.extractfile("manifest.json")
        assert first is not None
        manifest = json.loads(first.read())
    evil = manifest | {"files": [*manifest["files"], manifest["files"][0] | {"name": "../evil"}]}
    repacked(archive, {"manifest.json": json.dumps(evil).encode()}, {"../evil": file.read_bytes()})
    with pytest.raises(BackupError, match=r"\.\./evil is not in its manifest, or no plain file"):
        restore(archive, tmp_path / "new")
    archive.write_bytes(whole)
    repacked(archive, {"manifest.json": json.dumps(manifest | {"format": 9}).encode()})
    with pytest.raises(BackupError, match="its format is 9; this program knows 1"):
        restore(archive, tmp_path / "new")
    assert not (tmp_path / "evil").exists()
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_no_archive_and_one_that_is_damaged_in_the_middle(
    file: Path, config: HubConfig, tmp_path: Path
) -> None:
    (tmp_path / "other.tar.gz").write_bytes(b"no archive")
    with pytest.raises(BackupError):
        verify(tmp_path / "other.tar.gz")
    archive = make(config, file, tmp_path / "backups", NOW)
    body = bytearray(archive.read_bytes())
    for at in range(len(body) // 2, len(body) // 2 + 40):
        body[at] ^= 0xFF
    archive.write_bytes(body)
    with pytest.raises(BackupError):
        verify(archive)
