"""Landing: what has arrived goes onto the disk in one transaction, in order, each record once, each point at a time of
its own. Readers of landing have durable cursors here.

Two records can claim one time of one series (a clock that was set back, a cloned card). A store would keep only the
last of them, so the later arrival is moved by whole milliseconds to the next free time, and the move is kept with the
record: sending it on again after a crash gives the same times. A time above the series' mark is free without a look.
"""

import logging
import sqlite3
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from hub import orders, quarantine, strangers
from hub.checks import Delivery, Good, kind_of
from hub.places import Memory, Placed, Places, shifts_of
from tocsin.messages import Heartbeat, Readings, Record, Start, encode, record_of
from tocsin.orders import Obeyed, Papers

_QUIET_MS = 3_600_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """One landed record. `times` are the times of those points whose own time was taken, by index."""

    id: int
    station: str
    boot: str
    seq: int
    kind: str
    arrived: int
    raw: bytes
    times: dict[int, int]


@dataclass(slots=True)
class Landed:
    """What a transaction did: counts by name, and for each delivery whether it shares ids with another content."""

    counts: Counter[str] = field(default_factory=Counter)
    clones: list[bool] = field(default_factory=list)


def land(
    connection: sqlite3.Connection, deliveries: Sequence[Delivery], now_ms: int, memory: Memory | None = None,
    *, heard: bool = True,
) -> Landed:  # fmt: skip
    """Inside one transaction of the caller, who lets `memory` forget where that fails. `heard`: their stations spoke
    just now."""
    landed, memory = Landed(), memory or Memory()
    if heard:
        _hear(connection, {one.station for one in deliveries if one.good or one.answer}, now_ms)
    for delivery in deliveries:
        for refused in delivery.refused:
            quarantine.put(connection, refused, now_ms)
            landed.counts[f"quarantined: {refused.reason}"] += 1
        if delivery.stranger is not None:
            strangers.hold(connection, delivery.stranger, now_ms)
            landed.counts["held: unknown station"] += 1
        if delivery.heartbeat is not None:
            _keep_heartbeat(connection, delivery.heartbeat, now_ms)
        clone = _land_records(connection, delivery, now_ms, landed.counts, memory)
        if clone:
            _tell_clone(connection, delivery.station, now_ms)
        landed.clones.append(clone)
    came = sum(len(one.refused) for one in deliveries)
    if came and (gone := quarantine.make_room(connection, came)):
        landed.counts["quarantine let go"] += gone
    return landed


def read(connection: sqlite3.Connection, after: int, limit: int, most_bytes: int = 8 << 20) -> list[Row]:
    """Landed records with id > after, in order of landing: up to `limit`, and no more once they have `most_bytes`."""
    found = connection.execute(
        "SELECT id, station, boot, seq, kind, arrived, raw, shifts FROM landing WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    rows: list[Row] = []
    size = 0
    for row_id, station, boot, seq, kind, arrived, raw, shifts in found:
        rows.append(Row(row_id, station, boot, seq, kind, arrived, raw, shifts_of(shifts)))
        size += len(raw)
        if size > most_bytes:
            break
    return rows


def cursor_of(connection: sqlite3.Connection, reader: str) -> int:
    """The id of the last landed record that a reader is done with; 0 before the first."""
    found = connection.execute("SELECT id FROM cursors WHERE reader = ?", (reader,)).fetchone()
    return int(found[0]) if found else 0


def move_cursor(connection: sqlite3.Connection, reader: str, last_id: int) -> None:
    connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (reader, last_id))


def behind(connection: sqlite3.Connection, reader: str) -> int:
    """How many of the records held a reader has still to do. Ids have no gaps: nothing of landing is gone through."""
    first, last = connection.execute("SELECT (SELECT min(id) FROM landing), (SELECT max(id) FROM landing)").fetchone()
    return max(0, last + 1 - max(first, cursor_of(connection, reader) + 1)) if last else 0


def _land_records(
    connection: sqlite3.Connection, delivery: Delivery, now_ms: int, counts: Counter[str], memory: Memory
) -> bool:
    """Whether a record's id is also that of another content: a cloned card."""
    if not delivery.good:
        return False
    station = delivery.station
    places = Places(connection, station, memory)
    clone = False
    for good in delivery.good:
        known = _digests(connection, station, good.record, memory)
        clone = clone or bool(known - {good.digest})
        if good.digest in known:
            counts["repeated"] += 1
            continue
        counts["clone"] += bool(known)
        counts["landed"] += 1
        _insert(connection, station, good, now_ms, places.place(good.record))
        if type(good.record) is not Readings:
            _keep(connection, station, good.record, now_ms)
    places.save()
    return clone


