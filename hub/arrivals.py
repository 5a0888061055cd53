"""What the desk reads from `landing`: detections with the place of their station, and answers given at the site."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from hub.callout import UNKNOWN_AREA
from hub.happened import EpisodeChanged
from hub.landing import cursor_of
from hub.model import Episode
from hub.runs import before
from hub.warnings import key_of
from tocsin.messages import Answer, Detection, StationCard, record_of

READER = "desk"
BATCH = 500
_CARD = msgspec.json.Decoder(StationCard)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One detection or answer, with its id in `landing`. `settled`: the episode's clear lies in the same batch."""

    id: int
    station: str
    arrived: int
    record: Detection | Answer
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Batch:
    """In order of landing. With them `landing` is done with up to id `end`; on the disk the cursor is at `cursor`.
    `unread`: ids of records that this version of the hub cannot read; they hold up nothing."""

    rows: list[Arrival]
    cursor: int
    end: int
    unread: Sequence[int] = ()


def read(connection: sqlite3.Connection, after: int) -> Batch:
    """The next detections and answers behind both `after` and the cursor, up to BATCH of them."""
    cursor = cursor_of(connection, READER)
    start = max(after, cursor)
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM landing").fetchone()
    found = connection.execute(
        "SELECT id, station, arrived, raw FROM landing"
        " WHERE id > ? AND id <= ? AND kind IN ('detection', 'answer') ORDER BY id LIMIT ?",
        (start, newest, BATCH),
    ).fetchall()
    rows, unread = list[Arrival](), list[int]()
    for number, station, arrived, raw in found:
        try:
            record = record_of(raw)
        except msgspec.DecodeError:    # landed by a newer hub
            unread.append(number)
            continue
        if isinstance(record, Detection | Answer):
            rows.append(Arrival(number, station, arrived, record))
    end = found[-1][0] if len(found) == BATCH else max(newest, start)
    return Batch(_settled(rows), cursor, end, unread)


def event_of(connection: sqlite3.Connection, row: Arrival, detection: Detection) -> EpisodeChanged:
    """With area, names and position from the station's card; UNKNOWN_AREA for one that has not sent any."""
    card = card_of(connection, row.station)
    event = EpisodeChanged(row.station, area_of(card), detection, row.arrived, row.settled)
    if card is None:
        return event
    return msgspec.structs.replace(
        event, place=card.name, place_zh=card.name_zh, latitude=card.latitude, longitude=card.longitude
    )


def placed(connection: sqlite3.Connection, event: EpisodeChanged, known: Episode | None) -> EpisodeChanged:
    """The event, with its place among the station's runs: is it of one that ended before `known` was told?"""
    boot = event.detection.boot
    if known is None or known.boot in {"", boot}:
        return event
    outlived = before(runs_of(connection, event.station), boot, known.boot)
    return msgspec.structs.replace(event, outlived=outlived)


def runs_of(connection: sqlite3.Connection, station: str) -> dict[str, int]:
    """Of each run of which a start is held the lowest number, in the order in which they landed."""
    return dict(connection.execute(
        "SELECT boot, min(seq) FROM landing WHERE station = ? AND kind = 'start' GROUP BY boot ORDER BY min(id)",
        (station,)).fetchall())


def card_of(connection: sqlite3.Connection, station: str) -> StationCard | None:
    row = connection.execute("SELECT card FROM stations WHERE id = ? AND card IS NOT NULL", (station,)).fetchone()
    return _CARD.decode(row[0]) if row else None


def area_of(card: StationCard | None) -> str:
    """The station's area code; UNKNOWN_AREA without a card."""
    return card.area if card is not None else UNKNOWN_AREA


def _settled(rows: Sequence[Arrival]) -> list[Arrival]:
    cleared: dict[str, int] = {}
    marked: list[Arrival] = []
    for row in reversed(rows):
        if isinstance(row.record, Detection):
            key = key_of(row.station, row.record)
            marked.append(replace(row, settled=cleared.get(key, 0) > row.record.revision))
            if row.record.level == 0:
                cleared[key] = max(cleared.get(key, 0), row.record.revision)
        else:
            marked.append(row)
    return marked[::-1]
