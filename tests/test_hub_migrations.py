"""Files that older programs wrote open, keep what they have, and go on; newer ones are refused and left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hub import migrations
from hub.checks import inspect
from hub.database import VERSION, Database, DatabaseError, SqliteFile
from hub.embedded import SqliteStore
from hub.landing import cursor_of, land, read
from hub.migrations import HUB, version_of
from hub.store import Point
from tests.hub_messages import NOON_MS, readings, upload
from tests.shared_data import REPOSITORY
from tocsin import topics
from tocsin.messages import record_of

OLD = REPOSITORY / "tests" / "old"
STATION = "lin-an-01"
HUBS, STORES = (sorted(path.name for path in OLD.glob(f"{kind}-*.sql")) for kind in ("hub", "store"))


def old_file(name: str, path: Path) -> Path:
    """As an older program left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((OLD / name).read_text(encoding="utf-8"))
    return path


def tables_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Every table and its columns."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: ", ".join(str(row[1:6]) for row in connection.execute(f"PRAGMA table_info({name})"))
            for name in names if not name.startswith("sqlite_")}


def test_there_is_a_file_of_every_version() -> None:
    assert {int(name.split("-")[1].removesuffix(".sql")) for name in HUBS} == set(HUB) == set(range(1, VERSION))
    assert (len(HUBS), len(STORES)) == (3, 2)


@pytest.mark.parametrize("name", HUBS)
def test_an_old_hub_opens_and_keeps_every_row(tmp_path: Path, name: str) -> None:
    path = old_file(name, tmp_path / "hub.sqlite")
    with closing(sqlite3.connect(path)) as before:
        tables = tables_of(before)
        rows = {table: before.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    database = Database(path)
    try:
        assert database.hub_id == "00112233445566aa"
        assert version_of(database.connection) == VERSION
        for table, kept in rows.items():
            width = len(kept[0]) if kept else 0
            assert [row[:width] for row in database.connection.execute(f"SELECT * FROM {table}")] == kept
        assert rows["landing"], "the file has something to lose"
    finally:
        database.close()


@pytest.mark.parametrize("name", HUBS)
def test_an_old_hub_has_the_tables_of_a_new_one(tmp_path: Path, name: str) -> None:
    old, new = Database(old_file(name, tmp_path / "old.sqlite")), Database(tmp_path / "new.sqlite")
    found, wanted = tables_of(old.connection), tables_of(new.connection)
    old.close()
    new.close()
    assert found.keys() == wanted.keys()
    assert {table: text.replace("'0'", "None") for table, text in found.items() if table == "marks"} == {
        table: text for table, text in wanted.items() if table == "marks"}
    assert {table: text for table, text in found.items() if table != "marks"} == {
        table: text for table, text in wanted.items() if table != "marks"}


@pytest.mark.parametrize("name", HUBS)
def test_an_old_hub_lands_on_and_takes_no_time_twice(tmp_path: Path, name: str) -> None:
    database = Database(old_file(name, tmp_path / "hub.sqlite"))
    try:
        assert cursor_of(database.connection, "forwarder") == 2
        message = upload(STATION, readings(5, [3.5, 3.625]))  # at times that two records have had already
        with database.transaction() as connection:
            land(connection, [inspect(topics.up(STATION, topics.READINGS), message, {STATION: "11" * 32})], NOON_MS)
        rows = read(database.connection, 0, 100)
        times = [row.times.get(index, t) for row in rows if row.kind == "readings"
                 for index, t in enumerate(getattr(record_of(row.raw), "t", []))]
        assert len(rows) == 5
        assert len(times) == len(set(times)) == 6
    finally:
        database.close()


@pytest.mark.parametrize("name", STORES)
async def test_an_old_store_opens_keeps_its_points_and_takes_more(tmp_path: Path, name: str) -> None:
    store = SqliteStore(old_file(name, tmp_path / "store.sqlite"))
    try:
        points = await store.series(STATION, "gauge", "stage_m", NOON_MS, NOON_MS + 10_000, 100)
        assert [value for _, value in points] == [2.5, 2.75]
        before = len(points)
        await store.write([Point(STATION, "gauge", "stage_m", NOON_MS + 9_000, 4.5, 0)])
        points = await store.series(STATION, "gauge", "stage_m", NOON_MS, NOON_MS + 10_000, 100)
        assert (len(points), points[-1]) == (before + 1, (NOON_MS + 9_000, 4.5))
    finally:
        await store.close()


@pytest.mark.parametrize("kind", ["hub", "store"])
def test_a_newer_file_is_refused_clearly_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"{kind}.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE things (a); INSERT INTO things VALUES (1); PRAGMA user_version = 99;")
    before = path.read_bytes()[100:]
    with pytest.raises(DatabaseError, match="version 99, made by a newer program; this one knows version"):
        Database(path) if kind == "hub" else SqliteStore(path)
    assert path.read_bytes()[100:] == before


def test_two_that_make_one_file_at_the_same_time_make_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub and an import: the other one makes it after this one saw nothing there."""
    path = tmp_path / "a.sqlite"
    schema = "CREATE TABLE one (a);\n-- a remark; with its own mark\nINSERT INTO one VALUES (1);\n"

    def seen(connection: sqlite3.Connection) -> int:
        found = version_of(connection)
        monkeypatch.setattr(migrations, "version_of", version_of)
        SqliteFile(path, schema, 1).close()
        return found

    monkeypatch.setattr(migrations, "version_of", seen)
    file = SqliteFile(path, schema, 1)
    assert file.connection.execute("SELECT a FROM one").fetchall() == [(1,)]
    file.close()


def test_a_version_that_nobody_knows_a_way_from_is_refused(tmp_path: Path) -> None:
    SqliteFile(tmp_path / "a.sqlite", "CREATE TABLE one (a);", 1).close()
    with pytest.raises(DatabaseError, match="its format is version 1; this program knows version 3 and no way there"):
        SqliteFile(tmp_path / "a.sqlite", "CREATE TABLE one (a);", 3)


def test_a_step_that_fails_leaves_the_file_as_it_was_and_the_next_try_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    SqliteFile(path, "CREATE TABLE one (a);", 1).close()

    def add(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE one ADD COLUMN b")

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("ALTER TABLE one ADD COLUMN c")
        connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(DatabaseError, match="no such table: nowhere"):
        SqliteFile(path, "", 3, {1: add, 2: fail})
    with closing(sqlite3.connect(path)) as connection:
        assert (version_of(connection), tables_of(connection)["one"].count("(")) == (2, 2)
    file = SqliteFile(path, "", 3, {1: add, 2: lambda connection: None})
    assert version_of(file.connection) == 3
    file.close()
