"""The outbox: bulletins on the disk until every channel has sent them or refused them for good."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tocsin.messages import Bulletin, encode

_NEWEST = "bulletin/"  # in meta, with the area's code and the hazard: the newest bulletin about it there
_BULLETIN = msgspec.json.Decoder(Bulletin)


@dataclass(frozen=True, slots=True)
class Pending:
    """A bulletin that a channel has not sent yet. `next_at` is when to try, ms UTC."""

    id: int
    bulletin: Bulletin
    channel: str
    attempts: int
    next_at: int


def next_version(connection: sqlite3.Connection, area: str, now_ms: int) -> int:
    """Above every earlier one of the area: not under the second of the clock, so that it holds after a backup too."""
    versions = [one.version for one in newest(connection, area)]
    return max([*(version + 1 for version in versions), 1, now_ms // 1000])


def put(connection: sqlite3.Connection, bulletin: Bulletin, channels: Sequence[str], now_ms: int) -> None:
    """For every channel. Inside the transaction of the decision."""
    text = encode(bulletin).decode()
    key = f"{_NEWEST}{bulletin.area}"
    # where an older hub kept the newest of all hazards: it may be of another one, and still in force
    connection.execute(
        "UPDATE OR IGNORE meta SET key = key || '/' || json_extract(value, '$.hazard') WHERE key = ?", (key,))
    connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (f"{key}/{bulletin.hazard}", text))
    connection.executemany(
        "INSERT INTO outbox (bulletin, channel, t) VALUES (?, ?, ?)", [(text, channel, now_ms) for channel in channels]
    )


def pending(connection: sqlite3.Connection, channel: str) -> list[Pending]:
    """What a channel has not sent, oldest first."""
    rows = connection.execute(
        "SELECT id, bulletin, channel, attempts, next_at FROM outbox WHERE state = 'pending' AND channel = ?"
        " ORDER BY id",
        (channel,),
    )
    return [Pending(number, _BULLETIN.decode(text), *rest) for number, text, *rest in rows]


def mark_sent(connection: sqlite3.Connection, row: Pending, receipt: str) -> None:
    connection.execute(
        "UPDATE outbox SET state = 'sent', attempts = ?, receipt = ? WHERE id = ?", (row.attempts + 1, receipt, row.id)
    )


def mark_failed(connection: sqlite3.Connection, row: Pending, reason: str) -> None:
    connection.execute(
        "UPDATE outbox SET state = 'failed', attempts = ?, receipt = ? WHERE id = ?", (row.attempts + 1, reason, row.id)
    )


def postpone(connection: sqlite3.Connection, row: Pending, next_at: int, reason: str) -> None:
    connection.execute(
        "UPDATE outbox SET attempts = ?, next_at = ?, receipt = ? WHERE id = ?",
        (row.attempts + 1, next_at, reason, row.id),
    )


def newest(connection: sqlite3.Connection, area: str = "") -> list[Bulletin]:
    """The newest bulletin of each hazard in each area, or in one."""
    first = f"{_NEWEST}{area}/" if area else _NEWEST
    rows = connection.execute(
        "SELECT value FROM meta WHERE key = ? OR (key >= ? AND key < ?) ORDER BY key",
        (_NEWEST + area, first, first[:-1] + chr(ord("/") + 1)))    # all that begin with it, by the key's own order
    return [_BULLETIN.decode(text) for (text,) in rows]
