"""Landing: what has arrived goes onto the disk in one transaction, in order, each record once, each point at a time of
its own. Readers of landing have durable cursors here.

Two records can claim one time of one series (a clock that was set back, a cloned card). A store would keep only the
last of them, so the later arrival is moved by whole milliseconds to the next free time, and the move is kept with the
record: sending it on again after a crash gives the same times. A time above the series' mark is free without a look.
"""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from hub import orders
from hub.checks import Delivery, Good, Refused, kind_of
from hub.store import keyed_times
from tocsin.messages import Heartbeat, Record, Start, digest, encode, record_of
from tocsin.orders import Obeyed, Papers

NEWEST_WHOLE = 1_000       # refused messages of senders that are not answered
LARGEST_WHOLE = 64 << 10   # bytes kept of each
_READ_BYTES = 8 << 20
_CHUNK_MS = 1_000

_SHIFTS = msgspec.json.Decoder(dict[int, int])


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


class _Mark(NamedTuple):
    """Above `t` every time of the series is free. From `first` to before `end` none is: a clock that stands still
    makes long runs, which must not be walked for every record."""

    t: int
    first: int
    end: int


_NO_MARK = _Mark(-1, 0, 0)


def land(connection: sqlite3.Connection, deliveries: Sequence[Delivery], now_ms: int) -> Landed:
    """Inside one transaction of the caller."""
    landed = Landed()
    for delivery in deliveries:
        for refused in delivery.refused:
            quarantine(connection, refused, now_ms)
            landed.counts[f"quarantined: {refused.reason}"] += 1
        if delivery.heartbeat is not None:
            _keep_heartbeat(connection, delivery.heartbeat, now_ms)
        if delivery.good or delivery.answer:
            _hear(connection, delivery.station, now_ms)
        clone = _land_records(connection, delivery, now_ms, landed.counts)
        if clone:
            connection.execute("UPDATE stations SET clone_at = ? WHERE id = ?", (now_ms, delivery.station))
        landed.clones.append(clone)
    return landed


def quarantine(connection: sqlite3.Connection, refused: Refused, now_ms: int) -> None:
    """Keeps it once. Records stay; of whole messages the newest are kept, so that no sender can fill the disk."""
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


def read(connection: sqlite3.Connection, after: int, limit: int) -> list[Row]:
    """Landed records with id > after, in order of landing: up to `limit`, fewer where they are large."""
    found = connection.execute(
        "SELECT id, station, boot, seq, kind, arrived, raw, shifts FROM landing WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    rows: list[Row] = []
    size = 0
    for row_id, station, boot, seq, kind, arrived, raw, shifts in found:
        rows.append(Row(row_id, station, boot, seq, kind, arrived, raw, _times_of(shifts)))
        size += len(raw)
        if size > _READ_BYTES:
            break
    return rows


def cursor_of(connection: sqlite3.Connection, reader: str) -> int:
    """The id of the last landed record that a reader is done with; 0 before the first."""
    found = connection.execute("SELECT id FROM cursors WHERE reader = ?", (reader,)).fetchone()
    return int(found[0]) if found else 0


def move_cursor(connection: sqlite3.Connection, reader: str, last_id: int) -> None:
    connection.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (reader, last_id))


def _land_records(connection: sqlite3.Connection, delivery: Delivery, now_ms: int, counts: Counter[str]) -> bool:
    """Whether a record's id is also that of another content: a cloned card."""
    if not delivery.good:
        return False
    station = delivery.station
    found = connection.execute("SELECT series, t, run_first, run_end FROM marks WHERE station = ?", (station,))
    marks = {series: _Mark(t, first, end) for series, t, first, end in found}
    before = dict(marks)
    clone = False
    for good in delivery.good:
        known = _digests(connection, station, good)
        clone = clone or bool(known - {good.digest})
        if good.digest in known:
            counts["repeated"] += 1
            continue
        counts["clone"] += bool(known)
        counts["landed"] += 1
        _insert(connection, station, good, now_ms, marks)
        _keep(connection, station, good.record, now_ms)
    orders.raise_height(connection, station, max(good.record.seq for good in delivery.good))
    connection.executemany(
        "INSERT OR REPLACE INTO marks VALUES (?, ?, ?, ?, ?)",
        [(station, series, m.t, m.first, m.end) for series, m in marks.items() if before.get(series) != m],
    )
    return clone


def _digests(connection: sqlite3.Connection, station: str, good: Good) -> set[str]:
    rows = connection.execute(
        "SELECT digest FROM landing WHERE station = ? AND boot = ? AND seq = ?",
        (station, good.record.boot, good.record.seq),
    )
    return {row[0] for row in rows}


