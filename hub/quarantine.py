"""Quarantine: what was refused, with its reason, for people to look at. It has a size that nobody can make it exceed.

A refused record of a good message is answered as committed, so this is its only copy: records stay until all of them
take more than MOST_BYTES. Then the oldest of the topic that has most of them go: a station that babbles pushes out its
own, and never what another station sent. What hub.aside put here is good, and stays. Of whole messages, whose senders
are not answered, the newest are kept.
"""

import sqlite3

from hub.checks import Refused
from hub.refusal import Refusal
from tocsin.messages import digest

NEWEST_WHOLE = 1_000       # refused messages of senders that are not answered
LARGEST_WHOLE = 64 << 10   # bytes kept of each
MOST_BYTES = 256 << 20     # of all refused records
_AT_ONCE = 100
_BACKLOG = 500             # rows that go in one transaction beyond twice what came: landing waits for it

# as the triggers of hub.database count it; the rest of a row and its indexes take some 400 bytes
_SIZE = "length(payload) + length(detail) + 400"


def put(connection: sqlite3.Connection, refused: Refused, now_ms: int) -> None:
    """Keeps it once. Inside the caller's transaction, who calls `make_room` before its end."""
    payload = refused.payload[:LARGEST_WHOLE] if refused.whole else refused.payload
    connection.execute(
        "INSERT INTO quarantine (arrived, topic, reason, detail, payload, digest, whole) VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (topic, digest) DO UPDATE SET arrived = excluded.arrived",
        (now_ms, _storable(refused.topic), refused.reason, _storable(refused.detail), payload,
         digest(refused.payload), refused.whole),
    )
    if refused.whole:
        connection.execute(
            "DELETE FROM quarantine WHERE whole AND id <= "
            "(SELECT id FROM quarantine WHERE whole ORDER BY id DESC LIMIT 1 OFFSET ?)", (NEWEST_WHOLE,)
        )


def make_room(connection: sqlite3.Connection, came: int) -> int:
    """After `came` were put: lets the oldest records go while there are too many bytes of them; returns how many."""
    sizes: dict[str, int] = dict(connection.execute("SELECT topic, bytes FROM quarantine_sizes").fetchall())
    over, gone = sum(sizes.values()) - MOST_BYTES, 0
    while over > 0 and sizes and gone < 2 * came + _BACKLOG:
        topic = max(sizes, key=lambda one: sizes[one])
        found = connection.execute(
            f"SELECT id, {_SIZE} FROM quarantine WHERE topic = ? AND NOT whole AND reason != ?"  # noqa: S608
            " ORDER BY arrived, id LIMIT ?", (topic, Refusal.DEFECT, _AT_ONCE)).fetchall()
        if not found:
            del sizes[topic]
        going = []
        for row_id, size in found:
            going.append((row_id,))
            over -= size
            sizes[topic] -= size
            if over <= 0:
                break
        connection.executemany("DELETE FROM quarantine WHERE id = ?", going)
        gone += len(going)
    return gone


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
