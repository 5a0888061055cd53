"""The hub's pulse: it looks at itself, tells systemd that landing and desk go on, and publishes that it lives."""

import asyncio
import logging
import secrets
import sqlite3
from collections import Counter
from contextlib import suppress

from hub.config import HubConfig
from hub.database import Database
from hub.health import Examiner, Health
from tocsin.alive import Alive, signed
from tocsin.clock import Clock
from tocsin.link import Link, LinkDownError, Will
from tocsin.messages import VERSION
from tocsin.notify import Notify
from tocsin.topics import ALIVE

_SOON_S = 0.2

log = logging.getLogger(__name__)


class Pulse:
    """`run` beats until cancelled, in real seconds: systemd and whoever watches the hub count no others."""

    def __init__(self, config: HubConfig, database: Database, clock: Clock, examiner: Examiner, notify: Notify) -> None:
        self.counts: Counter[str] = Counter()
        self._config = config
        self._hub_id = database.hub_id
        self._start = count_start(database)
        self._clock = clock
        self._examiner = examiner
        self._notify = notify
        self._boot = secrets.token_hex(8)
        self._seq = 0
        self._told = False
        self._stalled = ""

    def will(self) -> Will:
        """What the broker says when the hub is gone without a word."""
        return Will(ALIVE, self._signed(0, online=False))

    async def run(self, link: Link) -> None:
        """Until cancelled."""
        every_s = min(self._config.watchdog.every_s, self._notify.every_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._say_alive(link), name="pulse: alive")
            while True:
                await self._examiner.look()
                self.beat()
                await asyncio.sleep(every_s)

    def beat(self) -> None:
        """READY once it has looked; WATCHDOG as long as nothing stands still."""
        stalled = self._examiner.stalled()
        if stalled and not self._stalled:
            self.counts["stalled"] += 1
            log.error("watchdog: %s", stalled)
        self._stalled = stalled
        if not self._told:
            self._told = True
            self._notify.say("READY=1")
        health = self._examiner.health()
        status = "; ".join([*health.reasons, *health.troubles]) or "all is well"
        self._notify.say(f"STATUS={status[:200]}", *([] if stalled else ["WATCHDOG=1"]))

    async def _say_alive(self, link: Link) -> None:
        """At once after every connection, then every few seconds."""
        while True:
            await link.wait_connected()
            await self._examiner.look()     # not what it saw before there was a connection
            try:
                self._seq += 1
                await link.publish(ALIVE, self._signed(self._seq, online=True), retain=True)
                self.counts["heartbeats"] += 1
            except LinkDownError:
                await asyncio.sleep(_SOON_S)
                continue
            await asyncio.sleep(self._config.watchdog.every_s)

    def _signed(self, seq: int, *, online: bool) -> bytes:
        health = self._examiner.health() if online else Health()
        alive = Alive(VERSION, self._hub_id, self._config.hub.name, self._boot, seq, self._clock.now_ms(), online,
                      health.reasons, health.troubles, self._start)
        return signed(alive, self._config.hub.private_key)


def count_start(database: Database) -> int:
    """How often a hub was started on this file, this time among them: who watches knows by it what is a recording."""
    (before,) = database.connection.execute(
        "SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM meta WHERE key = 'starts'").fetchone()
    with suppress(sqlite3.Error), database.transaction() as connection:  # on a full disk the next start has the same
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('starts', ?)", (str(before + 1),))
    return int(before) + 1
