"""Backup and restore of a hub's files: whole archives, nothing overwritten, nothing lost."""

import asyncio
import fcntl
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from hub import backup
from hub.backup import BackupError, archives, make, thin
from hub.config import HubConfig, load_hub
from hub.config_operations import BackupTable
from hub.database import Database
from hub.forward import READER
from hub.landing import cursor_of, move_cursor
from hub.nightly import Last, Nightly, due_before
from hub.restore import restore, verify
from tests.hubs import HubFiles, running_hub
from tests.test_journey import until
from tocsin.__main__ import main
from tocsin.clock import SystemClock, WoundClock
from tocsin.times import ms_of

NOW = ms_of("2026-11-22T02:30:00Z")
NAME = "tocsin-hub-20261122T023000Z.tar.gz"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A hub.toml whose hub has run: a database with a line of journal and a cursor, an embedded store, a CAP file."""
    path = HubFiles(tmp_path / "hub", "mqtt://127.0.0.1:9", [("bridge", "22" * 32)]).write()
    data = tmp_path / "hub" / "hub-data"
    database = Database(data / "hub.sqlite")
    with database.transaction() as connection:
        connection.execute("INSERT INTO journal (t, warning, why, event) VALUES (1, 'w', 'first detection', '{}')")
        connection.execute("INSERT INTO enrolled VALUES ('mill', ?, 1)", ("33" * 32,))
        move_cursor(connection, READER, 41)
    database.close()
    with sqlite3.connect(data / "store.sqlite") as connection:
        connection.execute("CREATE TABLE readings (t INTEGER, value REAL)")
        connection.executemany("INSERT INTO readings VALUES (?, ?)", [(n, n / 2) for n in range(1000)])
    connection.close()
    (data / "cap").mkdir()
    (data / "cap" / "one.xml").write_text("<alert/>", encoding="utf-8")
    return path


@pytest.fixture
def config(file: Path) -> HubConfig:
    return load_hub(file)


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


def test_every_table_of_a_hub_comes_back(file: Path, config: HubConfig, tmp_path: Path) -> None:
    """Also those of parts that came after this one: each gets a row, whatever its columns are."""
    database = Database(Path(config.hub.data) / "hub.sqlite")
    kinds = {"INTEGER": 7, "TEXT": "waits", "BLOB": b"x"}
    tables = [row[0] for row in database.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
              if not row[0].startswith("sqlite_")]
    for table in tables:
        columns = database.connection.execute(f"PRAGMA table_info({table})").fetchall()
        values = [1 if name == "one" else "pending" if (table, name) == ("outbox", "state") else "{}"
                  if (table, name) == ("warnings", "state") else kinds[kind] for _, name, kind, *_ in columns]
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


# --- every night ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("now", "due"), [
    ("2026-11-22T02:29:59+08:00", "2026-11-21T02:30:00+08:00"),
    ("2026-11-22T02:30:00+08:00", "2026-11-22T02:30:00+08:00"),
    ("2026-11-22T23:00:00+08:00", "2026-11-22T02:30:00+08:00"),
    ("2026-01-01T00:00:00+08:00", "2025-12-31T02:30:00+08:00"),
])
def test_the_last_time_that_the_clock_showed_it(now: str, due: str) -> None:
    assert due_before("02:30", "Asia/Shanghai", ms_of(now)) == ms_of(due)


class Night:
    """A hub's nightly backup on a wound clock, at 20:00 the evening before."""

    def __init__(self, file: Path, config: HubConfig, table: BackupTable) -> None:
        self.clock = WoundClock(ms_of("2026-11-21T20:00:00+08:00"))
        self.config = msgspec.structs.replace(
            config, backup=msgspec.structs.replace(table, folder=str(file.parent / "nightly")))
        self.database = Database(Path(config.hub.data) / "hub.sqlite")
        self.file = file
        self.nightly = self.started()

    def started(self) -> Nightly:
        return Nightly(self.database, self.config, self.file, self.clock)

    async def at(self, time: str) -> None:
        """What the loop does at that time."""
        self.clock.wind_to(ms_of(time))
        if self.nightly._is_due(self.clock.now_ms()):
            await self.nightly.make()

    @property
    def made(self) -> list[str]:
        return [path.name for path in archives(Path(self.config.backup.folder))]


