"""The hub's one file: what has arrived, what was decided, what must still be said. SQLite, WAL, synchronous=FULL.

Blocking calls run in one thread, so they never overlap: `await database.run(function, ...)`, and inside it
`with database.transaction() as connection`. SQL stands in the module that uses it; only the tables stand here.
Times are ms UTC.
"""

import asyncio
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

from hub.migrations import HUB, MigrationError, Steps, create, migrate

P = ParamSpec("P")
T = TypeVar("T")

VERSION = 3  # a step in hub.migrations for each
_WAL_PAGES = 8_000    # 32 MB: thousands of stations touch the same pages, and each is written back once a checkpoint
_CACHE_KIB = 32_000
_LANDING_KIB = 8_000   # 2,000 stations land as fast as with 32 MB, which 15,000 messages fill: memory is flat sooner

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- every record as it came, in the order of landing; t_first..t_last are the times its points have in the store, and
-- shifts ({"index": time}) names the points whose own time was taken
CREATE TABLE landing (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL, boot TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, digest TEXT NOT NULL,
    arrived INTEGER NOT NULL, raw BLOB NOT NULL,
    t_first INTEGER, t_last INTEGER, shifts TEXT NOT NULL DEFAULT '',
    UNIQUE (station, boot, seq, digest)
);
CREATE INDEX landing_times ON landing (station, t_last, t_first) WHERE t_last IS NOT NULL;
CREATE INDEX landing_wide ON landing (station, t_first) WHERE t_last - t_first > 3600000;

-- the newest time that each series of a station has in the store; run_first to before run_end are all taken
CREATE TABLE marks (
    station TEXT NOT NULL, series TEXT NOT NULL, t INTEGER NOT NULL, run_first INTEGER NOT NULL,
    run_end INTEGER NOT NULL, PRIMARY KEY (station, series)
) WITHOUT ROWID;

-- what was refused; whole: a message that nobody is answered for, of which only the newest are kept
CREATE TABLE quarantine (
    id INTEGER PRIMARY KEY,
    arrived INTEGER NOT NULL, topic TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    payload BLOB NOT NULL, digest TEXT NOT NULL, whole INTEGER NOT NULL,
    UNIQUE (topic, digest)
);
CREATE INDEX quarantine_whole ON quarantine (whole, id);

