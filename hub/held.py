"""What intake holds back or is alarmed by, for people: strangers, copied cards, what was refused, and the disk."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from hub.refusal import Refusal
from hub.strangers import Stranger, strangers_of
from tocsin.times import DAY_MS

NEWEST = 50          # of the quarantine on a page
ALARM_MS = DAY_MS  # so long after the last collision a copied card is an alarm
_SHOWN = 300         # bytes of a payload


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One refused message (`whole`) or record. `reason` is a word of Refusal; `payload` its begin."""

    arrived: int
    topic: str
    reason: str
    detail: str
    payload: str
    whole: bool


@dataclass(frozen=True, slots=True)
class Disk:
    """Bytes free and to be left free; `short`: readings wait at their stations; `trouble`: why nothing lands, or ""."""

    free: int = 0
    least: int = 0
    short: bool = False
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """`clones`: stations and when two records of theirs last had one id (ms UTC). `refused`: how many, by reason."""

    disk: Disk
    strangers: Sequence[Stranger] = ()
    clones: Sequence[tuple[str, int]] = ()
    refused: Sequence[tuple[str, int]] = ()
    newest: Sequence[Quarantined] = ()


def read_held(connection: sqlite3.Connection, disk: Disk, now_ms: int) -> Held:
    """For the pages."""
    clones = connection.execute(
        "SELECT id, clone_at FROM stations WHERE clone_at > ? ORDER BY clone_at DESC", (now_ms - ALARM_MS,)
    ).fetchall()
    refused = connection.execute("SELECT reason, count(*) FROM quarantine GROUP BY reason ORDER BY 2 DESC").fetchall()
    newest = connection.execute(
        "SELECT arrived, topic, reason, detail, substr(payload, 1, ?), whole FROM quarantine"
        " ORDER BY arrived DESC, id DESC LIMIT ?", (_SHOWN, NEWEST),
    )
    return Held(disk, strangers_of(connection), clones, refused, [
        Quarantined(arrived, topic, reason, detail, bytes(payload).decode("utf-8", "replace"), bool(whole))
        for arrived, topic, reason, detail, payload, whole in newest
    ])


def known_reason(word: str) -> Refusal | None:
    """None for a reason of another version of the hub."""
    return next((reason for reason in Refusal if reason == word), None)
