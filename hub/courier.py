"""The courier: carries orders to stations over MQTT, again and again until they are answered or have run out.

Rules and the hub's key are retained, and published anew at every connection: a broker that forgot loses nothing.
"""

import asyncio
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress

import msgspec

from hub import orders
from hub.config import HubConfig
from hub.database import Database
from hub.publish import Publish
from hub.refusal import Refusal
from hub.roster import Roster
from tocsin import topics
from tocsin.clock import Clock
from tocsin.link import LinkDownError, RefusedError
from tocsin.messages import VERSION, encode
from tocsin.orders import LARGEST_STATE, LARGEST_VERSION, LONGEST_WAY, NewKey, RulesState
from tocsin.signing import public_key_of, sign

LOOK_S = 0.5      # another process may have written
AGAIN_S = 10.0    # a command without an answer is sent again
RULES_AGAIN_S = 3600.0  # rules that a station has not spoken of: what the broker retained may be gone or overwritten
LATE_MS = 60_000  # an answer may be on its way when a command expires
_RETRY_S = 1.0

log = logging.getLogger(__name__)
_STATE = msgspec.json.Decoder(RulesState)


class Courier:
    """`run` serves until cancelled; `connected` is called at each connection, `heard` with each rules/state."""

    def __init__(
        self, database: Database, config: HubConfig, roster: Roster, clock: Clock, publish: Publish,
        changed: Callable[[], None],
    ) -> None:  # fmt: skip
        self.counts: Counter[str] = Counter()
        self._database = database
        self._key = config.hub.private_key
        self._keys = [*config.hub.former_keys, config.hub.private_key][-LONGEST_WAY - 1:]
        self._roster = roster
        self._clock = clock
        self._publish = publish
        self._changed = changed
        self._way_said = len(self._keys) == 1       # a station that does not know the newest key refuses what it signs
        self._seen = -1
        self._rules_due = True
        self._rules_due_s = 0.0
        self._sent: dict[str, float] = {}           # command to when it was last sent, in the loop's seconds
        self._said: dict[str, int] = {}             # station to the version that the broker has

    async def run(self) -> None:
        """Until cancelled. Reality alone counts here: who writes into the database waits in real time."""
        while True:
            try:
                await self.step()
            except LinkDownError:
                pass
            except sqlite3.Error as err:
                self.counts["failed"] += 1
                log.error("orders: %s; next try in %g s", err, _RETRY_S)
                await asyncio.sleep(_RETRY_S)
            await asyncio.sleep(LOOK_S)

    async def step(self) -> None:
        """Sends what is new or due, once the way to the newest key is said. Raises LinkDownError and sqlite3.Error."""
        if not self._way_said:
            return
        now_s = asyncio.get_running_loop().time()
        if await self._database.run(self._news):
            self._rules_due = True
            self._changed()
        again = now_s >= self._rules_due_s
        if self._rules_due or again:
            for station, version, body in await self._database.run(self._new_rules, again=again):
                await self._send(station, topics.RULES, body, retain=True)
                self._said[station] = version
            self._rules_due = False
            self._rules_due_s = now_s + RULES_AGAIN_S if again else self._rules_due_s
        for command, station, body in await self._database.run(self._due):
            if now_s - self._sent.get(command, -AGAIN_S) >= AGAIN_S:
                await self._send(station, topics.COMMAND, body)
                self._sent[command] = now_s
                await self._database.run(self._mark, command)

    async def connected(self) -> None:
        """Everything once more: the broker may have forgotten it."""
        self._said.clear()
        self._rules_due = True
        self._sent.clear()
        if len(self._keys) > 1:
            for station in list(self._roster):
                await self._give(station, topics.HUB_KEY, self._way(station), retain=True)
            self._way_said = True
        with suppress(sqlite3.Error):
            await self.step()

    async def heard(self, topic: str, payload: bytes) -> None:
        """A station's word on its rules. What cannot be read is counted: the station says it again."""
        try:
            state = _STATE.decode(payload if len(payload) <= LARGEST_STATE else b"")
        except (ValueError, RecursionError):
            self.counts[Refusal.FORMAT] += 1
            return
        if not (0 <= state.version < LARGEST_VERSION and 0 <= state.refused < LARGEST_VERSION):
            self.counts[Refusal.VALUE] += 1
        elif state.station not in self._roster or topic != topics.rules_state(state.station) or state.v != VERSION:
            self.counts[Refusal.UNKNOWN] += 1
        else:
            await self._keep_state(state)

    async def _keep_state(self, state: RulesState) -> None:
        """A disk that refuses must not end the link; the station is asked again where it matters (RULES_AGAIN_S)."""
        try:
            news = await self._database.run(self._take_state, state)
        except sqlite3.Error as err:
            self.counts["failed"] += 1
            log.error("orders: what %s says of its rules cannot be kept: %s", state.station, err)
            return
        if news:
            self._changed()

    async def _send(self, station: str, kind: str, body: bytes, *, retain: bool = False) -> None:
        topic = topics.order(station, kind)
        if await self._give(station, kind, sign(body, topic, self._key), retain=retain):
            self.counts[f"{kind} sent"] += 1

    async def _give(self, station: str, kind: str, payload: bytes, *, retain: bool) -> bool:
        """False where the broker refuses it: it goes again in its time, and those of other stations go now."""
        try:
            await self._publish(topics.order(station, kind), payload, retain=retain)
        except RefusedError as err:
            self.counts[f"{kind} refused by the broker"] += 1
            log.error("orders: %s of %s: %s", kind, station, err)
            return False
        return True

    def _way(self, station: str) -> bytes:
        """From the first key that a station may have pinned to the one of now, each signed by the one before."""
        topic = topics.order(station, topics.HUB_KEY)
        steps = zip(self._keys, self._keys[1:], strict=False)
        return encode([msgspec.Raw(sign(encode(NewKey(VERSION, station, public_key_of(after))), topic, before))
                       for before, after in steps])

    def _news(self) -> bool:
        """Whether another process has written, or a command has run out."""
        ended = orders.overdue(self._database.connection, self._clock.now_ms() - LATE_MS)
        if ended:
            with self._database.transaction() as connection:
                orders.expire(connection, self._clock.now_ms() - LATE_MS)
        (seen,) = self._database.connection.execute("PRAGMA data_version").fetchone()
        if seen != self._seen:
            self._seen = seen
            self._roster.refresh()
            return True
        return ended

    def _new_rules(self, *, again: bool) -> list[tuple[str, int, bytes]]:
        """Of stations whose newest the broker has not had, and with `again` of those that have not spoken of it."""
        connection = self._database.connection
        return [row for row in newest_rules(connection, sorted(self._roster)) if (
            self._said.get(row[0]) != row[1] or (again and orders.waits(orders.state_of(connection, row[0]), row[1])))]

    def _due(self) -> list[tuple[str, str, bytes]]:
        due = orders.unanswered(self._database.connection, self._clock.now_ms())
        self._sent = {command: at_s for command, at_s in self._sent.items() if any(command == one[0] for one in due)}
        return [one for one in due if one[1] in self._roster]

    def _mark(self, command: str) -> None:
        with self._database.transaction() as connection:
            orders.mark_sent(connection, command, self._clock.now_ms())

    def _take_state(self, state: RulesState) -> bool:
        with self._database.transaction() as connection:
            return orders.take_state(connection, state, self._clock.now_ms())


def newest_rules(connection: sqlite3.Connection, stations: Iterable[str]) -> list[tuple[str, int, bytes]]:
    """(station, version, body) of those that have any. Earlier versions, which are kept for ever, are not gone through:
    this is asked after every write of another process."""
    query = "SELECT station, version, body FROM rules_sent WHERE station = ? ORDER BY version DESC LIMIT 1"
    rows = (connection.execute(query, (station,)).fetchone() for station in stations)
    return [row for row in rows if row is not None]
