"""The warnings in hub.sqlite: the newest state of each. SQL only."""

import sqlite3
from collections.abc import Iterable, Iterator

import msgspec

from hub.model import Warning as HubWarning
from tocsin.messages import encode

# by the index warnings_closed: everybody may ask for them, with an answer link that was made up
CLOSED = """
SELECT state FROM warnings WHERE json_extract(state, '$.state') = 'closed'
ORDER BY json_extract(state, '$.closed_at') DESC, id LIMIT ?
"""
_WARNING = msgspec.json.Decoder(HubWarning)


def put(connection: sqlite3.Connection, warnings: Iterable[HubWarning]) -> None:
    """Inside the transaction that changes them."""
    connection.executemany(
        "INSERT OR REPLACE INTO warnings (id, state) VALUES (?, ?)",
        [(warning.id, encode(warning).decode()) for warning in warnings])


def load(connection: sqlite3.Connection, warning_id: str) -> HubWarning | None:
    row = connection.execute("SELECT state FROM warnings WHERE id = ?", (warning_id,)).fetchone()
    return _WARNING.decode(row[0]) if row else None


def everything(connection: sqlite3.Connection) -> Iterator[HubWarning]:
    for (state,) in connection.execute("SELECT state FROM warnings"):
        yield _WARNING.decode(state)


def still_open(connection: sqlite3.Connection) -> Iterator[HubWarning]:
    """In the order of their ids."""
    for (state,) in connection.execute(
            "SELECT state FROM warnings WHERE json_extract(state, '$.state') = 'open' ORDER BY id"):
        yield _WARNING.decode(state)


def closed(connection: sqlite3.Connection, limit: int) -> list[HubWarning]:
    """Newest first."""
    return [_WARNING.decode(state) for (state,) in connection.execute(CLOSED, (limit,))]
