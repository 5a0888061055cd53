"""Stations that speak and that nobody has enrolled: held until a person approves them, and never answered before.

Their records stay with them, since a station forgets nothing that was not answered. Of each the hub keeps what a
person needs to decide: since when, how much, its newest heartbeat and its card, which says where it stands.
"""

import sqlite3
from dataclasses import dataclass

import msgspec

from tocsin.messages import Heartbeat, StationCard, encode

MOST = 200  # the longest unheard goes where another comes

_HEARTBEAT = msgspec.json.Decoder(Heartbeat)
_CARD = msgspec.json.Decoder(StationCard)


@dataclass(frozen=True, slots=True)
class Word:
    """What one message of a stranger says: its heartbeat, or how many records and the card among them."""

    station: str
    size: int
    heartbeat: Heartbeat | None = None
    records: int = 0
    card: StationCard | None = None


@dataclass(frozen=True, slots=True)
class Stranger:
    """One of them, for a person. Times are ms UTC."""

    station: str
    first_seen: int
    last_seen: int
    messages: int
    records: int
    size: int
    heartbeat: Heartbeat | None
    card: StationCard | None


def hold(connection: sqlite3.Connection, word: Word, now_ms: int) -> None:
    """Inside the caller's transaction."""
    heartbeat = encode(word.heartbeat).decode() if word.heartbeat else None
    card = encode(word.card).decode() if word.card else None
    connection.execute(
        "INSERT INTO strangers VALUES (?1, ?2, ?2, 1, ?3, ?4, ?5, ?6) ON CONFLICT (station) DO UPDATE SET"
        " last_seen = ?2, messages = messages + 1, records = records + ?3, size = size + ?4,"
        " heartbeat = coalesce(?5, heartbeat), card = coalesce(?6, card)",
        (word.station, now_ms, word.records, word.size, heartbeat, card),
    )
    connection.execute(
        "DELETE FROM strangers WHERE station IN (SELECT station FROM strangers ORDER BY last_seen DESC, station"
        " LIMIT -1 OFFSET ?)", (MOST,),
    )


def strangers_of(connection: sqlite3.Connection) -> list[Stranger]:
    """Those that wait, the newest first."""
    rows = connection.execute(
        "SELECT station, first_seen, last_seen, messages, records, size, heartbeat, card FROM strangers"
        " ORDER BY first_seen DESC, station"
    )
    return [
        Stranger(station, first_seen, last_seen, messages, records, size,
                 _HEARTBEAT.decode(beat) if beat else None, _CARD.decode(card) if card else None)
        for station, first_seen, last_seen, messages, records, size, beat, card in rows
    ]


def welcome(connection: sqlite3.Connection, station: str) -> None:
    """It is a stranger no more. Inside the caller's transaction."""
    connection.execute("DELETE FROM strangers WHERE station = ?", (station,))
