"""A hub's files as they lie there, for tests of backups."""

import sqlite3
from pathlib import Path

import pytest

from hub.config import HubConfig, load_hub
from hub.database import Database
from hub.forward import READER
from hub.landing import move_cursor
from tests.hubs import HubFiles
from tocsin.times import ms_of

NOW = ms_of("2026-11-22T02:30:00Z")
NAME = "tocsin-hub-20261122T023000Z.tar.gz"


def hub_that_ran(folder: Path) -> Path:
    """A hub.toml whose hub has run: a database with a line of journal and a cursor, an embedded store, a CAP file."""
    path = HubFiles(folder / "hub", "mqtt://127.0.0.1:9", [("bridge", "22" * 32)]).write()
    data = folder / "hub" / "hub-data"
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
def file(tmp_path: Path) -> Path:
    return hub_that_ran(tmp_path)


@pytest.fixture
def config(file: Path) -> HubConfig:
    return load_hub(file)
