"""Records that landing fails on by a defect of the hub, not of the disk. After some tries such a record is set aside in
quarantine, whole, and answered: its station must not send it for ever, nor wait with what stands behind it.

Quarantine lets nothing of this go. A defect may hit everything: no more than MOST lie there, and none are added beyond
MOST_BYTES; further ones stay at their stations. Each start of the hub tries them again, since a newer version may have
no such defect.
"""

import logging
import sqlite3
from collections import Counter
from dataclasses import replace

from hub.checks import Delivery, RecordId, Refused, good_of
from hub.database import Database
from hub.landing import land
from hub.places import Memory
from hub.refusal import Refusal
from tocsin.messages import digest
from tocsin.topics import parse_up

TRIES = 3          # a station sends again after half a minute: what passes by itself has passed
MOST = 1_000
MOST_BYTES = 64 << 20
_COUNTED = 10_000  # records of which tries are counted

log = logging.getLogger(__name__)


class Aside:
    """Used in the database's own thread; `kept` is how many lie in quarantine for this reason."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tries: Counter[tuple[str, str]] = Counter()
        self._known: dict[tuple[str, str], int] = {}    # topic and digest of what lies there: bytes

    @property
    def kept(self) -> int:
        return len(self._known)

    def instead(self, delivery: Delivery, err: Exception) -> Delivery | None:
        """What to land in the place of one record that landing failed on once more; None while it is to be tried
        again."""
        if len(delivery.good) != 1:
            return None
        (good,) = delivery.good
        key = (delivery.topic, good.digest)
        if len(self._tries) >= _COUNTED:
            self._tries.clear()
        self._tries[key] += 1
        if key not in self._known and (self._tries[key] < TRIES or self._full):
            return None
        refused = Refused(delivery.topic, Refusal.DEFECT, f"{type(err).__name__}: {err}", good.raw, whole=False)
        return replace(delivery, good=[], refused=[refused])

    def put(self, delivery: Delivery) -> None:
        """What `instead` gave is on the disk."""
        self._known |= {(one.topic, digest(one.payload)): len(one.payload) for one in delivery.refused}

    @property
    def _full(self) -> bool:
        return self.kept >= MOST or sum(self._known.values()) >= MOST_BYTES

    def look(self) -> list[int]:
        """At a start: what lies there, each for `try_again`. Raises sqlite3.Error."""
        rows = self._database.connection.execute(
            "SELECT id, topic, digest, length(payload) FROM quarantine WHERE reason = ? ORDER BY id", (Refusal.DEFECT,)
        ).fetchall()
        self._known = {(topic, fingerprint): size for _, topic, fingerprint, size in rows}
        return [row[0] for row in rows]

    def try_again(self, row_id: int, now_ms: int, memory: Memory) -> Counter[str]:
        """What lands now is in quarantine no more. Returns the counts of landing. Raises sqlite3.Error where the disk
        does not take it."""
        row = self._database.connection.execute(
            "SELECT topic, digest, payload FROM quarantine WHERE id = ?", (row_id,)).fetchone()
        if row is None:    # a person deleted it
            return Counter()
        topic, fingerprint, raw = row
        try:
            again = Delivery(parse_up(topic)[0], topic, good=[good_of(raw)])
            with self._database.transaction() as connection:
                connection.execute("DELETE FROM quarantine WHERE id = ?", (row_id,))
                landed = land(connection, [again], now_ms, memory, heard=False)
        except Exception as err:  # whatever the defect was, it may still be there
            memory.forget()
            if of_disk(err):
                raise
            log.error("%s: set aside since landing failed on it, and it still does: %s", topic, err)
            return Counter()
        del self._known[topic, fingerprint]
        return landed.counts


def of_disk(err: Exception) -> bool:
    """Whether SQLite could not write, rather than not do what was asked of it."""
    return (type(err) in {sqlite3.OperationalError, sqlite3.DatabaseError}
            and getattr(err, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_ERROR)


def parts_of(delivery: Delivery) -> list[Delivery]:
    """Its records, each for itself, with what each is answered by; none for a message without records."""
    good = [
        replace(delivery, good=[one], refused=[], answer=[RecordId(one.record.boot, one.record.seq, one.digest)])
        for one in delivery.good
    ]
    refused = [replace(delivery, good=[], refused=[one], answer=_answers_to(delivery, one)) for one in delivery.refused]
    return good + refused


def _answers_to(delivery: Delivery, refused: Refused) -> list[RecordId]:
    fingerprint = digest(refused.payload)
    return [one for one in delivery.answer if one.digest == fingerprint]
