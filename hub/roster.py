"""Who may speak to this hub: the stations of hub.toml, and those that `tocsin enrol` has put into the database."""

import logging
import sqlite3
from collections.abc import Iterator, Mapping

from hub.database import Database
from hub.strangers import welcome
from tocsin.signing import mark_of

log = logging.getLogger(__name__)


class Roster(Mapping[str, str]):
    """Station id to station key. A key in the database counts before one in hub.toml: it replaced it.

    `refresh` learns what another process has written since. `revoked`: stations and marks of keys that they had.
    """

    def __init__(self, database: Database, file: Mapping[str, str]) -> None:
        self._database = database
        self._file = dict(file)
        self._keys: dict[str, str] = {}
        self.revoked: set[tuple[str, str]] = set()
        self.refresh()

    def refresh(self) -> None:
        self._keys = self._file | enrolled(self._database.connection)
        self.revoked.update(self._database.connection.execute("SELECT station, mark FROM revoked").fetchall())

    @property
    def overruled(self) -> list[str]:
        """Stations whose key in hub.toml counts no more."""
        return sorted(station for station, key in self._file.items() if self._keys[station] != key)

    def tell_overruled(self) -> None:
        """Into the log: who reads or edits hub.toml must not take that key for the one that counts."""
        for station in self.overruled:
            log.warning('station "%s": its key in hub.toml counts no more: another one was made by tocsin enrol; take '
                        "its [[station]] out of hub.toml", station)

    def __getitem__(self, station: str) -> str:
        return self._keys[station]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def enrolled(connection: sqlite3.Connection) -> dict[str, str]:
    """The keys that stand in the database."""
    return dict(connection.execute("SELECT station, key FROM enrolled").fetchall())


def enrol(connection: sqlite3.Connection, station: str, key: str, now_ms: int) -> None:
    """Inside the caller's transaction. A key that was there before is gone for good; `revoke` it.

    The station is a stranger no more.
    """
    connection.execute(
        "INSERT INTO enrolled VALUES (?, ?, ?) ON CONFLICT (station) DO UPDATE SET key = excluded.key, t = excluded.t",
        (station, key, now_ms),
    )
    welcome(connection, station)


def revoke(connection: sqlite3.Connection, station: str, key: str, now_ms: int) -> None:
    """Inside the caller's transaction: what says that it has this key is refused from now on."""
    connection.execute("INSERT OR IGNORE INTO revoked VALUES (?, ?, ?)", (station, mark_of(key), now_ms))
