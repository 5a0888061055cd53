"""The file of the embedded store: its tables, its versions, and what is done with one that is damaged.

    version 1    readings, detections, events; summaries where the hub was newer
    version 2    rollups, newest, labels; pages of deleted rows can be given back (auto_vacuum = INCREMENTAL)
"""

import logging
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from hub import rollups
from hub.database import DatabaseError, SqliteFile
from hub.migrations import MigrationError, Steps, migrate, run, version_of

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
-- one row in a new file, which may stand in for one that is lost, until the hub has sent on again what it still holds
CREATE TABLE refill (wanted INTEGER PRIMARY KEY);
{rollups.SCHEMA}
"""

_TO_BE_FILLED = "INSERT INTO refill VALUES (1);\n"
SCHEMA = FIRST + _SECOND + _TO_BE_FILLED

_NEWEST = """
INSERT INTO newest SELECT s.id, r.t_ms, r.value, r.quality FROM series s JOIN readings r
ON r.series_id = s.id AND r.t_ms = (SELECT max(t_ms) FROM readings WHERE series_id = s.id)
"""

log = logging.getLogger(__name__)


def open_file(path: Path) -> SqliteFile:
    """Opens or makes the file; an old one is brought to this version, which can take minutes. Raises DatabaseError;
    `is_broken` of its cause tells whether the file is damaged."""
    return SqliteFile(path, SCHEMA, VERSION, STEPS, shrinks=True)


def refuse_newer(path: Path) -> None:
    """Raises DatabaseError for a file of a newer program; whatever else is wrong is found when it is opened."""
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, timeout=1.0)) as connection:
            if version_of(connection) > VERSION:
                try:
                    migrate(connection, VERSION, {})
                except MigrationError as err:
                    raise DatabaseError(f"{path}: {err}") from err


def set_aside(path: Path, now_ms: int) -> Path:
    """Renames a damaged file, which nobody has open: the next one to open it makes a new one, which asks to be filled.
    Raises OSError."""
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    for side in _SIDES:
        old = path.with_name(path.name + side)
        if old.exists():
            old.rename(aside.with_name(aside.name + side))
    return aside


def is_broken(err: BaseException | None) -> bool:
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


def _to_second(connection: sqlite3.Connection) -> None:
    log.info("rollups are made for what the embedded store holds; this may take some minutes")
    run(connection, _SECOND)
    connection.execute(_NEWEST)
    rollups.build(connection)


STEPS: Steps = {1: _to_second}