def _digests(connection: sqlite3.Connection, station: str, record: Record, memory: Memory) -> set[str]:
    """Those of what has this record's id. Above the highest seq of a boot there is nothing, and nothing is asked."""
    boot, newest = memory.newest.get(station, ("", 0))
    if boot != record.boot:
        (newest,) = connection.execute(
            "SELECT coalesce(max(seq), 0) FROM landing WHERE station = ? AND boot = ?", (station, record.boot)
        ).fetchone()
    memory.newest[station] = (record.boot, max(newest, record.seq))
    if record.seq > newest:
        return set()
    rows = connection.execute(
        "SELECT digest FROM landing WHERE station = ? AND boot = ? AND seq = ?", (station, record.boot, record.seq)
    )
    return {row[0] for row in rows}


def _insert(connection: sqlite3.Connection, station: str, good: Good, now_ms: int, placed: Placed) -> None:
    connection.execute(
        "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw, t_first, t_last, shifts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (station, good.record.boot, good.record.seq, kind_of(good.record), good.digest, now_ms, good.raw,
         placed.first, placed.last, encode(placed.moved).decode() if placed.moved else ""),
    )


def _keep_heartbeat(connection: sqlite3.Connection, heartbeat: Heartbeat, now_ms: int) -> None:
    """The last will speaks for the broker, and a repeated retained message for the past: neither is the station."""
    text = encode(heartbeat).decode()
    found = connection.execute("SELECT heartbeat FROM stations WHERE id = ?", (heartbeat.station,)).fetchone()
    if heartbeat.online and (found is None or found[0] != text):
        _hear(connection, [heartbeat.station], now_ms)
    connection.execute(
        "INSERT INTO stations (id, heartbeat) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat",
        (heartbeat.station, text),
    )
    if heartbeat.online and heartbeat.boot:
        _keep_card_of(connection, heartbeat.station, heartbeat.boot)


def _hear(connection: sqlite3.Connection, stations: Collection[str], now_ms: int) -> None:
    connection.executemany(
        "INSERT INTO stations (id, heard_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at",
        [(station, now_ms) for station in stations],
    )


def _tell_clone(connection: sqlite3.Connection, station: str, now_ms: int) -> None:
    """Shown on the console; into the journal when it begins, and again after an hour of quiet."""
    (before,) = connection.execute("SELECT clone_at FROM stations WHERE id = ?", (station,)).fetchone()
    if not before or now_ms - before > _QUIET_MS:
        log.error("%s: two contents under one record id: a copy of its card speaks too; both are kept", station)
        orders.note(connection, now_ms, station, "clone", "", "two contents under one record id; both are kept")
    connection.execute("UPDATE stations SET clone_at = ? WHERE id = ?", (now_ms, station))


def _keep(connection: sqlite3.Connection, station: str, record: Record, now_ms: int) -> None:
    """What is more than a line of history."""
    match record:
        case Start():
            _keep_card(connection, station, record)
        case Obeyed():
            orders.take_answer(connection, station, record, now_ms)
        case Papers():
            orders.take_papers(connection, station, record)
        case _:
            pass


def _keep_card(connection: sqlite3.Connection, station: str, start: Start) -> None:
    """Late history can bring an older start behind the newer one. Of one run seq alone tells; of two runs the older
    is older by time and seq, or by seq where the other one lives: its clock may have been ahead."""
    _set_card(
        connection, station, start, "NOT (card IS NOT NULL AND card_seq > ?3 AND (card_t > ?4 OR boot = ?2 OR"
        " boot IS CASE WHEN json_extract(heartbeat, '$.online') THEN json_extract(heartbeat, '$.boot') END))")


def _keep_card_of(connection: sqlite3.Connection, station: str, boot: str) -> None:
    """The run that lives now has the card, whatever was taken for the newest start before it was heard."""
    found = connection.execute(
        "SELECT landing.raw FROM stations JOIN landing ON landing.station = stations.id AND landing.boot = ?2"
        " WHERE stations.id = ?1 AND stations.boot != ?2 AND landing.kind = 'start' ORDER BY landing.seq DESC LIMIT 1",
        (station, boot)).fetchone()
    if found is not None and isinstance(start := record_of(found[0]), Start):
        _set_card(connection, station, start)


def _set_card(connection: sqlite3.Connection, station: str, start: Start, where: str = "TRUE") -> None:
    connection.execute(
        f"UPDATE stations SET card = ?1, boot = ?2, card_seq = ?3, card_t = ?4 WHERE id = ?5 AND {where}",  # noqa: S608
        (encode(start.card).decode(), start.boot, start.seq, start.t, station))