@pytest.fixture
def nights(file: Path, config: HubConfig) -> Iterator[list[Night]]:
    made: list[Night] = []
    yield made
    for one in made:
        one.database.close()


async def test_one_a_night_the_newest_kept_and_taken_elsewhere(
    file: Path, config: HubConfig, tmp_path: Path, nights: list[Night]
) -> None:
    (tmp_path / "other-machine").mkdir()
    table = BackupTable(at="02:30", keep=2, send=["cp", "{archive}", str(tmp_path / "other-machine")])
    night = Night(file, config, table)
    nights.append(night)
    await night.at("2026-11-21T20:00:01+08:00")
    assert len(night.made) == 1, "a hub that has none yet makes up for last night's"
    await night.at("2026-11-22T02:29:59+08:00")
    assert len(night.made) == 1
    await night.at("2026-11-22T02:30:00+08:00")
    await night.at("2026-11-22T02:31:00+08:00")
    night.nightly = night.started()  # the hub was started again: it knows that it has one
    await night.at("2026-11-22T12:00:00+08:00")
    assert len(night.made) == 2
    await night.at("2026-11-23T09:00:00+08:00")
    assert night.made == ["tocsin-hub-20261121T183000Z.tar.gz", "tocsin-hub-20261123T010000Z.tar.gz"]
    assert {path.name for path in (tmp_path / "other-machine").iterdir()} == {
        "tocsin-hub-20261121T120001Z.tar.gz", *night.made}
    assert night.nightly.trouble() == ""
    for path in (tmp_path / "other-machine").iterdir():
        verify(path)


@pytest.mark.parametrize(("send", "said"), [
    (["sh", "-c", "echo no route to {archive} >&2; exit 3"], "send: sh ended with 3: no route to"),
    (["no-such-command-at-all", "{archive}"], "send: no-such-command-at-all: No such file or directory"),
    (["sh", "-c", "sleep 100 # {archive}"], "send: sh was not done after 0.2 s"),
])
async def test_what_fails_is_told_and_tried_again_after_an_hour_until_it_works(
    file: Path, config: HubConfig, nights: list[Night], send: list[str], said: str
) -> None:
    night = Night(file, config, BackupTable(at="02:30", send=send, timeout_s=0.2))
    nights.append(night)
    await night.at("2026-11-22T02:30:00+08:00")
    assert said in night.nightly.trouble()
    assert night.nightly.trouble().endswith("(last good one: never)")
    assert night.started().trouble() == night.nightly.trouble(), "also after a restart"
    before = night.nightly.last.tried
    await night.at("2026-11-22T03:29:59+08:00")
    assert night.nightly.last.tried == before
    night.config = msgspec.structs.replace(night.config, backup=msgspec.structs.replace(night.config.backup, send=[]))
    night.nightly = night.started()
    await night.at("2026-11-22T03:30:00+08:00")
    assert night.nightly.trouble() == ""
    assert night.nightly.last == Last(ms_of("2026-11-22T03:30:00+08:00"), ms_of("2026-11-22T03:30:00+08:00"), "")