def _insert(connection: sqlite3.Connection, station: str, good: Good, now_ms: int, marks: dict[str, _Mark]) -> None:
    wanted = keyed_times(good.record)
    moved = _moved(connection, station, wanted, marks)
    times = [moved.get(index, t) for index, (_, t) in enumerate(wanted)]
    connection.execute(
        "INSERT INTO landing (station, boot, seq, kind, digest, arrived, raw, t_first, t_last, shifts)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (station, good.record.boot, good.record.seq, kind_of(good.record), good.digest, now_ms, good.raw,
         min(times, default=None), max(times, default=None), encode(moved).decode() if moved else ""),
    )


def _moved(
    connection: sqlite3.Connection, station: str, wanted: Sequence[tuple[str, int]], marks: dict[str, _Mark]
) -> dict[int, int]:
    """New times, by index, of those points whose own is taken. Moves the marks."""
    taken = _Taken(connection, station)
    moved: dict[int, int] = {}
    for index, (series, t) in enumerate(wanted):
        mark = marks.get(series, _NO_MARK)
        if t > mark.t:
            marks[series] = _Mark(t, mark.first, mark.end)
        else:
            marks[series] = mark = taken.next_free(series, t, mark)
            if mark.end - 1 != t:
                moved[index] = mark.end - 1
        taken.add(series, moved.get(index, t))
    return moved


class _Taken:
    """Which times of a station's series are taken: by landed records, looked up second by second, and by `add`."""

    def __init__(self, connection: sqlite3.Connection, station: str) -> None:
        self._connection = connection
        self._station = station
        self._own: set[tuple[str, int]] = set()
        self._chunks: dict[int, set[tuple[str, int]]] = {}

    def add(self, series: str, t: int) -> None:
        self._own.add((series, t))

    def next_free(self, series: str, t: int, mark: _Mark) -> _Mark:
        """A mark whose run ends with the first free time at or after t, which is now taken."""
        first, end = (mark.first, mark.end) if mark.first <= t < mark.end else (t, t)
        while end <= mark.t and self._holds(series, end):
            end += 1
        return _Mark(max(mark.t, end), first, end + 1)

    def _holds(self, series: str, t: int) -> bool:
        chunk = t // _CHUNK_MS
        if chunk not in self._chunks:
            self._chunks[chunk] = self._load(chunk * _CHUNK_MS, (chunk + 1) * _CHUNK_MS - 1)
        return (series, t) in self._own or (series, t) in self._chunks[chunk]

    def _load(self, first: int, last: int) -> set[tuple[str, int]]:
        rows = self._connection.execute(
            # records span seconds: only the few wide ones are looked for without a bound on their end
            "SELECT raw, shifts FROM landing WHERE station = ?1 AND t_last BETWEEN ?2 AND ?3 + 3600000"
            " AND t_first <= ?3 AND t_last - t_first <= 3600000 UNION ALL "
            "SELECT raw, shifts FROM landing WHERE station = ?1 AND t_first <= ?3 AND t_last >= ?2"
            " AND t_last - t_first > 3600000",
            (self._station, first, last),
        )
        found: set[tuple[str, int]] = set()
        for raw, shifts in rows:
            times = _times_of(shifts)
            found.update(
                (series, times.get(index, t)) for index, (series, t) in enumerate(keyed_times(record_of(raw)))
            )
        return found


def _keep_heartbeat(connection: sqlite3.Connection, heartbeat: Heartbeat, now_ms: int) -> None:
    """The last will speaks for the broker, and a repeated retained message for the past: neither is the station."""
    text = encode(heartbeat).decode()
    found = connection.execute("SELECT heartbeat FROM stations WHERE id = ?", (heartbeat.station,)).fetchone()
    if heartbeat.online and (found is None or found[0] != text):
        _hear(connection, heartbeat.station, now_ms)
    connection.execute(
        "INSERT INTO stations (id, heartbeat) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET heartbeat = excluded.heartbeat",
        (heartbeat.station, text),
    )


def _hear(connection: sqlite3.Connection, station: str, now_ms: int) -> None:
    connection.execute(
        "INSERT INTO stations (id, heard_at) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET heard_at = excluded.heard_at",
        (station, now_ms),
    )


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
    """Late history can bring an older start behind the newer one: older by time and by seq is older."""
    connection.execute(
        "UPDATE stations SET card = ?, boot = ?, card_seq = ?, card_t = ?"
        " WHERE id = ? AND NOT (card IS NOT NULL AND card_seq > ? AND card_t > ?)",
        (encode(start.card).decode(), start.boot, start.seq, start.t, station, start.seq, start.t),
    )


def _times_of(shifts: str) -> dict[int, int]:
    return _SHIFTS.decode(shifts) if shifts else {}


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
