"""Records that landing fails on by a defect of the hub, not of the disk. After some tries such a record is set aside in
quarantine, whole, and answered: its station must not send it for ever, nor wait with what stands behind it.

A defect may hit everything, and quarantine lets the oldest go: no more than MOST lie there, further ones stay at their
stations. Each start of the hub tries them again, since a newer version may have no such defect.
"""

import logging
from collections import Counter
from dataclasses import replace

from hub.checks import Delivery, RecordId, Refused, good_of
from hub.database import Database
from hub.landing import Landed, land
from hub.places import Memory
from hub.refusal import Refusal
from tocsin.messages import digest
from tocsin.topics import parse_up

TRIES = 3          # a station sends again after half a minute: what passes by itself has passed
MOST = 1_000
_COUNTED = 10_000  # records of which tries are counted

log = logging.getLogger(__name__)


class Aside:
    """Used in the database's own thread; `kept` is how many lie in quarantine for this reason."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tries: Counter[tuple[str, str]] = Counter()
        self._known: set[tuple[str, str]] = set()    # topic and digest of what lies there

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
        if key not in self._known and (self._tries[key] < TRIES or self.kept >= MOST):
            return None
        refused = Refused(delivery.topic, Refusal.DEFECT, f"{type(err).__name__}: {err}", good.raw, whole=False)
        return replace(delivery, good=[], refused=[refused])

    def put(self, delivery: Delivery) -> None:
        """What `instead` gave is on the disk."""
        self._known.update((one.topic, digest(one.payload)) for one in delivery.refused)

    def try_again(self, now_ms: int, memory: Memory) -> Counter[str]:
        """At a start: what lands now is in quarantine no more. Returns the counts of landing. Raises sqlite3.Error
        where quarantine cannot be read."""
        rows = self._database.connection.execute(
            "SELECT id, topic, digest FROM quarantine WHERE reason = ? ORDER BY id LIMIT ?", (Refusal.DEFECT, MOST)
        ).fetchall()
        self._known = {(topic, fingerprint) for _, topic, fingerprint in rows}
        counts: Counter[str] = Counter()
        for row_id, topic, fingerprint in rows:
            try:
                counts += self._land(row_id, topic, now_ms, memory).counts
            except Exception as err:  # noqa: BLE001 - whatever the defect was, it may still be there
                memory.forget()
                log.error("%s: set aside since landing failed on it, and it still does: %s", topic, err)
            else:
                self._known.discard((topic, fingerprint))
        return counts

    def _land(self, row_id: int, topic: str, now_ms: int, memory: Memory) -> Landed:
        with self._database.transaction() as connection:
            (raw,) = connection.execute("SELECT payload FROM quarantine WHERE id = ?", (row_id,)).fetchone()
            connection.execute("DELETE FROM quarantine WHERE id = ?", (row_id,))
            station, _ = parse_up(topic)
            return land(connection, [Delivery(station, topic, good=[good_of(raw)])], now_ms, memory)


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