-- up to where each reader of landing has come
CREATE TABLE cursors (reader TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;

-- card: messages.StationCard of the start record (boot, card_seq, card_t); clone_at: when two records last had one id
CREATE TABLE stations (
    id TEXT PRIMARY KEY, card TEXT, boot TEXT NOT NULL DEFAULT '', heartbeat TEXT, heard_at INTEGER NOT NULL DEFAULT 0,
    card_seq INTEGER NOT NULL DEFAULT 0, card_t INTEGER NOT NULL DEFAULT 0, clone_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    t INTEGER NOT NULL, warning TEXT NOT NULL, why TEXT NOT NULL, event TEXT NOT NULL, detail TEXT NOT NULL DEFAULT ''
);
CREATE INDEX journal_warning ON journal (warning, id);

CREATE TABLE warnings (id TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    bulletin TEXT NOT NULL, channel TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    attempts INTEGER NOT NULL DEFAULT 0, next_at INTEGER NOT NULL DEFAULT 0, receipt TEXT NOT NULL DEFAULT '',
    t INTEGER NOT NULL
);
CREATE INDEX outbox_state ON outbox (state, next_at);
"""

# tables that came later: a file made before them gets them when it is opened
LATER = """
-- windows of readings that the hub has yet to make 10 min, 1 h or 1 day of: hub.influx.downsample
CREATE TABLE IF NOT EXISTS windows (
    width TEXT NOT NULL, station TEXT NOT NULL, begin INTEGER NOT NULL, due INTEGER NOT NULL,
    times INTEGER NOT NULL DEFAULT 1, PRIMARY KEY (width, station, begin)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS windows_due ON windows (due);

-- stations enrolled by command; they count beside those of hub.toml
CREATE TABLE IF NOT EXISTS enrolled (station TEXT PRIMARY KEY, key TEXT NOT NULL, t INTEGER NOT NULL) WITHOUT ROWID;

-- keys that a successor's took the place of: tocsin.signing.mark_of each
CREATE TABLE IF NOT EXISTS revoked (
    station TEXT NOT NULL, mark TEXT NOT NULL, t INTEGER NOT NULL, PRIMARY KEY (station, mark)
) WITHOUT ROWID;

-- every version of rules that was sent to a station; body: tocsin.orders.RulesOrder
CREATE TABLE IF NOT EXISTS rules_sent (
    station TEXT NOT NULL, version INTEGER NOT NULL, who TEXT NOT NULL, t INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (station, version)
) WITHOUT ROWID;

-- what a station last said of the hub's rules: tocsin.orders.RulesState
CREATE TABLE IF NOT EXISTS rules_states (station TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;

-- body: tocsin.orders.Command; issued and expires are by the hub's clock, stamp is what the body says: it always rises
CREATE TABLE IF NOT EXISTS commands (
    id TEXT PRIMARY KEY, station TEXT NOT NULL, who TEXT NOT NULL, ask TEXT NOT NULL, body BLOB NOT NULL,
    issued INTEGER NOT NULL, expires INTEGER NOT NULL, stamp INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'waits' CHECK (state IN ('waits', 'sent', 'done', 'refused', 'expired')),
    answered INTEGER NOT NULL DEFAULT 0, said TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commands_station ON commands (station, issued);
CREATE INDEX IF NOT EXISTS commands_open ON commands (expires) WHERE state IN ('waits', 'sent');

-- what a station said to a command in Chinese, where that is other than `said` of commands
CREATE TABLE IF NOT EXISTS answers_zh (command TEXT PRIMARY KEY, said TEXT NOT NULL) WITHOUT ROWID;

-- the newest tocsin.orders.Papers of each station
CREATE TABLE IF NOT EXISTS papers (station TEXT PRIMARY KEY, t INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;

-- the highest seq of each station among what landing holds no more
CREATE TABLE IF NOT EXISTS heights (station TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;

-- hub.strangers: stations that speak and are not enrolled. heartbeat, card: the newest of each; size in bytes
CREATE TABLE IF NOT EXISTS strangers (
    station TEXT PRIMARY KEY, first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, messages INTEGER NOT NULL,
    records INTEGER NOT NULL, size INTEGER NOT NULL, heartbeat TEXT, card TEXT
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS order_journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    t INTEGER NOT NULL, station TEXT NOT NULL, what TEXT NOT NULL, who TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS order_journal_station ON order_journal (station, id);

-- group rules: their state (groups_kept.Kept, without its parts, and the parts by name), what they took in beside
-- landing, and what they decided; `after` is the last landed record that was known then, taken: the desk has seen it
-- or need not. group_bases: groups_kept.Basis, group_rebuilds: groups_log.Owed
CREATE TABLE IF NOT EXISTS group_state (one INTEGER PRIMARY KEY CHECK (one = 1), body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS group_parts (
    part TEXT NOT NULL, name TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (part, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS group_bases (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, t INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS group_rebuilds (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS group_inputs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, body TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS group_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, after INTEGER NOT NULL, t INTEGER NOT NULL, body TEXT NOT NULL,
    taken INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS group_log_new ON group_log (id) WHERE NOT taken;
CREATE INDEX IF NOT EXISTS landing_detections ON landing (id) WHERE kind = 'detection';
-- which run of a station began first, without going through all that each has told
CREATE INDEX IF NOT EXISTS landing_starts ON landing (station, boot, seq) WHERE kind = 'start';

-- hub.warnings_kept: what warnings.state leaves out, in the order in which it came. A warning may have thousands of
-- episodes, of which a storm changes one at a time
CREATE TABLE IF NOT EXISTS warning_parts (
    id INTEGER PRIMARY KEY, warning TEXT NOT NULL, part TEXT NOT NULL CHECK (part IN ('episodes', 'earlier')),
    key TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (warning, part, key)
);

-- counted at every scrape of /metrics
CREATE INDEX IF NOT EXISTS outbox_counts ON outbox (channel, state);
CREATE INDEX IF NOT EXISTS quarantine_reason ON quarantine (reason);

-- what refused records take of the disk, by topic: hub.quarantine keeps the whole below a size
CREATE TABLE IF NOT EXISTS quarantine_sizes (topic TEXT PRIMARY KEY, bytes INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS quarantine_oldest ON quarantine (topic, arrived) WHERE NOT whole;
INSERT INTO quarantine_sizes SELECT topic, sum(length(payload) + length(detail) + 400) FROM quarantine
    WHERE NOT whole AND NOT EXISTS (SELECT 1 FROM quarantine_sizes) GROUP BY topic;
CREATE TRIGGER IF NOT EXISTS quarantine_more AFTER INSERT ON quarantine WHEN NOT new.whole BEGIN
    INSERT INTO quarantine_sizes VALUES (new.topic, length(new.payload) + length(new.detail) + 400)
        ON CONFLICT (topic) DO UPDATE SET bytes = bytes + excluded.bytes;
END;
CREATE TRIGGER IF NOT EXISTS quarantine_less AFTER DELETE ON quarantine WHEN NOT old.whole BEGIN
    UPDATE quarantine_sizes SET bytes = bytes - length(old.payload) - length(old.detail) - 400 WHERE topic = old.topic;
    DELETE FROM quarantine_sizes WHERE topic = old.topic AND bytes <= 0;
END;

-- one row for each episode, in the order in which the hub first heard of them; state: model.Episode, cleared: 0 while
-- it lasts. hub.episodes keeps it
CREATE TABLE IF NOT EXISTS episodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    station TEXT NOT NULL, series TEXT NOT NULL, rule TEXT NOT NULL, episode TEXT NOT NULL,
    warning TEXT NOT NULL, area TEXT NOT NULL, hazard TEXT NOT NULL, level INTEGER NOT NULL, peak INTEGER NOT NULL,
    since INTEGER NOT NULL, cleared INTEGER NOT NULL, state TEXT NOT NULL,
    UNIQUE (station, series, rule, episode)
);
CREATE INDEX IF NOT EXISTS episodes_station ON episodes (station, id);
CREATE INDEX IF NOT EXISTS episodes_warning ON episodes (warning, id);
CREATE INDEX IF NOT EXISTS warnings_opened ON warnings (json_extract(state, '$.opened_at'), id);
CREATE INDEX IF NOT EXISTS warnings_closed ON warnings (json_extract(state, '$.closed_at') DESC, id)
    WHERE json_extract(state, '$.state') = 'closed';
CREATE INDEX IF NOT EXISTS warnings_open ON warnings (id) WHERE json_extract(state, '$.state') = 'open';
"""


class DatabaseError(Exception):
    """A file that cannot be opened as what it should be; names the file and what is wrong."""


class SqliteFile:
    """One SQLite file with one connection and one thread. `schema` makes the tables of `version` in a new file."""

    def __init__(
        self, path: Path, schema: str, version: int, steps: Steps | None = None, *, shrinks: bool = False,
        cache_kib: int = _CACHE_KIB,
    ) -> None:  # fmt: skip
        """Opens or creates, folders too; an older file goes through `steps`. `shrinks`: a new file can give free pages
        back to the disk. `cache_kib`: of its pages in memory. Raises DatabaseError, whose cause is what SQLite said."""
        self.path = path
        self._lock = threading.RLock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=path.stem)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.Error) as err:
            raise DatabaseError(f"{path}: cannot be opened: {err}") from err
        try:
            if shrinks:
                self.connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # heard in an empty file alone
            self.connection.execute("PRAGMA journal_mode = WAL")
            self.connection.execute("PRAGMA synchronous = FULL")
            self.connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
            self.connection.execute(f"PRAGMA cache_size = -{cache_kib}")
            self._ensure(schema, version, steps or {})
        except sqlite3.Error as err:
            self.close()
            raise DatabaseError(f"{path}: not a usable database: {err}") from err
        except DatabaseError:
            self.close()
            raise

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking function in the file's one thread, after whatever was asked for before."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: function(*args, **kwargs))

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything inside is on the disk when it ends, or nothing is. Does not nest."""
        with self._lock:  # for start-up and tests, which need no thread of their own
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # a full disk can end the transaction by itself
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Waits for what still runs."""
        self._thread.shutdown(wait=True)
        self.connection.close()

    def _ensure(self, schema: str, version: int, steps: Steps) -> None:
        create(self.connection, schema, version)
        try:
            migrate(self.connection, version, steps)
        except MigrationError as err:
            raise DatabaseError(f"{self.path}: {err}") from err


class Database(SqliteFile):
    """hub.sqlite. `hub_id` is 16 hex digits made once with the file; edges offer again what they hold to a new id."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, SCHEMA, VERSION, HUB, cache_kib=_LANDING_KIB)
        try:
            self.connection.executescript(LATER)
            with self.transaction() as connection:
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('hub', ?)", (secrets.token_hex(8),))
            self.hub_id = self._read_id()
        except sqlite3.Error as err:
            self.close()
            raise DatabaseError(f"{path}: not a usable database: {err}") from err

    def renew_id(self) -> None:
        """After a backup was put back: a new id makes every station offer again what it still holds."""
        with self.transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'hub'", (secrets.token_hex(8),))
        self.hub_id = self._read_id()

    def _read_id(self) -> str:
        (hub_id,) = self.connection.execute("SELECT value FROM meta WHERE key = 'hub'").fetchone()
        return str(hub_id)
