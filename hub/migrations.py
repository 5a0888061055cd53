"""From older files to what this program reads: one step a version, each one transaction. hub.sqlite and the embedded
store's file go the same way.

A file keeps its version in `PRAGMA user_version`. A step is never changed once it was released: tests/old/ holds files
as programs of then wrote them, and every one of them must open and keep what it has. New tables alone need no step:
they are made where they are missing.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

Step = Callable[[sqlite3.Connection], None]
Steps = Mapping[int, Step]  # from this version to the next


class MigrationError(Exception):
    """A file that this program cannot bring to its version; a sentence without the file's name."""


def create(connection: sqlite3.Connection, schema: str, version: int) -> None:
    """Makes the tables of a new file: all or none, and once where two processes come at the same time. Raises
    sqlite3.Error."""
    if version_of(connection) == 0:
        with _transaction(connection):
            if version_of(connection) == 0:
                run(connection, schema)
                connection.execute(f"PRAGMA user_version = {version}")


def migrate(connection: sqlite3.Connection, version: int, steps: Steps) -> list[int]:
    """Brings an open file to `version`; returns the versions it passed. Raises MigrationError, sqlite3.Error."""
    passed: list[int] = []
    while (found := version_of(connection)) != version:
        if found > version:
            raise MigrationError(f"its format is version {found}, made by a newer program; this one knows version "
                                 f"{version}: install the newer program again, or restore a backup of before")
        step = steps.get(found)
        if step is None:
            raise MigrationError(f"its format is version {found}; this program knows version {version} and no way "
                                 "there")
        with _transaction(connection):
            if version_of(connection) == found:  # else another process did it meanwhile
                step(connection)
                connection.execute(f"PRAGMA user_version = {found + 1}")
                passed.append(found)
    return passed


def run(connection: sqlite3.Connection, script: str) -> None:
    """The statements of a script inside the transaction, which executescript would end."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def version_of(connection: sqlite3.Connection) -> int:
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def columns_of(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def runs_of_marks(connection: sqlite3.Connection) -> None:
    """hub.sqlite, 1 to 2: the first files of version 1 knew no runs of taken times. An empty run is no promise."""
    for column in ("run_first", "run_end"):
        if column not in columns_of(connection, "marks"):
            connection.execute(f"ALTER TABLE marks ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0")


def warnings_in_parts(_connection: sqlite3.Connection) -> None:
    """hub.sqlite, 2 to 3: a program of version 2 would find warnings without their episodes. Its own stay as they are
    until they change."""


HUB: Steps = {1: runs_of_marks, 2: warnings_in_parts}
