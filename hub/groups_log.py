"""What group rules keep in hub.sqlite: the inputs that do not land, what they decided and still owe. SQL only.

Landed records up to `after`, then the input: that order, and nothing else, is what decisions follow from.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import msgspec

from hub.groups_inputs import Heard, Landed, Ruled, Run, Started, Ticked
from hub.groups_state import Decision
from hub.runs import with_start
from tocsin.messages import Detection, Event, encode, record_of

ROWS = 500    # of one piece at most

Logged = Ticked | Heard | Started | Ruled
_LOGGED: msgspec.json.Decoder[Logged] = msgspec.json.Decoder(Logged)
_DECISION = msgspec.json.Decoder(Decision)


class Owed(msgspec.Struct, frozen=True):
    """Late history that is to be reconstructed with the rules of the time at which it had settled; times as in
    `groups.Rebuild`, `after` and `upto` are ids of landed records."""

    at: int
    first: int
    last: int
    upto: int
    after: int
    tables: dict[str, Any]


_OWED = msgspec.json.Decoder(Owed)


class Told(msgspec.Struct, frozen=True):
    """One decision with its number in the log."""

    id: int
    decision: Decision


def newest(connection: sqlite3.Connection) -> int:
    """The id of the newest landed record; of one that is gone already where none is left."""
    (last,) = connection.execute(
        "SELECT max(coalesce((SELECT max(id) FROM landing), 0), coalesce((SELECT max(id) FROM cursors), 0))").fetchone()
    return int(last)


def rows_after(connection: sqlite3.Connection, after: int, last: int, limit: int = ROWS) -> list[tuple[int, Landed]]:
    """Landed records with after < id <= last, in order; what they say only where group rules ask for it."""
    found = connection.execute(
        "SELECT id, station, arrived, boot, seq, kind, CASE WHEN kind IN ('detection', 'event') THEN raw END"
        " FROM landing WHERE id > ? AND id <= ? ORDER BY id LIMIT ?", (after, last, limit))
    return [(number, Landed(station, arrived, Run(boot, seq) if kind == "start" else _record(raw), number))
            for number, station, arrived, boot, seq, kind, raw in found]


def runs(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Of each station, as in State."""
    found: dict[str, dict[str, int]] = {}
    for station, boot, seq in connection.execute(
            "SELECT station, boot, min(seq) FROM landing WHERE kind = 'start' GROUP BY station, boot ORDER BY min(id)"):
        found[station] = with_start(found.get(station, {}), boot, seq)
    return found


def detections_between(
    connection: sqlite3.Connection, stations: Collection[str], first: int, last: int, most_id: int
) -> list[Landed]:
    """Of these stations, by event time, those of one time in order of landing; as if each had arrived when it
    happened."""
    found = connection.execute(
        "SELECT station, raw FROM landing WHERE kind = 'detection' AND id <= ? ORDER BY id", (most_id,))
    told = [(record.t, station, record) for station, raw in found
            if station in stations and isinstance(record := _record(raw), Detection) and first <= record.t <= last]
    return [Landed(station, t, record) for t, station, record in sorted(told, key=lambda one: one[0])]


def put_input(connection: sqlite3.Connection, after: int, one: Logged) -> int:
    """Its number."""
    cursor = connection.execute("INSERT INTO group_inputs (after, body) VALUES (?, ?)", (after, encode(one).decode()))
    return int(cursor.lastrowid or 0)


def inputs(connection: sqlite3.Connection, behind: int = 0) -> Iterator[tuple[int, int, Logged]]:
    """(number, after, input) behind that number, in order."""
    for number, after, body in connection.execute(
            "SELECT id, after, body FROM group_inputs WHERE id > ? ORDER BY id", (behind,)):
        yield number, after, _LOGGED.decode(body)


def put_decision(connection: sqlite3.Connection, after: int, decision: Decision) -> None:
    """`taken`: the desk need not see it: a shadow rule's, and what was found afterwards."""
    connection.execute(
        "INSERT INTO group_log (after, t, body, taken) VALUES (?, ?, ?, ?)",
        (after, decision.at, encode(decision).decode(), decision.shadow or decision.rebuilt))


def untaken(connection: sqlite3.Connection, limit: int) -> list[Told]:
    """Decisions that the desk has not stepped warnings with, in order."""
    rows = connection.execute("SELECT id, body FROM group_log WHERE NOT taken ORDER BY id LIMIT ?", (limit,))
    return [Told(number, _DECISION.decode(body)) for number, body in rows]


def mark_taken(connection: sqlite3.Connection, last: int) -> None:
    connection.execute("UPDATE group_log SET taken = 1 WHERE NOT taken AND id <= ?", (last,))


def recent(connection: sqlite3.Connection, limit: int) -> list[Told]:
    """The newest first, shadow rules' and reconstructions among them."""
    rows = connection.execute("SELECT id, body FROM group_log ORDER BY id DESC LIMIT ?", (limit,))
    return [Told(number, _DECISION.decode(body)) for number, body in rows]


def decided(connection: sqlite3.Connection, after: int = 0) -> list[bytes]:
    """Every decision behind that number in its exact bytes, in order; what was found afterwards stands last."""
    rows = connection.execute(
        "SELECT body FROM group_log WHERE id > ? ORDER BY json_extract(body, '$.rebuilt') IS 1, id", (after,))
    return [body.encode() for (body,) in rows]


def put_owed(connection: sqlite3.Connection, owed: Owed) -> None:
    connection.execute("INSERT INTO group_rebuilds (body) VALUES (?)", (encode(owed).decode(),))


def owed(connection: sqlite3.Connection) -> tuple[int, Owed] | None:
    """The next one with its number."""
    row = connection.execute("SELECT id, body FROM group_rebuilds ORDER BY id LIMIT 1").fetchone()
    return (row[0], _OWED.decode(row[1])) if row else None


def pay(connection: sqlite3.Connection, number: int, after: int, decisions: Iterable[Decision]) -> None:
    """Inside a transaction: what was found, and that it is no longer owed."""
    for decision in decisions:
        put_decision(connection, after, decision)
    connection.execute("DELETE FROM group_rebuilds WHERE id = ?", (number,))


def heard_of(connection: sqlite3.Connection, stations: Collection[str]) -> dict[str, int]:
    """When each was last heard, heartbeats too; or until when its link said that it sleeps. ms UTC."""
    if not stations:
        return {}
    rows = connection.execute(
        "SELECT id, heard_at, coalesce(json_extract(heartbeat, '$.next_s'), 0) FROM stations"
        " WHERE id IN (SELECT value FROM json_each(?))", (encode(list(stations)).decode(),))
    return {station: heard_at + round(next_s * 1000) for station, heard_at, next_s in rows}


def _record(raw: bytes | None) -> Detection | Event | None:
    if raw is None:
        return None
    try:
        record = record_of(raw)
    except msgspec.DecodeError:    # landed by a newer hub
        return None
    return record if isinstance(record, Detection | Event) else None