async def test_one_that_could_not_be_sent_is_sent_later_and_fills_no_disk(
    file: Path, config: HubConfig, tmp_path: Path, nights: list[Night]
) -> None:
    night = Night(file, config, BackupTable(at="02:30", keep=2, send=["cp", "{archive}", str(tmp_path / "away" / "x")]))
    nights.append(night)
    for time in ("22T02:30:00", "23T02:30:00", "24T02:30:00", "24T03:30:00", "24T04:30:00"):
        await night.at(f"2026-11-{time}+08:00")
        night.nightly = night.started()
    kept = ["tocsin-hub-20261122T183000Z.tar.gz", "tocsin-hub-20261123T183000Z.tar.gz"]
    assert night.made == kept, "one a night, however often it is tried, and no more than are wanted"
    assert "No such file or directory" in night.nightly.trouble()
    (tmp_path / "away").mkdir()
    await night.at("2026-11-24T05:30:00+08:00")
    assert (night.made, night.nightly.trouble()) == (kept, "")
    assert (tmp_path / "away" / "x").read_bytes() == (Path(night.config.backup.folder) / kept[1]).read_bytes()
    assert night.nightly.counts["made"] == 1


async def test_a_clock_that_was_far_ahead_once_costs_no_night(
    file: Path, config: HubConfig, nights: list[Night]
) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    await night.at("2036-01-01T02:30:00+08:00")
    night.clock = WoundClock(ms_of("2026-11-22T02:30:00+08:00"))
    night.nightly = night.started()
    await night.at("2026-11-22T02:31:00+08:00")
    assert "tocsin-hub-20261121T183100Z.tar.gz" in night.made


async def test_a_backup_that_cannot_be_noted_ends_nothing(
    file: Path, config: HubConfig, nights: list[Night], caplog: pytest.LogCaptureFixture
) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    night.database.connection.execute("PRAGMA query_only = ON")
    await night.at("2026-11-22T02:30:00+08:00")
    assert "nightly backup: it cannot be noted: attempt to write a readonly database" in caplog.text
    assert (len(night.made), night.nightly._is_due(night.clock.now_ms())) == (1, False)


async def test_a_command_that_no_machine_can_run_is_told(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable(at="02:30", send=["cp", "{archive}", "a\0b"]))
    nights.append(night)
    await night.at("2026-11-22T02:30:00+08:00")
    assert "send: cp: embedded null byte" in night.nightly.trouble()


async def test_without_a_time_there_is_none(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable())
    nights.append(night)
    running = asyncio.create_task(night.nightly.run())
    await asyncio.sleep(0)
    night.clock.wind_to(ms_of("2026-11-25T02:30:00+08:00"))
    await asyncio.sleep(0)
    running.cancel()
    assert night.made == []


async def test_the_loop_makes_it_when_its_time_has_come(file: Path, config: HubConfig, nights: list[Night]) -> None:
    night = Night(file, config, BackupTable(at="02:30"))
    nights.append(night)
    done = asyncio.Event()
    night.nightly._keep = lambda last: done.set()  # type: ignore[method-assign]
    running = asyncio.create_task(night.nightly.run())
    async with asyncio.timeout(20):
        while not night.nightly.counts["made"]:
            await asyncio.sleep(0.01)
    running.cancel()
    assert night.nightly.last.error == ""


def test_a_table_that_cannot_work_is_told() -> None:
    with pytest.raises(ValueError, match="use a time of day like 02:30"):
        BackupTable(at="24:00")
    with pytest.raises(ValueError, match=r"no word has \{archive\}"):
        BackupTable(send=["true"])


async def test_a_running_hub_makes_it_and_tells_what_fails(tmp_path: Path) -> None:
    table = '[backup]\nat = "02:30"\nsend = ["sh", "-c", "echo no route >&2; exit 1", "{archive}"]\n'
    files = HubFiles(tmp_path, "mqtt://127.0.0.1:9", [], table)
    async with running_hub(files.write(), SystemClock()) as hub:

        async def told() -> bool:
            return bool(hub.health().troubles)

        await until(told)
        assert hub.health().troubles[0].startswith("the nightly backup failed: send: sh ended with 1: no route (last")
        assert b"\ntocsin_hub_backup_failed 1.0\n" in await hub.metrics()
    (archive,) = archives(tmp_path / "hub-backups")
    assert {entry.name for entry in verify(archive).files} == {"hub.toml", "data/hub.sqlite", "data/store.sqlite"}
