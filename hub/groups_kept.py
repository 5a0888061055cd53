"""The state of group rules in hub.sqlite: what a start goes on from, and once a day whole, what a replay begins at.

Only what is other than at the last commit is written: with thousands of stations the whole is a hundred times as much.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

import msgspec

from hub.groups_state import Memory, State, Track
from hub.landing import move_cursor
from tocsin.messages import encode

READER = "groups"
DAY_MS = 86_400_000

Parts = Mapping[str, Mapping[str, object]]
_TYPES: Mapping[str, Any] = {
    "tracks": dict[str, Track], "heard": int, "stale": dict[str, int], "groups": Memory, "runs": dict[str, int],
    "tables": dict[str, Any]}
_READ = {part: msgspec.json.Decoder(kind) for part, kind in _TYPES.items()}


class Kept(msgspec.Struct, frozen=True):
    """The state after the landed records up to the cursor and the inputs up to `inputs`, and the rules in force."""

    state: State
    tables: dict[str, Any]
    too_old_ms: int
    inputs: int


class Basis(msgspec.Struct, frozen=True):
    """All that decided after the landed records up to `after`; `decisions` is the number of the last one before."""

    after: int
    decisions: int
    kept: Kept


_KEPT = msgspec.json.Decoder(Kept)
_BASIS = msgspec.json.Decoder(Basis)


def load(connection: sqlite3.Connection) -> Kept | None:
    """None where no group rule ever ran."""
    row = connection.execute("SELECT body FROM group_state").fetchone()
    if row is None:
        return None
    kept = _KEPT.decode(row[0])
    parts: dict[str, dict[str, Any]] = {part: {} for part in _READ}
    for part, name, body in connection.execute("SELECT part, name, body FROM group_parts"):
        parts[part][name] = _READ[part].decode(body)
    if not any(parts.values()):    # a file from before parts has the whole in one
        return kept
    tables = parts.pop("tables")
    return msgspec.structs.replace(kept, state=msgspec.structs.replace(kept.state, **parts), tables=tables[""])


def keep(connection: sqlite3.Connection, kept: Kept, cursor: int, before: Kept | None = None) -> None:
    """Inside a transaction. `before` is what the file holds; None: whatever it holds goes."""
    if before is None:
        connection.execute("DELETE FROM group_parts")
    earlier = _parts(before) if before is not None else {}
    for part, found in _parts(kept).items():
        held = earlier.get(part, {})
        new = [(part, name, encode(one).decode()) for name, one in found.items()
               if (old := held.get(name)) is not one and old != one]
        connection.executemany("INSERT OR REPLACE INTO group_parts (part, name, body) VALUES (?, ?, ?)", new)
        gone = [(part, name) for name in held.keys() - found.keys()]
        connection.executemany("DELETE FROM group_parts WHERE part = ? AND name = ?", gone)
    rest = msgspec.structs.replace(kept, state=State(kept.state.t, kept.state.id, late=kept.state.late), tables={})
    connection.execute("INSERT OR REPLACE INTO group_state (one, body) VALUES (1, ?)", (encode(rest).decode(),))
    move_cursor(connection, READER, cursor)


def forget(connection: sqlite3.Connection) -> None:
    """Without rules nothing of landing need wait for them. What was decided stays."""
    for table in ("group_state", "group_parts", "group_bases", "group_inputs", "group_rebuilds"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608
    connection.execute("DELETE FROM cursors WHERE reader = ?", (READER,))


def put_basis(connection: sqlite3.Connection, kept: Kept, after: int) -> None:
    """Once a day, inside the transaction that keeps the same. What only a replay from before landing's first record
    would need goes with the older ones. While history is still to be reconstructed there is none: its decisions would
    stand behind a basis that does not give them."""
    (newest,) = connection.execute("SELECT coalesce(max(t), ?) FROM group_bases", (-DAY_MS,)).fetchone()
    if 0 <= kept.state.t - newest < DAY_MS or connection.execute("SELECT 1 FROM group_rebuilds").fetchone():
        return
    (decisions,) = connection.execute("SELECT coalesce(max(id), 0) FROM group_log").fetchone()
    body = encode(Basis(after, decisions, kept)).decode()
    connection.execute("INSERT INTO group_bases (after, t, body) VALUES (?, ?, ?)", (after, kept.state.t, body))
    first = _first(connection)
    assert first is not None    # noqa: S101 - landing holds all that came after this one
    connection.execute("DELETE FROM group_bases WHERE id < ?", (first[0],))
    connection.execute("DELETE FROM group_inputs WHERE id <= ?", (_BASIS.decode(first[1]).kept.inputs,))


def basis(connection: sqlite3.Connection) -> Basis | None:
    """From where on landing and the log give every decision; None for a file from before there were any."""
    row = _first(connection)
    return _BASIS.decode(row[1]) if row is not None else None


def _first(connection: sqlite3.Connection) -> tuple[int, str] | None:
    row: tuple[int, str] | None = connection.execute(
        "SELECT id, body FROM group_bases WHERE after >= coalesce((SELECT min(id) FROM landing), 0) - 1"
        " ORDER BY id LIMIT 1").fetchone()
    return row


def _parts(kept: Kept) -> Parts:
    state = kept.state
    return {"tracks": state.tracks, "heard": state.heard, "stale": state.stale, "groups": state.groups,
            "runs": state.runs, "tables": {"": kept.tables}}
