"""The file of the embedded store: its tables, its versions, and what is done with one that is damaged.

    version 1    readings, detections, events; summaries where the hub was newer
    version 2    rollups, newest, labels; pages of deleted rows can be given back (auto_vacuum = INCREMENTAL)
"""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from hub import rollups
from hub.database import DatabaseError

VERSION = 2
BROKEN = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_SIDES = ("", "-wal", "-shm")

FIRST = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, device TEXT NOT NULL, quantity TEXT NOT NULL,
    UNIQUE (station, device, quantity)
);
CREATE TABLE readings (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID;
CREATE TABLE detections (
    station TEXT NOT NULL, series TEXT NOT NULL, rule TEXT NOT NULL, t_ms INTEGER NOT NULL,
    level INTEGER NOT NULL, value REAL NOT NULL, threshold REAL NOT NULL,
    episode TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (station, series, rule, t_ms)
) WITHOUT ROWID;
CREATE TABLE events (
    station TEXT NOT NULL, what TEXT NOT NULL, device TEXT NOT NULL, t_ms INTEGER NOT NULL, detail TEXT NOT NULL,
    PRIMARY KEY (station, what, device, t_ms)
) WITHOUT ROWID;
"""

_SECOND = f"""
CREATE TABLE IF NOT EXISTS summaries (
    series_id INTEGER NOT NULL, t_ms INTEGER NOT NULL, since_ms INTEGER NOT NULL, count INTEGER NOT NULL,
    low REAL NOT NULL, high REAL NOT NULL, mean REAL NOT NULL,
    PRIMARY KEY (series_id, t_ms)
) WITHOUT ROWID;
CREATE TABLE labels (
    station TEXT NOT NULL, t_ms INTEGER NOT NULL, device TEXT NOT NULL, quantity TEXT NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (station, t_ms, device, quantity)
) WITHOUT ROWID;
-- the newest reading of each series, also when it is deleted by age
CREATE TABLE newest (
    series_id INTEGER PRIMARY KEY, t_ms INTEGER NOT NULL, value REAL NOT NULL, quality INTEGER NOT NULL
);
-- one row while this file stands in for a damaged one and the hub has not sent on again what it still holds
CREATE TABLE refill (wanted INTEGER PRIMARY KEY);
{rollups.SCHEMA}
"""

_NEWEST = """
INSERT INTO newest SELECT s.id, r.t_ms, r.value, r.quality FROM series s JOIN readings r
ON r.series_id = s.id AND r.t_ms = (SELECT max(t_ms) FROM readings WHERE series_id = s.id)
"""

log = logging.getLogger(__name__)


def prepare(path: Path) -> None:
    """Makes the file, or brings an old one to this version, in one transaction. Raises DatabaseError and, for what is
    no sound database, sqlite3.DatabaseError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=10.0, isolation_level=None)) as connection:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")    # heard in an empty file alone
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("BEGIN IMMEDIATE")
            _step(connection, path)
            connection.execute("COMMIT")
    except OSError as err:
        raise DatabaseError(f"{path}: cannot be opened: {err}") from err


def set_aside(path: Path, now_ms: int) -> Path:
    """Renames a damaged file, which nobody has open, and makes an empty one that asks to be filled. Raises OSError,
    DatabaseError and sqlite3.Error."""
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for side in _SIDES:
        old = path.with_name(path.name + side)
        if old.exists():
            old.rename(aside.with_name(aside.name + side))
    prepare(path)
    with closing(sqlite3.connect(path, timeout=10.0)) as connection, connection:
        connection.execute("INSERT INTO refill VALUES (1)")
    return aside


def is_broken(err: sqlite3.Error) -> bool:
    """The file itself is damaged, or is no database: trying again cannot help."""
    code = getattr(err, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in BROKEN


def problem_in(path: Path) -> str:
    """Looks through the whole file beside whoever uses it, for as long as that takes; "" if it is sound."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10.0)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as err:
        return str(err)
    return "" if found == "ok" else str(found)


def _step(connection: sqlite3.Connection, path: Path) -> None:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > VERSION:
        raise DatabaseError(f"{path}: its format is version {found}; this program knows version {VERSION}")
    if found == VERSION:
        return
    if found == 0:
        _run(connection, FIRST)
    _run(connection, _SECOND)
    if found == 1:
        log.info("%s: rollups are made for what is there; this may take some minutes", path)
        connection.execute(_NEWEST)
        rollups.build(connection)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _run(connection: sqlite3.Connection, script: str) -> None:
    """The statements of a script inside the transaction, which executescript would end."""
    for statement in script.split(";"):
        if statement.strip():
            connection.execute(statement)
