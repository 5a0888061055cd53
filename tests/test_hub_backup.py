"""A backup of a hub's files while it runs: whole, of one moment, and told where it cannot be made."""

import fcntl
import os
import sqlite3
from pathlib import Path

import pytest

from hub import backup
from hub.backup import BackupError, archives, make, thin
from hub.config import HubConfig, load_hub
from hub.database import Database
from hub.restore import restore, verify
from tests.hub_backups import NAME, NOW, config, file
from tocsin.__main__ import main

__all__ = ["config", "file"]


def test_a_backup_holds_what_is_not_yet_in_the_main_file_and_writers_go_on(
    file: Path, config: HubConfig, tmp_path: Path
) -> None:
    database = Database(Path(config.hub.data) / "hub.sqlite")
    try:
        with database.transaction() as connection:
            connection.execute("INSERT INTO journal (t, warning, why, event) VALUES (2, 'x', 'higher', '{}')")
        assert (Path(config.hub.data) / "hub.sqlite-wal").stat().st_size > 0
        archive = make(config, file, tmp_path / "backups", NOW)
        with database.transaction() as connection:
            connection.execute("INSERT INTO journal (t, warning, why, event) VALUES (3, 'y', 'higher', '{}')")
    finally:
        database.close()
    restore(archive, tmp_path / "new")
    again = sqlite3.connect(tmp_path / "new" / "hub-data" / "hub.sqlite")
    assert again.execute("SELECT warning FROM journal ORDER BY id").fetchall() == [("w",), ("x",)]
    again.close()


def test_the_store_can_be_left_out_and_files_of_tls_beside_the_file_go_along(
    file: Path, tmp_path: Path
) -> None:
    (file.parent / "tls").mkdir()
    (file.parent / "tls" / "ca.pem").write_text("made up", encoding="utf-8")
    text = file.read_text().replace("mqtt://127", "mqtts://127").replace("[cap]", 'ca = "tls/ca.pem"\n\n[cap]')
    file.write_text(text + "\n[backup]\nstore = false\n")
    names = {entry.name for entry in verify(make(load_hub(file), file, tmp_path / "backups", NOW)).files}
    assert names == {"hub.toml", "data/hub.sqlite", "data/cap/one.xml", "tls/ca.pem"}


def test_the_file_of_group_rules_goes_along_and_what_lies_elsewhere_is_told(file: Path, tmp_path: Path) -> None:
    (file.parent / "basin.toml").write_text("# made up", encoding="utf-8")
    ca = tmp_path / "machine" / "ca.pem"
    ca.parent.mkdir()
    ca.write_text("made up", encoding="utf-8")
    text = file.read_text().replace("mqtt://127", "mqtts://127").replace("[cap]", f'ca = "{ca}"\n\n[cap]')
    file.write_text(text + '\n[groups]\nrules = "basin.toml"\n')
    archive = make(load_hub(file), file, tmp_path / "backups", NOW)
    assert restore(archive, tmp_path / "here") == []
    assert Path(load_hub(tmp_path / "here" / "hub.toml").groups.rules).read_text() == "# made up"
    ca.unlink()
    assert restore(archive, tmp_path / "there") == [
        f'hub.toml says [hub] ca = "{ca}", which is not in the archive: put that file there']


def test_what_a_killed_backup_left_goes_and_two_at_a_time_are_refused(
    file: Path, config: HubConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    (folder / ".making-killed").mkdir(parents=True)
    (folder / ".making-killed" / "hub.sqlite").write_bytes(b"as large as the hub")
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(BackupError, match="another backup is being made there"):
        make(config, file, folder, NOW)
    assert (folder / ".making-killed").exists(), "it may be the other's"
    os.close(lock)
    make(config, file, folder, NOW)
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_file_that_changes_while_it_is_packed_does_no_harm(
    file: Path, config: HubConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest_of = backup.digest_of

    def then_changed(path: Path) -> str:
        found = digest_of(path)
        file.write_text("# another one")
        return found

    monkeypatch.setattr(backup, "digest_of", then_changed)
    assert verify(make(config, file, tmp_path / "backups", NOW)).files


def test_a_hub_that_never_ran_and_a_damaged_database_are_told(file: Path, config: HubConfig, tmp_path: Path) -> None:
    path = Path(config.hub.data) / "hub.sqlite"
    body = bytearray(path.read_bytes())
    body[4096:8192] = os.urandom(4096)
    path.write_bytes(body)
    with pytest.raises(BackupError):
        make(config, file, tmp_path / "backups", NOW)
    path.unlink()
    with pytest.raises(BackupError, match="this hub has never run here"):
        make(config, file, tmp_path / "backups", NOW)
    assert archives(tmp_path / "backups") == []


def test_a_disk_without_room_is_told_before_anything_is_written(
    file: Path, config: HubConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_SPARE", 1 << 60)
    with pytest.raises(BackupError, match="MB are free; a backup wants"):
        make(config, file, tmp_path / "backups", NOW)


def test_the_newest_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    names = [f"tocsin-hub-2026112{day}T023000Z.tar.gz" for day in range(5)]
    for name in [*names, "other.tar.gz"]:
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in thin(tmp_path, 2)] == names[:3]
    assert {path.name for path in tmp_path.iterdir()} == {*names[3:], "other.tar.gz"}
    assert thin(tmp_path, 2) == []


def test_the_commands(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hub", "backup", str(file), str(tmp_path / "by-hand")]) == 0
    (archive,) = archives(tmp_path / "by-hand")
    assert capsys.readouterr().out == f"{archive}\n"
    assert main(["hub", "restore", str(archive)]) == 0
    assert "files, 0 MB, all whole" in capsys.readouterr().out
    assert main(["hub", "restore", str(archive), str(tmp_path / "new")]) == 0
    assert f"start it with: tocsin hub {tmp_path / 'new' / 'hub.toml'}" in capsys.readouterr().out
    assert main(["hub", "restore", str(archive), str(tmp_path / "new")]) == 1
    assert "is not empty" in capsys.readouterr().err
    assert main(["hub", "backup", str(file)]) == 0
    assert len(archives(file.parent / "hub-backups")) == 1
    assert capsys.readouterr().out
    (tmp_path / "file").touch()
    assert main(["hub", "backup", str(file), str(tmp_path / "file")]) == 1
    assert capsys.readouterr().err.endswith(f".tar.gz: File exists ({tmp_path / 'file'})\n")
    assert main(["hub", "restore", str(tmp_path / "none.tar.gz")]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'none.tar.gz'}: No such file or directory\n"
